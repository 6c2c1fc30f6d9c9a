"""Signals: the servers of one PostgreSQL tell one another what is to be done now.

They only make it sooner: each server also looks by itself, so whatever is not heard is found a moment later. A signal
is sent after the commit of what it tells of, by a connection of its own: within the transaction PostgreSQL would have
all servers' commits wait for one another.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterator
from typing import Any, Literal

import orjson
from sqlalchemy import Connection, Engine, event, text

from bridge.clock import Clock
from bridge.observe import log
from bridge.store.engines import driver_arguments
from bridge.store.failures import in_words
from bridge.store.postgres import is_postgres

Kind = Literal["deliveries", "mail", "runs"]
Signal = tuple[Kind, str]
"""Deliveries are due; there is mail in the mailbox of this name; a run was asked for or changed. A name may be ""."""

CHANNEL = "replybridge"
SERVING = 7239144105
"""The advisory lock that every server shares for as long as it serves."""
TRY_AGAIN = 1.0
"""Seconds between two tries to connect; a connection that is lost is made again at once."""
_MOST = 7_000
"""Bytes of a message, of which PostgreSQL takes 8,000."""
_MOST_GATHERED = 1_000
_NOTIFY = "SELECT pg_notify(%s, %s)"


def say(connection: Connection, kind: Kind, name: str = "") -> None:
    """To be told to other servers once this transaction is committed. On SQLite there are none."""
    if is_postgres(connection):
        connection.info.setdefault("signals", set()).add((kind, name))


def take(connection: Connection) -> frozenset[Signal]:
    """What was said since the last time; for whoever has ended the transaction."""
    return frozenset(connection.info.pop("signals", ()))


def send_on_commit(engine: Engine) -> None:
    """For a command, which commits now and then: what is said goes out with the transaction itself."""

    def send(connection: Connection) -> None:
        for message in _messages(take(connection)):
            connection.execute(text("SELECT pg_notify(:channel, :message)"), {"channel": CHANNEL, "message": message})

    event.listen(engine, "commit", send)
    event.listen(engine, "rollback", take)


class Signals:
    """What this server tells the others, and hears from them; on SQLite nothing. `run` must run for either."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._hearers: dict[str, list[Callable[[str], None]]] = defaultdict(list)
        self._gathered: set[Signal] = set()
        self._told = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        # Which connection the own signals come from.
        self._own: int | None = None

    def on(self, kind: Kind, hear: Callable[[str], None]) -> None:
        """Call `hear` with the name of each signal of this kind; "" where any may have been missed."""
        self._hearers[kind].append(hear)

    def tell(self, signals: Collection[Signal]) -> None:
        """Tell the other servers. For any thread; what is told before `run` is lost, as nobody could hear it."""
        if signals and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._gather, signals)

    async def run(self) -> None:
        """Listen and tell, for ever; a lost connection is made again."""
        if self._engine.dialect.name != "postgresql":
            return
        self._loop = asyncio.get_running_loop()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._connected("hear other servers", self._listen))
                tasks.create_task(self._connected("tell other servers", self._send))
        finally:
            self._loop = None

    async def _connected(self, what: str, work: Callable[[Any, Callable[[], None]], Awaitable[None]]) -> None:
        """Have the work done over a connection, for ever; it says when it has begun."""
        driver, arguments = driver_arguments(self._engine)
        failed = False

        def begun() -> None:
            nonlocal failed
            if failed:
                log().info(f"can {what} again")
            failed = False

        while True:
            try:
                async with await driver.AsyncConnection.connect(**arguments) as connection:
                    await work(connection, begun)
            except driver.Error as error:
                if failed:
                    await self._clock.sleep(TRY_AGAIN)
                    continue
                log().warning(f"cannot {what}; they find by themselves what there is to do", error=in_words(error))
                failed = True

    async def _listen(self, connection: Any, begun: Callable[[], None]) -> None:
        await connection.execute("SELECT pg_advisory_lock_shared(%s)", [SERVING])
        await connection.execute(f"LISTEN {CHANNEL}")
        begun()
        # Anything may have happened before it listened.
        for hearers in self._hearers.values():
            for hear in hearers:
                hear("")
        async for notification in connection.notifies():
            if notification.pid != self._own:
                self._hear(notification.payload)

    def _hear(self, message: str) -> None:
        """Whoever may connect to the database may send anything; what is not understood is for somebody else."""
        try:
            signals = [(str(kind), str(name)) for kind, name in orjson.loads(message)]
        except (ValueError, TypeError):
            log().warning("a signal was not understood", message=message[:100])
            return
        for kind, name in signals:
            for hear in self._hearers.get(kind, ()):
                hear(name)

    def _gather(self, signals: Collection[Signal]) -> None:
        self._gathered.update(signals)
        if len(self._gathered) > _MOST_GATHERED:
            # Nobody could be told for a while; the names are too many by now.
            self._gathered = {(kind, "") for kind, _ in self._gathered}
        self._told.set()

    async def _send(self, connection: Any, begun: Callable[[], None]) -> None:
        self._own = connection.info.backend_pid
        # Nobody waits for what these transactions leave on the disk: nothing.
        await connection.execute("SET synchronous_commit = off")
        begun()
        while True:
            if not self._gathered:
                await self._told.wait()
            self._told.clear()
            signals = frozenset(self._gathered)
            for message in _messages(signals):
                await connection.execute(_NOTIFY, [CHANNEL, message])
            self._gathered -= signals


def _messages(signals: Collection[Signal]) -> Iterator[str]:
    """The signals as few messages, none too long."""
    parts: list[bytes] = []
    size = 0
    for kind, name in sorted(signals):
        part = orjson.dumps([kind, name])
        if len(part) > _MOST:
            part = orjson.dumps([kind, ""])
        if size + len(part) > _MOST:
            yield (b"[%b]" % b",".join(parts)).decode()
            parts, size = [], 0
        parts.append(part)
        size += len(part) + 1
    if parts:
        yield (b"[%b]" % b",".join(parts)).decode()
