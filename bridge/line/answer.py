"""Answer: what the sender of a webhook reads where that depends on what came of its events.

Everything is durable by then, and deliveries are handed over here.
"""

import asyncio
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from bridge.adapter.protocol import Answer, Awaited, Carried
from bridge.clock import Clock
from bridge.line.deliver import Deliverer
from bridge.model.delivery import Delivery, Sent


class Answerer:
    def __init__(self, deliverer: Deliverer, clock: Clock) -> None:
        self._deliverer = deliverer
        self._clock = clock

    async def awaited(
        self, answer: Awaited, received_at: datetime, events: Sequence[int], deliveries: Sequence[Delivery]
    ) -> Answer:
        """The answer with what the ordered operation found about one of these events, if it is done in time.

        `deliveries` are those of the events that are to be made at once.
        """
        with self._deliverer.outcomes.of(events, answer.operation) as outcome:
            self._deliverer.take(deliveries)
            sent = await self._within(outcome, self._left(answer.within, received_at))
        return answer.otherwise if sent is None else answer.answer(sent.found)

    async def _within(self, outcome: "asyncio.Future[Sent | None]", seconds: float) -> Sent | None:
        sleeping: asyncio.Future[None] = asyncio.ensure_future(self._clock.sleep(seconds))
        either: list[asyncio.Future[Any]] = [outcome, sleeping]
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
        return outcome.result() if outcome.done() else None

    def carried(
        self, answer: Carried, received_at: datetime, lanes: Collection[str], deliveries: Sequence[Delivery]
    ) -> Answer:
        """The answer with the first of the replies in it that go to one of `lanes`: the webhook's own conversations.

        If nobody hears the answer, that is not known here: a reply is recorded as sent once its answer is worded. What
        could not be recorded, because the bridge died, is delivered the ordinary way when its lease has run out: then
        it may come twice.
        """
        reply = next((one for one in deliveries if one.command is None and one.lane in lanes), None)
        in_time = self._left(answer.within, received_at) > 0
        worded = answer.answer(reply) if reply is not None and in_time else None
        if worded is None or reply is None:
            self._deliverer.take(deliveries)
            return answer.otherwise
        self._deliverer.take(one for one in deliveries if one is not reply)
        self._deliverer.was_carried(reply)
        return worded

    def _left(self, within: float, received_at: datetime) -> float:
        """Seconds of the time for an answer that are left."""
        return within - (self._clock.now() - received_at).total_seconds()
