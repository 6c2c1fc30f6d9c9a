"""A rule, its actions, and the rulebook: all rules together, immutable."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, Protocol, get_args

from bridge.errors import Place
from bridge.model.broadcast import Audience, Broadcast
from bridge.model.conversation import Scope
from bridge.model.event import Address, Kind, Sender
from bridge.model.facts import Facts
from bridge.model.wording import Condition, Wording

Places = Mapping[str, Place]
"""Where the keys of a rule or an action stand: "via", "to.chat", "when.text"."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """Fire at most `times`, counted per conversation, contact, account or rule; ever, or `within` a time."""

    times: int
    per: Scope
    within: timedelta | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class File:
    """A file to send with a reply; `url` and `name` are templates."""

    url: str
    name: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplyAction:
    """Write to the conversation, or by another account (`via`) to somebody (`to`, values may be templates).

    One of `wordings` is chosen, always the same in one conversation. `language` (a template) chooses the translation of
    a template's file; none: the contact's language does. `quick_replies` are templates.
    """

    place: Place
    wordings: tuple[Wording, ...]
    via: str | None = None
    to: Address | None = None
    private: bool = False
    attachments: tuple[File, ...] = ()
    quick_replies: tuple[str, ...] = ()
    language: str | None = None
    places: Places = field(default_factory=dict, compare=False)

    @property
    def answers(self) -> bool:
        """Whether it writes to the contact whose event it is: neither to somebody else (`to`) nor a private note."""
        return self.to is None and not self.private


@dataclass(frozen=True, kw_only=True, slots=True)
class OperationAction:
    """Have a platform do something: `operation` is "helpcrunch.assign"; texts among the arguments are templates.

    Without `via` the event's own account does it if it is on that platform, else the only account there is.
    `keep` remembers facts of the answer (name -> dotted path); `then` is done once the platform has done its part.
    """

    place: Place
    operation: str
    arguments: Mapping[str, object] = field(default_factory=dict)
    via: str | None = None
    to: Address | None = None
    keep: Mapping[str, str] = field(default_factory=dict)
    then: tuple["Action", ...] = ()
    places: Places = field(default_factory=dict, compare=False)

    @property
    def platform(self) -> str:
        return self.operation.partition(".")[0]

    @property
    def name(self) -> str:
        return self.operation.partition(".")[2]


Unless = Literal["contact_message", "agent_message", "ended", "visited", "typing", "attachment", "assigned", "rated"]
UNLESS: tuple[Unless, ...] = get_args(Unless)


@dataclass(frozen=True, kw_only=True, slots=True)
class FollowUp:
    """Do something later, unless something happens in the conversation before; conditions are checked again then."""

    place: Place
    wait: timedelta
    unless: frozenset[Unless] = frozenset()
    do: tuple["Action", ...] = ()


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


@dataclass(frozen=True, kw_only=True, slots=True)
class BroadcastAction:
    """Start a broadcast. Its templates know `variables` besides; texts among them are templates of the rule."""

    place: Place
    name: str
    variables: Mapping[str, object] = field(default_factory=dict)


Action = ReplyAction | OperationAction | Remember | Forget | FollowUp | BroadcastAction


def inside(action: Action) -> tuple[Action, ...]:
    """The actions within an action, which come later."""
    if isinstance(action, FollowUp):
        return action.do
    return action.then if isinstance(action, OperationAction) else ()


def numbered(actions: Sequence[Action], before: str = "") -> Iterator[tuple[str, Action]]:
    """Every action with its path, those within others included: "0", "1", "1.0"."""
    for number, action in enumerate(actions):
        path = f"{before}{number}"
        yield path, action
        yield from numbered(inside(action), f"{path}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """What a rule's author says should happen; `given` is the event, `expect` what must come of it."""

    place: Place
    given: Mapping[str, object]
    expect: Literal["nothing"] | Mapping[str, object]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """One rule. An empty `accounts` means every account.

    With `burst` it waits until the contact has been quiet for so long, and answers all of their messages as one.
    """

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
    burst: timedelta | None = None
    even_if_human: bool = False
    examples: tuple[Example, ...] = ()
    places: Places = field(default_factory=dict, compare=False)

    answers: bool = field(init=False)
    """Whether it writes to the contact, now or later: then it is quiet while a human is active."""

    def __post_init__(self) -> None:
        answers = any(isinstance(action, ReplyAction) and action.answers for _, action in numbered(self.do))
        object.__setattr__(self, "answers", answers)

    def action(self, path: str) -> Action | None:
        """The action of this path, if there is one."""
        return next((action for one, action in numbered(self.do) if one == path), None)


def key_place(of: Rule | ReplyAction | OperationAction, key: str) -> Place:
    """Where a key is written ("to.chat"), or the nearest one around it, or else the whole."""
    while key:
        if key in of.places:
            return of.places[key]
        key = key.rpartition(".")[0]
    return of.place


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
    broadcasts: Mapping[str, Broadcast] = field(default_factory=dict)
    audiences: Mapping[str, Audience] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Match:
    """A rule that said yes, with the named groups of its patterns."""

    rule: Rule
    groups: Mapping[str, str] = field(default_factory=dict)
