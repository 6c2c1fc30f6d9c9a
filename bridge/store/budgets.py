"""Budgets: what the servers of one store have spent of each account's, so that together they keep to it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, select

from bridge.model.budget import Spent
from bridge.model.delivery import URGENCIES, Urgency
from bridge.model.quantity import Rate
from bridge.store.insert import insert_or_change
from bridge.store.locks import lock
from bridge.store.prepared import Prepared, among, as_list
from bridge.store.rows import dump
from bridge.store.tables import budgets

AHEAD = 0.1
"""Seconds by which a broadcast may be ahead of its even pace: a server cannot ask the store for each of many calls."""


COMES_BACK = 0.25
"""Seconds within which who was told to wait asks again; so long nobody less urgent gets the call before them."""


class Ask(Struct, frozen=True, kw_only=True):
    """A server would make up to `most` calls at once."""

    account: str
    budget: Rate
    urgency: Urgency
    most: int
    at: datetime


class Turns(Struct, frozen=True, kw_only=True):
    """How many calls it is to make now; and if none, in how many seconds it may ask again."""

    granted: int
    wait: float = 0


class Pause(Struct, frozen=True, kw_only=True):
    """No server is to make a call before `until`: the platform asked for it."""

    account: str
    budget: Rate
    until: datetime


class _Document(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Moments are seconds since 1970."""

    calls: tuple[tuple[float, int], ...] = ()
    evenly: float = 0.0
    resume_at: float = 0.0
    urgency: Urgency = "live"
    kept_until: float = 0.0


@dataclass(kw_only=True, slots=True)
class _Kept:
    """What is spent; until `kept_until` the next call is kept for somebody of this urgency who was told to wait."""

    spent: Spent
    urgency: Urgency
    kept_until: float


_read = msgspec.json.Decoder(_Document).decode
_FIND = Prepared(select(budgets.c.account, budgets.c.document).where(among(budgets.c.account, "accounts")))
_KEEP = Prepared(insert_or_change(budgets, "account", ["document"]), ["account", "document"])


def take_turns(connection: Connection, items: Sequence[Ask]) -> list[Turns]:
    """Give out turns, in the order of the wishes."""
    kept = _open(connection, items)
    turns = [_turns(kept[item.account], item) for item in items]
    _close(connection, kept)
    return turns


def pause(connection: Connection, items: Sequence[Pause]) -> list[None]:
    """Note that accounts are to be left alone."""
    kept = _open(connection, items)
    for item in items:
        kept[item.account].spent.pause(item.until.timestamp())
    _close(connection, kept)
    return [None] * len(items)


def _turns(kept: _Kept, item: Ask) -> Turns:
    spent = kept.spent
    at = item.at.timestamp()
    # A clock that was far ahead must not keep everybody waiting until it was right.
    horizon = at + item.budget.per.total_seconds()
    spent.believe_until(horizon)
    kept.kept_until = min(kept.kept_until, horizon)
    # The clocks of servers differ a little; time does not go back for that.
    now = max(at, spent.calls[-1][0] if spent.calls else 0.0)
    is_less_urgent = URGENCIES.index(item.urgency) > URGENCIES.index(kept.urgency)
    if is_less_urgent and now < kept.kept_until:
        return Turns(granted=0, wait=kept.kept_until - now)
    granted = 0
    while granted < item.most and spent.wait(item.urgency, now) == 0:
        spent.take(now)
        granted += 1
    wait = 0 if granted else spent.wait(item.urgency, now)
    if not is_less_urgent or now >= kept.kept_until:
        kept.urgency, kept.kept_until = item.urgency, now + wait + COMES_BACK if wait else 0.0
    return Turns(granted=granted, wait=wait)


def _open(connection: Connection, items: Iterable[Ask] | Iterable[Pause]) -> dict[str, _Kept]:
    """What is spent of each account's budget, for nobody else to change until the transaction ends."""
    wanted = {item.account: item.budget for item in items}
    lock(connection, "budget", wanted.keys())
    found = {name: _read(document) for name, document in _FIND.fetch(connection, accounts=as_list(wanted))}
    kept = {name: found.get(name, _Document()) for name in wanted}
    return {
        name: _Kept(
            spent=Spent(wanted[name], one.calls, one.evenly, one.resume_at, ahead=AHEAD),
            urgency=one.urgency,
            kept_until=one.kept_until,
        )
        for name, one in kept.items()
    }


def _close(connection: Connection, kept: dict[str, _Kept]) -> None:
    _KEEP.run(connection, [{"account": name, "document": dump(_document(one))} for name, one in kept.items()])


def _document(one: _Kept) -> _Document:
    spent = one.spent
    return _Document(
        calls=tuple(spent.calls),
        evenly=spent.evenly,
        resume_at=spent.resume_at,
        urgency=one.urgency,
        kept_until=one.kept_until,
    )
