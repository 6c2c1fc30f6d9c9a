"""What templates render: values in plain text and in Markdown, in many threads, in microseconds."""

import sys
import time
import timeit
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.adapter.dialect import to_bbcode, to_plain
from bridge.errors import Place
from bridge.model.delivery import Reply
from bridge.templating import Template, TemplateFault, Templates

HERE = Place(file="rules/a.yaml", line=9, column=14)
Load = Callable[[Mapping[str, str]], Templates]


PLAIN = [
    ("Hi {{ contact.name | default('friend') }}!", "Hi friend!"),
    ("{{ contact.address.city | default('nowhere') }}", "nowhere"),
    ("{{ contact.phone | default('none') }}", "none"),
    ("{{ '' | default('empty') }}|{{ '' | default('empty', true) }}", "|empty"),
    ("  \n{% if false %}\nx\n{% endif %}\n  ", ""),
    ("a\n{% if true %}\n  b\n{% endif %}\nc", "a\n  b\nc"),
    ("{{ 'a' if false }}b", "b"),
    ("{% set x %}<{{ text }}>{% endset %}{{ x }}{{ x | length }}", "<*x*>5"),
    ("{% macro m(a, b='2') %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}{{ m(b=3, a=4) }}", "1243"),
    ("{% macro m() %}({{ caller(1) }}){% endmacro %}{% call(x) m() %}{{ x }}{% endcall %}", "(1)"),
    ("{% for k, v in raw.order.items() %}{{ k }}={{ v }};{% endfor %}", "id=7;total=9.5;"),
    ("{% for k, v in raw.order | items %}{{ k }}={{ v }};{% endfor %}", "id=7;total=9.5;"),
    ("{{ raw.order.keys() | join(' ') }} {{ raw.order.values() | join(' ') }}", "id total 7 9.5"),
    ("{{ raw['order']['id'] }}{{ raw.order.get('no', 1) }}{{ raw.list[0] }}{{ raw.list[-1] }}", "7113"),
    ("{{ raw.list[1:] | join }}{{ text[1:-1] }}{{ text[::-1] }}", "23x*x*"),
    ("{{ raw.list | sort(reverse=true) | join }}{{ ['b', 'A'] | sort | join }}", "321Ab"),
    ("{{ [{'n': 2}, {'n': 1}] | sort(attribute='n') | join(',', attribute='n') }}", "1,2"),
    (
        "{% for x in raw.list %}{{ loop.index }}{{ loop.first }}{{ loop.cycle('a', 'b') }} {% endfor %}",
        "1Truea 2Falseb 3Falsea",
    ),
    ("{% for x in raw.list if x > 1 %}{{ x }}/{{ loop.length }}{% else %}none{% endfor %}", "2/23/2"),
    ("{% for x in [] %}{% else %}none{% endfor %}", "none"),
    ("{{ 'a b  c'.split() | join('-') }}{{ 'a,b' | split(',') | last }}", "a-b-cb"),
    ("{{ \"o'neil mcfly\" | title }} {{ 'ab cd' | capitalize }} {{ ' x ' | trim }}", "O'neil Mcfly Ab cd x"),
    (
        "{{ 'one two three' | truncate(9) }}|{{ 'one' | truncate(3) }}|{{ 'unbroken' | truncate(4) }}",
        "one two…|one|unb…",
    ),
    ("{{ 'x' | truncate(0) }}|{{ 'xy' | truncate(-5) }}|{{ 'xyz' | truncate(2, '') }}", "||xy"),
    (
        "{{ 2.5 | round }} {{ 3.14159 | round(2) }} {{ '42' | int }} {{ 'x' | int(7) }} {{ '1.5' | float }}",
        "2 3.14 42 7 1.5",
    ),
    (
        "{{ 7 // 2 }} {{ 7 % 4 }} {{ 7 / 2 }} {{ -7 + 1 }} {{ '-' * 3 }} {{ 'a' + 'b' }} {{ ([1] + [2]) | join }}",
        "3 3 3.5 -6 --- ab 12",
    ),
    ("{{ now | date }} {{ now | date('%d.%m.%y %-I:%M %p') }}", "2026-03-27 27.03.26 11:30 PM"),
    ("{{ now | date('%A %a %B %b %u %H:%M:%S %Z %%', 'Europe/Kyiv') }}", "Saturday Sat March Mar 6 01:30:05 EET %"),
    ("{{ '2026-01-02' | date('%-d/%-m') }} {{ '2026-01-02T03:04:05Z' | date('%-H') }}", "2/1 3"),
    (
        "{{ now.hour }}:{{ now.minute }} {{ now.weekday() }} {{ age.days }} {{ age.total_seconds() }}",
        "23:30 4 1 86460.0",
    ),
    ("{{ (now + age) | date('%d') }}", "28"),
    ("{{ 'ä b/c' | urlencode }}", "%C3%A4%20b%2Fc"),
    ("{{ 'abcabc' | replace('b', '') }}{{ 'x'.replace('x', 'y') }}{{ 'xy'.startswith('x') }}", "acacyTrue"),
    ("{% if 'x' in text and contact.name is not defined %}yes{% endif %}", "yes"),
    ("{% with a = 1 %}{{ a }}{% endwith %}{% filter upper %}b{{ text }}{% endfilter %}", "1B*X*"),
    ("{% raw %}{{ x }}{% endraw %}{# note #}", "{{ x }}"),
    ("{{ text }}", "*x*"),
]


