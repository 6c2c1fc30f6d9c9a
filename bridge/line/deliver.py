"""Deliver: keep the promises. Each delivery becomes attempts until it is sent, given up, or for a person to decide.

Order is kept within a lane by the store: a delivery is handed out only when the one before it is finished. Which of an
account's deliveries is begun, and when, is its outbox's to say.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial

from msgspec.structs import replace

from bridge.chance import Chance
from bridge.clock import Clock
from bridge.errors import StoreError
from bridge.line.accounts import Accounts, Known
from bridge.line.attempt import Attempts, can_be_asked, is_held, on_unknown
from bridge.line.claims import LOOK_EVERY, Claims
from bridge.line.notes import Notes
from bridge.line.outbox import Full, Outbox
from bridge.line.outcomes import Outcomes
from bridge.line.together import companions, is_refused, joined, part_of
from bridge.line.trouble import Trouble
from bridge.line.turns import SharedPace
from bridge.model.delivery import (
    Attempt,
    Delivery,
    Failed,
    Outcome,
    Sent,
    Settled,
    Urgency,
    settle,
    told,
)
from bridge.observe import Metrics, log
from bridge.store.circuits import Circuit, forget_circuits
from bridge.store.ledger import Claim
from bridge.store.store import Store

CLEAR_EVERY = 1.0
"""Seconds after which what waited too long is again looked for in the outboxes."""


class Deliverer:
    """`worker` names this process in the leases it holds, each for as long as `lease` unless it is renewed."""

    def __init__(
        self,
        *,
        accounts: Accounts,
        store: Store,
        attempts: Attempts,
        clock: Clock,
        chance: Chance,
        metrics: Metrics,
        worker: str,
        lease: timedelta,
    ) -> None:
        self._accounts = accounts
        self._store = store
        self._attempts = attempts
        self._clock = clock
        self._chance = chance
        self._worker = worker
        self._lease = lease
        self.outcomes = Outcomes()
        self._notes = Notes(
            store=store, clock=clock, metrics=metrics, outcomes=self.outcomes, worker=worker, lease=lease
        )
        self._outboxes: dict[str, Outbox] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self._under_way: set[int] = set()
        self._cleared_at = clock.monotonic()
        self._claims = Claims(
            accounts=accounts,
            store=store,
            clock=clock,
            lease=lease,
            worker=worker,
            outboxes=self._outboxes,
            take=self.take,
            busy=self._under_way,
        )

    @property
    def waiting(self) -> int:
        return sum(outbox.waiting for outbox in self._outboxes.values())

    def claim(self, now: datetime) -> Claim:
        """For the writer's thread: what may be handed over as soon as it is committed."""
        return Claim(worker=self._worker, until=now + self._lease, full=Full(self._outboxes))

    def take(self, deliveries: Iterable[Delivery]) -> None:
        """Begin with deliveries that are claimed for this worker."""
        by_account: dict[str, list[Delivery]] = {}
        for delivery in deliveries:
            by_account.setdefault(delivery.account, []).append(delivery)
        for account, some in by_account.items():
            self._outbox(account).add(*some)

    def look_now(self, _: str = "") -> None:
        """Something may be due that another server knows of."""
        self._claims.look_now()

    async def take_over(self) -> None:
        """Give back what a server that died held; before this one begins. Of several servers of a store another may be
        alive and hold it, so there the leases tell."""
        if self._store.shared:
            return
        await self._claims.take_over()
        await self._store.write(forget_circuits, None)

    def was_carried(self, delivery: Delivery) -> None:
        """A claimed reply needs no call: the answer of the webhook that it answers carries it."""
        attempt = Attempt(
            delivery=delivery.id, at=self._clock.now(), took=0, outcome=Sent(), note="in the answer to its webhook"
        )
        self._under_way.add(delivery.id)
        self._spawn(self._note_carried(delivery, attempt))

    async def _note_carried(self, delivery: Delivery, attempt: Attempt) -> None:
        settled = Settled(state="sent")
        self._notes.attempt(delivery, attempt, settled, attempt.at)
        follower = await self._notes.settled(delivery, (attempt,), settled)
        self._under_way.discard(delivery.id)
        if follower is not None:
            self.take([follower])

    async def run(self) -> None:
        """Look for deliveries that are due, for ever; hold on to the leases of those under way."""
        trouble = Trouble("look for due deliveries")
        while True:
            self._clear()
            try:
                again = await self._claims.look()
                trouble.over()
            except StoreError as error:
                trouble.meets(error)
                await self._clock.sleep(LOOK_EVERY)
                continue
            if not again:
                await self._claims.rest()

    def _clear(self) -> None:
        """Give up what waited too long for its turn, which may be far away when an account is paused."""
        now, at = self._clock.now(), self._clock.monotonic()
        if at - self._cleared_at < CLEAR_EVERY:
            return
        self._cleared_at = at
        for outbox in self._outboxes.values():
            why = f": {outbox.trouble}" if outbox.trouble else ""
            for delivery in outbox.expired(now):
                self._spawn(self._give_up(outbox, delivery, why))

    async def _give_up(self, outbox: Outbox, delivery: Delivery, why: str) -> None:
        follower = await self._notes.settled(delivery, (), _too_late(why))
        self._go_on(outbox, delivery, follower)

    async def close(self, grace: float) -> None:
        """Finish what has begun, within `grace` seconds, and give back the rest."""
        self._closing = True
        for outbox in self._outboxes.values():
            outbox.end()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=grace)
            for task in late:
                task.cancel()
        # With what was begun meanwhile: notes of what came of the last calls.
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for outbox in self._outboxes.values():
            outbox.close()
        back = await self._claims.give_back(self._under_way)
        log().info("deliverer closed", given_back=back, cut_off=len(self._under_way))

    def _outbox(self, account: str) -> Outbox:
        outbox = self._outboxes.get(account)
        if outbox is None:
            known = self._accounts.get(account)
            budget = known.account.budget if known else None
            shared = None
            if budget is not None and self._store.shared:
                shared = partial(SharedPace, account, budget, self._store, self._clock)
            outbox = self._outboxes[account] = Outbox(
                self._clock,
                max_in_flight=known.account.max_in_flight if known else 1,
                budget=budget,
                begin=self._begin,
                sure=self._claims.sure,
                shared=shared,
            )
            if self._closing:
                outbox.end()
        return outbox

    def _begin(self, delivery: Delivery) -> None:
        outbox, known = self._outboxes[delivery.account], self._accounts.get(delivery.account)
        others: Sequence[Delivery] = ()
        if known is not None and known.adapter.together is not None:
            now = self._clock.now()
            others = outbox.along(delivery, lambda waiting: companions(delivery, waiting, known, now))
        self._spawn(self._together(outbox, (delivery, *others)) if others else self._alone(outbox, delivery))

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _alone(self, outbox: Outbox, delivery: Delivery) -> None:
        """The turn of a delivery."""
        try:
            follower = await self._deliver(outbox, delivery)
        finally:
            outbox.done(delivery)
        self._go_on(outbox, delivery, follower)

    async def _together(self, outbox: Outbox, several: Sequence[Delivery]) -> None:
        """The turn of a delivery, and of those that go in one call with it."""
        try:
            followers = await self._deliver_together(outbox, several)
        finally:
            for delivery in several:
                outbox.done(delivery)
        for delivery, follower in zip(several, followers, strict=True):
            self._go_on(outbox, delivery, follower)

    def _go_on(self, outbox: Outbox, delivery: Delivery, follower: Delivery | None) -> None:
        if follower is not None:
            outbox.add(follower)
        self._claims.note_room(delivery.account, delivery.urgency)

    async def _deliver_together(self, outbox: Outbox, several: Sequence[Delivery]) -> Sequence[Delivery | None]:
        """One call for all of them, and what comes of it is noted with each; refused, each of them is tried alone."""
        known = self._accounts.get(several[0].account)
        assert known is not None  # noqa: S101 - who has companions has an account
        turn = partial(outbox.turn, several[0].urgency)
        self._under_way.update(one.id for one in several)
        begun = await asyncio.gather(*(self._notes.begun(one) for one in several if is_held(one, known)))
        if not all(begun):
            # Some are another server's by now; each is begun alone, and these are left to it.
            return await self._each_alone(outbox, [(one, ()) for one in several])
        attempt = await self._attempts.make(joined(several, known), known, turn)
        parts = [part_of(attempt, one, len(several)) for one in several]
        if is_refused(attempt):
            self.heard(known.account.name, attempt.outcome, None)
            return await self._each_alone(outbox, [(one, (part,)) for one, part in zip(several, parts, strict=True)])
        now = self._clock.now()
        settled = [self._follows(one, part, known, now) for one, part in zip(several, parts, strict=True)]
        self.heard(known.account.name, attempt.outcome, settled[0].due_at)
        return await asyncio.gather(*map(self._settled, several, parts, settled))

    async def _each_alone(
        self, outbox: Outbox, several: Sequence[tuple[Delivery, tuple[Attempt, ...]]]
    ) -> Sequence[Delivery | None]:
        # Until its turn comes nothing is under way of any of them: who stops meanwhile gives them back.
        self._under_way.difference_update(delivery.id for delivery, _ in several)
        followers = []
        for delivery, before in several:
            await outbox.turn(delivery.urgency)
            followers.append(await self._deliver(outbox, delivery, before))
        return followers

    async def _settled(self, delivery: Delivery, attempt: Attempt, settled: Settled) -> Delivery | None:
        self._notes.attempt(delivery, attempt, settled, self._clock.now())
        follower = await self._notes.settled(delivery, (attempt,), settled)
        self._under_way.discard(delivery.id)
        return follower

    async def _deliver(self, outbox: Outbox, delivery: Delivery, before: tuple[Attempt, ...] = ()) -> Delivery | None:
        """One turn and its record; gives the next delivery of the lane. `before` was tried already in this turn."""
        known = self._accounts.get(delivery.account)
        if known is None:
            reason = f"there is no account {delivery.account} in the settings; add it, then replay"
            return await self._notes.settled(delivery, (), Settled(state="dead", reason="refused", detail=reason))
        tried = replace(delivery, attempts=delivery.attempts + len(before)) if before else delivery
        turned = await self._turn(outbox, tried, known)
        follower = None
        if turned is not None:
            attempts, settled = turned
            follower = await self._notes.settled(delivery, (*before, *attempts), settled)
        self._under_way.discard(delivery.id)
        return follower

    async def _turn(
        self, outbox: Outbox, delivery: Delivery, known: Known
    ) -> tuple[tuple[Attempt, ...], Settled] | None:
        """Ask about an earlier attempt if nobody knows what came of it; send, unless that has settled it.

        None: another server has it by now, and nothing was sent here.
        """
        before: tuple[Attempt, ...] = ()
        turn = partial(outbox.turn, delivery.urgency)
        now = self._clock.now()
        asked = None if delivery.unsure_since is None else await self._attempts.ask(delivery, known, turn)
        if asked is not None:
            now, jitter = self._clock.now(), self._chance.between(0.5, 1)
            settled = told(delivery, asked.outcome, now, on_unknown(delivery, known), jitter)
            if settled is not None:
                self._heard(delivery, asked, settled, now)
                return (asked,), settled
            before = (asked,)
            unsure = None if isinstance(asked.outcome, Failed) else delivery.unsure_since
            delivery = replace(delivery, attempts=delivery.attempts + 1, unsure_since=unsure)
            await turn()
            now = self._clock.now()
        if delivery.expires_at is not None and now >= delivery.expires_at:
            return before, _too_late()
        self._under_way.add(delivery.id)
        if is_held(delivery, known) and not await self._notes.begun(delivery):
            return None
        attempt = await self._attempts.make(delivery, known, turn)
        now = self._clock.now()
        settled = self._follows(delivery, attempt, known, now)
        self._heard(delivery, attempt, settled, now)
        return (*before, attempt), settled

    def _follows(self, delivery: Delivery, attempt: Attempt, known: Known, now: datetime) -> Settled:
        """What becomes of a delivery after an attempt."""
        jitter = self._chance.between(0.5, 1)
        ask_about = attempt.at if can_be_asked(known, delivery.command) else None
        return settle(delivery, attempt.outcome, now, on_unknown(delivery, known), jitter, ask_about=ask_about)

    def _heard(self, delivery: Delivery, attempt: Attempt, settled: Settled, now: datetime) -> None:
        """A platform that wants to be left alone, or does not answer, is left alone by the whole account."""
        self._notes.attempt(delivery, attempt, settled, now)
        self.heard(delivery.account, attempt.outcome, settled.due_at)

    def heard(self, account: str, outcome: Outcome, due_at: datetime | None) -> None:
        """What came of a call, whoever made it, and when it is made again."""
        outbox = self._outbox(account)
        if not isinstance(outcome, Sent) and outcome.reason == "rate_limited":
            asked = timedelta(seconds=outcome.retry_after or 0) if isinstance(outcome, Failed) else timedelta(0)
            outbox.pause(asked if due_at is None else due_at - self._clock.now())
        if outbox.note(outcome):
            now = self._clock.now()
            until = now + outbox.leaves_alone
            self._spawn(self._notes.circuit(Circuit(account=account, since=now, until=until, detail=outbox.trouble)))

    async def turn(self, account: str, urgency: Urgency) -> None:
        """Wait until the account may make one more call, for whoever asks its platform something."""
        await self._outbox(account).turn(urgency)


def _too_late(why: str = "") -> Settled:
    return Settled(state="dead", reason="expired", detail=f"it could not be sent in time{why}")
