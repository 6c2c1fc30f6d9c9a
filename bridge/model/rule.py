"""A rule, its actions, and the rulebook: all rules together, immutable."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, Protocol

from bridge.errors import Place
from bridge.model.conversation import Scope
from bridge.model.event import Address, Kind, Sender
from bridge.model.facts import Facts


class Condition(Protocol):
    """What `when` says, compiled."""

    def holds(self, facts: Facts, groups: dict[str, str]) -> bool:
        """Whether it holds; the named groups of patterns that matched are added to `groups`."""
        ...

    def why_not(self, facts: Facts) -> str | None:
        """The first part that fails, with the value it saw: 'text: "hello" has none of the words price, cost'."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """Fire at most `times`, counted per conversation, contact, account or rule; ever, or `within` a time."""

    times: int
    per: Scope
    within: timedelta | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplyAction:
    """Write to the conversation, or by another account (`via`) to somebody (`to`, values may be templates).

    Either `text` (a template in place, plain text) or `template` (a file's name) is given.
    """

    place: Place
    text: str | None = None
    template: str | None = None
    via: str | None = None
    to: Address | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Remember:
    """Keep facts. Texts among the values are templates."""

    place: Place
    facts: Mapping[str, object]
    scope: Scope = "conversation"


@dataclass(frozen=True, kw_only=True, slots=True)
class Forget:
    place: Place
    names: tuple[str, ...]
    scope: Scope = "conversation"


Action = ReplyAction | Remember | Forget


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """What a rule's author says should happen; `given` is the event, `expect` what must come of it."""

    place: Place
    given: Mapping[str, object]
    expect: Literal["nothing"] | Mapping[str, object]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """One rule. An empty `accounts` means every account."""

    name: str
    place: Place
    on: frozenset[Kind]
    accounts: frozenset[str] = frozenset()
    senders: frozenset[Sender] = frozenset({"contact"})
    when: Condition
    limit: Limit | None = None
    do: tuple[Action, ...] = ()
    stop: bool = False
    priority: int = 0
    examples: tuple[Example, ...] = ()


class Calendar(Protocol):
    """Opening hours."""

    def is_open(self, moment: datetime) -> bool: ...


class Index(Protocol):
    """Finds the few rules that can match, in the rulebook's order."""

    def candidates(self, facts: Facts) -> Sequence[Rule]: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Rulebook:
    """All rules in their order (priority, file, place), swapped whole. `version` names the content."""

    version: str
    rules: tuple[Rule, ...]
    index: Index
    calendars: Mapping[str, Calendar] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Match:
    """A rule that said yes, with the named groups of its patterns."""

    rule: Rule
    groups: Mapping[str, str] = field(default_factory=dict)