@pytest.mark.parametrize(("source", "text"), PLAIN)
def test_a_plain_template_gives_its_text(source: str, text: str) -> None:
    values = {
        "contact": {"phone": None},
        "text": "*x*",
        "raw": {"order": {"id": 7, "total": 9.5}, "list": [1, 2, 3]},
        "now": datetime(2026, 3, 27, 23, 30, 5, tzinfo=UTC),
        "age": timedelta(days=1, seconds=60),
    }
    assert Templates().inline(source, HERE).render(values) == text


def test_dates_are_in_the_time_zone_that_was_passed_in() -> None:
    template = Templates(timezone=ZoneInfo("Europe/Kyiv")).inline("{{ now | date('%d. %H:%M') }}", HERE)
    assert template.render({"now": datetime(2026, 3, 27, 23, 30, tzinfo=UTC)}) == "28. 01:30"
    assert template.render({"now": "2026-07-01"}) == "01. 00:00"


MARKDOWN = [
    ("**{{ x }}**", "**bold**", "**\\*\\*bold\\*\\***"),
    ("{{ x }}", "# title", "\\# title"),
    ("{{ x }}", "a\n\n- b", "a\n\\- b"),
    ("{{ 'a' ~ x }}", "*", "a\\*"),
    ("{{ x | upper }}", "*a*", "\\*A\\*"),
    ("{% macro m(a) %}**{{ a }}**{% endmacro %}{{ m(x) }}", "*", "**\\***"),
    ("{% macro m(a) %}**{{ a }}**{% endmacro %}{{ m(x) | upper }}", "*a", "**\\*A**"),
    ("{% macro m(a) %}**{{ a }}**{% endmacro %}{{ m(x) ~ x }}{{ x + m(x) }}", "*", "**\\***\\*\\***\\***"),
    ("{% macro m(a) %}_{{ a }}_{% endmacro %}{{ [m(x), x] | join('*') }}", "*", "_\\*_\\*\\*"),
    ("{% macro m(a) %}_{{ a }}_{% endmacro %}{{ m(x)[:2] }}", "*", "\\_\\\\"),
    ("{% macro m() %}[{{ caller() }}]{% endmacro %}{% call m() %}**{{ x }}**{% endcall %}", "*", "[**\\***]"),
    ("{% set y %}**{{ x }}**{% endset %}{{ y }}", "*", "**\\***"),
    ("{% filter trim %} **{{ x }}** {% endfilter %}", "*", "**\\***"),
    ("{% filter replace('a', x) %}**a**{% endfilter %}", "[l](u)", "\\*\\*\\[l\\]\\(u\\)\\*\\*"),
    ("{% block b %}**{{ x }}**{% endblock %}{{ self.b() }}", "*", "**\\*****\\***"),
    ("{{ n }} {{ -n }} {{ 1.5 }}", "", "5 \\-5 1.5"),
    ("{{ x | default('**none**') }}", "", ""),
    ("{{ nobody | default('**none**') }}", "", "\\*\\*none\\*\\*"),
    ("{{ x }}", "{{ n }}", "\\{\\{ n \\}\\}"),
]


@pytest.mark.parametrize(("source", "value", "text"), MARKDOWN)
def test_values_are_escaped_once_in_markdown(load: Load, source: str, value: str, text: str) -> None:
    assert load({"x.md.j2": source}).file("x.md.j2", HERE).render({"x": value, "n": 5}) == text


