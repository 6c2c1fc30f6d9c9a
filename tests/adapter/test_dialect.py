"""Dialects: what is written is what is read, on every platform; and nothing hostile takes long."""

import re
import time
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.adapter.dialect import (
    MARKS,
    escape_markdown,
    escape_value,
    sound,
    split,
    to_bbcode,
    to_markdown,
    to_plain,
    whole,
)
from bridge.model.delivery import Reply


def md(text: str) -> Reply:
    return Reply(text=text, format="markdown")


PLAIN = [
    ("Hello **Ada**, _welcome_", "Hello Ada, welcome"),
    ("See [our prices](https://shop.example/p?a=1&b=2).", "See our prices (https://shop.example/p?a=1&b=2)."),
    ("<https://shop.example>", "https://shop.example"),
    ("[https://shop.example](https://shop.example)", "https://shop.example"),
    ("<help@shop.example>", "help@shop.example"),
    ("![a *cat*](https://shop.example/cat.png)", "a *cat* (https://shop.example/cat.png)"),
    ("- one\n- two\n  - inner\n- three", "- one\n- two\n  - inner\n- three"),
    ("3. three\n4. four", "3. three\n4. four"),
    ("* one\n\n  more\n\n* two", "- one\n\n  more\n\n- two"),
    ("- - deep", "-\n  - deep"),
    ("-\n- two", "-\n- two"),
    ("- one\n\nafter", "- one\n\nafter"),
    ("# Title\nText\n\n---\n\nEnd", "Title\n\nText\n\n---\n\nEnd"),
    ("> quoted\n> twice\n\nafter", "> quoted\n> twice\n\nafter"),
    ("```\nx = [1]\n\n  y\n```\nafter", "x = [1]\n\n  y\n\nafter"),
    ("a `code` b", "a code b"),
    ("5 \\* 3 &amp; more \\[x\\]", "5 * 3 & more [x]"),
    ("line one\nline two\\\nline three", "line one\nline two\nline three"),
    ("<b>not bold</b>", "<b>not bold</b>"),
    ("[x](javascript:alert)", "[x](javascript:alert)"),
    ("", ""),
]


@pytest.mark.parametrize(("text", "plain"), PLAIN)
def test_markdown_becomes_readable_plain_text(text: str, plain: str) -> None:
    assert to_plain(md(text)) == plain


BBCODE = [
    ("**Hello** _you_", "[b]Hello[/b] [i]you[/i]"),
    ("# One\n### Three\n#### Four", "[h1]One[/h1]\n\n[h3]Three[/h3]\n\n[b]Four[/b]"),
    ("- **a**\n- b", "- [b]a[/b]\n- b"),
    ("[here](https://a.example/[x])", "here (https://a.example/%5Bx%5D)"),
    ("\\[button url=x\\]", "[\u200bbutton url=x]"),
    ("`[b]`", "[\u200bb]"),
    ("```\n[center]\n```", "[\u200bcenter]"),
    ("![[b]](x)", "[\u200bb] (x)"),
]


@pytest.mark.parametrize(("text", "bbcode"), BBCODE)
def test_markdown_becomes_bbcode(text: str, bbcode: str) -> None:
    assert to_bbcode(md(text)) == bbcode


def test_plain_text_is_only_made_harmless() -> None:
    reply = Reply(text="[b]**x** & <y>")
    assert to_plain(reply) == "[b]**x** & <y>"
    assert to_bbcode(reply) == "[\u200bb]**x** & <y>"
    assert to_markdown(reply) == "\\[b\\]\\*\\*x\\*\\* \\& \\<y\\>"


def test_half_a_character_becomes_a_question_mark() -> None:
    assert sound("9 \ud83d€ \udca9 😀") == "9 ?€ ? 😀"


def test_markdown_passes_to_markdown_unchanged() -> None:
    assert to_markdown(md("**x** [a](b)")) == "**x** [a](b)"


@given(st.text(alphabet="[]b/ *`()<>\\\n-1", max_size=60))
def test_no_tag_comes_from_text(text: str) -> None:
    tags = re.compile(r"\[/?[a-z0-9]+\]")
    written = to_bbcode(Reply(text=to_markdown(Reply(text=text)), format="markdown"))
    assert not tags.search(written)
    assert not tags.search(to_bbcode(Reply(text=text)))


def lines(text: str) -> list[str]:
    """What must survive a conversion: the lines that say something, without the blanks around them."""
    return [line.strip() for line in re.split(r"\r\n|\r|\n", text.replace("\0", "\ufffd")) if line.strip()]


MARKUP = st.text(alphabet="*_`#-+=.)1 2>[](){}<!&;~|\\\"'\n\t:/ahmp", max_size=80)


@given(st.one_of(st.text(max_size=80), MARKUP))
@example("**x** [a](http://evil)\n# x\n- x\n1. x\n> x\n    code\n```\n<b>\n&amp;\n***\n===")
@example("a\n===\nb\n---")
@example("1.\n2)\n+\n-")
def test_escaped_text_is_shown_literally(text: str) -> None:
    assert lines(to_plain(md(escape_markdown(text)))) == lines(text)


