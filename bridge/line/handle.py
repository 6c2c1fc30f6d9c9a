"""The table of contents of the program: what happens between a chat notification and a durable reply.

receive -> normalise -> match -> render -> enqueue          |  deliver
\\________ one web request, one durable transaction ________/    \\__ the worker's loop __/
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct
from sqlalchemy import Connection

from bridge.adapter.protocol import Answer, Awaited, Carried, Notice, Webhook
from bridge.clock import Clock
from bridge.errors import StoreError
from bridge.line.accounts import Accounts, Known
from bridge.line.answer import Answerer
from bridge.line.decide import Behaviour, Verdict
from bridge.line.deliver import Deliverer
from bridge.line.normalise import Normal, Normaliser
from bridge.model.delivery import Delivery, Reason
from bridge.model.event import Event
from bridge.observe import Metrics, log
from bridge.store.failures import LostError
from bridge.store.ledger import Ledger
from bridge.store.look import keep_attachment
from bridge.store.rows import conversation_key
from bridge.store.store import Store
from bridge.store.writer import Needless


class Decision(Struct, frozen=True, kw_only=True):
    """What came of the events of one webhook: their numbers, the rules that fired, what may be delivered at once.

    `held` counts the replies that were kept back; `failed` are those that could not be made, the rule of each with the
    reason and what was wrong; `ordered` are the operations that were ordered.
    """

    events: tuple[int, ...] = ()
    repeats: int = 0
    rules: tuple[str, ...] = ()
    held: int = 0
    failed: tuple[tuple[str, Reason, str], ...] = ()
    ordered: tuple[str, ...] = ()
    deliveries: tuple[Delivery, ...] = ()


class _Taken(Struct, frozen=True, kw_only=True):
    """The notice in a webhook, and what came of its events."""

    notice: Notice
    decision: Decision = Decision()


class Line:
    def __init__(
        self,
        *,
        behaviour: Behaviour,
        accounts: Accounts,
        normaliser: Normaliser,
        store: Store,
        deliverer: Deliverer,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self.behaviour = behaviour
        self._accounts = accounts
        self._normaliser = normaliser
        self._store = store
        self._deliverer = deliverer
        self._clock = clock
        self._metrics = metrics
        self._answerer = Answerer(deliverer, clock)
        self._log = log()

    async def handle(self, webhook: Webhook, known: Known) -> Answer:
        """Take a webhook that was received for an account; when this returns, all that follows from it is durable.

        Raises Refused (400 with the field at fault, 401, ...) and StoreError (nothing was kept; ask again).
        """
        known.adapter.verify(webhook, known.account)
        taken = await self._store.prepare_and_write(self._normalise, (webhook, known), self._decide)
        if taken.notice.uploads:
            taken = await self._with_files(taken.notice, known)
        notice, decision, answer = taken.notice, taken.decision, taken.notice.answer
        if decision.events or decision.repeats:
            self._note(known, notice.events, decision)
        if isinstance(answer, Awaited) and answer.operation not in decision.ordered:
            answer = answer.otherwise
        if isinstance(answer, Awaited):
            return await self._answerer.awaited(answer, webhook.received_at, decision.events, decision.deliveries)
        if isinstance(answer, Carried):
            lanes = {conversation_key(known.account.name, event.conversation) for event in notice.events}
            return self._answerer.carried(answer, webhook.received_at, lanes, decision.deliveries)
        if decision.deliveries:
            self._deliverer.take(decision.deliveries)
        if isinstance(answer, Answer):
            return answer
        return answer(await self._normaliser.standing(known, self.behaviour.rulebook))

    async def wake(self, key: str) -> None:
        """Do what the timers of a conversation say that are due. Raises StoreError (nothing was done; try again)."""
        decision = await self._store.write(self._wake, key)
        self._count(decision)
        self._deliverer.take(decision.deliveries)

    def _normalise(self, received: tuple[Webhook, Known]) -> "Normal | Needless[_Taken]":
        """The notice in a webhook, where nothing is to be done before what it tells is decided."""
        notice = self._normaliser.normalise(*received)
        if notice.uploads or not notice.events:
            return Needless(_Taken(notice=notice))
        return Normal(notice=notice)

    async def _with_files(self, notice: Notice, known: Known) -> "_Taken":
        """Decide about what comes with files: they are on the disk before their event is."""
        normal = await self._normaliser.keep(notice, known)
        try:
            taken = await self._store.write(self._decide, normal)
        except LostError:
            # Nobody can say whether the event was recorded; housekeeping finds out.
            raise
        except StoreError:
            await self._normaliser.discard(normal.files)
            raise
        if not taken.decision.events:
            await self._normaliser.discard(normal.files)
        return taken

    def _decide(self, connection: Connection, waiting: Sequence[Normal]) -> "list[_Taken]":
        """Look at every waiting event in the order they came, in the one transaction that they share."""
        behaviour, now = self.behaviour, self._clock.now()
        ledger = Ledger(connection, [event for one in waiting for event in one.notice.events], now)
        verdicts = [[behaviour.decide(ledger, event) for event in one.notice.events] for one in waiting]
        decisions = self._written(verdicts, ledger)
        files = [file for one, done in zip(waiting, decisions, strict=True) if done.events for file in one.files]
        if files:
            keep_attachment(connection, files)
        return [_Taken(notice=one.notice, decision=done) for one, done in zip(waiting, decisions, strict=True)]

    def _wake(self, connection: Connection, keys: Sequence[str]) -> list[Decision]:
        """Look at conversations that have a timer which is due."""
        behaviour = self.behaviour
        ledger = Ledger(connection, (), self._clock.now(), keys=keys)
        return self._written([behaviour.wake(ledger, key) for key in keys], ledger)

    def _written(self, verdicts: Sequence[Sequence[Verdict | None]], ledger: Ledger) -> list[Decision]:
        """Write the page; the decisions with the deliveries that this worker may begin with."""
        claimed = _by_event(ledger.write(self._deliverer.claim(ledger.now)))
        return [_decision(each, claimed) for each in verdicts]

    def _note(self, known: Known, events: tuple[Event, ...], decision: Decision) -> None:
        account = known.account.name
        if decision.repeats:
            self._metrics.duplicate(account, decision.repeats)
        for event in events:
            self._metrics.event(account, event.kind)
        if decision.rules:
            self._count(decision)
        self._log.debug(
            "taken",
            _event=decision.events,
            account=account,
            conversation=events[0].conversation,
            rules=decision.rules,
            repeats=decision.repeats,
        )

    def _count(self, decision: Decision) -> None:
        for rule in decision.rules:
            self._metrics.match(rule)
        if decision.held:
            self._metrics.held_back(decision.held)
        for rule, reason, detail in decision.failed:
            log().warning("not sent", _event=decision.events, rule=rule, reason=reason, detail=detail, state="dead")


def _decision(verdicts: Sequence[Verdict | None], claimed: Mapping[int | None, Sequence[Delivery]]) -> Decision:
    """What several verdicts come to; there is none for a repeat. `claimed` are deliveries by the event they are for."""
    events: list[int] = []
    rules: list[str] = []
    ordered: list[str] = []
    failed: list[tuple[str, Reason, str]] = []
    deliveries: list[Delivery] = []
    held = 0
    for verdict in verdicts:
        if verdict is None:
            continue
        events.append(verdict.number)
        rules += verdict.rules
        deliveries += claimed.get(verdict.number, ())
        for one in verdict.rendered:
            if one.command is not None:
                ordered.append(one.command.operation)
            if one.held is not None:
                held += 1
            if one.fault is not None:
                failed.append((one.rule, *one.fault))
    return Decision(
        events=tuple(events),
        repeats=len(verdicts) - len(events),
        rules=tuple(rules),
        held=held,
        failed=tuple(failed),
        ordered=tuple(ordered),
        deliveries=tuple(deliveries),
    )


def _by_event(deliveries: Sequence[Delivery]) -> dict[int | None, list[Delivery]]:
    found: dict[int | None, list[Delivery]] = {}
    for delivery in deliveries:
        found.setdefault(delivery.event, []).append(delivery)
    return found
