"""One YAML file as plain data that remembers where everything stands.

YAML 1.2 core: `on`, `off`, `yes` and `no` are words. What makes files surprising or dangerous is refused with its
place: duplicate keys, anchors and aliases, tags, several documents in one file, deep nesting, numbers that lose digits.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from msgspec import Struct
from yaml import MarkedYAMLError, ScalarNode
from yaml.events import (
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
)
from yamlcore import CCoreLoader

from bridge.errors import Place, Problem, RulebookError
from bridge.rulebook.slips import advice

MAX_FILE = 1024 * 1024
MAX_DEPTH = 50

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CUT = re.compile(r"(?<![ \t])([ \t]+)(#[\w{]\S{0,20})")
"""Blanks and then a # that no blank follows: to people a part of the text, to YAML a comment."""
_LOSES = re.compile(r"[+-]?0[0-9]+|\+[0-9]{5,}")
"""A whole number that is not written like one; a shorter +5 may well be meant as a number."""
_LARGEST = 2**63 - 1
_STARTS = "0123456789+-.~nNtTfF"
"""How a plain scalar begins that is no text; most begin otherwise, and need not be asked further."""

Happening = Any
"""An event of PyYAML's parser. Its stubs know of events without a place; the parser in C gives none of those."""


_NOTHING: Mapping[Any, Any] = MappingProxyType({})
"""What is inside a text or a number. Most nodes are one, and need no mapping of their own."""


class Node(Struct, kw_only=True, gc=False):
    """A piece of a file: its plain value, its place, and in a mapping or list the nodes inside and the keys' places.

    A number says how it was `written`: 0123 is no 123 if it should have been a text.
    It has `gaps` where a key or a dash in it, however deep, has nothing after it.
    """

    file: str
    line: int
    column: int
    value: object = None
    inside: Mapping[str | int, "Node"] = _NOTHING
    keys: Mapping[str, Place] = _NOTHING
    gaps: bool = False
    written: str | None = None

    @property
    def place(self) -> Place:
        return Place(file=self.file, line=self.line, column=self.column)

    def at(self, *path: str | int) -> "Node":
        """The node at the end of `path`, or the last one on the way that exists."""
        node = self
        for part in path:
            deeper = node.inside.get(part)
            if deeper is None:
                break
            node = deeper
        return node

    def key_place(self, key: str) -> Place:
        """Where `key` is written, or the place of the whole where it is not."""
        return self.keys.get(key, self.place)


def read(text: bytes, file: str, suspicions: list[Problem] | None = None) -> Node | None:
    """The content of a file, or None where it has none. `file` is the name that places show.

    Warnings are added to `suspicions`. Raises RulebookError with the one problem that ended the reading.
    """
    source = _decoded(text, file)
    loader = CCoreLoader(source)
    try:
        return _Composer(file, loader, source, [] if suspicions is None else suspicions).document()
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(file=file, line=mark.line + 1, column=mark.column + 1) if mark else _start(file)
        context = f" ({error.context})" if error.context else ""
        step = advice(error, source)
        hint = f"; {step}" if step else ""
        raise _wrong(place, f"not valid YAML: {error.problem}{context}{hint}") from None
    finally:
        loader.dispose()


def _start(file: str) -> Place:
    return Place(file=file, line=1, column=1)


def _wrong(place: Place, message: str) -> RulebookError:
    return RulebookError([Problem(place=place, message=message)])


def _decoded(text: bytes, file: str) -> str:
    if len(text) > MAX_FILE:
        raise _wrong(_start(file), f"the file has {len(text):,} bytes; split it, at most {MAX_FILE:,} are read")
    try:
        source = text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = text[: error.start].decode("utf-8", "replace")
        raise _wrong(
            _after(before, file), f"byte {text[error.start]:#04x} is not UTF-8: save the file as UTF-8"
        ) from None
    found = _UNPRINTABLE.search(source)
    if found:
        place = _after(source[: found.start()], file)
        raise _wrong(place, f"the character U+{ord(found[0]):04X} is not allowed in a rule file: remove it")
    return source


def _after(before: str, file: str) -> Place:
    line = before.count("\n") + 1
    return Place(file=file, line=line, column=len(before) - before.rfind("\n"))


