"""The command `replybridge`. Exit codes: 0 all is well; 1 the rulebook has errors; 2 it could not be done."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bridge.app import Ready, note_ready
from bridge.app import serve as serve_bridge
from bridge.clock import SystemClock
from bridge.errors import BridgeError, Problem, did_you_mean
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
# Into a pipe or a file nothing is cut or wrapped: programs read it there, or a person with a pager.
out = Console(width=None if sys.stdout.isatty() else 10_000, highlight=False)
err = Console(stderr=True, highlight=False)


def main() -> None:
    app(prog_name="replybridge")


def _say_version(asked: bool) -> None:
    if asked:
        out.print(f"replybridge {version('replybridge')}")
        raise typer.Exit


@app.callback()
def options(
    _: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_say_version, is_eager=True)
    ] = False,
) -> None:
    """Connects chat events to actions: webhooks in, rules and templates, durable replies out."""


@app.command()
def serve(config: Config = None) -> None:
    """Take webhooks in, answer by the rules, deliver the replies."""
    with _explained():
        settings = _settings(config)
        configure_logging(settings.log.format, settings.log.level)
        if not sys.stderr.isatty() or settings.log.format == "json":
            serve_bridge(settings, note_ready)
            return
        serve_bridge(settings, lambda ready: err.print(_greeting(ready, settings), soft_wrap=True))


def _greeting(ready: Ready, settings: Settings) -> Text:
    """For a person at a terminal: where everything is, and what to do next."""
    rules, templates = _near(settings.rulebook.rules), _near(settings.rulebook.templates)
    told = [("listens at", ready.listen)]
    told += [("web chat", address) for address in ready.pages.values()]
    told += [("webhooks", f"{address}  (account {name})") for name, address in ready.webhooks.items()]
    told += [
        ("rules", f"{_count(ready.rules, 'rule')} from {rules}/, templates from {templates}/"),
        ("settings", _near(settings.file) if settings.file else "the built-in ones, because there is no bridge.toml"),
        ("changes", "are taken up at the next start; `replybridge check` tells before whether all is sound"),
    ]
    text = Text(f"\nreplybridge {version('replybridge')} is ready. Ctrl-C stops it.\n\n", style="bold")
    for name, value in told:
        text.append(f"  {name:10}  ", style="not bold dim").append(f"{_shown(value)}\n", style="not bold")
    return text


def _near(path: Path) -> str:
    """A path as people say it where they stand."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


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
    rules = len(checked.rulebook.rules) if checked.rulebook else 0
    if as_json:
        found = [_as_json(problem) for problem in checked.problems]
        _write_json({"problems": found, "rules": rules, "examples": checked.examples})
        raise typer.Exit(1 if checked.errors else 0)
    for problem in checked.problems:
        out.print(Text(_shown(str(problem)), style="yellow" if problem.warning else "red"), soft_wrap=True)
    errors = len(checked.errors)
    found_text = f"{_count(errors, 'error')}, {_count(len(checked.problems) - errors, 'warning')}"
    if errors:
        out.print(f"{found_text}: this rulebook cannot be used until the errors are mended")
        raise typer.Exit(1)
    tried = f"{_count(rules, 'rule')}, {_count(checked.examples, 'example')}"
    nothing = f"there are no rules in {_near(folders.rules)}, so nothing will be answered"
    out.print(f"{tried}: {found_text if checked.problems else 'all sound' if rules else nothing}")


