"""The line of a problem, with what is meant of it underlined."""

from pathlib import Path

import pytest

from bridge.errors import Place, Problem
from bridge.lab.sources import Sources

TEXT = """rules:
  - name: "a \\" b"
    on: mesage
    do: [{reply: {text: '{{ contact.name }}''s'}}]
\ttab
    text: |
      one {{ a.b }}
      two {{ contact.name }}
    last: {{ contact.names }} x.contact.name
"""


def underlined(path: Path, line: int, column: int) -> str | None:
    place = Place(file=path.as_posix(), line=line, column=column)
    excerpt = Sources().excerpt(Problem(place=place, message="x"))
    return None if excerpt is None else excerpt.line[excerpt.start : excerpt.start + excerpt.length]


@pytest.mark.parametrize(
    ("line", "column", "meant"),
    [
        (1, 1, "rules"),
        (2, 11, '"a \\" b"'),
        (3, 9, "mesage"),
        (4, 11, "reply"),
        (4, 25, "'{{ contact.name }}''s'"),
        (4, 26, "{{ contact.name }}"),
        (5, 1, "tab"),
        (3, 1, "on"),
        (3, 900, "e"),
        (10, 1, None),
        (99, 1, None),
        (0, 1, None),
    ],
)
def test_the_word_or_the_quoted_text_at_a_place_is_meant(
    tmp_path: Path, line: int, column: int, meant: str | None
) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(TEXT, encoding="utf-8")
    assert underlined(path, line, column) == meant


def test_a_file_that_is_not_there_or_is_no_text_has_no_lines(tmp_path: Path) -> None:
    assert underlined(tmp_path / "no.yaml", 1, 1) is None
    assert underlined(tmp_path, 1, 1) is None
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\r\nb\r")
    assert underlined(tmp_path / "bytes", 1, 1) == "\ufffd"
    assert underlined(tmp_path / "bytes", 2, 1) == "b"


@pytest.mark.parametrize(
    ("at", "name", "to"),
    [
        ((4, 25), "contact.name", (4, 29)),
        ((6, 11), "contact.name", (8, 14)),
        ((6, 11), "a.b", (7, 14)),
        ((6, 11), "b", (6, 11)),
        ((6, 11), "contact.names", (6, 11)),
        ((99, 1), "a", (99, 1)),
    ],
)
def test_a_name_is_found_in_the_text_that_begins_at_a_place_and_not_after_it(
    tmp_path: Path, at: tuple[int, int], name: str, to: tuple[int, int]
) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(TEXT, encoding="utf-8")
    place = Sources().find(Place(file=path.as_posix(), line=at[0], column=at[1]), name)
    assert (place.line, place.column) == to
