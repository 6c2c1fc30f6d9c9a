"""The recipients of a run: planned in chunks, each once, and let go when their turn comes."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct
from sqlalchemy import Connection, bindparam, func, null, select, text, update

from bridge.clock import from_ms, to_ms
from bridge.model.conversation import Memory
from bridge.model.delivery import URGENCIES, OnUnknown, Reason, State
from bridge.model.event import Address
from bridge.store.insert import insert_unless_there
from bridge.store.numbers import numbers
from bridge.store.prepared import Prepared, among, as_list
from bridge.store.rows import NOTHING_TO_SAY, dump, memory_from
from bridge.store.signals import say
from bridge.store.tables import OF_A_RUN, aliases, deliveries, memories, runs

BROADCAST = URGENCIES.index("broadcast")


class Planned(Struct, frozen=True, kw_only=True):
    """One recipient, with what they are to get. Who gets nothing begins as cancelled or dead, and says why."""

    person: str
    to: Address = {}
    reply: str = NOTHING_TO_SAY
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


_STANDS = Prepared(
    select(runs.c.id)
    .where(
        runs.c.id == bindparam("number"),
        runs.c.state == "planning",
        runs.c.cursor.is_not_distinct_from(bindparam("before")),
    )
    .with_for_update()
)
_FURTHER = (
    update(runs)
    .where(runs.c.id == bindparam("number"))
    .values(cursor=bindparam("after"), duplicates=runs.c.duplicates + bindparam("known"))
)
_COME_FURTHER = Prepared(_FURTHER)
_UNMADE = (
    select(func.count())
    .select_from(deliveries)
    .where(text(OF_A_RUN), deliveries.c.run == bindparam("number"), text("state = 'dead'"))
)
# Nothing has been sent yet, so what is dead by now is no failure to send.
_COME_TO_THE_END = Prepared(
    _FURTHER.values(state="running", planned_at=bindparam("now"), forgiven=_UNMADE.scalar_subquery())
)
# Each names the columns that have a value, and no others: SQLite's driver takes longer for nothing than for something.
_WAITING = (
    "id", "rule", "action", "account", "lane", "state", "attempts", "recipient", "reply", "created_at", "urgency",
    "run", "person", "zone", "line", "not_before", "on_unknown",
)  # fmt: skip
_ENDED = (
    "id", "rule", "action", "account", "lane", "state", "attempts", "reason", "detail", "recipient", "reply",
    "created_at", "finished_at", "urgency", "run", "person", "zone", "line", "on_unknown",
)  # fmt: skip


def _new(names: Sequence[str]) -> Prepared:
    """An insert that leaves alone who is planned already."""
    return Prepared(insert_unless_there(deliveries, "run", "person", only=OF_A_RUN), names)


_NEW_WAITING, _NEW_ENDED = _new(_WAITING), _new(_ENDED)


def plan(connection: Connection, items: Sequence[Chunk]) -> list[bool]:
    """Plan chunks. False: the run is not being planned any more, or somebody else has come further."""
    return [_plan(connection, chunk) for chunk in items]


def _plan(connection: Connection, chunk: Chunk) -> bool:
    if not _STANDS.fetch(connection, number=chunk.run, before=chunk.before):
        return False
    waiting, ended = _rows(chunk, numbers(connection, "deliveries", len(chunk.people)))
    fresh = _NEW_WAITING.write(connection, waiting) if waiting else 0
    fresh += _NEW_ENDED.write(connection, ended) if ended else 0
    come = {"number": chunk.run, "after": chunk.cursor, "known": len(chunk.people) - fresh}
    if chunk.last:
        _COME_TO_THE_END.execute(connection, now=to_ms(chunk.at), **come)
    else:
        _COME_FURTHER.execute(connection, **come)
    return True


def _rows(chunk: Chunk, numbered: Iterator[int]) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    """The rows of those who wait for their turn, and of those who get nothing, each as its columns are named above."""
    waiting: list[tuple[object, ...]] = []
    ended: list[tuple[object, ...]] = []
    account, run, at = chunk.account, chunk.run, to_ms(chunk.at)
    rule, action, on_unknown = f"broadcast {chunk.broadcast}", str(run), chunk.on_unknown
    people: dict[str, Planned] = {}
    for one in chunk.people:
        # Of several who are the same person the first counts, whatever it is that they get.
        people.setdefault(one.person, one)
    for one, number in zip(people.values(), numbered, strict=False):
        # Each of its own: nobody's message waits for anybody else's.
        lane, to, line = f"{account}:run {run}/{number}", dump(one.to), one.line or None
        if one.state == "queued":
            waiting.append(
                (number, rule, action, account, lane, one.state, 0, to, one.reply, at, BROADCAST,
                 run, one.person, one.zone, line, 0, on_unknown)
            )  # fmt: skip
        else:
            ended.append(
                (number, rule, action, account, lane, one.state, 0, one.reason, one.detail, to, one.reply,
                 at, at, BROADCAST, run, one.person, one.zone, line, on_unknown)
            )  # fmt: skip
    return waiting, ended


class Release(Struct, frozen=True, kw_only=True):
    """Let go those of a run whose turn it is: as many as keep `window` of them on their way, one every `gap` at most.

    `allowed` gives the first moment at which somebody in a time zone may be written to; None: everybody always may be.
    What is let go may be sent for as long as `expires`.
    """

    run: int
    at: datetime
    window: int
    gap: timedelta
    ahead: timedelta
    expires: timedelta
    allowed: Callable[[str | None, datetime], datetime] | None
    most: int = 500


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
_GOES = update(deliveries).values(wake_at=bindparam("due"), expires_at=bindparam("until"), not_before=null())
_LET_GO = Prepared(_GOES.where(deliveries.c.id == bindparam("number")), ("due", "until", "number"))
_LET_ALL_GO = Prepared(_GOES.where(among(deliveries.c.id, "numbers")))
_PUT_OFF = Prepared(
    update(deliveries).where(deliveries.c.id == bindparam("number")).values(not_before=bindparam("then")),
    ("then", "number"),
)


_GOES_ON = Prepared(
    select(runs.c.next_turn).where(runs.c.id == bindparam("number"), runs.c.state == "running").with_for_update()
)
_NEXT_TURN = Prepared(update(runs).where(runs.c.id == bindparam("number")).values(next_turn=bindparam("turn")))


def release(connection: Connection, items: Sequence[Release]) -> list[Released | None]:
    """Let deliveries of runs go; None: the run is not running any more."""
    return [_release(connection, item) for item in items]


def _release(connection: Connection, item: Release) -> Released | None:
    run = _GOES_ON.fetch(connection, number=item.run)
    if not run:
        return None
    on_the_way: int = _ON_THE_WAY.fetch(connection, number=item.run)[0][0]
    now, gap, expires = to_ms(item.at), item.gap.total_seconds() * 1000, round(item.expires.total_seconds() * 1000)
    begun = turn = max(run[0][0], now)
    latest = now + round(item.ahead.total_seconds() * 1000)
    gone: list[tuple[int, int, int]] = []
    later: list[tuple[int, int]] = []
    next_at: int | None = None
    for number, zone, not_before in _READY.fetch(connection, number=item.run, most=item.most):
        if not_before > now:
            next_at = not_before
            break
        if on_the_way + len(gone) >= item.window or turn > latest:
            next_at = max(now, turn)
            break
        then = turn if item.allowed is None else to_ms(item.allowed(zone, from_ms(turn)))
        if then > turn:
            later.append((then, number))
            next_at = then if next_at is None else min(next_at, then)
            continue
        gone.append((turn, turn + expires, number))
        turn = begun + round(gap * len(gone))
    if gone:
        _let_go(connection, gone, at_once=not gap)
        _NEXT_TURN.execute(connection, number=item.run, turn=turn)
    if later:
        _PUT_OFF.write(connection, later)
    return Released(
        gone=len(gone),
        put_off=len(later),
        on_the_way=on_the_way + len(gone),
        next_at=None if next_at is None else from_ms(next_at),
    )


def _let_go(connection: Connection, gone: Sequence[tuple[int, int, int]], *, at_once: bool) -> None:
    """Let deliveries go, each due and until when (ms); `at_once`: these are the same for all of them."""
    if at_once:
        due, until, _ = gone[0]
        _LET_ALL_GO.execute(connection, numbers=as_list(number for *_, number in gone), due=due, until=until)
    else:
        _LET_GO.write(connection, gone)
    say(connection, "deliveries")


_MEMORIES = Prepared(select(memories.c.key, memories.c.document).where(among(memories.c.key, "keys")))
_ALIASES = Prepared(
    select(aliases.c.name, aliases.c.key).where(among(aliases.c.name, "names")).order_by(aliases.c.name, aliases.c.key)
)


def remembered(
    connection: Connection, people: Sequence[tuple[Sequence[str], Sequence[str]]]
) -> list[Sequence[Mapping[str, object]]]:
    """What is remembered of people, memory by memory; each is given by the keys of memories and by other names (see
    `aliases`), and those come in this order."""
    known: dict[str, list[str]] = {}
    if named := {name for _, names in people for name in names}:
        for name, key in _ALIASES.fetch(connection, names=as_list(named)):
            known.setdefault(name, []).append(key)
    theirs = [
        [*keys, *(key for name in names for key in known.get(name, ()))] if names else keys for keys, names in people
    ]
    found = memories_of(connection, {key for keys in theirs for key in keys})
    return [[found[key].facts for key in keys if key in found] for keys in theirs]


def memories_of(connection: Connection, keys: Iterable[str]) -> dict[str, Memory]:
    """The memories of these keys, as far as there are any."""
    return {key: memory_from(document) for key, document in _MEMORIES.fetch(connection, keys=as_list(keys))}
