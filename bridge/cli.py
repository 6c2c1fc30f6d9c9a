"""The command `replybridge`."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bridge.app import serve as serve_bridge
from bridge.clock import SystemClock
from bridge.errors import BridgeError, did_you_mean
from bridge.lab.check import check as check_rulebook
from bridge.line.accounts import Accounts
from bridge.model.delivery import REASONS, STATES
from bridge.model.quantity import parse_duration
from bridge.observe import configure_logging
from bridge.platforms.registry import ADAPTERS
from bridge.settings import Settings, load_settings
from bridge.store import history, outgoing
from bridge.store.store import visit_store

app = typer.Typer(
    help="Connects chat events to actions: webhooks in, rules and templates, durable replies out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
deliveries_app = typer.Typer(help="Look at deliveries, and send again what was given up.", no_args_is_help=True)
app.add_typer(deliveries_app, name="deliveries")

Config = Annotated[
    Path | None, typer.Option("--config", "-c", help="The settings file (default: bridge.toml, if there is one).")
]
out = Console()
err = Console(stderr=True)


def main() -> None:
    app()


@app.command()
def serve(config: Config = None) -> None:
    """Take webhooks in, answer by the rules, deliver the replies."""
    with _explained():
        settings = _settings(config)
        configure_logging(settings.log.format, settings.log.level)
        serve_bridge(settings)


@app.command()
def check(
    config: Config = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write what was found as JSON.")] = False,
) -> None:
    """Is everything sound: settings, rules, templates, examples?

    Exit code 0: yes (there may be warnings); 1: the rulebook has errors; 2: it could not be checked.
    """
    with _explained():
        settings = _settings(config)
        accounts = Accounts(settings.accounts.values(), ADAPTERS)
        folders = settings.rulebook
        checked = check_rulebook(
            rules=folders.rules,
            templates=folders.templates,
            timezone=folders.timezone,
            accounts=accounts,
            examples_at=SystemClock().now(),
        )
    errors, rules = len(checked.errors), len(checked.rulebook.rules) if checked.rulebook else 0
    warnings = len(checked.problems) - errors
    if as_json:
        found = [
            {
                "file": problem.place.file,
                "line": problem.place.line,
                "column": problem.place.column,
                "severity": "warning" if problem.warning else "error",
                "message": problem.message,
            }
            for problem in checked.problems
        ]
        sys.stdout.write(orjson.dumps({"problems": found, "rules": rules}).decode() + "\n")
    else:
        for problem in checked.problems:
            out.print(Text(str(problem), style="yellow" if problem.warning else "red"), soft_wrap=True)
        said = f"{rules} rules, {checked.examples} examples: "
        out.print(said + (f"{errors} errors, {warnings} warnings" if checked.problems else "all sound"))
    raise typer.Exit(1 if errors else 0)


Number = Annotated[int, typer.Argument(help="The delivery's number.")]
OfAccount = Annotated[str | None, typer.Option("--account", help="Only deliveries by this account.")]
WithReason = Annotated[str | None, typer.Option("--reason", help=f"Only with this reason: {', '.join(REASONS)}.")]
Since = Annotated[str | None, typer.Option("--since", help='Only those made in this time: "2h", "3 days".')]


@deliveries_app.command("list")
def list_deliveries(
    config: Config = None,
    state: Annotated[str | None, typer.Option("--state", help=f"Only in this state: {', '.join(STATES)}.")] = None,
    account: OfAccount = None,
    reason: WithReason = None,
    since: Since = None,
    most: Annotated[int, typer.Option("--most", help="At most so many, the newest first.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """The newest deliveries."""
    with _explained():
        chosen = _filter((), (state,) if state else (), account, reason, since)
        with visit_store(_settings(config).store.url) as engine, engine.connect() as connection:
            found = history.list_deliveries(connection, chosen, most)
    if as_json:
        for listed in found:
            sys.stdout.write(orjson.dumps(listed).decode() + "\n")
        return
    table = Table("number", "state", "account", "rule", "tries", "made", "reason", "detail")
    for listed in found:
        d = listed.delivery
        made = f"{d.created_at:%Y-%m-%d %H:%M:%S}"
        detail = " ".join((listed.detail or "").split())[:100]
        cells = (str(d.id), listed.state, d.account, d.rule, str(d.attempts), made, listed.reason or "", detail)
        table.add_row(*(Text(cell) for cell in cells))
    out.print(table)


@deliveries_app.command("show")
def show_delivery(number: Number, config: Config = None) -> None:
    """One delivery, whole: what it says, every attempt with status and answer, and which rules looked at its event."""
    with _explained():
        with visit_store(_settings(config).store.url) as engine, engine.connect() as connection:
            story = history.tell(connection, number)
        if story is None:
            raise BridgeError(f"there is no delivery {number}; `replybridge deliveries list` shows the newest")
    listed = story.listed
    d = listed.delivery
    rows = {
        "delivery": f"{d.id}, {listed.state}",
        "reason": f"{listed.reason}: {listed.detail}" if listed.reason else None,
        "due": f"{listed.due_at:%Y-%m-%d %H:%M:%S} UTC" if listed.due_at and listed.state == "queued" else None,
        "made": f"{d.created_at:%Y-%m-%d %H:%M:%S} UTC by rule {d.rule}, action {d.action}",
        "by": f"account {d.account}",
        "to": ", ".join(f"{key} {value}" for key, value in d.to.items()),
        "text": d.reply.text,
        "event": f"{d.event}: {story.event.kind} in conversation {story.event.conversation}" if story.event else None,
        "rules": "; ".join(", ".join(f"{k}: {v}" for k, v in step.items()) for step in story.trace) or None,
    }
    for name, value in rows.items():
        if value:
            out.print(Text.assemble((f"{name:9}", "bold"), value), soft_wrap=True)
    table = Table("attempt", "at (UTC)", "took", "outcome", "status", "detail", "answer")
    for count, one in enumerate(story.tries, 1):
        outcome = f"{one.outcome} ({one.reason})" if one.reason else one.outcome
        cells = (str(count), f"{one.at:%H:%M:%S.%f}"[:-3], f"{one.took} ms", outcome, str(one.status or ""))
        table.add_row(*(Text(cell) for cell in (*cells, one.detail or "", one.answer or "")))
    out.print(table)


@deliveries_app.command("replay")
def replay_deliveries(
    numbers: Annotated[list[int] | None, typer.Argument(help="The deliveries' numbers.")] = None,
    config: Config = None,
    account: OfAccount = None,
    reason: WithReason = None,
    since: Since = None,
    everything: Annotated[bool, typer.Option("--all", help="All dead and unknown deliveries.")] = False,
) -> None:
    """Send dead and unknown deliveries again. A running server takes them up within a second."""
    with _explained():
        if not (numbers or account or reason or since or everything):
            raise BridgeError("say which: numbers, --account, --reason, --since, or --all")
        settings = _settings(config)
        chosen = _filter(tuple(numbers or ()), (), account, reason, since)

        def expires_in(name: str) -> timedelta:
            known = settings.accounts.get(name)
            return known.expires if known else timedelta(hours=1)

        with visit_store(settings.store.url) as engine, engine.begin() as connection:
            queued = outgoing.replay(connection, chosen, SystemClock().now(), expires_in)
    out.print(f"queued again: {', '.join(map(str, queued)) or 'none is dead or unknown'}")


def _filter(
    numbers: tuple[int, ...], states: tuple[str, ...], account: str | None, reason: str | None, since: str | None
) -> outgoing.Filter:
    for given, known, what in ((states[0] if states else None, STATES, "state"), (reason, REASONS, "reason")):
        if given is not None and given not in known:
            raise BridgeError(f"{what} {given}: not one of {', '.join(known)}{did_you_mean(given, known)}")
    try:
        begin = SystemClock().now() - parse_duration(since) if since else None
    except ValueError as error:
        raise BridgeError(f"--since: {error}") from None
    wanted = tuple(state for state in STATES if state in states)
    return outgoing.Filter(numbers=numbers, states=wanted, account=account, reason=reason, since=begin)


def _settings(config: Path | None) -> Settings:
    return load_settings(config, os.environ)


@contextmanager
def _explained() -> Iterator[None]:
    """What a person has to mend is said in words, without a traceback; exit code 2."""
    try:
        yield
    except BridgeError as error:
        err.print(Text(str(error), style="red"), soft_wrap=True)
        raise typer.Exit(2) from None
