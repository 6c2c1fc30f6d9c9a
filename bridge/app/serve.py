"""Serving as a process: signals, the event loop, and what a person is told once it serves."""

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import uvloop

from bridge.app.addresses import addresses
from bridge.app.bridge import Running, bridge
from bridge.app.listening import Patience
from bridge.errors import BridgeError
from bridge.observe import log
from bridge.reload.hang_up import hang_up
from bridge.settings import Settings

_FOR_ALL = 0o007
"""What everybody may do with a file, beside its owner and their group."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ready:
    """What a person needs to know of a bridge that has begun to serve; its addresses are those of `public_url`.

    `pages` are the addresses for customers' browsers, `webhooks` those to register on the platforms' side, by account.
    With `last_good` the rules are not those of the folder, because these were refused.
    """

    listen: str
    pages: Mapping[str, str]
    webhooks: Mapping[str, tuple[str, ...]]
    rules: int
    version: str
    last_good: bool


def note_ready(ready: Ready) -> None:
    rulebook = {"rules": ready.rules, "version": ready.version, "last_good": ready.last_good}
    log().info("ready", listen=ready.listen, pages=ready.pages, webhooks=ready.webhooks, **rulebook)


def serve(settings: Settings, announce: Callable[[Ready], None] = note_ready) -> None:
    """Serve until the process is told to stop; `announce` is called once it serves.

    Raises BridgeError when it cannot begin, or a part of it died.
    """
    # What customers wrote is in the files that are made from here on: it is not for all who have a login here.
    os.umask(os.umask(_FOR_ALL) | _FOR_ALL)
    # Two threads share the work: the event loop, and the writer that decides and commits. With Python's default
    # each would keep the other waiting up to 5 ms for its turn.
    sys.setswitchinterval(0.001)
    # What is loaded by now stays for ever and need not be looked through for garbage again and again; what an event
    # leaves behind is freed as it goes.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, announce))


async def _serve(settings: Settings, announce: Callable[[Ready], None]) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    # Who asks for a reload before it serves has what they want: the files are read now.
    loop.add_signal_handler(signal.SIGHUP, lambda: None)
    async with bridge(settings) as running:
        loop.add_signal_handler(signal.SIGHUP, hang_up(stop.set, running.reloader.ask))
        ready = _ready(running, settings)
        announce(ready)
        if not ready.rules:
            # It may have been started in another folder than the one meant: it would take all in, and nobody notice.
            log().warning("there are no rules, so nothing will be answered", rules=str(settings.rulebook.rules))
        running.failed.add_done_callback(lambda _: stop.set())
        await stop.wait()
        log().info("stopping", grace=Patience().grace)
    if running.failed.done():
        raise BridgeError("a part of the bridge has died of an error that it did not foresee; its log has it")


def _ready(running: Running, settings: Settings) -> Ready:
    public = settings.server.public_url
    if public == f"http://{settings.server.listen}":
        # Port 0 lets the system choose, so only the server itself knows where it is.
        public = running.url
    pages, webhooks = addresses(settings, public)
    rulebook = running.line.behaviour.rulebook
    return Ready(
        listen=running.url,
        pages=pages,
        webhooks=webhooks,
        rules=len(rulebook.rules),
        version=rulebook.version,
        last_good=running.reloader.broken,
    )
