"""The table of contents of the program: what happens between a chat notification and a durable reply.

receive -> normalise -> match -> render -> enqueue          |  deliver
\\________ one web request, one durable transaction ________/    \\__ the worker's loop __/
"""

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection

from bridge.adapter.protocol import Answer, Webhook
from bridge.clock import Clock
from bridge.line.accounts import Accounts, Known
from bridge.line.deliver import Deliverer
from bridge.line.enqueue import enqueue
from bridge.line.match import match
from bridge.line.normalise import Normaliser
from bridge.line.render import Rendered, Renderer
from bridge.model.delivery import Delivery
from bridge.model.event import Event
from bridge.model.rule import Rulebook
from bridge.observe import Metrics, log
from bridge.store.ledger import Ledger
from bridge.store.store import Store


class Decision(Struct, frozen=True, kw_only=True):
    """What came of the events of one webhook: their numbers, the rules that fired, what may be delivered at once."""

    events: tuple[int, ...] = ()
    repeats: int = 0
    rules: tuple[str, ...] = ()
    deliveries: tuple[Delivery, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Behaviour:
    """The rulebook with the templates it renders; swapped whole."""

    rulebook: Rulebook
    renderer: Renderer


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
        self._log = log()

    async def handle(self, webhook: Webhook, known: Known) -> Answer:
        """Take a webhook that was received for an account; when this returns, all that follows from it is durable.

        Raises Refused (400 with the field at fault, 401, ...) and StoreError (nothing was kept; ask again).
        """
        known.adapter.verify(webhook, known.account)
        notice = await self._normaliser.normalise(webhook, known)
        if notice.events:
            decision = await self._store.write(self._decide, notice.events)
            self._note(known, notice.events, decision)
            self._deliverer.take(decision.deliveries)
        if isinstance(notice.answer, Answer):
            return notice.answer
        return notice.answer(await self._normaliser.standing(known, self.behaviour.rulebook))

    def _decide(self, connection: Connection, webhooks: Sequence[tuple[Event, ...]]) -> list[Decision]:
        """Look at every waiting event in the order they came, in the one transaction that they share."""
        behaviour, now = self.behaviour, self._clock.now()
        ledger = Ledger(connection, [event for events in webhooks for event in events], now)
        decisions = [self._decide_one(behaviour, ledger, events) for events in webhooks]
        claimed = _by_event(ledger.write(self._deliverer.claim(now)))
        if not claimed:
            return decisions
        return [
            replace(decision, deliveries=tuple(d for number in decision.events for d in claimed.get(number, ())))
            for decision in decisions
        ]

    def _decide_one(self, behaviour: Behaviour, ledger: Ledger, events: tuple[Event, ...]) -> Decision:
        numbers: list[int] = []
        rules: list[str] = []
        for event in events:
            if ledger.is_repeat(event):
                continue
            before = after = ledger.facts(event)
            matched = match(behaviour.rulebook, before)
            replies: list[Rendered] = []
            for one in matched.matches:
                rendered, after = behaviour.renderer.render(one, after)
                replies.extend(rendered)
                rules.append(one.rule.name)
            numbers.append(enqueue(ledger, before, after, matched, replies, self._accounts))
        return Decision(events=tuple(numbers), repeats=len(events) - len(numbers), rules=tuple(rules))

    def _note(self, known: Known, events: tuple[Event, ...], decision: Decision) -> None:
        account = known.account.name
        if decision.repeats:
            self._metrics.duplicate(account, decision.repeats)
        for event in events:
            self._metrics.event(account, event.kind)
        for rule in decision.rules:
            self._metrics.match(rule)
        self._log.debug(
            "taken",
            _event=decision.events,
            account=account,
            conversation=events[0].conversation,
            rules=decision.rules,
            repeats=decision.repeats,
        )


def _by_event(deliveries: Sequence[Delivery]) -> dict[int | None, list[Delivery]]:
    found: dict[int | None, list[Delivery]] = {}
    for delivery in deliveries:
        found.setdefault(delivery.event, []).append(delivery)
    return found
