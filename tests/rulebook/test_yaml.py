"""Reading one file: plain data with places, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import Problem, RulebookError
from bridge.rulebook.yaml import MAX_FILE, read, shown


def refused(text: bytes | str) -> str:
    with pytest.raises(RulebookError) as caught:
        read(text.encode() if isinstance(text, str) else text, "rules/a.yaml")
    return str(caught.value)


def test_words_of_yaml_1_1_stay_words_and_numbers_are_numbers() -> None:
    node = read(b"on: off\nyes: no\na: 12\nb: 1.5\nc: true\nd: '12'\ne: 0x1F\nf: 12:30\ng: 2026-01-02\n", "x.yaml")
    assert node is not None
    assert node.value == {
        "on": "off", "yes": "no", "a": 12, "b": 1.5, "c": True, "d": "12", "e": 31, "f": "12:30", "g": "2026-01-02",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("written", "value"),
    [("null", None), ("Null", None), ("~", None), ("True", True), ("false", False), ("FALSE", False), (".5", 0.5),
     ("+1", 1), ("-1.5e3", -1500.0), ("0o17", 15), ("nothing", "nothing"), ("Tuesday", "Tuesday"), ("-", "-"),
     ("a1", "a1"), ("1a", "1a"), (".a", ".a"), ("n", "n"), ("<<", "<<"), ("=", "=")],
)  # fmt: skip
def test_what_looks_like_a_number_a_flag_or_nothing_is_one(written: str, value: object) -> None:
    node = read(f"a: {{x: '', y: {written}}}".encode(), "x.yaml")
    assert node is not None
    assert (node.at("a", "y").value, type(node.at("a", "y").value)) == (value, type(value))


def test_every_key_and_value_has_its_place() -> None:
    node = read("\ufeffrules:\n  - name: цена\n    on: [a, bc]\n".encode(), "rules/a.yaml")
    assert node is not None
    rule = node.at("rules", 0)
    assert str(rule.place) == "rules/a.yaml:2:5"
    assert str(rule.key_place("on")) == "rules/a.yaml:3:5"
    assert str(rule.at("on", 1).place) == "rules/a.yaml:3:13"
    assert str(rule.at("on", 7).place) == "rules/a.yaml:3:9"
    assert str(rule.key_place("missing")) == "rules/a.yaml:2:5"


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "---\n# nothing\n"])
def test_an_empty_file_has_nothing(text: str) -> None:
    assert read(text.encode(), "x.yaml") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", 'rules/a.yaml:3:1: "a" stands here a second time; it is already at rules/a.yaml:1:1'),
        ("x: {a: 1, a: 2}", 'rules/a.yaml:1:11: "a" stands here a second time; it is already at rules/a.yaml:1:5'),
        ("a: &x 1\nb: 2", "rules/a.yaml:1:4: anchors (&) and aliases (*) are not used in rule files"),
        ("a: *x", "rules/a.yaml:1:4: anchors (&) and aliases (*) are not used in rule files"),
        ("a: !!python/name:os.system x", "rules/a.yaml:1:4: tags are not used in rule files"),
        ("a: 1\n--- \nb: 1\n", "rules/a.yaml:2:1: a file holds one document"),
        ("a: [1, 2\n", "rules/a.yaml:2:1: not valid YAML: did not find expected ',' or ']'"),
        ("a: 1\n\tb: 2\n", "indent with blanks, never with tabs"),
        ("[" * 100_000, "rules/a.yaml:1:51: nested more than 50 deep"),
        ("- " * 100 + "a", "nested more than 50 deep"),
        ("text: {{ name }}", "a key must be a word, not a list or a mapping; quote {{ ... }}"),
        ("a: .inf", "rules/a.yaml:1:4: .inf is not a finite number"),
        ("a: .nan", "rules/a.yaml:1:4: .nan is not a finite number"),
        ("a: " + "9" * 30, "is too large for a number: put it in quotes if it is a text"),
        ("a: " + "9" * 5000, "rules/a.yaml:1:4: a number of more than 40 digits"),
        ("a: 1\nb: x\x00y", "rules/a.yaml:2:5: the character U+0000 is not allowed"),
    ],
)
def test_what_surprises_is_refused_with_its_place(text: str, message: str) -> None:
    assert message in refused(text)


@pytest.mark.parametrize(
    ("text", "place", "step"),
    [
        ("a: Hello: you", "1:9", 'put a text with ": " in it in quotes'),
        ("- name a\n  on: message", "2:5", 'the line above, where a ":" may be missing'),
        ("- name: a\n - name: b", "2:2", "mend the indentation: the list of line 1, column 1 has all its dashes"),
        ("a:\n  b: 1\n c: 2", "3:2", "mend the indentation: the keys of line 1, column 1 stand below one another"),
        ('a: "b" c', "1:8", "put the whole text in quotes, where something stands behind a quotation mark"),
        ("a: 1\nb: {c: {d: 1}\ne: 2", "3:1", "close the bracket of line 2, column 4"),
        ("a: [1,\n2\nb: 3}", "3:2", "close the bracket of line 1, column 4"),
        ('a: {b: "say "c" to"}', "1:14", 'or quotes around a text that has ": " or quotation marks in it'),
        ("a: {b: c: d}", "1:9", 'or quotes around a text that has ": " or quotation marks in it'),
        ('a: 1\nb: "c\nd: 2\n', "4:1", "close the quotation mark of line 2, column 4"),
        ("a: 'b\nc: 'd'", "2:5", "is a quotation mark missing? The one of line 1, column 4 is closed only here"),
        ('- {a: "ц}\n- {a: "c"}', "2:8", "is a quotation mark missing? The one of line 1, column 7 is closed only"),
        ("a: @bob", "1:4", 'a text that begins with "@" has to be in quotes'),
        ("a: `bob`", "1:4", 'a text that begins with "`" has to be in quotes'),
        ("a: 1\nb\n", "3:1", 'write ":" and a blank behind the key of line 2, column 1'),
        ("a: |b", "1:5", "a text begins in the line below its | or >"),
        ("a: & b", "1:5", "put a text that begins with & or * in quotes"),
        ("a: ? b", "1:4", 'put a text that begins with "? " in quotes'),
        ("a: - b", "1:4", "begin a list in a line of its own"),
        ("a: }", "1:4", "put the text in quotes"),
        ("a:\n\tb: 1", "2:1", "indent with blanks, never with tabs"),
    ],
)
def test_yaml_that_cannot_be_read_is_told_with_the_next_step(text: str, place: str, step: str) -> None:
    said = refused(text)
    assert said.startswith(f"rules/a.yaml:{place}: not valid YAML: ")
    assert step in said.partition("; ")[2]


def test_a_tab_inside_a_text_is_not_blamed() -> None:
    assert "tabs" not in refused("a: b\tc: d")


def suspicions(text: str) -> list[str]:
    found: list[Problem] = []
    read(text.encode(), "rules/a.yaml", found)
    assert all(problem.warning for problem in found)
    return list(map(str, found))


@pytest.mark.parametrize(
    ("text", "place", "comment"),
    [
        ("a: Your order #{{ text }} is ready", "1:15", "#{{"),
        ("- a\n- Заказ \t#1234\n", "2:10", "#1234"),
        ("a: {b: c #dd}\n}", "1:10", "#dd}"),
        ("a:\r\n  b: one\r\n    two #three\r\n", "3:9", "#three"),
        ("a: #1234\nb: 1", "1:4", "#1234"),
        ("a: b #" + "1" * 100_000, "1:6", "#" + "1" * 21),
    ],
)
def test_a_text_that_a_comment_cuts_off_is_suspicious(text: str, place: str, comment: str) -> None:
    said = f'"{comment}" and what follows is a comment: put the text in quotes if it belongs to it'
    assert suspicions(text) == [f"rules/a.yaml:{place}: warning: {said}"]


@pytest.mark.parametrize(
    "comment", ["#", "# so", "#\tso", "## so", "#--- so", "#!so", "#= so", "# {{ text }}", "", "#: so"]
)
def test_comments_as_people_write_them_are_not_suspicious(comment: str) -> None:
    assert suspicions(f"{comment}\na: {comment}\n  b: c  {comment}\n  {comment}\nd: [e, {comment}\n f]") == []


@pytest.mark.parametrize(
    "text", ["a: 'b' #so", 'a: "b" #so', "a: 5 #so", "a: true #so", "a: [b] #so", "#so\n#so\na: b", "a: |\n b #so",
             "a: b#so", "a: > #so\n b", "a: b\n  #so\nc: d", "a: #so\n  b: c", "a: https://shop.example/#so"],
)  # fmt: skip
def test_a_comment_that_cuts_nothing_off_is_not_suspicious(text: str) -> None:
    assert suspicions(text) == []


def test_a_number_says_how_it_was_written() -> None:
    node = read(b"a: [0123, +49, 1.10, 5, '5', x, true]", "x.yaml")
    assert node is not None
    written = [inner.written for inner in node.at("a").inside.values()]
    assert written == ["0123", "+49", "1.10", "5", None, None, None]


@pytest.mark.parametrize("written", ["01067", "-007", "00", "+49123"])
def test_a_number_that_loses_what_was_written_is_suspicious(written: str) -> None:
    said = (
        f"rules/a.yaml:1:5: warning: {written} is read as the number {int(written)}: put it in quotes to keep it whole"
    )
    assert suspicions(f"a: [{written}]") == [said]


@pytest.mark.parametrize("written", ["0", "-1", "+1", "0.50", "10", "0o17", "'01067'", "2026-01-02", "01:30"])
def test_a_number_as_people_write_it_is_not_suspicious(written: str) -> None:
    assert suspicions(f"a: {written}") == []


def test_what_is_no_utf8_is_refused_with_its_place() -> None:
    said = refused(b"a: 1\nb: \xd1\x86\xff")
    assert said == "rules/a.yaml:2:5: byte 0xff is not UTF-8: save the file as UTF-8"


def test_a_file_has_a_largest_size() -> None:
    assert "split it" in refused(b"# " + b"x" * MAX_FILE)
    assert read(b"a: 1\n#" + b"x" * (MAX_FILE - 6), "x.yaml") is not None


@given(st.binary(max_size=200) | st.text(alphabet="ab:-[]{}#&*!|>'\"%@\n\t ,?", max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused_with_a_place(content: bytes) -> None:
    problems: tuple[Problem, ...] = ()
    try:
        read(content, "rules/a.yaml")
    except RulebookError as error:
        problems = error.problems
    assert all(problem.place.file == "rules/a.yaml" and problem.place.line >= 1 for problem in problems)


def test_values_are_shown_short_and_harmless() -> None:
    assert shown("a\x1b[2Jb\n") == '"a\\u001b[2Jb\\u000a"'
    assert shown("x" * 100) == '"' + "x" * 59 + '…"'
    assert [shown(value) for value in (None, True, 5, [1], {"a": 1})] == ["nothing", "true", "5", "a list", "a mapping"]


def test_a_pattern_in_double_quotes_is_told_how_to_be_written() -> None:
    with pytest.raises(RulebookError) as caught:
        read(b'text: {matches: "\\d+"}', "a.yaml")
    assert str(caught.value) == (
        "a.yaml:1:18: not valid YAML: found unknown escape character (while parsing a quoted scalar); "
        "a backslash in double quotes is more than itself: write patterns in single quotes"
    )


@pytest.mark.parametrize(
    ("text", "gaps"),
    [
        ("a: 1", False),
        ("a:", True),
        ("a: ''", False),
        ("a: {b: {c: }}", True),
        ("- a\n-\n", True),
        ("- {a: [b, null]}", True),
        ("- {a: [b, 0, false]}", False),
    ],
)
def test_a_file_knows_of_gaps_in_it(text: str, gaps: bool) -> None:
    node = read(text.encode(), "rules/a.yaml")
    assert node is not None
    assert node.gaps == gaps
