"""`replybridge broadcasts`: what goes out when and to whom, and the hands on what is going out."""

import asyncio
import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from rich.live import Live
from sqlalchemy import Connection

from bridge.adapter.http import Door
from bridge.broadcasts.asked import AskedPeople
from bridge.broadcasts.audience_file import AudienceFile
from bridge.broadcasts.compose import Composer
from bridge.broadcasts.met import MetPeople
from bridge.broadcasts.people import Sources, people
from bridge.broadcasts.plan import plan_of, sender_of
from bridge.broadcasts.preview import Preview, preview, text_of
from bridge.broadcasts.schedule import upcoming
from bridge.chance import SystemChance
from bridge.cli.control import GOING, cancel_run, export_run, pause_run, resume_run, retry_run
from bridge.cli.options import AsJson, Config, pairs, settings_of
from bridge.cli.printing import cells, explained, out, said, table, write_json
from bridge.cli.runs import Status, as_json, listing, picture, status_of
from bridge.cli.wording import say_address
from bridge.clock import SystemClock
from bridge.errors import BridgeError, Place, did_you_mean
from bridge.lab.check import Checked, check
from bridge.line.accounts import Accounts, Known
from bridge.line.audience import Audiences, OwnCalls
from bridge.line.beforehand import refusal_of_message
from bridge.line.by_hand import check_address
from bridge.model.broadcast import Asked, At, Broadcast, ByHand, Cron, Every, FileAudience, Moment, Schedule
from bridge.model.delivery import Reply
from bridge.model.quantity import say_duration
from bridge.platforms.registry import ADAPTERS
from bridge.settings import Settings
from bridge.store import runs, tally
from bridge.store.met import Met
from bridge.store.plan import Planned
from bridge.store.store import visit_store

broadcasts = typer.Typer(help="One text for many: when it goes out, to whom, and how far it is.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The broadcast's name.")]
PATIENCE = timedelta(seconds=30)
"""How long a preview tries to ask a platform that does not answer: somebody waits."""


@broadcasts.command("list")
def list_broadcasts(config: Config = None, as_json: AsJson = False) -> None:
    """All broadcasts, and when each goes out next."""
    with explained():
        found = _checked(settings_of(config)).sound().broadcasts
    now = SystemClock().now()
    coming = {one.name: next(upcoming(one.schedule, now, one.clock_change), None) for one in found.values()}
    if as_json:
        write_json([_broadcast_as_json(one, coming[one.name]) for one in found.values()])
        return
    if not found:
        out.print('there are no broadcasts; a rule file may have them below "broadcasts:"')
        return
    made = table("broadcast", "when", "next (local)", "by", "to", "rate", whole=("broadcast",))
    for one in found.values():
        at = coming[one.name]
        rate = None if one.rate is None else f"{one.rate.times}/{say_duration(one.rate.per).removeprefix('1')}"
        made.add_row(*cells(one.name, say_schedule(one.schedule), at and _local(at), one.via, one.audience, rate))
    out.print(made)


