"""Audience files: what a line says, what is wrong with it, and where it stands."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.broadcasts.audience_file import AudienceError, AudienceFile, Cursor
from bridge.errors import Problem
from bridge.model.broadcast import FileAudience, Recipient

KEYS = ("chat", "customer", "email", "user_id")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def people(folder: Path, content: bytes | str, name: str = "people.csv", **options: Any) -> AudienceFile:
    """The audience file of this content, open."""
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    to = options.pop("to", {})
    options.setdefault("format", "jsonl" if name.endswith("jsonl") else "csv")
    return AudienceFile(FileAudience(path=name, **options), folder, to=to, keys=KEYS)


def read(folder: Path, content: bytes | str, name: str = "people.csv", **options: Any) -> list[Recipient | Problem]:
    with people(folder, content, name, **options) as opened:
        return list(opened.read())


def found(folder: Path, content: bytes | str, name: str = "people.csv", **options: Any) -> list[Any]:
    """Keys of recipients, and the problems as text."""
    return [
        one.key if isinstance(one, Recipient) else str(one).removeprefix(f"{name}:")
        for one in read(folder, content, name, **options)
    ]


def refused(folder: Path, content: bytes | str, name: str = "people.csv", **options: Any) -> str:
    with pytest.raises(AudienceError) as error:
        read(folder, content, name, **options)
    return str(error.value)


def test_a_line_of_csv_is_a_recipient_with_its_columns_as_variables(folder: Path) -> None:
    content = '\ufeffEmail,First name,Language,Timezone,note\r\nAnn@Shop.example,Ann,pt-BR,Asia/Tokyo,"a ""b"",\nc"\r\n'
    assert read(folder, content) == [
        Recipient(
            key="email=ann@shop.example",
            address={"email": "Ann@Shop.example"},
            variables={
                "Email": "Ann@Shop.example",
                "First_name": "Ann",
                "Language": "pt-BR",
                "Timezone": "Asia/Tokyo",
                "note": 'a "b",\nc',
            },
            language="pt-BR",
            zone="Asia/Tokyo",
            line=2,
        )
    ]


def test_a_line_of_json_is_a_recipient_with_its_names_as_variables(folder: Path) -> None:
    content = '\ufeff{"user_id": 7, "First name": "Ann", "tags": ["a"], "language": "de", "vip": true}\n\n'
    assert read(folder, content, "people.jsonl") == [
        Recipient(
            key="user_id=7",
            address={"user_id": 7},
            variables={"user_id": 7, "First_name": "Ann", "tags": ["a"], "language": "de", "vip": True},
            language="de",
            line=1,
        )
    ]


def test_what_is_empty_is_not_known(folder: Path) -> None:
    (one,) = read(folder, "email,name,language\na@x,,\n")
    assert isinstance(one, Recipient)
    assert one.variables == {"email": "a@x"}
    (other,) = read(folder, '{"email": "a@x", "name": "", "city": null}', "p.jsonl")
    assert isinstance(other, Recipient)
    assert other.variables == {"email": "a@x"}


def test_the_address_is_the_columns_named_like_the_keys_or_those_that_to_names(folder: Path) -> None:
    content = "USER_ID,Customer number,email\n7,9,a@x\n8,10,\n"
    first, second = read(folder, content)
    assert isinstance(first, Recipient)
    assert isinstance(second, Recipient)
    assert (first.address, second.address) == ({"email": "a@x", "user_id": "7"}, {"user_id": "8"})
    assert first.key == "email=a@x\tuser_id=7"
    (one, _) = read(folder, content, to={"customer": "Customer number"})
    assert isinstance(one, Recipient)
    assert one.address == {"customer": "9"}


def test_the_key_may_be_columns_that_are_no_address(folder: Path) -> None:
    content = "email,person\na@x,7\nb@x, 7 \nc@x,\n"
    assert found(folder, content, key=("person",)) == ["person=7", "person=7", "4:1: warning: its key is empty: person"]


def test_a_long_key_is_shortened_and_still_tells_people_apart(folder: Path) -> None:
    one, other = found(folder, f"email\n{'a' * 300}@x\n{'a' * 300}@y\n")
    assert len(one) == len(other) == 64
    assert one != other


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"a@x", "the line has 1 column, and the header names 3"),
        (b"a@x,b,UTC,d", "the line has 4 columns, and the header names 3"),
        (b",Ann,", "it has no address: email is empty"),
        (b" ,Ann,", "email is no address: it must be one line of 1 to 1,000 characters"),
        (b"a\x07@x,Ann,", "email is no address: it must be one line of 1 to 1,000 characters"),
        (b'"a\n@x",Ann,', "email is no address: it must be one line of 1 to 1,000 characters"),
        (b"a@x,Ann,Mars/Base", '"Mars/Base" is no time zone, such as Europe/Kyiv'),
        (b"a@x,\xe4nn,", "byte 0xe4 is not UTF-8: save the file as UTF-8"),
        (b'a@x,"1\n\xe4",', "lines 3 to 4: byte 0xe4 is not UTF-8: save the file as UTF-8"),
        (b"a@x,A\0nn,", "it has a character U+0000"),
        (b"a@x,A\rnn,", "a carriage return stands in a value: put the value in quotes, or end lines with a line feed"),
        (
            b'a@x,"Ann"e,',
            'something stands behind a closing quote; a quote inside a value in quotes is written twice: ""',
        ),
        (b"a@x," + b"n" * 131_073 + b",", "a value has more than 131,072 characters"),
        (b"a@x," + b"n" * 1_100_000 + b",", "it is longer than 1,048,576 bytes"),
    ],
)
def test_a_bad_line_is_told_with_its_number_and_skipped_or_stops_the_plan(
    folder: Path, line: bytes, problem: str
) -> None:
    content = b"email,name,timezone\nfirst@x,F,UTC\n" + line + b"\nlast@x,L,UTC\n"
    assert found(folder, content) == ["email=first@x", f"3:1: warning: {problem}", "email=last@x"]
    assert refused(folder, content, bad_lines="stop") == f"people.csv:3:1: {problem}"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"[1]", 'it is no JSON object, such as {"email": "ann@shop.example"}'),
        (b'{"email":', "it is no JSON: unexpected end of data (at character 10)"),
        (b'{"email": "\xe4"}', "it is no JSON: str is not valid UTF-8: surrogates not allowed (at character 1)"),
        (b'{"email": true}', "email is no address: it must be a text, a whole number or a list of these"),
        (b'{"email": [["a"]]}', "email is no address: it must be a text, a whole number or a list of these"),
        (b'{"email": 1.5}', "email is no address: it must be a text, a whole number or a list of these"),
        (b'{"email": 123456789012345678901}', "email is too large for a number: put it in quotes"),
        (b'{"email": "a\\u0000"}', "it has a character U+0000"),
        (b'{"email": "a", "f n": 1, "f-n": 2}', "two of its names are the same variable"),
        (b'{"email": "a", "now": 1}', 'a column cannot be named "now", because templates know now as something else'),
        (b'{"name": "Ann"}', "it has no address: chat, customer, email, user_id are empty"),
        (
            b"{" + b",".join(b'"n%d":1' % n for n in range(1001)) + b"}",
            "it has 1,001 names; at most 1,000 are read",
        ),
        (b'{"email": "' + b"x" * 1_100_000 + b'"}', "it is longer than 1,048,576 bytes"),
    ],
)
def test_a_bad_line_of_json(folder: Path, line: bytes, problem: str) -> None:
    content = b'{"email": "first@x"}\n' + line + b'\n{"email": "last@x"}'
    assert found(folder, content, "p.jsonl") == ["email=first@x", f"2:1: warning: {problem}", "email=last@x"]


def test_json_that_is_nested_too_deep_is_a_bad_line(folder: Path) -> None:
    (problem,) = found(folder, b'{"email":' + b"[" * 5000, "p.jsonl")
    assert "it is no JSON: " in problem


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "1:1: the first line must name the columns, and it is empty"),
        (b"\xef\xbb\xbf", "1:1: the first line must name the columns, and it is empty"),
        ("email\n".encode("utf-16"), "1:1: the file is UTF-16: save it as UTF-8"),
        (b"\xe4mail\n", "1:1: byte 0xe4 is not UTF-8: save the file as UTF-8"),
        (b"email, ,x\n", "1:1: column 2 has no name"),
        (b"email,a b,a-b\n", "1:1: column 3 has the same name as column 2: a_b"),
        (
            b"email;name\n",
            '1:1: column 1: "email;name" looks like several columns: say `separator: ";"` if that is between them',
        ),
        (b"email,---\n", '1:1: column 2: "---" is no name for a column: use letters, digits, blanks, "-" or "_"'),
        (
            b"email,contact\n",
            '1:1: column 2: a column cannot be named "contact", because templates know contact as something else',
        ),
        (
            b"mail,name\n",
            "1:1: no column is an address (chat, customer, email, user_id): name one so, or say `to: {key: column}`",
        ),
        (b'"email\n', "1:1: a quote is opened and not closed before the file ends"),
        (b"," * 1000, "1:1: there are 1,001 columns; at most 1,000 are read"),
        (b"x" * 1_100_000, "1:1: it is longer than 1,048,576 bytes"),
    ],
)
def test_a_header_that_is_wrong_is_refused(folder: Path, content: bytes, problem: str) -> None:
    assert refused(folder, content) == f"people.csv:{problem}"


def test_a_column_that_is_asked_for_must_be_there(folder: Path) -> None:
    assert refused(folder, "mail\na@x\n", to={"email": "emial"}) == (
        'people.csv:1:1: there is no column "emial" (did you mean "mail"?)'
    )
    assert refused(folder, "email\na@x\n", key=("person",)) == (
        'people.csv:1:1: there is no column "person"; there are: email'
    )


@pytest.mark.parametrize("path", ["nobody.csv", ".", "\0"])
def test_a_file_that_cannot_be_read_is_refused(folder: Path, path: str) -> None:
    with pytest.raises(AudienceError, match="cannot be read: "):
        AudienceFile(FileAudience(path=path), folder, to={}, keys=KEYS)


@pytest.mark.parametrize("lines", [0, 3, 100_000, 600_000])
def test_a_quote_that_is_never_closed_stops_the_plan_whatever_is_asked(folder: Path, lines: int) -> None:
    """What follows may be the inside of a value: a piece of text must not become an address."""
    content = 'email,name\na@x,Ann\nb@x,"Bob\n' + "c@x,Cy\n" * lines
    message = refused(folder, content)
    assert message.startswith("people.csv:3:1: lines 3 to " if lines else "people.csv:3:1: a quote is opened")


def test_a_record_of_many_lines_is_bounded(folder: Path) -> None:
    cells = ",".join('"' + "x\n" * 40_000 + '"' for _ in range(20))
    assert refused(folder, f"email,{','.join(f'n{n}' for n in range(20))}\na@x,{cells}\nb@x{',' * 20}\n") == (
        "people.csv:2:1: lines 2 to 524,268: together they are longer than 1,048,576 bytes: is a quote not closed?"
    )


def test_a_quote_that_is_closed_by_another_line_spoils_only_the_lines_between(folder: Path) -> None:
    content = 'email,name\na@x,"Ann\nb@x,Bob\nc@x,"Cy, the third"\nd@x,Di\n'
    problem = 'something stands behind a closing quote; a quote inside a value in quotes is written twice: ""'
    assert found(folder, content) == [f"2:1: warning: lines 2 to 4: {problem}", "email=d@x"]


@pytest.mark.parametrize(("separator", "content"), [(";", "email;n\na@x;1,5\n"), ("\t", "email\tn\na@x\t1,5\n")])
def test_other_separators(folder: Path, separator: str, content: str) -> None:
    (one,) = read(folder, content, separator=separator)
    assert isinstance(one, Recipient)
    assert one.variables == {"email": "a@x", "n": "1,5"}


def test_reading_goes_on_where_it_stopped(folder: Path) -> None:
    content = 'email,n\na@x,"1\n1"\n\nbad\nb@x,2\nc@x,3\n'
    whole = read(folder, content)
    with people(folder, content) as opened:
        cursors = [opened.cursor, *(opened.cursor for _ in opened.read())]
    for number, cursor in enumerate(cursors):
        with people(folder, content) as again:
            assert list(again.read(after=cursor)) == whole[number:]


def test_a_file_that_was_put_in_the_place_of_another_is_not_read_on(folder: Path) -> None:
    with people(folder, "email\na@x\nb@x\n") as opened:
        next(opened.read())
        cursor = opened.cursor
    with people(folder, "email\nb@x\na@x\n") as other, pytest.raises(AudienceError, match="has changed since"):
        list(other.read(after=cursor))


def test_a_file_that_shrinks_while_it_is_read_is_told(folder: Path) -> None:
    def reading() -> Iterator[Recipient | Problem]:
        with people(folder, "email\n" + "a@x\n" * 100_000) as opened:
            yield from opened.read()

    going = reading()
    next(going)
    (folder / "people.csv").write_bytes(b"email\na@x\n")
    with pytest.raises(AudienceError, match="was changed while it was read"):
        list(going)


def test_the_cursor_stands_at_the_end_of_what_was_read(folder: Path) -> None:
    content = "email,note\n" + "".join(f"{n}@x,{'y' * (n % 7)}\n" + "bad\n" * (n % 2) for n in range(20))
    with people(folder, content) as opened:
        found = list(opened.read())
        assert opened.cursor == Cursor(offset=len(content), line=31, file=opened.cursor.file)
    problems = [one.place.line for one in found if isinstance(one, Problem)]
    assert (len(found), problems[:3]) == (30, [4, 7, 10])


CELL = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0\r"), min_size=1, max_size=20)


@given(rows=st.lists(st.tuples(CELL, CELL), max_size=20))
def test_every_value_comes_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    quoted = ["," .join('"' + cell.replace('"', '""') + '"' for cell in ("a@x", *row)) for row in rows]  # fmt: skip
    folder = tmp_path_factory.mktemp("audience")
    content = "\n".join(["email,one,two", *quoted])
    as_json = "\n".join(json.dumps({"email": "a@x", "one": one, "two": two}) for one, two in rows)
    for text, name in ((content, "p.csv"), (as_json, "p.jsonl")):
        read_back = [
            (r.variables["one"], r.variables["two"]) for r in read(folder, text, name) if isinstance(r, Recipient)
        ]
        assert read_back == rows


@given(content=st.binary(max_size=300))
@example(content=b'"')
@example(content=b'email\n"\n')
@example(content=b"email\n\r\r\n")
def test_whatever_is_in_a_file_it_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("audience")
    for start, name in ((b"email,a\n", "p.csv"), (b"", "p.csv"), (b"", "p.jsonl")):
        try:
            whole = read(folder, start + content, name)
        except AudienceError as error:
            told = str(error)
        else:
            told = name
            assert all(isinstance(one, Problem) or one.address for one in whole)
        assert told.startswith(name)
