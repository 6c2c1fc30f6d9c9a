"""Planning: a run's audience becomes deliveries, a chunk a transaction, each person once."""

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from functools import partial

from sqlalchemy import Connection

from bridge.broadcasts.compose import Composer
from bridge.broadcasts.people import Sources, people
from bridge.broadcasts.plan import Plan, sender_of
from bridge.clock import Clock
from bridge.errors import Problem
from bridge.line.accounts import Accounts
from bridge.model.broadcast import Recipient, Run
from bridge.store.plan import Chunk, Planned, plan, remembered
from bridge.store.store import Store

BAD_LINE = "bad line"
"""How what is said of a line that cannot be read begins."""


class Planning:
    """Plans runs; `sources` are where their audiences come from."""

    def __init__(self, *, accounts: Accounts, store: Store, clock: Clock, zone: tzinfo, sources: Sources) -> None:
        self._accounts = accounts
        self._store = store
        self._clock = clock
        self._zone = zone
        self._sources = sources

    async def go_on(self, run: Run, of: Plan) -> bool:
        """Plan the rest of a run; False: it is not to be planned any more. Raises BridgeError."""
        known = sender_of(of, self._accounts)
        composer = Composer(of, self._accounts, self._zone)
        cursor = run.cursor
        async for batch in people(of, known, self._sources, cursor):
            planned = await self._store.read(partial(self._compose, composer, batch.people))
            chunk = Chunk(
                run=run.id,
                broadcast=of.broadcast,
                account=known.account.name,
                on_unknown=of.on_unknown,
                people=planned,
                before=cursor,
                cursor=batch.cursor,
                last=batch.cursor is None,
                at=self._clock.now(),
            )
            if not await self._store.write(plan, chunk):
                return False
            cursor = batch.cursor
        return True

    def _compose(
        self, composer: Composer, some: Sequence[Recipient | Problem], connection: Connection
    ) -> tuple[Planned, ...]:
        return compose_all(composer, some, connection, self._clock)


def compose_all(
    composer: Composer, some: Sequence[Recipient | Problem], connection: Connection | None, clock: Clock
) -> tuple[Planned, ...]:
    """What each of some people gets; a line that cannot be read is somebody who gets nothing.

    Without a store (`connection`) nothing is remembered of anybody.
    """
    recipients = [one for one in some if isinstance(one, Recipient)]
    nothing: list[Sequence[Mapping[str, object]]] = [()] * len(recipients)
    known = remembered(connection, [composer.whose(one) for one in recipients]) if connection else nothing
    memories = iter(known)
    now = clock.now()
    return tuple(
        composer.compose(one, next(memories), now) if isinstance(one, Recipient) else _unreadable(one) for one in some
    )


def _unreadable(problem: Problem) -> Planned:
    line = problem.place.line
    if not line:
        return Planned(person=problem.message[:200], state="cancelled", detail=problem.message)
    return Planned(person=f"line {line}", line=line, state="cancelled", detail=f"{BAD_LINE}: {problem.message}")
