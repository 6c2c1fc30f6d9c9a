"""What one process remembers of an account: the token of its log-in, and how far long messages have come.

All calls of an account share it. Their steps run in one event loop and are interrupted only where they yield, so
what is read and written between two yields needs no lock.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime

from bridge.adapter.secret import Secret
from bridge.model.delivery import Delivery, Reply

MOST_BEGUN = 1000
"""Deliveries in parts whose progress is kept; beyond it the oldest is forgotten, and would begin anew."""

_Key = tuple[int, datetime, Reply]


@dataclass(slots=True, eq=False)
class Session:
    """`token` is None until a log-in, and again once edna has refused it."""

    token: Secret | None = None
    _begun: OrderedDict[_Key, tuple[str, ...]] = field(default_factory=OrderedDict, repr=False)

    def taken(self, delivery: Delivery) -> tuple[str, ...]:
        """edna's ids of the parts of this delivery that it has taken already, in earlier attempts of this process."""
        return self._begun.get(_key(delivery), ())

    def note(self, delivery: Delivery, taken: tuple[str, ...]) -> None:
        self._begun[_key(delivery)] = taken
        if len(self._begun) > MOST_BEGUN:
            self._begun.popitem(last=False)

    def forget(self, delivery: Delivery) -> None:
        self._begun.pop(_key(delivery), None)


def _key(delivery: Delivery) -> _Key:
    """A number alone would mean another delivery in a store that was begun anew."""
    return delivery.id, delivery.created_at, delivery.reply
