"""Templates: loading, what they say when something is wrong, and the names they need."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bridge.errors import Place, RulebookError
from bridge.templating import TemplateFault, Templates, compile_expression

HERE = Place(file="rules/a.yaml", line=9, column=14)
Load = Callable[[Mapping[str, str]], Templates]
Problems = Callable[[Mapping[str, str]], list[str]]


@pytest.fixture
def problems(load: Load, tmp_path: Path) -> Problems:
    """What is said against these files, with their places from `templates` on."""

    def say(files: Mapping[str, str]) -> list[str]:
        with pytest.raises(RulebookError) as raised:
            load(files)
        return [str(problem).removeprefix(f"{tmp_path.as_posix()}/") for problem in raised.value.problems]

    return say


# Loading


def test_a_directory_that_is_not_there_has_no_templates(tmp_path: Path) -> None:
    assert Templates.load(tmp_path / "nowhere").known == ()


def test_every_file_is_compiled_and_its_name_says_the_format(load: Load) -> None:
    templates = load({"a.md.j2": "**a**", "sales/b.txt.j2": "*b*", "README.md": "{{", "c.txt": "{{"})
    assert templates.known == ("a.md.j2", "sales/b.txt.j2")
    assert templates.file("a.md.j2", HERE).format == "markdown"
    assert templates.file("sales/b.txt.j2", HERE).format == "plain"
    assert templates.file("sales/b.txt.j2", HERE).render({}) == "*b*"
    assert templates.inline("x", HERE).format == "plain"


def test_all_broken_templates_are_reported_at_once(problems: Problems) -> None:
    assert problems(
        {
            "a.md.j2": "fine",
            "b.md.j2": "one\n{{ text | uper }}\n{% if text is defind %}{% endif %}\n",
            "c.txt.j2": "one\ntwo\n{% if %}",
            "d.html.j2": "<b>",
            "e.md.j2": "{% include 'signatur.md.j2' %}",
            "signature.md.j2": "yours",
        },
    ) == [
        'templates/b.md.j2:2:1: there is no filter "uper" (did you mean "upper"?)',
        'templates/b.md.j2:3:1: there is no test "defind" (did you mean "defined"?)',
        "templates/c.txt.j2:3:1: Expected an expression, got '%}'",
        "templates/d.html.j2:1:1: a template's name ends in .md.j2 (Markdown) or .txt.j2 (plain text)",
        'templates/e.md.j2:1:1: there is no template "signatur.md.j2" (did you mean "signature.md.j2"?)',
    ]


def test_a_file_that_is_no_text_is_a_problem(problems: Problems, tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "a.md.j2").write_bytes(b"\xff\xfe")
    (tmp_path / "templates" / "b.md.j2").mkdir()
    assert problems({"c.md.j2": "x" * 70_000}) == [
        "templates/a.md.j2:1:1: the file is not text in UTF-8",
        "templates/b.md.j2:1:1: the file cannot be read: Is a directory",
        "templates/c.md.j2:1:1: the template is longer than 65,536 characters: divide it into several",
    ]


def test_includes_go_in_no_circle_and_keep_the_format(problems: Problems) -> None:
    circle = {"a.md.j2": "{% include 'b.md.j2' %}", "b.md.j2": "\n{% import 'a.md.j2' as a %}"}
    assert problems(circle) == [
        'templates/a.md.j2:1:1: "b.md.j2" leads back to itself, or over more than 8 templates',
        'templates/b.md.j2:2:1: "a.md.j2" leads back to itself, or over more than 8 templates',
    ]


def test_a_chain_of_includes_is_bounded(problems: Problems, load: Load, tmp_path: Path) -> None:
    chain = {f"{n}.md.j2": f"{{% extends '{n + 1}.md.j2' %}}" for n in range(9)} | {"9.md.j2": "end"}
    assert problems(chain) == ['templates/0.md.j2:1:1: "1.md.j2" leads back to itself, or over more than 8 templates']
    del chain["0.md.j2"]
    (tmp_path / "templates" / "0.md.j2").unlink()
    assert load(chain).file("1.md.j2", HERE).render({}) == "end"


def test_formats_do_not_mix(problems: Problems) -> None:
    assert problems({"a.md.j2": "{% include 'b.txt.j2' %}", "b.txt.j2": "x"}) == [
        'templates/a.md.j2:1:1: "b.txt.j2" is plain, and this template is markdown: '
        "only templates of the same format go together"
    ]


def test_an_unknown_template_is_a_problem_where_the_rule_names_it(load: Load) -> None:
    templates = load({"price.md.j2": "x"})
    with pytest.raises(RulebookError) as raised:
        templates.file("prise.md.j2", HERE)
    assert str(raised.value) == ('rules/a.yaml:9:14: there is no template "prise.md.j2" (did you mean "price.md.j2"?)')


@pytest.mark.parametrize(
    ("language", "text"),
    [("uk", "ціна"), ("uk-UA", "ціна"), ("UK_ua", "ціна"), ("de-at", "Preis, bitte"), ("de", "price"), ("", "price")],
)
def test_a_translation_wins_for_its_language(load: Load, language: str, text: str) -> None:
    files = {"price.md.j2": "price", "price.uk.md.j2": "ціна", "price.de-at.md.j2": "Preis, bitte"}
    templates = load(files)
    assert templates.file("price.md.j2", HERE, language=language).render({}) == text
    assert templates.file("price.md.j2", HERE).render({}) == "price"


def test_a_text_in_a_rule_has_its_problems_at_the_rule() -> None:
    with pytest.raises(RulebookError) as raised:
        Templates().inline("fine\n{{ text | uper }}", HERE)
    assert str(raised.value) == (
        'rules/a.yaml:9:14: in line 2 of the text: there is no filter "uper" (did you mean "upper"?)'
    )


def test_the_same_text_at_two_places_keeps_both_places() -> None:
    templates, there = Templates(), Place(file="rules/b.yaml", line=1, column=2)
    first, second = templates.inline("{{ x }}", HERE), templates.inline("{{ x }}", there)
    for template, place in ((first, "rules/a.yaml:9:14"), (second, "rules/b.yaml:1:2")):
        with pytest.raises(TemplateFault) as raised:
            template.render({})
        assert str(raised.value) == f"{place}: \"x\" is undefined; give it a default: {{{{ x | default('friend') }}}}"


# Faults

FAULTS = [
    (
        "a\n\n{{ contact.name }}",
        3,
        "\"contact.name\" is undefined; give it a default: {{ contact.name | default('friend') }}",
    ),
    (
        "{{ contact.address.city }}",
        1,
        "\"contact.address\" is undefined; give it a default: {{ contact.address | default('friend') }}",
    ),
    (
        "{% if contact.name %}{% endif %}",
        1,
        "\"contact.name\" is undefined; give it a default: {{ contact.name | default('friend') }}",
    ),
    ("{{ contact.name ~ contact.other.name }}", 1, '"contact.name" or "contact.other.name" is undefined'),
    ("{{ nobody }}", 1, '"nobody" is undefined'),
    (
        "a\n{{ contact.phone }}",
        2,
        "\"contact.phone\" is null; give it a default: {{ contact.phone | default('friend') }}",
    ),
    ("{{ contact.phone | upper }}", 1, "upper needs text, and this is null"),
    ("{{ contact }}", 1, "{{ ... }} needs text, and this is a mapping"),
    ("{{ 1 // zero }}", 1, "it divides by zero; ask for the number first: {% if ... %}"),
    ("{{ 'a' < 1 }}", 1, "values of different kinds are mixed here (convert with | int), or arguments are wrong"),
    (
        "{{ text.upper(1, 2) }}",
        1,
        "values of different kinds are mixed here (convert with | int), or arguments are wrong",
    ),
    ("{{ text | int + text }}", 1, "+ does not work on a number and text"),
    ("{{ [1][5] }}", 1, "a list has no such item"),
    ("{{ [] | first }}", 1, "an empty list has no first item"),
    ("{% for a, b in [[1]] %}{% endfor %}", 1, "this cannot be worked out with the values it was given (ValueError)"),
    ("{% for a in 7 %}{% endfor %}", 1, "a loop needs a list, and this is a number"),
    ("{{ now - 1 }}", 1, "values of different kinds are mixed here"),
    ("{{ 'x' | date }}", 1, 'date needs a date, and this text is none: write it like "2026-12-01T09:00+02:00"'),
    ("{% macro m() %}\n{{ nobody }}{% endmacro %}\n\n{{ m() }}", 2, '"nobody" is undefined'),
]


@pytest.mark.parametrize(("source", "line", "said"), FAULTS)
def test_a_fault_says_file_line_reason_and_next_step(
    load: Load, tmp_path: Path, source: str, line: int, said: str
) -> None:
    template = load({"x.md.j2": source}).file("x.md.j2", HERE)
    values = {"contact": {"phone": None}, "text": "x", "zero": 0, "now": datetime(2026, 3, 27, tzinfo=UTC)}
    with pytest.raises(TemplateFault) as raised:
        template.render(values)
    assert str(raised.value).startswith(f"{tmp_path.as_posix()}/templates/x.md.j2:{line}: {said}")


def test_a_fault_in_an_included_template_names_that_one(load: Load) -> None:
    templates = load({"a.md.j2": "\n{% include 'b.md.j2' %}", "b.md.j2": "1\n2\n{{ nobody }}"})
    with pytest.raises(TemplateFault) as raised:
        templates.file("a.md.j2", HERE).render({})
    assert "templates/b.md.j2:3: " in str(raised.value)


# Names

NAMES = [
    ("{{ a }}{{ b.c }}", "a b b.c", "a b.c"),
    ("{{ a | default(b) }}{{ c.d | d(1) | upper }}", "a b c c.d", "b"),
    ("{% if a.b is defined %}{{ a.b }}{{ a.b.c }}{% else %}{{ a.b }}{% endif %}", "a a.b a.b.c", "a.b"),
    ("{% if a.b is defined %}{{ a.b }}{% endif %}", "a a.b", ""),
    ("{% if a is defined and a.b > 1 %}{{ a.c }}{% endif %}", "a a.b a.c", ""),
    ("{{ a if a is defined else b }}", "a b", "b"),
    ("{% if a is not defined %}{{ a }}{% endif %}", "a", "a"),
    ("{% for i in items %}{{ i.name }}{{ loop.index }}{% endfor %}", "items", "items"),
    ("{% set x = a %}{{ x.y }}{{ range(3) | join }}", "a", "a"),
    ("{{ a['b']['c'] }}{{ a[0] }}{{ a[b] }}", "a a.b.c b", "a a.b.c b"),
    ("{% macro m(p) %}{{ p }}{{ q }}{% endmacro %}{{ m(1) }}", "q", "q"),
    ("{{ a | upper | d(1) }}{{ (b ~ 1) | d(1) }}{{ c[:2] | d(1) }}{{ (e or 1) | d(1) }}", "a b c e", "a b c e"),
    ("{{ a[b][0].c | d(1) }}{{ (1 and e) | d(1) }}{{ (f if g else h) | d(1) }}", "a b e f g h", "b g"),
    ("{{ a.upper() | d(1) }}{% if b.upper() is defined %}x{% endif %}", "a a.upper b b.upper", "a.upper b.upper"),
    ("plain", "", ""),
]


@pytest.mark.parametrize(("source", "names", "needs"), NAMES)
def test_a_template_tells_the_names_it_uses_and_needs(source: str, names: str, needs: str) -> None:
    template = Templates().inline(source, HERE)
    assert template.names == set(names.split())
    assert template.needs == set(needs.split())


@pytest.mark.parametrize(
    ("source", "within"),
    [
        ("{% if a is defined %}{{ a.b }}{{ a.c | d(1) }}{% endif %}{{ a.d }}", {("a", "a.b")}),
        ("{% if a is defined and a.b is defined %}{{ a.b }}{{ a.b.c }}{% endif %}", {("a.b", "a.b.c")}),
        ("{% if a is defined %}{% set b = 1 %}{% include 'b.md.j2' %}{% endif %}", {("c.d", "c.d.e")}),
    ],
)
def test_a_template_tells_which_names_it_uses_having_asked_for_what_holds_them(
    load: Load, source: str, within: set[tuple[str, str]]
) -> None:
    included = "{% if b is defined %}{{ b.c }}{% endif %}{% if c.d is defined %}{{ c.d.e }}{% endif %}"
    assert load({"a.md.j2": source, "b.md.j2": included}).file("a.md.j2", HERE).within == within


def test_names_are_those_of_the_included_templates_too(load: Load) -> None:
    files = {"a.md.j2": "{% set own = 1 %}{% include 'b.md.j2' %}", "b.md.j2": "{{ own }}{{ c.d }}{{ e | d }}"}
    template = load(files).file("a.md.j2", HERE)
    assert template.names == {"c", "c.d", "e"}
    assert template.needs == {"c.d"}


# Expressions


def test_an_expression_gives_its_value() -> None:
    condition = compile_expression("conversation.messages > 3 and 'price' in text | lower", HERE)
    assert condition({"conversation": {"messages": 4}, "text": "PRICE?"}) is True
    assert condition({"conversation": {"messages": 3}, "text": "PRICE?"}) is False
    assert compile_expression("result", HERE)({"result": 7}) == 7
    assert compile_expression("[text, 1]", HERE)({"text": "x"}) == ["x", 1]
    assert not compile_expression("1 if text == 'y'", HERE)({"text": "x"})


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("text ==", "unexpected 'end of template'"),
        ("text }} {{ text", '"}}" is not expected after the end of the expression'),
        ("text text", '"text" is not expected after the end of the expression'),
        ("text | uper", 'there is no filter "uper" (did you mean "upper"?)'),
        ("2 ** 9999", "** is not available: use *"),
        ("(" * 9000, "it is nested too deeply: write it in simpler parts"),
        ("", "unexpected 'end of template'"),
    ],
)
def test_a_broken_expression_is_a_problem_at_its_place(source: str, said: str) -> None:
    with pytest.raises(RulebookError) as raised:
        compile_expression(source, HERE)
    assert str(raised.value) == f"rules/a.yaml:9:14: {said}"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("contact.name == 'Ada'", '"contact.name" is undefined'),
        ("nobody", '"nobody" is undefined'),
        ("text > 1", "values of different kinds"),
        ("'a' * 999999", "it makes a text of more than"),
        ("text.__class__", 'text has no "__class__"'),
    ],
)
def test_an_expression_fails_at_its_place(source: str, said: str) -> None:
    condition = compile_expression(source, HERE)
    with pytest.raises(TemplateFault) as raised:
        condition({"contact": {}, "text": "x"})
    assert str(raised.value).startswith(f"rules/a.yaml:9:14: {said}")
