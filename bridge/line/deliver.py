"""Deliver: keep the promises. Each delivery becomes attempts until it is sent, given up, or for a person to decide.

Order is kept within a lane by the store: a delivery is handed out only when the one before it is finished.
"""

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta

from bridge.adapter.answers import excerpt
from bridge.adapter.http import Door
from bridge.adapter.protocol import HttpAnswer, Post
from bridge.chance import Chance
from bridge.clock import Clock, to_ms
from bridge.errors import StoreError
from bridge.line.accounts import Accounts, Known
from bridge.line.outbox import Outbox
from bridge.line.stream import Mailboxes
from bridge.model.delivery import Attempt, Delivery, Failed, Outcome, Sent, Settled, settle
from bridge.observe import Metrics, log
from bridge.store import look, outgoing
from bridge.store.ledger import Claim
from bridge.store.store import Store

LEASE = timedelta(minutes=2)
LOOK_EVERY = 0.25
RENEW_EVERY = timedelta(seconds=30)
TAKE_AT_ONCE = 500


class Deliverer:
    """`worker` names this process in the leases it holds."""

    def __init__(
        self,
        *,
        accounts: Accounts,
        store: Store,
        door: Door,
        mailboxes: Mailboxes,
        clock: Clock,
        chance: Chance,
        metrics: Metrics,
        worker: str,
    ) -> None:
        self._accounts = accounts
        self._store = store
        self._door = door
        self._mailboxes = mailboxes
        self._clock = clock
        self._chance = chance
        self._metrics = metrics
        self._worker = worker
        self._outboxes: dict[str, Outbox] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._room = asyncio.Event()
        self._log = log()
        self._closing = False
        self._under_way: set[int] = set()
        self._renewed_at = clock.now()

    @property
    def waiting(self) -> int:
        return sum(outbox.waiting for outbox in self._outboxes.values())

    def claim(self, now: datetime) -> Claim:
        """For the writer's thread: what may be handed over as soon as it is committed."""
        return Claim(worker=self._worker, until=now + LEASE, full=self._full())

    def take(self, deliveries: Iterable[Delivery]) -> None:
        """Begin with deliveries that are claimed for this worker."""
        for delivery in deliveries:
            outbox = self._outbox(delivery.account)
            outbox.add(delivery)
            self._begin(outbox)

    async def run(self) -> None:
        """Look for deliveries that are due, for ever; hold on to the leases of those under way."""
        while True:
            self._room.clear()
            try:
                taken = await self._look()
            except StoreError as error:
                log().error("cannot look for due deliveries", error=str(error))
                taken = 0
            if taken < TAKE_AT_ONCE:
                await self._clock.sleep(LOOK_EVERY)
            else:
                await self._rest()

    async def _rest(self) -> None:
        """Until there is room for more of a backlog; not longer than usual, because others may be due."""
        waits = [asyncio.ensure_future(wait) for wait in (self._room.wait(), self._clock.sleep(LOOK_EVERY))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _look(self) -> int:
        now = self._clock.now()
        if now - self._renewed_at >= RENEW_EVERY:
            self._renewed_at = now
            await self._renew(now)
        due = await self._store.read(outgoing.next_wake)
        if due is None or due > to_ms(now):
            return 0
        wish = outgoing.Take(worker=self._worker, at=now, lease=LEASE, most=TAKE_AT_ONCE, full=self._full())
        deliveries = await self._store.write(outgoing.claim, wish)
        self.take(deliveries)
        return len(deliveries)

    async def _renew(self, now: datetime) -> None:
        held = tuple(number for outbox in self._outboxes.values() for number in outbox.held())
        if held:
            wish = outgoing.Held(worker=self._worker, at=now, lease=LEASE, numbers=held)
            await self._store.write(outgoing.renew, wish)

    async def close(self, grace: float) -> None:
        """Finish what has begun, within `grace` seconds, and give back the rest."""
        self._closing = True
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        wish = outgoing.Held(worker=self._worker, at=self._clock.now(), numbers=tuple(self._under_way))
        back = await self._store.write(outgoing.release, wish)
        log().info("deliverer closed", given_back=back, cut_off=len(self._under_way))

    def _outbox(self, account: str) -> Outbox:
        outbox = self._outboxes.get(account)
        if outbox is None:
            known = self._accounts.get(account)
            places = known.account.max_in_flight if known else 1
            outbox = Outbox(self._clock, max_in_flight=places, budget=known.account.budget if known else None)
            self._outboxes[account] = outbox
        return outbox

    def _full(self) -> tuple[str, ...]:
        return tuple(name for name, outbox in list(self._outboxes.items()) if outbox.full)

    def _begin(self, outbox: Outbox) -> None:
        """Start as many as there are places; each place goes on with the next until none waits."""
        while not self._closing and (delivery := outbox.next()) is not None:
            task = asyncio.get_running_loop().create_task(self._place(outbox, delivery))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _place(self, outbox: Outbox, first: Delivery) -> None:
        delivery: Delivery | None = first
        while delivery is not None:
            try:
                follower = await self._deliver(outbox, delivery)
            finally:
                outbox.done(delivery)
            if follower is not None:
                outbox.add(follower)
            if not outbox.full:
                self._room.set()
            delivery = None if self._closing else outbox.next()

    async def _deliver(self, outbox: Outbox, delivery: Delivery) -> Delivery | None:
        """One attempt and its record; gives the next delivery of the lane."""
        known = self._accounts.get(delivery.account)
        if known is None:
            reason = f"there is no account {delivery.account} in the settings; add it, then replay"
            return await self._record(delivery, None, Settled(state="dead", reason="refused", detail=reason))
        await outbox.turn()
        began, now = self._clock.monotonic(), self._clock.now()
        if delivery.expires_at is not None and now >= delivery.expires_at:
            late = Settled(state="dead", reason="expired", detail="it could not be sent in time")
            return await self._record(delivery, None, late)
        self._under_way.add(delivery.id)
        outcome, answer = await self._attempt(outbox, delivery, known)
        took = self._clock.monotonic() - began
        attempt = Attempt(
            delivery=delivery.id,
            at=now,
            took=took,
            outcome=outcome,
            status=answer.status if answer else None,
            answer=excerpt(answer.body) if answer else None,
        )
        jitter = self._chance.between(0.5, 1)
        settled = settle(delivery, outcome, self._clock.now(), known.account.on_unknown, jitter)
        if isinstance(outcome, Failed) and outcome.reason == "rate_limited":
            asked = timedelta(seconds=outcome.retry_after or 0)
            outbox.pause(asked if settled.due_at is None else settled.due_at - self._clock.now())
        self._note(delivery, attempt, settled)
        follower = await self._record(delivery, attempt, settled)
        self._under_way.discard(delivery.id)
        return follower

    async def _attempt(self, outbox: Outbox, delivery: Delivery, known: Known) -> tuple[Outcome, HttpAnswer | None]:
        async def post(mail: Post) -> HttpAnswer:
            await self._store.write(
                look.post, look.Mail(mailbox=mail.mailbox, delivery=delivery.id, body=mail.body, at=self._clock.now())
            )
            self._mailboxes.notify(mail.mailbox)
            return HttpAnswer(status=200)

        try:
            steps = known.adapter.send(delivery, known.account)
            return await self._door.drive(steps, post, known.account.timeout, outbox.turn)
        except StoreError as error:
            # The mail was not written, whole or in part; there may be room for it later.
            return Failed(reason="unavailable", detail=str(error)), None
        except Exception as error:  # noqa: BLE001
            # A fault of an adapter must not stop the line; the delivery is kept for a person, with the reason.
            log(delivery=delivery.id).exception("the adapter failed", platform=known.adapter.name)
            return Failed(reason="invalid", permanent=True, detail=f"the adapter failed: {type(error).__name__}"), None

    def _note(self, delivery: Delivery, attempt: Attempt, settled: Settled) -> None:
        outcome = attempt.outcome
        reason = "" if isinstance(outcome, Sent) else outcome.reason
        name = type(outcome).__name__.lower()
        self._metrics.attempt(delivery.account, name, reason, attempt.took)
        if isinstance(outcome, Sent):
            self._metrics.replied((self._clock.now() - delivery.created_at).total_seconds())
            self._log.debug("sent", _event=delivery.event, delivery=delivery.id, account=delivery.account)
            return
        log(event=delivery.event, delivery=delivery.id, account=delivery.account).warning(
            "not sent",
            rule=delivery.rule,
            reason=outcome.reason,
            detail=outcome.detail,
            state=settled.state,
            due_at=settled.due_at,
        )

    async def _record(self, delivery: Delivery, attempt: Attempt | None, settled: Settled) -> Delivery | None:
        """Keep what came of it. Until it is kept it is tried again, for else the reply would be sent twice."""
        while True:
            done = outgoing.Done(
                delivery=delivery,
                attempt=attempt,
                settled=settled,
                at=self._clock.now(),
                worker=self._worker,
                lease=LEASE,
            )
            try:
                return await self._store.write(outgoing.settle, done)
            except StoreError as error:
                log(delivery=delivery.id).error("cannot record an outcome; trying again", error=str(error))
                await self._clock.sleep(1)