def test_included_extended_and_imported_templates_are_not_escaped_again(load: Load) -> None:
    templates = load(
        {
            "letter.md.j2": "# {{ x }}\n{% block body %}none{% endblock %}\n{% include 'end.md.j2' %}",
            "end.md.j2": "_{{ x }}_",
            "words.md.j2": "{% macro hi(to) %}**{{ to }}** {{ x }}{% endmacro %}{% set sign = '*' %}",
            "reply.md.j2": "{% extends 'letter.md.j2' %}{% import 'words.md.j2' as words %}"
            "{% block body %}{% from 'words.md.j2' import hi, sign %}"
            "{{ hi(x) }}{{ sign }} {{ super() }}{% endblock %}",
            "other.md.j2": "{% import 'words.md.j2' as words %}{{ words.hi('you') }} {{ words.sign }}",
        },
    )
    text = templates.file("reply.md.j2", HERE).render({"x": "*"})
    assert text == "# \\*\n**\\*** \\*\\* none_\\*_"
    assert templates.file("other.md.j2", HERE).render({"x": "*"}) == "**you** \\* \\*"


def test_a_value_can_be_part_of_a_link(load: Load) -> None:
    template = load({"x.md.j2": "[find](https://shop.example/?q={{ x | urlencode }})"}).file("x.md.j2", HERE)
    text = template.render({"x": "a_b (c) ~*[d]"})
    assert to_plain(Reply(text=text, format="markdown")) == (
        "find (https://shop.example/?q=a_b%20%28c%29%20~%2A%5Bd%5D)"
    )


@pytest.fixture(scope="module")
def letter(tmp_path_factory: pytest.TempPathFactory) -> Template:
    source = "# Dear {{ x }}\n\n> {{ x }}\n\n- **{{ x }}**\n- _ok_\n\n[{{ x }}](https://shop.example)\n"
    directory = tmp_path_factory.mktemp("templates")
    (directory / "x.md.j2").write_text(source, encoding="utf-8")
    return Templates.load(directory).file("x.md.j2", HERE)


@given(value=st.text(alphabet="*_`#-+=.)1 2>[](){}<!&;~|\\\"'\n\t:/ahmp", max_size=60))
def test_a_customer_adds_no_markup_to_a_template(letter: Template, value: str) -> None:
    text = letter.render({"x": f"w{value}w"})
    shown = to_bbcode(Reply(text=text, format="markdown"))
    assert (shown.count("[b]"), shown.count("[i]"), shown.count("[h1]"), shown.count("\n- ")) == (1, 1, 1, 2)
    assert to_plain(Reply(text=text, format="markdown")).count("https://shop.example") == 1


# Threads and speed


def test_many_threads_render_one_template(load: Load) -> None:
    source = "{% macro m(a) %}<{{ a }}>{% endmacro %}{% for i in range(n) %}{{ m(i) }}{% endfor %}"
    template = load({"x.txt.j2": source}).file("x.txt.j2", HERE)
    expected = ["".join(f"<{i}>" for i in range(n)) for n in range(200)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(lambda n: template.render({"n": n}), range(200))) == expected
    finally:
        sys.setswitchinterval(before)


@pytest.mark.parametrize(
    "source",
    ["{{ x }}", "{{ x | title }}", "{{ x | replace('*', '**') }}", "{{ x.split('*') }}", "{{ x | urlencode }}"],
)
def test_a_customers_endless_text_takes_little_time(load: Load, source: str) -> None:
    inner = f"{{% macro m() %}}{source * 100}{{% endmacro %}}{{{{ m() }}}}"
    template = load({"x.md.j2": inner}).file("x.md.j2", HERE)
    start = time.process_time()
    with pytest.raises(TemplateFault, match="more than 65,536 characters"):
        template.render({"x": "*a" * 1_000_000})
    assert time.process_time() - start < 2  # at most 0.1 where nothing else runs
    assert load({"x.md.j2": "{{ x | truncate(5) }}"}).file("x.md.j2", HERE).render({"x": "ab " * 999_999}) == "ab…"


def test_a_render_leaves_no_meter_behind_for_the_next() -> None:
    template = Templates().inline("{% for a in range(n) %}{% endfor %}done", HERE)
    for _ in range(5):
        assert template.render({"n": 9_000}) == "done"
        with pytest.raises(TemplateFault):
            template.render({"n": 10_001})


def test_a_render_takes_microseconds(load: Load) -> None:
    source = "Hello {{ contact.name | default('friend') }},\n\n{% if text %}\nyou asked: {{ text }}\n{% endif %}\n"
    source += "- {{ contact.email }}\n- {{ n }}\n\nYours,\n**the shop**, {{ contact.name }}\n"
    templates = load({"x.md.j2": source})
    values = {"contact": {"name": "Ada", "email": "a@b.example"}, "text": "how much is it?", "n": 7}
    for template in (templates.file("x.md.j2", HERE), templates.inline(source, HERE)):
        assert min(timeit.repeat(partial(template.render, values), number=200, repeat=10)) / 200 < 100e-6
