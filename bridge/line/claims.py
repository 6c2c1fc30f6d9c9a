"""Claims: take what is due from the store as long as there is room for it, and hold on to what was taken."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta

from bridge.clock import Clock, to_ms
from bridge.line.accounts import Accounts
from bridge.line.attempt import can_be_asked
from bridge.line.outbox import HOLDS, Outbox
from bridge.model.delivery import URGENCIES, Delivery, Urgency
from bridge.store import leases, outgoing
from bridge.store.outgoing import Backlog, Want
from bridge.store.store import Store

LEASE = timedelta(minutes=2)
LOOK_EVERY = 0.25
RENEW_EVERY = timedelta(seconds=30)
TAKE_AT_ONCE = 500


class Claims:
    """`worker` names this process in the leases it holds; `take` is given what was claimed."""

    def __init__(
        self,
        *,
        accounts: Accounts,
        store: Store,
        clock: Clock,
        worker: str,
        outboxes: Mapping[str, Outbox],
        take: Callable[[Iterable[Delivery]], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._worker = worker
        self._outboxes = outboxes
        self._take = take
        self._ask = tuple(one.account.name for one in accounts if can_be_asked(one))
        self._hold = tuple(one.account.name for one in accounts if one.account.on_unknown == "hold")
        self._renewed_at = clock.now()
        self._room = asyncio.Event()
        self._short: set[tuple[str, Urgency]] = set()

    async def take_over(self) -> None:
        """Give back what a server that died held. Only for the one server of a file, before it begins."""
        await self._store.write(leases.take_over, self._heirs(self._clock.now()))

    async def give_back(self, but: Iterable[int]) -> int:
        """Give back everything but what is under way; gives how many."""
        wish = leases.Held(worker=self._worker, at=self._clock.now(), numbers=tuple(but))
        return await self._store.write(leases.release, wish)

    def note_room(self, account: str, urgency: Urgency) -> None:
        """Something of an account is done; perhaps there is room for more that is due."""
        if (account, urgency) in self._short and self._outboxes[account].room(urgency):
            self._room.set()

    async def look(self) -> bool:
        """Take what is due and there is room for; gives whether there was any, so that more may be due already."""
        now = self._clock.now()
        if now - self._renewed_at >= RENEW_EVERY:
            self._renewed_at = now
            await self._renew(now)
        standing = await self._store.read(outgoing.standing)
        at = to_ms(now)
        due = [backlog for backlog in standing.backlogs if backlog.due <= at]
        wants = self._wants(due)
        if not wants and (standing.lease is None or standing.lease > at):
            return False
        wish = outgoing.Take(worker=self._worker, at=now, lease=LEASE, wants=wants, heirs=self._heirs(now))
        self._take(await self._store.write(outgoing.claim, wish))
        return bool(wants)

    def _wants(self, due: list[Backlog]) -> tuple[Want, ...]:
        """What there is room for: the most urgent first, then who waits longest, and everybody a share."""
        self._room.clear()
        self._short.clear()
        wants: list[Want] = []
        left, share = TAKE_AT_ONCE, max(20, TAKE_AT_ONCE // max(1, len(due)))
        for backlog in sorted(due, key=lambda one: (URGENCIES.index(one.urgency), one.due)):
            outbox = self._outboxes.get(backlog.account)
            room = HOLDS[backlog.urgency] if outbox is None else outbox.room(backlog.urgency)
            most = min(room, left, share)
            if most > 0:
                wants.append(Want(account=backlog.account, urgency=backlog.urgency, most=most))
                left -= most
            else:
                self._short.add((backlog.account, backlog.urgency))
        return tuple(wants)

    async def rest(self) -> None:
        """Until it is time to look again: soon, and sooner if there is room for more of a backlog."""
        if not self._short:
            await self._clock.sleep(LOOK_EVERY)
            return
        waits = [asyncio.ensure_future(wait) for wait in (self._room.wait(), self._clock.sleep(LOOK_EVERY))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def _heirs(self, now: datetime) -> leases.Heirs:
        return leases.Heirs(at=now, lease=LEASE, hold=self._hold, ask=self._ask)

    async def _renew(self, now: datetime) -> None:
        held = tuple(number for outbox in self._outboxes.values() for number in outbox.held())
        if held:
            await self._store.write(leases.renew, leases.Held(worker=self._worker, at=now, lease=LEASE, numbers=held))
