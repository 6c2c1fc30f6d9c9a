"""The recipients of a run: planned in chunks, each once, and let go when their turn comes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, bindparam, func, insert, select, text, update

from bridge.clock import from_ms, to_ms
from bridge.model.conversation import Memory
from bridge.model.delivery import URGENCIES, OnUnknown, Reason, Reply, State
from bridge.model.event import Address
from bridge.store.numbers import numbers
from bridge.store.prepared import Prepared, among, as_list
from bridge.store.rows import dump, memory_from
from bridge.store.signals import say
from bridge.store.tables import OF_A_RUN, aliases, deliveries, memories, runs

BROADCAST = URGENCIES.index("broadcast")
NOTHING = dump(Reply(text=""))


class Planned(Struct, frozen=True, kw_only=True):
    """One recipient, with what they are to get. Who gets nothing begins as cancelled or dead, and says why."""

    person: str
    to: Address = {}
    reply: str = NOTHING
    zone: str | None = None
    line: int = 0
    state: State = "queued"
    reason: Reason | None = None
    detail: str | None = None


class Chunk(Struct, frozen=True, kw_only=True):
    """The next recipients of a run, from where its planning stands (`before`) to `cursor`; with `last` it is whole."""

    run: int
    broadcast: str
    account: str
    on_unknown: OnUnknown
    people: tuple[Planned, ...]
    before: str | None
    cursor: str | None
    last: bool
    at: datetime


_KNOWN = Prepared(
    select(deliveries.c.person).where(
        text(OF_A_RUN), deliveries.c.run == bindparam("number"), among(deliveries.c.person, "people")
    )
)
_NEW = Prepared(insert(deliveries), [column.name for column in deliveries.c])


def plan(connection: Connection, items: Sequence[Chunk]) -> list[bool]:
    """Plan chunks. False: the run is not being planned any more, or somebody else has come further."""
    return [_plan(connection, chunk) for chunk in items]


def _plan(connection: Connection, chunk: Chunk) -> bool:
    stands = runs.c.id == chunk.run, runs.c.state == "planning", runs.c.cursor.is_not_distinct_from(chunk.before)
    if connection.execute(select(runs.c.id).where(*stands).with_for_update()).one_or_none() is None:
        return False
    people = [one.person for one in chunk.people]
    known = {person for (person,) in _KNOWN.fetch(connection, number=chunk.run, people=as_list(people))}
    fresh: dict[str, Planned] = {}
    for one in chunk.people:
        if one.person not in known:
            fresh.setdefault(one.person, one)
    numbered = zip(numbers(connection, "deliveries", len(fresh)), fresh.values(), strict=False)
    rows = [_row(one, chunk, number) for number, one in numbered]
    if rows:
        _NEW.run(connection, rows)
    values: dict[str, Any] = {
        "cursor": chunk.cursor,
        "duplicates": runs.c.duplicates + len(chunk.people) - len(rows),
    }
    if chunk.last:
        values |= {"state": "running", "planned_at": to_ms(chunk.at)}
    connection.execute(update(runs).where(runs.c.id == chunk.run).values(values))
    return True


def _row(one: Planned, chunk: Chunk, number: int) -> dict[str, object]:
    waits = one.state == "queued"
    return {
        "id": number,
        "event": None,
        "rule": f"broadcast {chunk.broadcast}",
        "action": str(chunk.run),
        "account": chunk.account,
        # Each of its own: nobody's message waits for anybody else's.
        "lane": f"{chunk.account}:run {chunk.run}/{number}",
        "state": one.state,
        "wake_at": None,
        "worker": None,
        "attempts": 0,
        "reason": one.reason,
        "detail": one.detail,
        "recipient": dump(one.to),
        "reply": one.reply,
        "command": None,
        "created_at": to_ms(chunk.at),
        "expires_at": None,
        "finished_at": None if waits else to_ms(chunk.at),
        "unsure_since": None,
        "reference": None,
        "urgency": BROADCAST,
        "run": chunk.run,
        "person": one.person,
        "zone": one.zone,
        "line": one.line or None,
        "not_before": 0 if waits else None,
        "on_unknown": chunk.on_unknown,
    }


class Release(Struct, frozen=True, kw_only=True):
    """Let go those of a run whose turn it is: as many as keep `window` of them on their way, one every `gap` at most.

    `allowed` gives the first moment at which somebody in a time zone may be written to. What is let go may be sent for
    as long as `expires`.
    """

    run: int
    at: datetime
    window: int
    gap: timedelta
    ahead: timedelta
    expires: timedelta
    allowed: Callable[[str | None, datetime], datetime]
    most: int = 200


class Released(Struct, frozen=True, kw_only=True):
    """How many were let go, how many were put off to the end of their quiet hours, and how many are on their way.

    `next_at` is when the next of those that wait may have their turn; None: none waits.
    """

    gone: int = 0
    put_off: int = 0
    on_the_way: int = 0
    next_at: datetime | None = None


# By their states, because by these the index finds them: asked what is unfinished, it would look at the whole run.
_ON_THE_WAY = Prepared(
    select(func.count()).where(
        text(OF_A_RUN),
        deliveries.c.run == bindparam("number"),
        text("state IN ('queued', 'claimed')"),
        deliveries.c.not_before.is_(None),
    )
)
_READY = Prepared(
    select(deliveries.c.id, deliveries.c.zone, deliveries.c.not_before)
    .where(
        text(OF_A_RUN),
        deliveries.c.run == bindparam("number"),
        deliveries.c.state == "queued",
        deliveries.c.not_before.is_not(None),
    )
    .order_by(deliveries.c.not_before, deliveries.c.id)
    .limit(bindparam("most"))
)
_LET_GO = Prepared(
    update(deliveries)
    .where(deliveries.c.id == bindparam("number"))
    .values(wake_at=bindparam("due"), expires_at=bindparam("until"), not_before=None)
)
_PUT_OFF = Prepared(
    update(deliveries).where(deliveries.c.id == bindparam("number")).values(not_before=bindparam("then"))
)


def release(connection: Connection, items: Sequence[Release]) -> list[Released | None]:
    """Let deliveries of runs go; None: the run is not running any more."""
    return [_release(connection, item) for item in items]


def _release(connection: Connection, item: Release) -> Released | None:
    stands = runs.c.id == item.run, runs.c.state == "running"
    run = connection.execute(select(runs.c.next_turn).where(*stands).with_for_update()).one_or_none()
    if run is None:
        return None
    on_the_way: int = _ON_THE_WAY.fetch(connection, number=item.run)[0][0]
    now, gap, expires = to_ms(item.at), item.gap.total_seconds() * 1000, round(item.expires.total_seconds() * 1000)
    turn, latest = max(run.next_turn, now), now + round(item.ahead.total_seconds() * 1000)
    gone: list[dict[str, object]] = []
    later: list[dict[str, object]] = []
    next_at: int | None = None
    begun = turn
    for number, zone, not_before in _READY.fetch(connection, number=item.run, most=item.most):
        if not_before > now:
            next_at = not_before
            break
        if on_the_way + len(gone) >= item.window or turn > latest:
            next_at = max(now, turn)
            break
        allowed = to_ms(item.allowed(zone, from_ms(turn)))
        if allowed > turn:
            later.append({"number": number, "then": allowed})
            next_at = allowed if next_at is None else min(next_at, allowed)
            continue
        gone.append({"number": number, "due": turn, "until": turn + expires})
        turn = begun + round(gap * len(gone))
    if gone:
        _LET_GO.run(connection, gone)
        say(connection, "deliveries")
        connection.execute(update(runs).where(runs.c.id == item.run).values(next_turn=turn))
    if later:
        _PUT_OFF.run(connection, later)
    return Released(
        gone=len(gone),
        put_off=len(later),
        on_the_way=on_the_way + len(gone),
        next_at=None if next_at is None else from_ms(next_at),
    )


_MEMORIES = Prepared(select(memories.c.key, memories.c.document).where(among(memories.c.key, "keys")))
_ALIASES = Prepared(select(aliases.c.name, aliases.c.key).where(among(aliases.c.name, "names")))


def remembered(
    connection: Connection, people: Sequence[tuple[Sequence[str], Sequence[str]]]
) -> list[Mapping[str, object]]:
    """What is remembered of people, each given by the keys of memories and by other names (see `aliases`)."""
    known: dict[str, list[str]] = {}
    for name, key in _ALIASES.fetch(connection, names=as_list({name for _, names in people for name in names})):
        known.setdefault(name, []).append(key)
    theirs = [[*keys, *(key for name in names for key in known.get(name, ()))] for keys, names in people]
    wanted = {key for keys in theirs for key in keys}
    found = memories_of(connection, wanted)
    return [{name: fact for key in keys if key in found for name, fact in found[key].facts.items()} for keys in theirs]


def memories_of(connection: Connection, keys: Iterable[str]) -> dict[str, Memory]:
    """The memories of these keys, as far as there are any."""
    return {key: memory_from(document) for key, document in _MEMORIES.fetch(connection, keys=as_list(keys))}