@given(st.lists(MARKUP, max_size=5))
def test_values_that_follow_one_another_do_not_make_markup_together(values: list[str]) -> None:
    written = "".join(map(escape_markdown, values))
    shown = "".join(lines(to_plain(md(written))))
    assert re.sub(r"\s", "", shown) == re.sub(r"\s", "", "".join(values))


@given(MARKUP, st.sampled_from(["Hello {}!", "[{}](https://shop.example)", "- {}\n- b", "**{}**", "{}[x](y)", "> {}"]))
def test_a_value_never_adds_a_link_or_emphasis(value: str, around: str) -> None:
    tags = re.compile(r"\[/?(b|i|h\d)\]|\(https?:")
    expected = tags.findall(to_bbcode(md(around.format("word"))))
    assert tags.findall(to_bbcode(md(around.format("word" + escape_value(value) + "word")))) == expected


@given(st.one_of(st.text(max_size=60), MARKUP))
def test_a_value_stays_in_the_quotation_it_is_put_into(value: str) -> None:
    shown = to_plain(md("> " + escape_value("x" + value)))
    assert all(line.startswith("> ") for line in shown.split("\n"))


def test_a_text_keeps_its_paragraphs_and_a_value_does_not() -> None:
    assert escape_markdown("a\n\n  b") == "a\n\nb"
    assert escape_value("\na\n \n  b\r\n") == "a\nb"


HOSTILE = [
    "[", "![", "*a ", "a* ", "*[", "_a*", "> a\n", "- a\n", "- x\n\n", "a\n", "[a](", "<", "&", "\\", "`", "# a\n",
    "a\n=\n", "[]", "***\n", "a|b\n-|-\n", "<!--", "[a]: b\n", "> - ", "*a_ ", "(", "\t", "<http://a",
]  # fmt: skip
SIZE = 64 * 1024


@pytest.mark.parametrize("convert", [to_plain, to_bbcode])
@pytest.mark.parametrize("unit", [*HOSTILE, "> " * 20 + "a\n" + "b\n" * 3900])
@pytest.mark.parametrize("marks", [MARKS, SIZE])
def test_hostile_markdown_takes_little_time(convert: Callable[[Reply], str], unit: str, marks: int) -> None:
    text = (unit * (marks // max(1, len(re.findall(r"[^a ]", unit)))))[:SIZE]
    start = time.process_time()
    convert(md(text))
    assert time.process_time() - start < 2  # under 0.1 on an idle machine


def test_a_text_of_too_many_marks_is_sent_as_it_stands() -> None:
    assert to_plain(md("**a** \\* " * 4000)) == "**a** * " * 4000


def words(text: str) -> str:
    return re.sub(r"\s", "", text)


@given(st.text(alphabet=st.sampled_from("ab. !?\n\t…。é\u0301👍🏽\u200d🇩🇪"), max_size=200), st.integers(1, 40))
def test_a_split_loses_nothing_and_keeps_the_limit(text: str, limit: int) -> None:
    parts = split(text, limit)
    assert all(0 < len(part) <= limit for part in parts)
    assert words("".join(parts)) == words(text)


@given(st.lists(st.text(alphabet="abc.!", min_size=1, max_size=10), max_size=30), st.integers(10, 40))
def test_words_that_fit_are_not_cut(given_words: list[str], limit: int) -> None:
    assert " ".join(split(" ".join(given_words), limit)).split() == " ".join(given_words).split()


SPLITS = [
    ("short", 10, ("short",)),
    ("", 10, ()),
    ("one para\n\nanother one", 12, ("one para", "another one")),
    ("First. Second one. Third", 20, ("First. Second one.", "Third")),
    ("line one\nline two is", 12, ("line one", "line two is")),
    ("exactly ten", 7, ("exactly", "ten")),
    ("unbreakable", 5, ("unbre", "akabl", "e")),
    ("e\u0301e\u0301e\u0301", 3, ("e\u0301", "e\u0301", "e\u0301")),
    ("🇩🇪🇫🇷🇺🇦", 3, ("🇩🇪", "🇫🇷", "🇺🇦")),
    ("👨\u200d👩\u200d👧👍🏽", 6, ("👨\u200d👩\u200d👧", "👍🏽")),
    ("👍🏽", 1, ("👍", "🏽")),
    ("你好。再见。", 4, ("你好。", "再见。")),
    ("v1.2.3 is out", 8, ("v1.2.3", "is out")),
    ("  ab cd", 3, ("ab", "cd")),
]


@pytest.mark.parametrize(("text", "limit", "parts"), SPLITS)
def test_a_text_is_split_where_a_reader_pauses(text: str, limit: int, parts: tuple[str, ...]) -> None:
    assert split(text, limit) == parts


@pytest.mark.parametrize("unit", ["a", " ", "\n", "\n \n", "a.", "a b. ", "\u0301", "👍🏽", "🇩🇪", "\n  a", "!", '."'])
def test_splitting_takes_linear_time(unit: str) -> None:
    text = (unit * SIZE)[: 4 * SIZE]
    start = time.process_time()
    split(text, 2000)
    assert time.process_time() - start < 5


def test_a_limit_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="a limit of 0 characters leaves nothing to send"):
        split("x", 0)


def test_whole_counts_what_can_be_taken() -> None:
    assert whole("abc", 2) == 2
    assert whole("abc", 5) == 3
    assert whole("ae\u0301", 2) == 1
