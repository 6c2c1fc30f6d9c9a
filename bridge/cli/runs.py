"""What is said of the runs of broadcasts, on a terminal and to programs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec import to_builtins
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text
from sqlalchemy import Connection

from bridge.broadcasts.pace import finish, in_a_call
from bridge.broadcasts.plan import read_plan
from bridge.cli.printing import cells, moment, shown, table
from bridge.errors import BridgeError, did_you_mean
from bridge.line.accounts import Accounts, Known
from bridge.model.broadcast import Run
from bridge.model.quantity import Rate, say_count
from bridge.store import runs, tally

LATELY = timedelta(minutes=1)
ENDED = ("sent", "dead", "unknown", "cancelled")


@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """How a run stands. `rate` is in deliveries a second, as seen in the last minute; None: nothing was sent in it."""

    run: Run
    counts: Mapping[str, int]
    reasons: Sequence[tally.Why]
    rate: float | None
    done_at: datetime | None
    quiet_hours: bool

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def ended(self) -> int:
        return sum(self.counts.get(state, 0) for state in ENDED)


def status_of(connection: Connection, number: int, now: datetime, accounts: Accounts) -> Status:
    """Raises BridgeError where there is no such run."""
    run = run_of(connection, number)
    counts = tally.counts(connection, number)
    plan = None if run.plan is None else read_plan(run.plan)
    rate, done_at = None, None
    if run.state == "running" and plan is not None:
        sent = tally.sent_since(connection, number, now - LATELY)
        since = max(run.planned_at or now, now - LATELY)
        lasted = (now - since).total_seconds()
        rate = sent / lasted if sent and lasted >= 1 else None
        remaining = sum(counts.get(state, 0) for state in ("planned", "queued", "claimed"))
        done_at = _done_at(remaining, plan.rate, accounts.get(plan.via), rate, now)
    return Status(
        run=run,
        counts=counts,
        reasons=tally.reasons(connection, number),
        rate=rate,
        done_at=done_at,
        quiet_hours=plan is not None and plan.quiet_hours is not None,
    )


def _done_at(
    remaining: int, rate: Rate | None, known: Known | None, seen: float | None, now: datetime
) -> datetime | None:
    if known is None:
        return finish(remaining, rate, None, seen, now)
    return finish(remaining, rate, known.account.budget, seen, now, in_a_call=in_a_call(known))


def run_of(connection: Connection, number: int) -> Run:
    """Raises BridgeError where there is no such run."""
    run = runs.find(connection, number)
    if run is None:
        known = [str(one.id) for one in runs.newest(connection)]
        hint = did_you_mean(str(number), known) or (f"; the newest is {known[0]}" if known else "; there are none yet")
        raise BridgeError(f"there is no run {number}{hint}")
    return run


def as_json(status: Status) -> Mapping[str, object]:
    run = status.run
    return {
        "run": run.id,
        "broadcast": run.asked.broadcast,
        "moment": run.asked.moment,
        "at": run.asked.at,
        "asked_by": run.asked.asked_by,
        "state": run.state,
        "detail": run.detail,
        "planned_at": run.planned_at,
        "finished_at": run.finished_at,
        "total": status.total,
        "counts": status.counts,
        "duplicates": run.duplicates,
        "reasons": [to_builtins(why) for why in status.reasons],
        "rate": status.rate,
        "done_at": status.done_at,
    }


def listing(found: list[Run], counts: Mapping[int, Mapping[str, int]]) -> Table:
    made = table("run", "broadcast", "moment", "state", "sent", "of", "failed", "why", whole=("run", "state"))
    for run in found:
        own = counts[run.id]
        failed = own.get("dead", 0) + own.get("unknown", 0)
        about = (run.id, run.asked.broadcast, run.asked.moment, run.state)
        made.add_row(*cells(*about, own.get("sent", 0), sum(own.values()), failed, run.detail))
    return made


def picture(status: Status) -> Table:
    """How a run stands, with a bar, for a person."""
    run = status.run
    grid = Table.grid(padding=(0, 2))
    for name, value in _facts(status):
        grid.add_row(Text(name, style="bold"), value)
    if run.state in ("running", "paused", "done", "cancelled") and status.total:
        share = Text(f"{status.ended:,} of {status.total:,} ({100 * status.ended // status.total} %)")
        bar = Table.grid(padding=(0, 1))
        bar.add_row(ProgressBar(total=status.total, completed=status.ended, width=40), share)
        grid.add_row(Text("progress", style="bold"), bar)
    return grid


def _facts(status: Status) -> Iterator[tuple[str, Text]]:
    run = status.run
    yield "run", Text(f"{run.id}: {shown(run.asked.broadcast)}, {shown(run.asked.moment)}, by a {run.asked.asked_by}")
    yield "state", Text(run.state + (f": {shown(run.detail)}" if run.detail else ""))
    if status.counts:
        yield "people", Text(", ".join(f"{many:,} {state}" for state, many in status.counts.items()))
    if run.duplicates:
        yield "twice", Text(f"{say_count(run.duplicates, 'line')} more for people who are there already")
    for one in status.reasons:
        example = f": {shown(one.example)}" if one.example else ""
        yield "", Text(f"{one.count:,} {one.state}: {shown(one.why)}{example}"[:200])
    if status.rate is not None:
        yield "rate", Text(f"{status.rate:,.1f} a second")
    if status.done_at is not None and run.state == "running":
        besides = "; quiet hours come on top" if status.quiet_hours else ""
        yield "finish", Text(f"{moment(status.done_at)} UTC, if it goes on like this{besides}")
