"""The composition root: every concrete thing is named here, once, in one straight line, and taken down in reverse."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from bridge.adapter.http import Door
from bridge.app.background import Background
from bridge.app.listening import Patience, listening
from bridge.app.operations import operations
from bridge.broadcasts.asked import AskedPeople
from bridge.broadcasts.met import MetPeople
from bridge.broadcasts.people import Sources
from bridge.broadcasts.planning import Planning
from bridge.broadcasts.runs import Broadcasts
from bridge.broadcasts.trigger import Alarms
from bridge.chance import Chance, SystemChance
from bridge.clock import Clock, SystemClock
from bridge.errors import StoreError
from bridge.lab.gate import Gate
from bridge.line.accounts import Accounts
from bridge.line.attachments import Attachments
from bridge.line.attempt import Attempts
from bridge.line.audience import Audiences
from bridge.line.deliver import Deliverer
from bridge.line.duty import DUTIES, Duty
from bridge.line.handle import Line
from bridge.line.housekeeping import Housekeeping
from bridge.line.normalise import Normaliser
from bridge.line.receive import Receiver
from bridge.line.routes import Routes
from bridge.line.stream import Mailboxes
from bridge.line.wake import Waker
from bridge.observe import Metrics
from bridge.platforms.registry import ADAPTERS
from bridge.reload.asked import Asked
from bridge.reload.examine import Examiner
from bridge.reload.folders import Folders
from bridge.reload.kept import Kept
from bridge.reload.reloader import Reloader
from bridge.settings import Settings
from bridge.store.store import Store, open_store


@dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    """A bridge that serves; `url` is where it listens. When `failed` has an error, a part of it has died."""

    url: str
    line: Line
    store: Store
    door: Door
    reloader: Reloader
    broadcasts: Broadcasts
    failed: asyncio.Future[BaseException]


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
    background = Background()
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
            lease=settings.store.lease,
        )
        await deliverer.take_over()
        stack.push_async_callback(deliverer.close, patience.grace)
        await stack.enter_async_context(background.run(deliverer.run()))
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
        await stack.enter_async_context(background.run(reloader.run(line)))
        duties = [Duty(name, store=store, worker=worker, clock=clock) for name in DUTIES]
        timers, old_rows, runs = duties
        stack.push_async_callback(_leave, duties)
        await stack.enter_async_context(background.run(Waker(line, store, clock, timers).run()))
        housekeeping = Housekeeping(store, folder, settings.store.retention, clock, old_rows)
        scheduler = await stack.enter_async_context(_scheduled(housekeeping))
        audiences = Audiences(door=door, calls=deliverer, clock=clock, chance=chance)
        broadcasts = Broadcasts(
            line=line,
            accounts=accounts,
            store=store,
            clock=clock,
            planning=_planning(settings, accounts, store, clock, line, audiences),
            zone=settings.rulebook.timezone,
            alarms=Alarms(scheduler),
            metrics=metrics,
            duty=runs,
        )
        await stack.enter_async_context(background.run(broadcasts.run()))
        store.signals.on("mail", mailboxes.notify)
        store.signals.on("deliveries", deliverer.look_now)
        store.signals.on("runs", broadcasts.look_now)
        await stack.enter_async_context(background.run(store.signals.run()))
        ways = [
            *receiver.routes(),
            *attachments.routes(),
            *operations(store, metrics, deliverer, reloader, clock),
        ]
        url = await stack.enter_async_context(listening(Routes(ways), settings.server.listen, receiver.close, patience))
        yield Running(
            url=url,
            line=line,
            store=store,
            door=door,
            reloader=reloader,
            broadcasts=broadcasts,
            failed=background.failed,
        )


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


def _planning(
    settings: Settings, accounts: Accounts, store: Store, clock: Clock, line: Line, audiences: Audiences
) -> Planning:
    zone = settings.rulebook.timezone
    met = MetPeople(store.read, accounts, clock, zone, lambda: line.behaviour.rulebook.calendars)
    sources = Sources(directory=settings.directory, met=met, asked=AskedPeople(audiences, accounts))
    return Planning(accounts=accounts, store=store, clock=clock, zone=zone, sources=sources)


async def _leave(duties: Sequence[Duty]) -> None:
    """Another server does at once what this one did; where that cannot be said, in a moment."""
    with suppress(StoreError):
        await asyncio.gather(*(duty.leave() for duty in duties))


@asynccontextmanager
async def _scheduled(housekeeping: Housekeeping) -> AsyncIterator[AsyncIOScheduler]:
    scheduler = AsyncIOScheduler(timezone="UTC")
    # The scheduler goes by the machine's own clock, whatever clock the bridge is run by. What is restarted again and
    # again, more often than hourly, has its old rows deleted too.
    soon = SystemClock().now() + timedelta(minutes=1)
    scheduler.add_job(housekeeping.clear, "interval", hours=1, next_run_time=soon, coalesce=True, max_instances=1)
    scheduler.start()
    try:
        yield scheduler
    finally:
        scheduler.shutdown(wait=False)
