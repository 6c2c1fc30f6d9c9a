"""The composition root: every concrete thing is named here, once, in one straight line, and taken down in reverse."""

import asyncio
import errno
import gc
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial

import uvloop
from aiohttp import web
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from bridge.adapter.account import Account
from bridge.adapter.http import Door
from bridge.adapter.protocol import Route
from bridge.broadcasts.elsewhere import MetPeople
from bridge.broadcasts.planning import Planning
from bridge.broadcasts.runs import Broadcasts
from bridge.broadcasts.trigger import Alarms
from bridge.chance import Chance, SystemChance
from bridge.clock import Clock, SystemClock
from bridge.errors import SettingsError, StoreError
from bridge.lab.gate import Gate
from bridge.line.accounts import Accounts
from bridge.line.attachments import Attachments
from bridge.line.attempt import Attempts
from bridge.line.deliver import Deliverer
from bridge.line.handle import Line
from bridge.line.housekeeping import Housekeeping
from bridge.line.normalise import Normaliser
from bridge.line.receive import BODY_WITHIN, Receiver, astray
from bridge.line.stream import HEARTBEAT, Mailboxes
from bridge.line.wake import Waker
from bridge.observe import METRICS_CONTENT_TYPE, Metrics, log
from bridge.platforms.registry import ADAPTERS
from bridge.reload.asked import Asked
from bridge.reload.examine import Examiner
from bridge.reload.folders import Folders
from bridge.reload.hang_up import hang_up
from bridge.reload.kept import Kept
from bridge.reload.reloader import Reloader
from bridge.settings import Listen, Settings
from bridge.store import history
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
    reloader: Reloader
    broadcasts: Broadcasts


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
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    # Who asks for a reload before it serves has what they want: the files are read now.
    loop.add_signal_handler(signal.SIGHUP, lambda: None)
    async with bridge(settings) as running:
        loop.add_signal_handler(signal.SIGHUP, hang_up(stop.set, running.reloader.ask))
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
    reloader = _reloader(settings, accounts, clock, metrics)
    behaviour = reloader.begin()
    worker = chance.token()[:12]
    async with AsyncExitStack() as stack:
        store = stack.enter_context(open_store(settings.store.url, clock, metrics))
        door = await stack.enter_async_context(Door(clock))
        mailboxes = Mailboxes(store, heartbeat=patience.heartbeat)
        folder, most = settings.data_directory / "attachments", settings.server.max_attachment
        attachments = Attachments(folder, settings.server.public_url, store, clock, chance, most=most)
        deliverer = Deliverer(
            accounts=accounts,
            store=store,
            attempts=Attempts(door=door, store=store, mailboxes=mailboxes, files=attachments, clock=clock),
            clock=clock,
            chance=chance,
            metrics=metrics,
            worker=worker,
        )
        await deliverer.take_over()
        stack.push_async_callback(deliverer.close, patience.grace)
        await stack.enter_async_context(_in_background(deliverer.run()))
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
        await stack.enter_async_context(_in_background(reloader.run(line)))
        await stack.enter_async_context(_in_background(Waker(line, store, clock).run()))
        housekeeping = Housekeeping(store, folder, settings.store.retention, clock)
        scheduler = await stack.enter_async_context(_scheduled(housekeeping))
        zone = settings.rulebook.timezone
        planning = Planning(
            accounts=accounts,
            store=store,
            clock=clock,
            directory=settings.directory,
            zone=zone,
            elsewhere=MetPeople(store.read, accounts, clock, zone, lambda: line.behaviour.rulebook.calendars),
        )
        broadcasts = Broadcasts(
            line=line,
            accounts=accounts,
            store=store,
            clock=clock,
            planning=planning,
            zone=zone,
            alarms=Alarms(scheduler),
        )
        await stack.enter_async_context(_in_background(broadcasts.run()))
        application = web.Application()
        application.add_routes(receiver.routes(ADAPTERS.values()))
        application.add_routes(attachments.routes())
        application.add_routes(_operations(store, metrics, deliverer, reloader))
        application.router.add_route("*", "/{path:(?s:.*)}", astray)
        url = await stack.enter_async_context(_listening(application, settings, mailboxes, patience))
        yield Running(url=url, line=line, store=store, reloader=reloader, broadcasts=broadcasts)


def _reloader(settings: Settings, accounts: Accounts, clock: Clock, metrics: Metrics) -> Reloader:
    given, kept = settings.rulebook, settings.data_directory / "rulebook"
    gate = Gate(accounts=accounts, timezone=given.timezone, replies_per_hour=given.replies_per_hour)
    return Reloader(
        examiner=Examiner(folders=Folders(rules=given.rules, templates=given.templates), gate=gate),
        kept=Kept(kept),
        asked=Asked(kept),
        clock=clock,
        metrics=metrics,
        watch=given.watch,
    )


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
async def _scheduled(housekeeping: Housekeeping) -> AsyncIterator[AsyncIOScheduler]:
    scheduler = AsyncIOScheduler(timezone="UTC")
    scheduler.add_job(housekeeping.clear, "interval", hours=1, coalesce=True, max_instances=1)
    scheduler.start()
    try:
        yield scheduler
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


def _operations(store: Store, metrics: Metrics, deliverer: Deliverer, reloader: Reloader) -> list[web.RouteDef]:
    """The routes for those who run the bridge: alive, ready, metrics."""
    metrics.watch_deliveries(partial(store.read_now, history.count_states))

    async def alive(_: web.Request) -> web.Response:
        return web.json_response({"alive": True})

    async def ready(_: web.Request) -> web.Response:
        try:
            is_ready = store.writes and await store.read(healthy)
            if store.trouble is not None:
                # Whoever sends nothing here because of this answer would never learn that there is room again.
                await store.try_to_write()
        except StoreError as error:
            return web.json_response({"ready": False, "why": str(error)}, status=503)
        # A broken edit is a person's to mend; it must not take a server out of service that answers as before.
        rulebook = "last good" if reloader.broken else "current"
        return web.json_response({"ready": is_ready, "rulebook": rulebook}, status=200 if is_ready else 503)

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


def addresses(settings: Settings, public: str) -> tuple[Mapping[str, str], Mapping[str, tuple[str, ...]]]:
    """By account: the address for customers' browsers, or those to register on the platform's side.

    An account that only sends has neither.
    """
    pages: dict[str, str] = {}
    webhooks: dict[str, tuple[str, ...]] = {}
    for account in settings.accounts.values():
        routes = ADAPTERS[account.platform].routes
        for path in sorted((route.path for route in routes if route.what == "page"), key=len)[:1]:
            pages[account.name] = public + path
        paths = tuple(_paths_of(account, routes))
        if paths and account.name not in pages:
            webhooks[account.name] = tuple(public + path for path in paths)
    return pages, webhooks


def _paths_of(account: Account, routes: Sequence[Route]) -> Iterator[str]:
    """The paths to register for an account. A secret that ends one of them is named, not shown."""
    paths: list[str] = []
    for route in routes:
        if route.method != "POST" or route.what != "webhook" or (route.needs and not getattr(account, route.needs)):
            continue
        of_account, named, rest = route.path.partition("{account}")
        # Where the account is not named, what follows differs from call to call.
        end = account.name + (f"/<{route.needs}>" if rest else "") if named else ""
        paths.append(of_account.partition("{")[0] + end)
    for path in sorted(paths):
        # A path with a secret at its end is asked for, not the same without.
        if not any(other.startswith(f"{path}/<") for other in paths):
            yield path