def _as_json(problem: Problem) -> Mapping[str, object]:
    return {
        "file": problem.place.file,
        "line": problem.place.line,
        "column": problem.place.column,
        "severity": "warning" if problem.warning else "error",
        "message": problem.message,
    }


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
    most: Annotated[int, typer.Option("--most", min=1, help="At most so many, the newest first.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """The newest deliveries."""
    with _explained():
        chosen, settings = _filter((), (state,) if state else (), account, reason, since), _settings(config)
        with visit_store(settings.store.url) as engine, engine.connect() as connection:
            found = history.list_deliveries(connection, chosen, most)
    if as_json:
        for listed in found:
            _write_json(listed)
        return
    if not found:
        narrowed = state or account or reason or since
        out.print(("no deliveries like that" if narrowed else "no deliveries yet") + _hint(account, settings))
        return
    table = _table("number", "state", "tries", "account", "rule", "made (UTC)", "why")
    for listed in found:
        d = listed.delivery
        why = f"{listed.reason}: {listed.detail or ''}"[:120] if listed.reason else None
        table.add_row(*_cells(d.id, listed.state, d.attempts, d.account, d.rule, _time(d.created_at), why))
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
        "due": f"{_time(listed.due_at)} UTC" if listed.due_at and listed.state == "queued" else None,
        "made": f"{_time(d.created_at)} UTC by rule {d.rule}, action {d.action}",
        "by": f"account {d.account}",
        "to": ", ".join(f"{key} {value}" for key, value in d.to.items()),
        "event": f"{d.event}: {story.event.kind} in conversation {story.event.conversation}" if story.event else None,
        "rules": "; ".join(map(_step, story.trace)) or None,
        "text": d.reply.text,
        "attempts": "\n".join(_attempt(count, one) for count, one in enumerate(story.tries, 1)) or "none yet",
    }
    for name, value in rows.items():
        if value:
            out.print(Text.assemble((f"{name:9}", "bold"), _shown(value).replace("\n", "\n" + " " * 9)), soft_wrap=True)


def _attempt(count: int, one: history.Try) -> str:
    """'2: 2026-03-27 12:00:05 UTC, 7 ms, failed (auth): 401: the key is wrong'."""
    outcome = f"{one.outcome} ({one.reason})" if one.reason else one.outcome
    said = [one.detail] if one.detail else []
    if one.status and not (one.answer and one.detail and one.answer in one.detail):
        said.append(f"the platform answered {one.status} {one.answer or ''}".rstrip())
    return f"{count}: {_time(one.at)} UTC, {one.took} ms, {outcome}" + "".join(f": {words}" for words in said)


def _step(step: Mapping[str, object]) -> str:
    """One step of the trace: 'price-question fired', 'greeting limited: 1 per conversation, ever'."""
    said = [key if value is True else f"{key}: {value}" for key, value in step.items() if key != "rule"]
    return f"{step.get('rule')} {', '.join(said)}"


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
    if queued:
        out.print(f"queued again: {', '.join(map(str, queued))}")
    if left := sorted(set(numbers or ()).difference(queued)):
        out.print(f"left alone, because neither dead nor unknown: {', '.join(map(str, left))}")
    elif not queued:
        out.print(f"nothing to replay: no such delivery is dead or unknown{_hint(account, settings)}")


def _write_json(value: object) -> None:
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")


def _table(*names: str) -> Table:
    """On a narrow terminal the longer columns are folded."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
    for name in names:
        table.add_column(name, no_wrap=name in ("number", "state", "tries"), overflow="fold")
    return table


def _cells(*values: object) -> Iterator[Text]:
    return (Text("" if value is None else _shown(str(value))) for value in values)


def _shown(text: str) -> str:
    """What customers and platforms wrote may not move the cursor, colour the terminal or turn the writing round."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _hint(account: str | None, settings: Settings) -> str:
    """Nothing was found: perhaps because the account's name is misspelt."""
    if account is None or account in settings.accounts:
        return ""
    return f"; the settings have no account {account}{did_you_mean(account, sorted(settings.accounts))}"


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
    except OverflowError:
        raise BridgeError(f'--since: "{since}" reaches back to before the calendar begins') from None
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
        err.print(Text(_shown(str(error)), style="red"), soft_wrap=True)
        raise typer.Exit(2) from None
    except OSError as error:
        if error.filename is None:
            raise
        # The data directory above all: what may not be read or written is told by the system with its path.
        err.print(Text(_shown(f"{error.filename}: {error.strerror}"), style="red"), soft_wrap=True)
        raise typer.Exit(2) from None
