"""The composition root: every concrete thing is named here, once, in one straight line, and taken down in reverse."""

import asyncio
import errno
import gc
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial

import uvloop
from aiohttp import web
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from bridge.adapter.http import Door
from bridge.chance import Chance, SystemChance
from bridge.clock import Clock, SystemClock
from bridge.errors import SettingsError, StoreError
from bridge.lab.check import check
from bridge.line.accounts import Accounts
from bridge.line.attachments import Attachments
from bridge.line.deliver import LEASE, Deliverer
from bridge.line.handle import Behaviour, Line
from bridge.line.housekeeping import Housekeeping
from bridge.line.normalise import Normaliser
from bridge.line.receive import BODY_WITHIN, Receiver, astray
from bridge.line.render import Renderer
from bridge.line.stream import HEARTBEAT, Mailboxes
from bridge.observe import METRICS_CONTENT_TYPE, Metrics, log
from bridge.platforms.registry import ADAPTERS
from bridge.settings import Listen, Settings
from bridge.store import history, outgoing
from bridge.store.store import Store, healthy, open_store


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """How long the server waits for others, in seconds.

    `head`: for a request's first lines, counted from the connection or from the answer before; longer than the 60
    seconds for which proxies commonly keep an idle connection, because who closes first decides who gets the error.
    `body`: for the rest of a request. `linger`: for a sender that has its answer already to stop sending; without it
    the answer could be lost on its way. `heartbeat`: between two signs of life to the reader of a stream.
    `grace`: for requests and attempts under way to finish when the process is asked to stop.
    """

    head: float = 75.0
    body: float = BODY_WITHIN
    linger: float = 10.0
    heartbeat: float = HEARTBEAT
    grace: float = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    """A bridge that serves; `url` is where it listens."""

    url: str
    line: Line
    store: Store


@dataclass(frozen=True, kw_only=True, slots=True)
class Ready:
    """What a person needs to know of a bridge that has begun to serve; its addresses are those of `public_url`.

    `pages` are the addresses for customers' browsers, `webhooks` those to register on the platforms' side, by account.
    """

    listen: str
    pages: Mapping[str, str]
    webhooks: Mapping[str, str]
    rules: int


def note_ready(ready: Ready) -> None:
    log().info("ready", listen=ready.listen, pages=ready.pages, webhooks=ready.webhooks, rules=ready.rules)


def serve(settings: Settings, announce: Callable[[Ready], None] = note_ready) -> None:
    """Serve until the process is told to stop; `announce` is called once it serves.

    Raises BridgeError when it cannot begin.
    """
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
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    async with bridge(settings) as running:
        announce(_ready(running, settings))
        await stop.wait()
        log().info("stopping", grace=Patience().grace)


@asynccontextmanager
async def bridge(
    settings: Settings, clock: Clock | None = None, chance: Chance | None = None, patience: Patience | None = None
) -> AsyncIterator[Running]:
    """A bridge that serves for as long as the context is open.

    Deliberately one straight function: what is built later is taken down earlier, so that requests stop before
    deliveries, deliveries before the store. Raises BridgeError.
    """
    clock, chance, patience = clock or SystemClock(), chance or SystemChance(), patience or Patience()
    metrics = Metrics()
    accounts = Accounts(settings.accounts.values(), ADAPTERS)
    folders = settings.rulebook
    checked = check(rules=folders.rules, templates=folders.templates, timezone=folders.timezone, accounts=accounts)
    behaviour = Behaviour(rulebook=checked.sound(), renderer=Renderer(checked.templates, accounts))
    metrics.rulebook(behaviour.rulebook.version)
    worker = chance.token()[:12]
    async with AsyncExitStack() as stack:
        store = stack.enter_context(open_store(settings.store.url, clock, metrics))
        await store.write(outgoing.take_over, _abandoned(settings, clock, worker))
        door = await stack.enter_async_context(Door(clock))
        mailboxes = Mailboxes(store, heartbeat=patience.heartbeat)
        deliverer = Deliverer(
            accounts=accounts,
            store=store,
            door=door,
            mailboxes=mailboxes,
            clock=clock,
            chance=chance,
            metrics=metrics,
            worker=worker,
        )
        stack.push_async_callback(deliverer.close, patience.grace)
        await stack.enter_async_context(_in_background(deliverer.run()))
        files = settings.data_directory / "attachments"
        attachments = Attachments(files, settings.server.public_url, store, clock, chance)
        line = Line(
            behaviour=behaviour,
            accounts=accounts,
            normaliser=Normaliser(attachments, store, clock),
            store=store,
            deliverer=deliverer,
            clock=clock,
            metrics=metrics,
        )
        receiver = Receiver(
            line=line,
            accounts=accounts,
            mailboxes=mailboxes,
            store=store,
            clock=clock,
            metrics=metrics,
            max_body=settings.server.max_body,
            max_attachment=settings.server.max_attachment,
            trusted_proxies=settings.server.trusted_proxies,
            body_within=patience.body,
        )
        await stack.enter_async_context(_scheduled(Housekeeping(store, files, settings.store.retention, clock)))
        application = web.Application()
        application.add_routes(receiver.routes(ADAPTERS.values()))
        application.add_routes(attachments.routes())
        application.add_routes(_operations(store, metrics, deliverer))
        application.router.add_route("*", "/{path:(?s:.*)}", astray)
        url = await stack.enter_async_context(_listening(application, settings, mailboxes, patience))
        yield Running(url=url, line=line, store=store)


