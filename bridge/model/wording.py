"""What is said, and what is asked before it is said: the parts that rules and broadcasts have in common."""

from dataclasses import dataclass
from typing import Protocol

from bridge.errors import Place
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
class Wording:
    """What a reply says: `text` (a template in place, plain text) or `template` (a file's name)."""

    place: Place
    text: str | None = None
    template: str | None = None
