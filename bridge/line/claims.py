"""Claims: take what is due from the store as long as there is room for it, and hold on to what was taken."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime, timedelta

from bridge.clock import Clock, to_ms
from bridge.line.accounts import Accounts
from bridge.line.attempt import can_be_asked
from bridge.line.bell import Bell
from bridge.line.outbox import HOLDS, Outbox
from bridge.model.delivery import URGENCIES, Delivery, Urgency
from bridge.store import leases, outgoing
from bridge.store.outgoing import Backlog, Want
from bridge.store.store import Store

LOOK_EVERY = 0.25
TAKE_AT_ONCE = 500
RENEW_AT_ONCE = 5000
RENEWALS = 4
"""Times that a lease is renewed before it would end."""
MARGIN = 1 / 6
"""The last part of a lease, in which nothing new is begun."""


class Claims:
    """`worker` names this process in the leases it holds, each for as long as `lease`.

    `take` is given what was claimed; `busy` are the numbers of what is under way beside what the outboxes hold.
    """

    def __init__(
        self,
        *,
        accounts: Accounts,
        store: Store,
        clock: Clock,
        worker: str,
        lease: timedelta,
        outboxes: Mapping[str, Outbox],
        take: Callable[[Iterable[Delivery]], None],
        busy: Collection[int],
    ) -> None:
        self._store = store
        self._clock = clock
        self._worker = worker
        self._lease = lease
        self._outboxes = outboxes
        self._take = take
        self._busy = busy
        self._ask = tuple(one.account.name for one in accounts if can_be_asked(one))
        self._hold = tuple(one.account.name for one in accounts if one.account.on_unknown == "hold")
        self._renewed(clock.now(), clock.monotonic())
        self._bell = Bell(clock)
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
            self._bell.ring()

    def look_now(self, _: str = "") -> None:
        """Something may be due that another server knows of; what its signal names does not matter."""
        self._bell.ring()

    async def look(self) -> bool:
        """Take what is due and there is room for; gives whether there was any, so that more may be due already."""
        if self._clock.monotonic() >= self._renew_at[1] or self._clock.now() >= self._renew_at[0]:
            await self._renew()
        self._bell.hush()
        standing = await self._store.read(outgoing.standing)
        now = self._clock.now()
        at = to_ms(now)
        due = [backlog for backlog in standing.backlogs if backlog.due <= at]
        wants = self._wants(due)
        if not wants and (standing.lease is None or standing.lease > at):
            return False
        if standing.lease is not None and standing.lease <= at:
            # What has run out may be this worker's own, when the store could not be written for long.
            await self._renew()
        wish = outgoing.Take(worker=self._worker, at=now, lease=self._lease, wants=wants, heirs=self._heirs(now))
        self._take(await self._store.write(outgoing.claim, wish))
        return bool(wants)

    def _wants(self, due: list[Backlog]) -> tuple[Want, ...]:
        """What there is room for: the most urgent first, then who waits longest, and everybody a share."""
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
        await self._bell.rest(LOOK_EVERY)

    def _heirs(self, now: datetime) -> leases.Heirs:
        return leases.Heirs(at=now, lease=self._lease, hold=self._hold, ask=self._ask)

    def sure(self) -> bool:
        """Whether all that is held is certainly still this worker's. If it was stopped for long, another may have taken
        it over; then nothing is begun until the store has said whose it is."""
        # By the clock that leases go by, and by the one that nobody sets.
        return self._clock.monotonic() < self._sure_until[1] and self._clock.now() < self._sure_until[0]

    def _renewed(self, now: datetime, monotonic: float) -> None:
        """All that is held was claimed or renewed at this moment or later."""
        sure = self._lease * (1 - MARGIN)
        self._sure_until = now + sure, monotonic + sure.total_seconds()
        soon = self._lease / RENEWALS
        self._renew_at = now + soon, monotonic + soon.total_seconds()

    async def _renew(self) -> None:
        """Hold on to all that is held. What is no longer this worker's is dropped from the outboxes."""
        now, monotonic = self._clock.now(), self._clock.monotonic()
        waiting = [delivery.id for outbox in self._outboxes.values() for delivery in outbox.all_waiting()]
        begun = [number for outbox in self._outboxes.values() for number in outbox.begun()]
        held = [*waiting, *{*begun, *self._busy}]
        kept: set[int] = set()
        # All are handed to the writer at once, so that none of those that wait is settled before its lease is renewed.
        parts = [tuple(held[first : first + RENEW_AT_ONCE]) for first in range(0, len(held), RENEW_AT_ONCE)]
        wishes = [leases.Held(worker=self._worker, at=now, lease=self._lease, numbers=part) for part in parts]
        for found in await asyncio.gather(*(self._store.write(leases.renew, wish) for wish in wishes)):
            kept |= found
        lost = set(waiting) - kept
        for outbox in self._outboxes.values():
            if lost:
                outbox.drop(lost)
        self._renewed(now, monotonic)
        for outbox in self._outboxes.values():
            outbox.go()
