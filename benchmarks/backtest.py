"""How fast a backtest goes on one core: `python -m benchmarks.backtest [events] [rules]`.

A week of chats is recorded as the line records it, with follow-ups and limits; then it is rehearsed with the same
rulebook, and everything is compared.
"""

import asyncio
import json
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from bridge.clock import SetClock
from bridge.errors import BridgeError
from bridge.lab.backtest import Backtested, Period, backtest
from bridge.line.accounts import Accounts
from bridge.line.decide import Behaviour
from bridge.line.render import Renderer
from bridge.model.event import Contact, Event, Kind
from bridge.platforms.registry import ADAPTERS
from bridge.rulebook.load import build
from bridge.store.ledger import Claim, Ledger, due_conversations
from bridge.store.recorded import Chosen, recorded
from bridge.store.store import Store, open_store
from bridge.templating import Templates

BEGIN = datetime(2026, 3, 20, tzinfo=UTC)
WEEK = timedelta(days=7)
TOGETHER = 20
TALKS = 200
WORDS = ("price", "cost", "order", "delivery", "return", "hello", "thanks", "green", "table", "lamp", "when", "where",
         "open", "today", "tomorrow", "agent", "human", "please", "help", "broken", "late", "invoice")  # fmt: skip
KINDS: Sequence[Kind] = ("message", "message", "message", "visited", "typing")
RAW = {f"key {number}": "x" * 30 for number in range(12)}
RULES = [
    {
        "name": "price",
        "on": "message",
        "when": {"text": {"words": ["price", "cost"]}},
        "limit": {"times": 2, "per": "conversation", "within": "1h"},
        "do": [
            {"reply": {"text": "It is 9 EUR, {{ contact.name | default('friend') }}."}},
            {"after": "10m", "unless": ["contact_message"], "do": [{"reply": {"text": "Still there?"}}]},
        ],
    },
    {
        "name": "order",
        "on": "message",
        "when": {"text": {"matches": "order (?P<word>[a-z]+)"}},
        "do": [{"reply": {"text": "About {{ match.word }}: which order?"}}, {"remember": {"asked": True}}],
    },
    {
        "name": "page",
        "on": "visited",
        "when": {"url": {"path": "/pricing/**"}},
        "limit": {"times": 1, "per": "contact"},
        "do": [{"reply": {"text": "Ask me"}}],
    },
]


class Unwatched:
    """Nobody wants to know of commits."""

    def committed(self, batch: int, seconds: float) -> None:
        pass


def behaviour_with(rules: int) -> Behaviour:
    """The three rules above, and others that nothing fires."""
    idle = [
        {"name": f"idle {n}", "on": "message", "when": {"text": {"words": [f"never{n}"]}}, "stop": True}
        for n in range(rules - len(RULES))
    ]
    templates = Templates()
    text = json.dumps({"rules": [*RULES, *idle]}).encode()
    rulebook, problems = build({"rules.yaml": text}, compile_expression=templates.expression)
    if rulebook is None:
        raise BridgeError(str(problems))
    accounts = Accounts([ADAPTERS["webchat"].account(name="site", platform="webchat")], ADAPTERS)
    return Behaviour(rulebook=rulebook, renderer=Renderer(templates, accounts), accounts=accounts)


def chats(draw: random.Random, events: int, clock: SetClock) -> Iterator[list[Event]]:
    """So many events, some at a time; now and then one conversation is over and another begins."""
    talks = list(range(TALKS))
    for begin in range(0, events, TOGETHER):
        yield [_event(draw, talks, number, clock) for number in range(begin, min(begin + TOGETHER, events))]


def _event(draw: random.Random, talks: list[int], number: int, clock: SetClock) -> Event:
    place = draw.randrange(TALKS)
    if draw.random() < 0.1:
        talks[place] += TALKS
    who, kind = talks[place], draw.choice(KINDS)
    return Event(
        account="site",
        platform="webchat",
        kind=kind,
        sender="agent" if draw.random() < 0.05 else "contact",
        conversation=f"conversation-{who:012d}",
        key=str(number),
        at=clock.now(),
        address={"visitor": f"visitor-{who:012d}"},
        contact=Contact(id=f"contact-{who:012d}", name="Ann"),
        text=" ".join(draw.choices(WORDS, k=draw.randint(2, 10))) if kind == "message" else None,
        url=f"https://shop.example/{draw.choice(('pricing/a', 'about'))}" if kind == "visited" else None,
        state="started" if kind == "typing" else None,
        raw=RAW,
    )


async def record(store: Store, behaviour: Behaviour, clock: SetClock, events: int) -> None:
    """Write a week of chats; timers wake with the events that come next."""

    def work(connection: Connection, batches: Sequence[list[Event]]) -> list[None]:
        for batch in batches:
            due = due_conversations(connection, clock.now(), 10_000)
            ledger = Ledger(connection, batch, clock.now(), keys=due)
            for key in due:
                behaviour.wake(ledger, key)
            for event in batch:
                behaviour.decide(ledger, event)
            ledger.write(Claim(worker="benchmark", until=clock.now()))
        return [None] * len(batches)

    for batch in chats(random.Random(1), events, clock):
        await store.write(work, batch)
        clock.advance(WEEK.total_seconds() * TOGETHER / events)


def measure(events: int, rules: int) -> tuple[Backtested, float]:
    """What came of it, and the seconds of CPU time that it took."""
    behaviour, clock = behaviour_with(rules), SetClock(BEGIN)
    with tempfile.TemporaryDirectory() as directory:
        url = f"sqlite:///{directory}/bridge.db"
        with open_store(url, clock, Unwatched()) as store:
            asyncio.run(record(store, behaviour, clock, events))
        with recorded(url) as records:
            begin = time.process_time()
            result = backtest(records, behaviour, Period(since=BEGIN, until=clock.now()), Chosen())
            return result, time.process_time() - begin


def main(events: int = 20_000, rules: int = 100) -> None:
    result, took = measure(events, rules)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{result.events} events, {result.conversations} conversations, {rules} rules: "
        f"{result.events / took:,.0f} events a second, {memory:.0f} MB at most"
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
