"""Talks: what was said in conversations then, held against what is said now.

While both say the same, nothing is kept of it, so that a long record takes no more memory than a short one.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from difflib import SequenceMatcher
from typing import Literal

from bridge.lab.diff import what_came, what_happened
from bridge.line.render import Rendered
from bridge.model.event import Event

LONGEST = 2_000
"""Characters of one line that are kept to be shown."""
MOST_LINES = 200
"""Lines of one conversation that are kept, of each side."""
_BEFORE = 2
_AROUND = 3
_LATELY = 10_000
_UNTOLD = ("typing", "widget", "contact")
"""Kinds of events that are no part of what is said."""

Sign = Literal[" ", "-", "+"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """What somebody said or did, and when. Two lines are the same where `mark` is, whoever and whenever it was."""

    at: datetime
    who: str
    text: str
    mark: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """A conversation that goes otherwise: its lines, "-" of then and "+" of now. `cut`: it goes on differently."""

    account: str
    conversation: str
    lines: tuple[tuple[Sign, Line], ...]
    cut: bool


@dataclass(slots=True)
class _Talk:
    """`certain`: it differs for sure, so nothing that is still to come makes the two the same."""

    before: tuple[Line, ...]
    then: list[Line] = field(default_factory=list)
    now: list[Line] = field(default_factory=list)
    certain: bool = False
    cut: bool = False


class Comparison:
    """At most `most` differing conversations are kept to be shown; the others are counted."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept = 0
        self._open: dict[tuple[str, str], _Talk | None] = {}
        self._last: OrderedDict[tuple[str, str], tuple[Line, ...]] = OrderedDict()

    @property
    def different(self) -> int:
        """How many conversations go otherwise."""
        return len(self._open)

    def add(self, event: Event, heard: Line | None, then: Sequence[Line], now: Sequence[Line]) -> None:
        """What happened (`heard`), what was said about it then, and what is said now."""
        key = event.account, event.conversation
        both = [heard] if heard else []
        talk = self._open.get(key)
        if talk is None:
            if key in self._open:
                return
            if _same(then, now):
                self._remember(key, (*both, *then))
                return
            talk = self._open[key] = _Talk(before=self._last.pop(key, ()))
        _extend(talk, [*both, *then], [*both, *now])
        if not talk.certain:
            self._strip(key, talk)

    def differences(self) -> list[Difference]:
        """Those that are kept, in the order in which they began to differ."""
        found = [(key, talk) for key, talk in self._open.items() if talk is not None]
        return [
            Difference(account=key[0], conversation=key[1], lines=tuple(_unified(talk)), cut=talk.cut)
            for key, talk in found[: self._most]
        ]

    def _strip(self, key: tuple[str, str], talk: _Talk) -> None:
        """Let go of what both begin with; where both go on and not alike, they differ for sure."""
        same = 0
        for then, now in zip(talk.then, talk.now, strict=False):
            if then.mark != now.mark:
                break
            same += 1
        talk.before = (*talk.before, *talk.then[:same])[-_BEFORE:]
        del talk.then[:same], talk.now[:same]
        if not talk.then and not talk.now:
            del self._open[key]
            self._remember(key, talk.before)
        elif (talk.then and talk.now) or talk.cut:
            talk.certain = True
            self._kept += 1
            if self._kept > self._most:
                self._open[key] = None

    def _remember(self, key: tuple[str, str], lines: tuple[Line, ...]) -> None:
        """The last lines of a conversation, to be shown before one that differs; of those that went on lately."""
        if lines:
            self._last[key] = (*self._last.get(key, ()), *lines)[-_BEFORE:]
            self._last.move_to_end(key)
            if len(self._last) > _LATELY:
                self._last.popitem(last=False)


def heard(event: Event, at: datetime) -> Line | None:
    """The line for what happened; None for what is no part of a talk."""
    if event.kind in _UNTOLD:
        return None
    text = what_happened(event)
    return Line(at=at, who=event.sender, text=text[:LONGEST], mark=hash((event.kind, text)))


def said(rendered: Iterable[Rendered], event: Event, at: datetime) -> list[Line]:
    """The lines for what rules said about an event, or did."""
    return [_said(one, event, at) for one in rendered]


def _said(rendered: Rendered, event: Event, at: datetime) -> Line:
    text = what_came(rendered)
    if rendered.fault is not None:
        # A fault names a place in a file, and places move when a file is edited.
        return Line(at=at, who=rendered.rule, text=text[:LONGEST], mark=hash("failed"))
    if rendered.command is None and rendered.account != event.account:
        text += f"\n(by account {rendered.account})"
    return Line(at=at, who=rendered.rule, text=text[:LONGEST], mark=hash((rendered.lane, text)))


def _same(then: Sequence[Line], now: Sequence[Line]) -> bool:
    return len(then) == len(now) and all(one.mark == other.mark for one, other in zip(then, now, strict=True))


def _extend(talk: _Talk, then: Sequence[Line], now: Sequence[Line]) -> None:
    talk.then += then
    talk.now += now
    if max(len(talk.then), len(talk.now)) > MOST_LINES:
        talk.cut = True
        del talk.then[MOST_LINES:], talk.now[MOST_LINES:]


def _unified(talk: _Talk) -> Iterator[tuple[Sign, Line]]:
    """Both sides as one, with a few lines around what differs."""
    then, now = ([*talk.before, *side] for side in (talk.then, talk.now))
    matcher = SequenceMatcher(None, [line.mark for line in then], [line.mark for line in now], autojunk=False)
    for group in matcher.get_grouped_opcodes(_AROUND):
        for what, a, b, c, d in group:
            if what == "equal":
                yield from ((" ", line) for line in then[a:b])
            else:
                yield from (("-", line) for line in then[a:b])
                yield from (("+", line) for line in now[c:d])
