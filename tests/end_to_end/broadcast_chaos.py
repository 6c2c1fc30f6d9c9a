"""A broadcast whose servers are killed again and again, while it is planned and while it is sent.

`python -m tests.end_to_end.broadcast_chaos --people 10000 --rounds 10` has one server on SQLite, `--servers 3` three of
them on a PostgreSQL, all of which see the schedule. Each round is a new store and a new run. It tells what became of
everybody: they got it once, or nobody can say whether they did, and then they are listed as such.
"""

import argparse
import asyncio
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, Engine, text

from bridge.clock import SystemClock
from bridge.store import runs, tally
from bridge.store.store import visit_store
from tests.end_to_end.server import Server
from tests.fakes.inbox import Inbox
from tests.postgres import Databases, PostgresServer

AT_ONCE = 8
"""Messages that a server has on their way at the same time: no more are left in doubt when it is killed."""
LOOK_EVERY = 0.02
LEADS = (5, 20, 80)
"""Seconds from before the servers are started until the run is due; where they take longer, it is tried again."""
STATES = ("none", "asked", "planning", "running")
RULES = """
audiences:
  customers: {{file: audiences/customers.csv}}
broadcasts:
  - name: offer
    schedule: {{every: "{every}s", from: "{since:%Y-%m-%dT%H:%M}", timezone: UTC}}
    via: shop
    audience: customers
    to: {{email: email}}
    text: "Hello {{{{ name }}}}"
    pause_if_failed: 100%
"""
Count = Callable[[Connection], int]


@dataclass(frozen=True, kw_only=True)
class Told:
    """What came of one round. `killed` counts by what the run was at; `holders` counts the processes that had it in
    hand one after another, where several servers share the store."""

    people: int
    runs: int
    killed: Counter[str]
    holders: int
    sent: int
    unknown: int
    arrived_unknown: int
    twice: int
    left_out: int
    not_listed: int

    def __str__(self) -> str:
        kills = ", ".join(f"{many} while {state}" for state, many in self.killed.items())
        return (
            f"{self.people:,} people, {self.runs} run, killed {kills}: {self.sent:,} sent, {self.unknown} unknown "
            f"({self.arrived_unknown} of them had arrived), {self.twice} twice, {self.left_out} left out"
            + (f"; {self.holders} servers had it in hand" if self.holders else "")
        )


@dataclass(kw_only=True)
class Round:
    """Servers that share a store, and a run that is to be on its way soon."""

    servers: list[Server]
    engine: Engine
    chance: random.Random
    killed: Counter[str] = field(default_factory=Counter)
    holders: set[str] = field(default_factory=set)

    def look(self, count: Count) -> int:
        with self.engine.connect() as connection:
            return count(connection)

    def state(self) -> str:
        with self.engine.connect() as connection:
            found = runs.find(connection, 1)
            self.holders.update(connection.scalars(text("SELECT worker FROM duties WHERE name = 'runs'")))
        return "none" if found is None else found.state

    async def kill(self) -> None:
        """Kill one of the servers, whatever it is at; the others have the time that it takes to come back."""
        self.killed[self.state()] += 1
        server = self.chance.choice(self.servers)
        server.kill()
        await asyncio.to_thread(server.start)

    async def kill_at(self, count: Count, marks: list[int], while_: str) -> None:
        """Kill a server each time so many have been planned, or sent, as long as the run is at it."""
        for mark in sorted(marks):
            while self.look(count) < mark:
                if self.state() not in STATES[: STATES.index(while_) + 1]:
                    return
                await asyncio.sleep(LOOK_EVERY)
            await self.kill()


def planned(connection: Connection) -> int:
    return sum(tally.counts(connection, 1).values())


def sent(connection: Connection) -> int:
    return tally.counts(connection, 1).get("sent", 0)


async def a_round(
    directory: Path,
    new_store: Callable[[], str],
    *,
    people: int,
    kills: tuple[int, int],
    servers: int = 1,
    seed: int = 1,
) -> Told:
    """One run to so many people, with so many kills while it is planned and while it is sent."""
    for lead in LEADS:
        async with Inbox() as inbox:
            with ExitStack() as stack:
                due = SystemClock().now() + timedelta(seconds=lead)
                store = new_store()
                files = _files(inbox, store, people, due)
                all_of_them = [Server(directory / f"{lead}-{number}", files) for number in range(servers)]
                for server in all_of_them:
                    stack.callback(server.kill)
                await asyncio.gather(*(asyncio.to_thread(server.start) for server in all_of_them))
                if SystemClock().now() > due - timedelta(seconds=1):
                    # A broadcast that is new looks forward only, so a server that starts late may not see this moment.
                    continue
                engine = stack.enter_context(visit_store(_from_here(store, all_of_them[0])))
                one = Round(servers=all_of_them, engine=engine, chance=random.Random(seed))
                await _disturb(one, people, *kills)
                return _tell(one, inbox, people)
    raise TimeoutError(f"the servers did not start within {LEADS[-1]} seconds")


