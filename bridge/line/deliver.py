"""Deliver: keep the promises. Each delivery becomes attempts until it is sent, given up, or for a person to decide.

Order is kept within a lane by the store: a delivery is handed out only when the one before it is finished. Which of an
account's deliveries is begun, and when, is its outbox's to say.
"""

import asyncio
from collections.abc import Coroutine, Iterable
from datetime import datetime, timedelta
from functools import partial

from msgspec.structs import replace

from bridge.chance import Chance
from bridge.clock import Clock
from bridge.errors import StoreError
from bridge.line.accounts import Accounts, Known
from bridge.line.attempt import Attempts, can_be_asked
from bridge.line.claims import LEASE, LOOK_EVERY, Claims
from bridge.line.outbox import Outbox
from bridge.line.outcomes import Outcomes
from bridge.model.delivery import URGENCIES, Attempt, Delivery, Failed, OnUnknown, Sent, Settled, Urgency, settle, told
from bridge.observe import Metrics, log
from bridge.store.circuits import Circuit, forget_circuits, note_circuits
from bridge.store.leases import Begun, begin
from bridge.store.ledger import Claim
from bridge.store.settle import Done
from bridge.store.settle import settle as settle_all
from bridge.store.store import Store

CLEAR_EVERY = timedelta(seconds=1)
"""How often what waited too long is taken out of the outboxes."""


