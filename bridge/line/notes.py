"""Notes: what is kept of deliveries and told to whoever watches: attempts, what came of them, accounts in trouble."""

from datetime import datetime, timedelta

from bridge.clock import Clock
from bridge.errors import StoreError
from bridge.line.outcomes import Outcomes
from bridge.model.delivery import Attempt, Delivery, Sent, Settled
from bridge.observe import Metrics, log
from bridge.store.circuits import Circuit, note_circuits
from bridge.store.leases import Begun, begin
from bridge.store.settle import Done
from bridge.store.settle import settle as settle_all
from bridge.store.store import Store


class Notes:
    """`worker` names this process in the leases it holds, each for as long as `lease`.

    `outcomes` tells those who wait for what becomes of one.
    """

    def __init__(
        self, *, store: Store, clock: Clock, metrics: Metrics, outcomes: Outcomes, worker: str, lease: timedelta
    ) -> None:
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._outcomes = outcomes
        self._worker = worker
        self._lease = lease
        self._log = log()

    async def begun(self, delivery: Delivery) -> bool:
        """Until it is noted, nothing is sent: after a crash a person would have to look whether it was.

        False: nothing may be sent here at all, because the lease ran out and another server may have it by now.
        """
        while True:
            try:
                begun = Begun(delivery=delivery.id, worker=self._worker, at=self._clock.now())
                return await self._store.write(begin, begun)
            except StoreError as error:
                log(delivery=delivery.id).error("cannot note that an attempt begins; trying again", error=str(error))
                await self._clock.sleep(1)

    def attempt(self, delivery: Delivery, attempt: Attempt, settled: Settled, now: datetime) -> None:
        """An attempt is over at this moment, and this follows from it."""
        outcome = attempt.outcome
        if isinstance(outcome, Sent):
            self._metrics.attempt(delivery.account, "sent", "", attempt.took)
            self._metrics.replied((now - delivery.created_at).total_seconds())
            self._log.debug("sent", _event=delivery.event, delivery=delivery.id, account=delivery.account)
            return
        self._metrics.attempt(delivery.account, type(outcome).__name__.lower(), outcome.reason, attempt.took)
        log(event=delivery.event, delivery=delivery.id, account=delivery.account).warning(
            "not sent",
            rule=delivery.rule,
            reason=outcome.reason,
            detail=outcome.detail,
            state=settled.state,
            due_at=settled.due_at,
        )

    async def settled(self, delivery: Delivery, attempts: tuple[Attempt, ...], settled: Settled) -> Delivery | None:
        """Keep what came of it. Until it is kept it is tried again, for else the reply would be sent twice."""
        while True:
            done = Done(
                delivery=delivery,
                attempts=attempts,
                settled=settled,
                at=self._clock.now(),
                worker=self._worker,
                lease=self._lease,
            )
            try:
                follower = await self._store.write(settle_all, done)
            except StoreError as error:
                log(delivery=delivery.id).error("cannot record an outcome; trying again", error=str(error))
                await self._clock.sleep(1)
            else:
                if settled.state != "queued":
                    outcome = attempts[-1].outcome if attempts else None
                    self._outcomes.note(delivery, outcome if isinstance(outcome, Sent) else None)
                return follower

    async def circuit(self, circuit: Circuit) -> None:
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