def _abandoned(settings: Settings, clock: Clock, worker: str) -> outgoing.Take:
    hold = tuple(account.name for account in settings.accounts.values() if account.on_unknown == "hold")
    return outgoing.Take(worker=worker, at=clock.now(), lease=LEASE, most=0, hold=hold)


@asynccontextmanager
async def _in_background(work: Coroutine[object, object, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def _scheduled(housekeeping: Housekeeping) -> AsyncIterator[None]:
    scheduler = AsyncIOScheduler(timezone="UTC")
    scheduler.add_job(housekeeping.clear, "interval", hours=1, coalesce=True, max_instances=1)
    scheduler.start()
    try:
        yield
    finally:
        scheduler.shutdown(wait=False)


@asynccontextmanager
async def _listening(
    application: web.Application, settings: Settings, mailboxes: Mailboxes, patience: Patience
) -> AsyncIterator[str]:
    async def let_readers_go(_: web.Application) -> None:
        mailboxes.close()

    application.on_shutdown.append(let_readers_go)
    runner = web.AppRunner(
        application,
        access_log=None,
        shutdown_timeout=patience.grace,
        keepalive_timeout=patience.head,
        lingering_time=patience.linger,
    )
    await runner.setup()
    try:
        listen = settings.server.listen
        try:
            await web.TCPSite(runner, listen.host, listen.port, backlog=1024).start()
        except OSError as error:
            raise SettingsError(f"server.listen: cannot listen on {listen}: {_why(error)}") from None
        host, port = runner.addresses[0][:2]
        yield f"http://{Listen(host=host, port=port)}"
    finally:
        await runner.cleanup()


def _why(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "another program listens there; stop it, or choose another port"
    # A name that is not found has a number of its own, which the system's list of errors does not know.
    known = errno.errorcode.get(error.errno or 0)
    return os.strerror(error.errno).lower() if known and error.errno else error.strerror or str(error)


def _operations(store: Store, metrics: Metrics, deliverer: Deliverer) -> list[web.RouteDef]:
    """The routes for those who run the bridge: alive, ready, metrics."""
    metrics.watch_deliveries(partial(store.read_now, history.count_states))

    async def alive(_: web.Request) -> web.Response:
        return web.json_response({"alive": True})

    async def ready(_: web.Request) -> web.Response:
        try:
            is_ready = store.writes and await store.read(healthy)
        except StoreError as error:
            return web.json_response({"ready": False, "why": str(error)}, status=503)
        return web.json_response({"ready": is_ready}, status=200 if is_ready else 503)

    async def expose(_: web.Request) -> web.Response:
        metrics.queue("store", store.waiting)
        metrics.queue("deliveries", deliverer.waiting)
        text = await asyncio.to_thread(metrics.expose)
        return web.Response(body=text, headers={"Content-Type": METRICS_CONTENT_TYPE})

    return [web.get("/healthz", alive), web.get("/readyz", ready), web.get("/metrics", expose)]


def _ready(running: Running, settings: Settings) -> Ready:
    public = settings.server.public_url
    if public == f"http://{settings.server.listen}":
        # Port 0 lets the system choose, so only the server itself knows where it is.
        public = running.url
    pages: dict[str, str] = {}
    webhooks: dict[str, str] = {}
    for account in settings.accounts.values():
        routes = ADAPTERS[account.platform].routes
        for path in sorted((route.path for route in routes if route.what == "page"), key=len)[:1]:
            pages[account.name] = public + path
        for path in sorted({route.path for route in routes if route.method == "POST"}):
            if account.name not in pages:
                # What follows the account's part of a path differs from call to call.
                webhooks[account.name] = public + path.replace("{account}", account.name).partition("{")[0]
    rules = len(running.line.behaviour.rulebook.rules)
    return Ready(listen=running.url, pages=pages, webhooks=webhooks, rules=rules)