class _Composer:
    """Builds nodes from parser events.

    PyYAML's own composer would expand aliases, recurse in C without a bound, and keep no place for a key.
    """

    def __init__(self, file: str, loader: CCoreLoader, source: str, suspicions: list[Problem]) -> None:
        self._file = file
        self._loader = loader
        self._cuts = {found.start(): found.groups() for found in _CUT.finditer(source)} if "#" in source else {}
        self._suspicions = suspicions
        self._next: Callable[[], Happening] = loader.get_event
        self._read: dict[str, object] = {}

    def document(self) -> Node | None:
        node: Node | None = None
        for event in self._events():
            if isinstance(event, DocumentStartEvent):
                if node is not None:
                    raise self._wrong(event, "a file holds one document: put the rest into a file of its own")
                node = self._node(self._next(), 1)
        return None if node is None or node.value is None else node

    def _events(self) -> Iterator[Happening]:
        while self._loader.check_event():
            yield self._next()

    def _wrong(self, event: Happening, message: str) -> RulebookError:
        return _wrong(self._place(event), message)

    def _place(self, event: Happening) -> Place:
        mark = event.start_mark
        return Place(file=self._file, line=mark.line + 1, column=mark.column + 1)

    def _marked(self, event: Happening) -> RulebookError:
        """It is an anchor or an alias, or has a tag."""
        if event.anchor is not None:
            return self._wrong(
                event, "anchors (&) and aliases (*) are not used in rule files: write it out, or quote it"
            )
        return self._wrong(event, f"tags are not used in rule files: remove {event.tag}, or quote the text")

    def _node(self, event: Happening, depth: int) -> Node:
        if event.anchor is not None or event.tag is not None:
            raise self._marked(event)
        mark = event.start_mark
        node = Node(file=self._file, line=mark.line + 1, column=mark.column + 1)
        if isinstance(event, ScalarEvent):
            node.value = self._scalar(event)
            if type(node.value) in (int, float):
                node.written = event.value
                self._look_at_number(node)
            if self._cuts:
                self._look_behind(event, node.value)
            return node
        if depth > MAX_DEPTH:
            raise self._wrong(event, f"nested more than {MAX_DEPTH} deep")
        if isinstance(event, MappingStartEvent):
            self._mapping(node, depth)
        else:
            self._list(node, depth)
        return node

    def _list(self, node: Node, depth: int) -> None:
        inside: dict[str | int, Node] = {}
        values: list[object] = []
        while not isinstance(event := self._next(), SequenceEndEvent):
            inner = self._node(event, depth + 1)
            inside[len(values)] = inner
            values.append(inner.value)
            if inner.value is None or inner.gaps:
                node.gaps = True
        node.inside, node.value = inside, values

    def _mapping(self, node: Node, depth: int) -> None:
        inside: dict[str | int, Node] = {}
        keys: dict[str, Place] = {}
        values: dict[str, object] = {}
        while not isinstance(event := self._next(), MappingEndEvent):
            key, place = self._key(event), self._place(event)
            if key in keys:
                raise _wrong(place, f'"{key}" stands here a second time; it is already at {keys[key]}')
            inner = self._node(self._next(), depth + 1)
            keys[key], inside[key], values[key] = place, inner, inner.value
            if inner.value is None or inner.gaps:
                node.gaps = True
        node.inside, node.keys, node.value = inside, keys, values

    def _key(self, event: Happening) -> str:
        if not isinstance(event, ScalarEvent):
            raise self._wrong(event, "a key must be a word, not a list or a mapping; quote {{ ... }}")
        if event.anchor is not None or event.tag is not None:
            raise self._marked(event)
        key: str = event.value
        return key

    def _scalar(self, event: Happening) -> object:
        """A plain scalar may be a number, true, false or null; a quoted one is a text."""
        text: str = event.value
        if not event.implicit[0] or text[:1] not in _STARTS:
            return text
        if text not in self._read:
            self._read[text] = self._plain(text, event)
        return self._read[text]

    def _look_at_number(self, node: Node) -> None:
        """A postal code or a telephone number that is no number loses its zero or its plus without a word."""
        if _LOSES.fullmatch(node.written or ""):
            message = f"{node.written} is read as the number {node.value}: put it in quotes to keep it whole"
            self._suspicions.append(Problem(place=node.place, message=message, warning=True))

    def _look_behind(self, event: Happening, value: object) -> None:
        """A text without quotes ends where a blank and a # come, so half of it would be lost without a word."""
        mark = event.end_mark
        if mark.index not in self._cuts or not event.implicit[0] or not isinstance(value, str | None):
            return
        blanks, comment = self._cuts[mark.index]
        place = Place(file=self._file, line=mark.line + 1, column=mark.column + len(blanks) + 1)
        message = f"{shown(comment)} and what follows is a comment: put the text in quotes if it belongs to it"
        self._suspicions.append(Problem(place=place, message=message, warning=True))

    def _plain(self, text: str, event: Happening) -> object:
        tag = self._loader.resolve(ScalarNode, text, (True, False))
        if tag == "tag:yaml.org,2002:str":
            return text
        if len(text) > 40:
            raise self._wrong(event, "a number of more than 40 digits: put it in quotes if it is a text")
        value: object = self._loader.construct_object(ScalarNode(tag, text))
        if isinstance(value, float) and not math.isfinite(value):
            raise self._wrong(event, f"{text} is not a finite number")
        if isinstance(value, int) and abs(value) > _LARGEST:
            raise self._wrong(event, f"{text} is too large for a number: put it in quotes if it is a text")
        return value


def shown(value: object, at_most: int = 60) -> str:
    """A value of a rule file or an event as a message shows it, shortened."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        short = value if len(value) <= at_most else value[: at_most - 1] + "…"
        if short.isprintable():
            return f'"{short}"'
        return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in short) + '"'
    if isinstance(value, Mapping):
        return "a mapping"
    return "a list" if isinstance(value, list | tuple) else str(value)