class Deliverer:
    """`worker` names this process in the leases it holds."""

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
    ) -> None:
        self._accounts = accounts
        self._store = store
        self._attempts = attempts
        self._clock = clock
        self._chance = chance
        self._metrics = metrics
        self._worker = worker
        self.outcomes = Outcomes()
        self._outboxes: dict[str, Outbox] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._log = log()
        self._closing = False
        self._under_way: set[int] = set()
        self._cleared_at = clock.now()
        self._claims = Claims(
            accounts=accounts, store=store, clock=clock, worker=worker, outboxes=self._outboxes, take=self.take
        )

    @property
    def waiting(self) -> int:
        return sum(outbox.waiting for outbox in self._outboxes.values())

    def claim(self, now: datetime) -> Claim:
        """For the writer's thread: what may be handed over as soon as it is committed."""
        return Claim(worker=self._worker, until=now + LEASE, full=self._full())

    def _full(self) -> tuple[tuple[str, Urgency], ...]:
        outboxes = list(self._outboxes.items())
        return tuple((name, one) for name, outbox in outboxes for one in URGENCIES if outbox.full(one))

    def take(self, deliveries: Iterable[Delivery]) -> None:
        """Begin with deliveries that are claimed for this worker."""
        for delivery in deliveries:
            self._outbox(delivery.account).add(delivery)

    async def take_over(self) -> None:
        """Give back what a server that died held. Only for the one server of a file, before it begins."""
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
        self._note(delivery, attempt, settled)
        follower = await self._record(delivery, (attempt,), settled)
        self._under_way.discard(delivery.id)
        if follower is not None:
            self.take([follower])

    async def run(self) -> None:
        """Look for deliveries that are due, for ever; hold on to the leases of those under way."""
        while True:
            self._clear()
            try:
                again = await self._claims.look()
            except StoreError as error:
                log().error("cannot look for due deliveries", error=str(error))
                await self._clock.sleep(LOOK_EVERY)
                continue
            if not again:
                await self._claims.rest()

    def _clear(self) -> None:
        """Give up what waited too long for its turn, which may be far away when an account is paused."""
        now = self._clock.now()
        if now - self._cleared_at < CLEAR_EVERY:
            return
        self._cleared_at = now
        for outbox in self._outboxes.values():
            why = f": {outbox.trouble}" if outbox.trouble else ""
            for delivery in outbox.expired(now):
                self._spawn(self._give_up(outbox, delivery, why))

    async def _give_up(self, outbox: Outbox, delivery: Delivery, why: str) -> None:
        follower = await self._record(delivery, (), _too_late(why))
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
            outbox = self._outboxes[account] = Outbox(
                self._clock,
                max_in_flight=known.account.max_in_flight if known else 1,
                budget=known.account.budget if known else None,
                begin=self._begin,
            )
            if self._closing:
                outbox.end()
        return outbox

    def _begin(self, delivery: Delivery) -> None:
        self._spawn(self._place(self._outboxes[delivery.account], delivery))

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _place(self, outbox: Outbox, delivery: Delivery) -> None:
        follower: Delivery | None = None
        try:
            follower = await self._deliver(outbox, delivery)
        finally:
            outbox.done(delivery)
        self._go_on(outbox, delivery, follower)

    def _go_on(self, outbox: Outbox, delivery: Delivery, follower: Delivery | None) -> None:
        if follower is not None:
            outbox.add(follower)
        self._claims.note_room(delivery.account, delivery.urgency)

    async def _deliver(self, outbox: Outbox, delivery: Delivery) -> Delivery | None:
        """One turn and its record; gives the next delivery of the lane."""
        known = self._accounts.get(delivery.account)
        if known is None:
            reason = f"there is no account {delivery.account} in the settings; add it, then replay"
            return await self._record(delivery, (), Settled(state="dead", reason="refused", detail=reason))
        attempts, settled = await self._turn(outbox, delivery, known)
        follower = await self._record(delivery, attempts, settled)
        self._under_way.discard(delivery.id)
        return follower

    async def _turn(self, outbox: Outbox, delivery: Delivery, known: Known) -> tuple[tuple[Attempt, ...], Settled]:
        """Ask about an earlier attempt if nobody knows what came of it; send, unless that has settled it."""
        before: tuple[Attempt, ...] = ()
        turn = partial(outbox.turn, delivery.urgency)
        if (asked := await self._attempts.ask(delivery, known, turn)) is not None:
            now, jitter = self._clock.now(), self._chance.between(0.5, 1)
            settled = told(delivery, asked.outcome, now, _on_unknown(delivery, known), jitter)
            if settled is not None:
                self._heard(outbox, delivery, asked, settled)
                return (asked,), settled
            before = (asked,)
            unsure = None if isinstance(asked.outcome, Failed) else delivery.unsure_since
            delivery = replace(delivery, attempts=delivery.attempts + 1, unsure_since=unsure)
            await turn()
        if delivery.expires_at is not None and self._clock.now() >= delivery.expires_at:
            return before, _too_late()
        self._under_way.add(delivery.id)
        if _on_unknown(delivery, known) == "hold" and not can_be_asked(known, delivery.command):
            await self._note_begun(delivery)
        attempt = await self._attempts.make(delivery, known, turn)
        now, jitter = self._clock.now(), self._chance.between(0.5, 1)
        ask_about = attempt.at if can_be_asked(known, delivery.command) else None
        on_unknown = _on_unknown(delivery, known)
        settled = settle(delivery, attempt.outcome, now, on_unknown, jitter, ask_about=ask_about)
        self._heard(outbox, delivery, attempt, settled)
        return (*before, attempt), settled

    async def _note_begun(self, delivery: Delivery) -> None:
        """Until it is noted, nothing is sent: after a crash a person would have to look whether it was."""
        while True:
            try:
                begun = Begun(delivery=delivery.id, worker=self._worker, at=self._clock.now())
                await self._store.write(begin, begun)
            except StoreError as error:
                log(delivery=delivery.id).error("cannot note that an attempt begins; trying again", error=str(error))
                await self._clock.sleep(1)
            else:
                return

    def _heard(self, outbox: Outbox, delivery: Delivery, attempt: Attempt, settled: Settled) -> None:
        """A platform that wants to be left alone, or does not answer, is left alone by the whole account."""
        self._note(delivery, attempt, settled)
        outcome = attempt.outcome
        if not isinstance(outcome, Sent) and outcome.reason == "rate_limited":
            asked = timedelta(seconds=outcome.retry_after or 0) if isinstance(outcome, Failed) else timedelta(0)
            outbox.pause(asked if settled.due_at is None else settled.due_at - self._clock.now())
        if outbox.note(outcome):
            now = self._clock.now()
            until = now + outbox.leaves_alone
            self._spawn(
                self._note_circuit(Circuit(account=delivery.account, since=now, until=until, detail=outbox.trouble))
            )

    async def _note_circuit(self, circuit: Circuit) -> None:
        self._metrics.circuit(circuit.account, is_open=circuit.detail is not None)
        logger = log(account=circuit.account)
        if circuit.detail is None:
            logger.info("the platform answers again; its deliveries go on")
        else:
            logger.warning(
                "the platform does not answer; its deliveries wait", detail=circuit.detail, again_at=circuit.until
            )
        try:
            await self._store.write(note_circuits, circuit)
        except StoreError as error:
            logger.error("cannot note how the account stands", error=str(error))

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

    async def _record(self, delivery: Delivery, attempts: tuple[Attempt, ...], settled: Settled) -> Delivery | None:
        """Keep what came of it. Until it is kept it is tried again, for else the reply would be sent twice."""
        while True:
            done = Done(
                delivery=delivery,
                attempts=attempts,
                settled=settled,
                at=self._clock.now(),
                worker=self._worker,
                lease=LEASE,
            )
            try:
                follower = await self._store.write(settle_all, done)
            except StoreError as error:
                log(delivery=delivery.id).error("cannot record an outcome; trying again", error=str(error))
                await self._clock.sleep(1)
            else:
                if settled.state != "queued":
                    outcome = attempts[-1].outcome if attempts else None
                    self.outcomes.note(delivery, outcome if isinstance(outcome, Sent) else None)
                return follower


def _too_late(why: str = "") -> Settled:
    return Settled(state="dead", reason="expired", detail=f"it could not be sent in time{why}")


def _on_unknown(delivery: Delivery, known: Known) -> OnUnknown:
    return delivery.on_unknown or known.account.on_unknown
