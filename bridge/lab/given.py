"""What a template may rely on: the variables that an event of a kind certainly has, and those that it may have.

Both are made by `variables`, which makes them for real events too, so that the proof cannot differ from what happens.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache

from msgspec import Struct
from msgspec.structs import replace

from bridge.errors import did_you_mean
from bridge.model.conversation import begin
from bridge.model.event import CERTAIN, NOBODY, Attachment, Event, Kind
from bridge.model.facts import CONTACT_FIELDS, Facts, variables
from bridge.rulebook.conditions import All, If, Not, Test
from bridge.rulebook.conditions import Any as AnyOf
from bridge.rulebook.groups import certain_groups
from bridge.rulebook.imply import known_by
from bridge.rulebook.matchers import Pattern
from bridge.templating import has_attribute

_CLOSED = frozenset(["text", "url", "state", "channel", *(f"contact.{name}" for name in CONTACT_FIELDS)])
"""Variables that are texts; what others hold is known only as far as a rule asks for it."""


class _Anything:
    """A value of which nothing more is known: what was remembered, or what a platform sent."""


class _Open(dict[str, object]):
    """A mapping that may have any key."""


ANYTHING = _Anything()
_MOMENT = datetime(2000, 1, 1, tzinfo=UTC)
_FILE = Attachment(name="", type="", size=0, url="")
_OPEN = ("contact.memory", "contact", "memory", "account_memory", "event.raw")


def _event(kind: Kind) -> Event:
    return Event(
        account="", platform="", kind=kind, sender="contact", conversation="", key="", at=_MOMENT, address={}
    )  # fmt: skip


def _names(event: Event, assigned: str | None = None) -> dict[str, object]:
    conversation = replace(begin(event), assigned=assigned, contact=event.contact)
    return variables(Facts(event=event, conversation=conversation, now=_MOMENT))


@cache
def _certain(kind: Kind) -> Mapping[str, object]:
    event = _event(kind)
    match CERTAIN.get(kind):
        case "attachment":
            event = replace(event, attachment=Attachment(name=""))
        case str(name):
            event = replace(event, **{name: ""})
    return _names(event)


@cache
def _possible() -> Mapping[str, object]:
    """Every variable that there is, with mappings open where their keys are not ours."""
    someone = replace(NOBODY, **dict.fromkeys(CONTACT_FIELDS, ""))
    event = replace(_event("other"), text="", url="", state="", channel="", attachment=_FILE, contact=someone)
    names = _names(event, assigned="")
    for path in _OPEN:
        names = _opened(names, path.split("."))
    return names


def _opened(value: object, path: Sequence[str]) -> dict[str, object]:
    """A mapping of names, with the one at the end of the path open."""
    names = dict(value) if isinstance(value, Mapping) else {}
    if not path:
        return _Open(names)
    first, *rest = path
    return {**names, first: _opened(names.get(first), rest)}


def exists(name: str, groups: Iterable[str] | None = None) -> bool:
    """Whether any event may have this variable; `groups` are those of the rule's patterns, None: any."""
    matches: object = _Open() if groups is None else dict.fromkeys(groups, "")
    return _reaches({**_possible(), "match": matches}, name)


def every_name() -> Iterator[str]:
    """Every variable that there is, as a template writes it; of a mapping that may have any key, the mapping."""
    return _spelled(_possible())


def nearest(name: str, others: Iterable[str] = ()) -> str:
    """' (did you mean "contact.name"?)', or ''. `others` are names that only this rulebook has."""
    return did_you_mean(name, [*every_name(), *others])


def _spelled(names: Mapping[str, object], before: str = "") -> Iterator[str]:
    for name, value in names.items():
        yield before + name
        if isinstance(value, dict):
            yield from _spelled(value, f"{before}{name}.")


def _reaches(names: Mapping[str, object], path: str) -> bool:
    """Whether a template finds something under a dotted name."""
    value: object = names
    for part in path.split("."):
        if value is ANYTHING:
            return True
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, _Open):
            value = ANYTHING
        else:
            return has_attribute(value, part)
    return True


class Given(Struct, frozen=True):
    """What is certain at one action of a rule, whatever event of its kinds it answers."""

    kinds: frozenset[Kind]
    known: frozenset[str]
    groups: frozenset[str]

    def asked(self, name: str) -> "Given":
        """What is certain where a template has asked for this name."""
        return replace(self, known=self.known.union([name], _beside(name)))

    def first_missing(self, name: str) -> tuple[str, tuple[Kind, ...]] | None:
        """What of a dotted name may be missing: of `text.upper` the `text`; and in which kinds of events."""
        parts = name.split(".")
        for size in range(1, len(parts) + 1):
            start = ".".join(parts[:size])
            if kinds := self.missing(start):
                return start, kinds
        return None

    def missing(self, name: str) -> tuple[Kind, ...]:
        """The kinds of events in which the variable may be missing."""
        if name.partition(".")[0] == "match":
            there = _reaches({"match": dict.fromkeys(self.groups, "")}, name)
            return () if there else tuple(sorted(self.kinds))
        if any(_tells(known, name) for known in self.known):
            return ()
        return tuple(kind for kind in sorted(self.kinds) if not _reaches(_certain(kind), name))


def _tells(known: str, name: str) -> bool:
    """Whether a variable is there where another is: `event.raw` with `event.raw.order`, `text.upper` with `text`."""
    if known == name or known.startswith(f"{name}."):
        return True
    if not name.startswith(f"{known}."):
        return False
    asked = name[len(known) + 1 :].partition(".")[0]
    if known in _CLOSED:
        return _reaches(_possible(), name)
    return has_attribute("", asked) or has_attribute({}, asked)


def given_by(kinds: frozenset[Kind], when: object) -> Given:
    """What is certain once a rule's condition holds."""
    known = known_by(when)
    beside = (other for name in known for other in _beside(name))
    return Given(kinds=kinds, known=known.union(beside), groups=_certain_in(when))


def _beside(name: str) -> Iterator[str]:
    """What else is there whenever a field is known."""
    if name == "text":
        yield "messages"
    if name.partition(".")[0] == "attachment":
        yield "attachment.name"


def _certain_in(part: object) -> frozenset[str]:
    """The named groups that are certainly there where the condition holds."""
    match part:
        case Test(matcher=Pattern(pattern=pattern)):
            return certain_groups(pattern)
        case All(parts=parts):
            return frozenset[str]().union(*map(_certain_in, parts))
        case AnyOf(parts=parts) if parts:
            return frozenset.intersection(*map(_certain_in, parts))
    return frozenset()


def groups_in(part: object) -> frozenset[str]:
    """All named groups of the patterns in a condition."""
    match part:
        case Test(matcher=Pattern(named=named)):
            return frozenset(name for name, _ in named)
        case All(parts=parts) | AnyOf(parts=parts):
            return frozenset[str]().union(*map(groups_in, parts))
    return frozenset()


def expressions_in(part: object) -> Iterator[If]:
    """Every `if` in a condition."""
    match part:
        case If():
            yield part
        case All(parts=parts) | AnyOf(parts=parts):
            for one in parts:
                yield from expressions_in(one)
        case Not(part=inner):
            yield from expressions_in(inner)