@broadcasts.command("next")
def next_runs(
    number: Annotated[int, typer.Argument(help="How many.", min=1, max=1000)] = 10,
    broadcast: Annotated[str | None, typer.Option("--broadcast", help="Only of this one.")] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """The next runs, in local time and in UTC, with what a clock change does to them."""
    with explained():
        known = _checked(settings_of(config)).sound().broadcasts
        wanted = list(known.values()) if broadcast is None else [_named(broadcast, known)]
    now = SystemClock().now()
    several = [_coming(one, now) for one in wanted]
    found = list(islice(heapq.merge(*several, key=lambda one: one[1].at), number))
    if as_json:
        write_json(
            [
                {"broadcast": one.name, "local": at.local.isoformat(), "zone": _zone(one.schedule), "at": at.at}
                | {"note": at.note}
                for one, at in found
            ]
        )
        return
    if not found:
        out.print("nothing goes out by itself")
        return
    made = table("broadcast", "local time", "time zone", "UTC", "note", whole=("broadcast", "local time", "UTC"))
    for one, at in found:
        made.add_row(*cells(one.name, _local(at), _zone(one.schedule), f"{at.at:%Y-%m-%d %H:%M}", at.note))
    out.print(made)


@broadcasts.command("preview")
def preview_broadcast(
    name: Name,
    few: Annotated[int, typer.Option("--few", help="How many are taken at random.", min=0, max=100)] = 3,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """What it would say to the first, the longest and a few others, and who would get nothing. Nothing is sent."""
    with explained():
        settings = settings_of(config)
        made, file = asyncio.run(_preview(settings, _checked(settings), name, few))
    if as_json:
        shown = [_shown_as_json(why, one) for why, one in made.shown.items()]
        wrong = [_wrong_as_json(one, file) for one in made.wrong]
        write_json({"people": made.people, "skipped": made.skipped, "shown": shown, "wrong": wrong})
        return
    for why, one in made.shown.items():
        line = f", line {one.line}" if one.line else ""
        said(f"--- {why}: {say_address(one.to)}{line}", style="bold")
        said(text_of(one).text)
        out.print()
    out.print(f"{made.people:,} would get it")
    for why, many in made.skipped.most_common():
        said(f"{many:,} would not: {why}")
    for one in made.wrong:
        where = str(Place(file=file, line=one.line, column=1)) if one.line else say_address(one.to)
        said(f"{where}: {one.detail}")
    if more := made.all_wrong - len(made.wrong):
        out.print(f"and {more:,} more")


async def _preview(settings: Settings, checked: Checked, name: str, few: int) -> tuple[Preview, str]:
    """The preview, and the path of the audience's file, "" where it has none."""
    rulebook = checked.sound()
    broadcast = _named(name, rulebook.broadcasts)
    clock, zone = SystemClock(), settings.rulebook.timezone
    asked = Asked(broadcast=name, moment="preview", at=clock.now(), asked_by="person")
    plan = plan_of(broadcast, rulebook.audiences[broadcast.audience], checked.templates, zone.key, asked)
    accounts = _accounts(settings)
    with _store_if_any(settings) as connection:

        async def look(met: Callable[[Connection], Sequence[Met]]) -> Sequence[Met]:
            return met(connection) if connection else ()

        async with Door(clock) as door:
            chance = SystemChance()
            calls = OwnCalls(clock, accounts)
            audiences = Audiences(door=door, calls=calls, clock=clock, chance=chance, within=PATIENCE)
            met = MetPeople(look, accounts, clock, zone, lambda: rulebook.calendars)
            sources = Sources(directory=settings.directory, met=met, asked=AskedPeople(audiences, accounts))
            known = sender_of(plan, accounts)
            found, composer = people(plan, known, sources, None), Composer(plan, accounts, zone)
            made = await preview(found, composer, known, connection, clock, chance, few)
            return made, "" if plan.file is None else plan.file.path


@contextmanager
def _store_if_any(settings: Settings) -> Iterator[Connection | None]:
    """What is remembered of people, where anything is."""
    there = settings.store.file is None or settings.store.file.exists()
    with visit_store(settings.store.url) if there else nullcontext() as engine:
        if engine is None:
            yield None
        else:
            with engine.connect() as connection:
                yield connection


@broadcasts.command("send")
def send_broadcast(
    name: Name,
    to_self: Annotated[
        list[str] | None,
        typer.Option("--to-self", help="Only to this address, as the first recipient would get it: key=value."),
    ] = None,
    variables: Annotated[
        list[str] | None, typer.Option("--with", help="A variable for its templates: key=value; repeatable.")
    ] = None,
    config: Config = None,
) -> None:
    """Start it now. A running server begins within a second; `replybridge broadcasts status` tells how far it is."""
    with explained():
        settings = settings_of(config)
        rulebook = _checked(settings, settings.directory).sound()
        broadcast = _named(name, rulebook.broadcasts)
        account = settings.accounts[broadcast.via]
        known = Known(account=account, adapter=ADAPTERS[account.platform])
        audience = rulebook.audiences[broadcast.audience]
        if isinstance(audience, FileAudience):
            # Said now rather than by a run that has failed.
            AudienceFile(audience, settings.directory, to=broadcast.to, keys=known.adapter.to_keys).close()
        only = pairs(to_self or (), "--to-self")
        now = SystemClock().now()
        check_address(only, known.adapter)
        if only and (failed := refusal_of_message(Reply(text="x"), only, known, now)) is not None:
            raise BridgeError(failed.detail)
        asked = Asked(
            broadcast=name,
            moment=f"by hand {now:%Y-%m-%d %H:%M:%S} {SystemChance().token()[:6]}",
            at=now,
            asked_by="person",
            only=only,
            variables=pairs(variables or (), "--with"),
        )
        with visit_store(settings.store.url) as engine, engine.begin() as connection:
            (number,) = runs.ask(connection, [asked])
    whom = f"only to {say_address(only)}" if only else f"to everybody in {broadcast.audience}"
    said(f"run {number}: {name}, {whom}; see replybridge broadcasts status {number}")


@broadcasts.command("status")
def show_status(
    number: Annotated[int | None, typer.Argument(metavar="[RUN]", help="One run; without it, the newest.")] = None,
    config: Config = None,
    once: Annotated[bool, typer.Option("--once", help="Do not go on watching a run that goes on.")] = False,
    as_json_: AsJson = False,
) -> None:
    """How far runs are. On a terminal a run that goes on is watched until it ends; Ctrl-C ends the watching only."""
    with explained():
        settings = settings_of(config)
        accounts = _accounts(settings)
        with visit_store(settings.store.url) as engine:
            if number is None:
                with engine.connect() as connection:
                    _list_runs(connection, accounts, as_json_)
                return

            def look() -> Status:
                with engine.connect() as connection:
                    return status_of(connection, number, SystemClock().now(), accounts)

            found = look()
            if as_json_:
                write_json(as_json(found))
            elif once or not out.is_terminal or found.run.state not in GOING:
                out.print(picture(found))
            else:
                asyncio.run(_watch(look, found))


async def _watch(look: Callable[[], Status], found: Status) -> None:
    clock = SystemClock()
    with Live(picture(found), console=out, auto_refresh=False) as live:
        while found.run.state in GOING:
            await clock.sleep(1)
            found = look()
            live.update(picture(found), refresh=True)


def _list_runs(connection: Connection, accounts: Accounts, to_programs: bool) -> None:
    found = runs.newest(connection)
    if to_programs:
        now = SystemClock().now()
        write_json([as_json(status_of(connection, run.id, now, accounts)) for run in found])
    elif not found:
        out.print("nothing was sent yet; `replybridge broadcasts send NAME` starts a broadcast")
    else:
        out.print(listing(found, {run.id: tally.counts(connection, run.id) for run in found}))


broadcasts.command("pause")(pause_run)
broadcasts.command("resume")(resume_run)
broadcasts.command("cancel")(cancel_run)
broadcasts.command("retry")(retry_run)
broadcasts.command("export")(export_run)


def _checked(settings: Settings, audiences: Path | None = None) -> Checked:
    """The rulebook; with its audience files, where it is said what their paths are relative to."""
    given = settings.rulebook
    return check(
        rules=given.rules,
        templates=given.templates,
        timezone=given.timezone,
        accounts=_accounts(settings),
        audiences=audiences,
    )


def _accounts(settings: Settings) -> Accounts:
    return Accounts(settings.accounts.values(), ADAPTERS)


def _named(name: str, known: Mapping[str, Broadcast]) -> Broadcast:
    if name not in known:
        hint = did_you_mean(name, sorted(known)) or (f"; there are {', '.join(sorted(known))}" if known else "")
        raise BridgeError(f'there is no broadcast "{name}"{hint}')
    return known[name]


def _coming(broadcast: Broadcast, now: datetime) -> Iterator[tuple[Broadcast, Moment]]:
    return ((broadcast, at) for at in upcoming(broadcast.schedule, now, broadcast.clock_change))


def say_schedule(schedule: Schedule) -> str:
    match schedule:
        case Cron(text=text):
            return f"{text} ({_zone(schedule)})"
        case At(local=local):
            return f"at {local:%Y-%m-%d %H:%M} ({_zone(schedule)})"
        case Every(interval=interval):
            return f"every {say_duration(interval)}"
    return "by hand"


def _zone(schedule: Schedule) -> str:
    return "" if isinstance(schedule, ByHand) else schedule.zone.key


def _local(at: Moment) -> str:
    return f"{at.local:%a %Y-%m-%d %H:%M}"


def _broadcast_as_json(one: Broadcast, at: Moment | None) -> Mapping[str, object]:
    return {
        "name": one.name,
        "schedule": say_schedule(one.schedule),
        "via": one.via,
        "audience": one.audience,
        "next": None if at is None else {"local": at.local.isoformat(), "at": at.at, "note": at.note},
    }


def _shown_as_json(why: str, one: Planned) -> Mapping[str, object]:
    reply = text_of(one)
    return {"why": why, "to": one.to, "line": one.line, "text": reply.text, "format": reply.format}


def _wrong_as_json(one: Planned, file: str) -> Mapping[str, object]:
    return {"to": one.to, "file": file or None, "line": one.line or None, "reason": one.reason, "why": one.detail}
