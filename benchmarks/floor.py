"""The floor: the yardstick, and besides each request is durable before it is answered, in as little code as can be.

It looks for a repeat, reads the conversation, writes an event and the conversation back, in transactions that all who
wait share. It checks nothing, decides nothing and keeps nothing that it could not
write as it came: what the bridge costs above this is what it does.
"""

import asyncio
import sqlite3
import sys
import threading
from collections.abc import Sequence
from queue import SimpleQueue
from typing import Any

import orjson
import uvloop
from aiohttp import web

_TABLES = (
    "CREATE TABLE events (id INTEGER PRIMARY KEY, identity TEXT NOT NULL UNIQUE, conversation TEXT, body TEXT)",
    "CREATE TABLE conversations (key TEXT PRIMARY KEY, document TEXT) WITHOUT ROWID",
)
_REPEATS = "SELECT identity FROM events WHERE identity IN (SELECT value FROM json_each(?))"
_KNOWN = "SELECT key, document FROM conversations WHERE key IN (SELECT value FROM json_each(?))"
_NEW = "INSERT INTO events (identity, conversation, body) VALUES (?, ?, ?)"
_KEEP = "INSERT INTO conversations VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET document = excluded.document"

Job = tuple[dict[str, Any], "asyncio.Future[None]"]


class Writer:
    """The thread that writes: everything that has gathered while it wrote shares the next transaction."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._gathered: list[Job] = []
        self._busy = False
        self._batches: SimpleQueue[list[Job]] = SimpleQueue()
        threading.Thread(target=self._run, daemon=True).start()

    def write(self, notification: dict[str, Any]) -> "asyncio.Future[None]":
        written = self._loop.create_future()
        if not self._gathered and not self._busy:
            self._loop.call_soon(self._hand_over)
        self._gathered.append((notification, written))
        return written

    def _hand_over(self) -> None:
        if self._gathered and not self._busy:
            self._busy = True
            self._batches.put(self._gathered)
            self._gathered = []

    def _finished(self, batch: Sequence[Job]) -> None:
        self._busy = False
        for _, written in batch:
            written.set_result(None)
        self._loop.call_soon(self._hand_over)

    def _run(self) -> None:
        connection = sqlite3.connect("floor.db", isolation_level=None)
        for setting in ("journal_mode=WAL", "synchronous=FULL"):
            connection.execute(f"PRAGMA {setting}")
        for table in _TABLES:
            connection.execute(table)
        while True:
            batch = self._batches.get()
            _commit(connection, [notification for notification, _ in batch])
            self._loop.call_soon_threadsafe(self._finished, batch)


def _commit(connection: sqlite3.Connection, batch: Sequence[dict[str, Any]]) -> None:
    made = [(f"{one['chatSessionID']}/{one['messageNumber']}", one["chatSessionID"], one) for one in batch]
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(_REPEATS, [orjson.dumps([mark for mark, _, _ in made]).decode()]).fetchall()
    connection.execute(_KNOWN, [orjson.dumps([key for _, key, _ in made]).decode()]).fetchall()
    rows = [(mark, key, orjson.dumps(one).decode()) for mark, key, one in made]
    connection.executemany(_NEW, rows)
    connection.executemany(_KEEP, [(key, document) for _, key, document in rows])
    connection.execute("COMMIT")


async def main(port: int) -> None:
    writer = Writer(asyncio.get_running_loop())

    async def answer(request: web.Request) -> web.Response:
        notification = orjson.loads(await request.read())
        await writer.write(notification)
        return web.Response(body=orjson.dumps({"got": len(notification)}), content_type="application/json")

    application = web.Application()
    application.router.add_post("/api/v2/chat/{operation}", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    sys.setswitchinterval(0.001)
    uvloop.run(main(int(sys.argv[1])))
