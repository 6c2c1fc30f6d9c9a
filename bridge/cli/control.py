"""The hands on a run that is going out: pause, resume, cancel, retry, export."""

import csv
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, TextIO

import msgspec
import typer
from sqlalchemy import Connection

from bridge.cli.options import Config, settings_of
from bridge.cli.printing import explained, said
from bridge.cli.runs import run_of
from bridge.clock import SystemClock
from bridge.errors import BridgeError
from bridge.model.broadcast import RunState
from bridge.model.quantity import say_count
from bridge.store import runs, tally
from bridge.store.store import visit_store

Number = Annotated[int, typer.Argument(help="The run's number; `replybridge broadcasts status` lists them.")]
GOING: tuple[RunState, ...] = ("asked", "planning", "running")


def pause_run(number: Number, config: Config = None) -> None:
    """Let nothing more go, until `resume`. What is on its way to the platform arrives yet."""
    with explained(), _changing(config) as connection:
        _change(connection, number, ("planning", "running"), "paused", "by a person")
        runs.hold_back(connection, [number])
        under_way = tally.counts(connection, number).get("claimed", 0)
    said(f"run {number} is paused" + (f"; still on the way: {under_way:,}" if under_way else ""))


def resume_run(number: Number, config: Config = None) -> None:
    """Have a paused run go on from where it was. The failures until now are not held against it any more."""
    with explained(), _changing(config) as connection:
        to: RunState = "running" if run_of(connection, number).planned_at else "planning"
        if run_of(connection, number).plan is None:
            to = "asked"
        _change(connection, number, ("paused",), to, None)
    said(f"run {number} goes on")


def cancel_run(number: Number, config: Config = None) -> None:
    """End a run: whoever has not got it yet will not. It cannot go on afterwards."""
    with explained():
        with _changing(config) as connection:
            # Cancelled again, it is finished: whoever did so before may have been interrupted.
            _change(connection, number, (*GOING, "paused", "cancelled"), "cancelled", "by a person")
        cut = 0
        while True:
            with _changing(config) as connection:
                (some,) = runs.cut_off(connection, [runs.CutOff(run=number, at=SystemClock().now())])
                counts = tally.counts(connection, number)
            cut += some
            if not some:
                break
    gone, under_way = counts.get("sent", 0), counts.get("claimed", 0)
    under = f", {under_way:,} on the way may arrive yet" if under_way else ""
    said(f"run {number} is cancelled: {gone:,} were out already{under}; {cut:,} will not get it")


def retry_run(
    number: Number,
    config: Config = None,
    unknown: Annotated[
        bool, typer.Option("--unknown", help="Also to those of whom nobody knows whether they got it.")
    ] = False,
) -> None:
    """Send it to those who did not get it because something failed, and to nobody else."""
    again = runs.Again(run=number, at=SystemClock().now(), states=("dead", "unknown") if unknown else ("dead",))
    found, some = 0, 1
    with explained():
        # Some at a time, so that a server that runs need not wait.
        while some:
            with _changing(config) as connection:
                run = run_of(connection, number)
                if run.state not in ("running", "paused", "done"):
                    raise BridgeError(f"run {number} is {run.state}, so there is nothing to send again")
                (some,) = runs.again(connection, [again])
                left, unmade = tally.counts(connection, number).get("unknown", 0), tally.unmade(connection, number)
            found += some
    if found or not unmade:
        nobody = f"nobody of run {number} is left out because something failed"
        said(f"{found:,} will get it again" if found else nobody)
    if left:
        said(f"{left:,} may have got it, so they are left alone; --unknown sends to them, too")
    if unmade:
        said(f"{unmade:,} could not be worded, so there is nothing to send to them; status tells why")


def export_run(
    number: Number,
    config: Config = None,
    to: Annotated[Path | None, typer.Option("--to", help="A file; without it, it is printed.")] = None,
) -> None:
    """What happened to each recipient, as CSV."""
    with explained(), visit_store(settings_of(config).store.url) as engine, engine.connect() as connection:
        run_of(connection, number)
        with nullcontext(sys.stdout) if to is None else to.open("w", encoding="utf-8", newline="") as file:
            written = _write_csv(connection, number, file)
    if to is not None:
        said(f"{say_count(written, 'recipient')} written to {to}")


HEADER = (
    "run", "delivery", "person", "line", "to", "state", "reason", "detail", "attempts", "reference", "due_at",
    "finished_at",
)  # fmt: skip


def _write_csv(connection: Connection, number: int, file: TextIO) -> int:
    writer, written = csv.writer(file), 0
    writer.writerow(HEADER)
    for one in runs.lines(connection, number):
        times = ("" if at is None else at.isoformat() for at in (one.due_at, one.finished_at))
        whom = msgspec.json.encode(one.to).decode() if one.to else ""
        about = (one.state, one.reason, one.detail, one.attempts, one.reference)
        writer.writerow([number, one.delivery, _plain(one.person), one.line, whom, *map(_plain, about), *times])
        written += 1
    return written


def _plain(value: object) -> object:
    """What begins like a formula is text to a spreadsheet, too."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


@contextmanager
def _changing(config: Path | None) -> Iterator[Connection]:
    with visit_store(settings_of(config).store.url) as engine, engine.begin() as connection:
        yield connection


def _change(
    connection: Connection, number: int, come_from: tuple[RunState, ...], to: RunState, detail: str | None
) -> None:
    run = run_of(connection, number)
    forgive = to == "running"
    at = SystemClock().now()
    wanted = runs.Change(run=number, come_from=come_from, to=to, at=at, detail=detail, forgive=forgive)
    if runs.change(connection, [wanted]) != [True]:
        done = "resumed" if to in GOING else to
        which = [state for state in come_from if state != to]
        named = " or ".join(filter(None, (", ".join(which[:-1]), which[-1])))
        raise BridgeError(f"run {number} is {run.state}; only one that is {named} can be {done}")