async def _disturb(one: Round, people: int, while_planning: int, while_sending: int) -> None:
    """Kill servers; then wait until the run has come to its end."""
    await one.kill_at(planned, [one.chance.randrange(people) for _ in range(while_planning)], "planning")
    await one.kill_at(sent, [one.chance.randrange(people) for _ in range(while_sending)], "running")
    async with asyncio.timeout(120 + people / 50):
        while one.state() != "done":
            await asyncio.sleep(0.1)


def _files(inbox: Inbox, store: str, people: int, due: datetime) -> dict[str, str]:
    since = (due - timedelta(days=1)).replace(second=0, microsecond=0)
    listed = "".join(f"user{number}@shop.example,User {number}\n" for number in range(people))
    return {
        "bridge.toml": inbox.account(max_in_flight=AT_ONCE) + f'[store]\nurl = "{store}"\nlease = "5s"\n',
        "rules/rules.yaml": RULES.format(since=since, every=round((due - since).total_seconds())),
        "audiences/customers.csv": f"email,name\n{listed}",
    }


def _from_here(store: str, server: Server) -> str:
    return store.replace("sqlite:///", f"sqlite:///{server.directory}/")


def _tell(one: Round, inbox: Inbox, people: int) -> Told:
    with one.engine.connect() as connection:
        lines = list(runs.lines(connection, 1))
        all_runs = len(runs.newest(connection))
    by_state: dict[str, set[str]] = {"sent": set(), "unknown": set()}
    for line in lines:
        by_state.setdefault(line.state, set()).add(str(line.to["email"]))
    everybody = {f"user{number}@shop.example" for number in range(people)}
    return Told(
        people=people,
        runs=all_runs,
        killed=one.killed,
        holders=len(one.holders),
        sent=len(by_state["sent"]),
        unknown=len(by_state["unknown"]),
        arrived_unknown=len(by_state["unknown"] & set(inbox.got)),
        twice=sum(many - 1 for many in inbox.got.values()),
        left_out=len(everybody - set(inbox.got) - by_state["unknown"]),
        not_listed=len(everybody ^ by_state["sent"] ^ by_state["unknown"]) + len(lines) - people,
    )


def broken(told: Told) -> list[str]:
    """What must not be, in words."""
    found = [f"there are {told.runs} runs"] if told.runs != 1 else []
    found += [f"{told.twice} got it twice"] if told.twice else []
    found += [f"{told.left_out} are left out"] if told.left_out else []
    found += [f"{told.not_listed} are not listed as what they are"] if told.not_listed else []
    if told.unknown > told.killed.total() * AT_ONCE:
        found.append(f"{told.unknown} are unknown, more than were being sent when servers were killed")
    return found


@contextmanager
def stores(servers: int) -> Iterator[Callable[[], str]]:
    """Gives the address of a new store each time: a file of one server, a database of several."""
    if servers == 1:
        yield lambda: "sqlite:///data/bridge.db"
        return
    with PostgresServer(durable=True) as postgres:
        databases = Databases(postgres)
        try:
            yield databases.create
        finally:
            databases.close()


async def main(people: int, rounds: int, servers: int, seed: int) -> list[str]:
    found: list[str] = []
    with stores(servers) as new_store, tempfile.TemporaryDirectory() as folder:
        for number in range(1, rounds + 1):
            directory = Path(folder) / str(number)
            kills = (3, 5)
            told = await a_round(directory, new_store, people=people, kills=kills, servers=servers, seed=seed + number)
            print(f"round {number}: {told}", flush=True)
            found += [f"round {number}: {one}" for one in broken(told)]
    return found


if __name__ == "__main__":
    words = argparse.ArgumentParser(prog="python -m tests.end_to_end.broadcast_chaos", description=__doc__)
    words.add_argument("--people", type=int, default=10_000)
    words.add_argument("--rounds", type=int, default=10)
    words.add_argument("--servers", type=int, default=1)
    words.add_argument("--seed", type=int, default=1)
    given = words.parse_args()
    sys.exit("\n".join(asyncio.run(main(given.people, given.rounds, given.servers, given.seed))) or 0)
