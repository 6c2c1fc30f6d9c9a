"""`replybridge backtest`: what an edited rulebook would have done about what is recorded."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from bridge.cli.options import AsJson, Config, settings_of
from bridge.cli.printing import cells, explained, moment, out, said, shown, table, write_json
from bridge.cli.progress import reading
from bridge.cli.rulebook import conversation_of, findings_in, rulebook_in
from bridge.clock import SystemClock
from bridge.errors import BridgeError, did_you_mean
from bridge.lab.backtest import Backtested, Period, Tally, backtest
from bridge.lab.backtest_talks import Difference, Line, Sign
from bridge.model.quantity import parse_duration, say_count
from bridge.settings import Settings
from bridge.store.recorded import Chosen, Extent, Records, recorded

_STYLES: Mapping[Sign, str] = {"-": "red", "+": "green", " ": ""}
_LONGEST_NAME = 24


def run_backtest(
    since: Annotated[str, typer.Option("--since", help='How far back to compare: "7d", "12 hours".')] = "7d",
    rules: Annotated[Path | None, typer.Option("--rules", help="A folder of rules, instead of the settings'.")] = None,
    templates: Annotated[
        Path | None, typer.Option("--templates", help="A folder of templates, instead of the settings'.")
    ] = None,
    account: Annotated[str | None, typer.Option("--account", help="Only the events of this account.")] = None,
    conversation: Annotated[
        str | None, typer.Option("--conversation", help="Only this conversation: its id, or ACCOUNT/ID.")
    ] = None,
    found: Annotated[
        list[str] | None, typer.Option("--found", metavar="OPERATION=JSON", help="What an operation finds.")
    ] = None,
    most: Annotated[int, typer.Option("--most", min=0, help="Show at most so many conversations that differ.")] = 10,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """What would these rules have done about the recorded events? Each rule, then and now, and which replies differ.

    Every event is rehearsed with the clock it was recorded with, so limits, follow-ups and memory come out as they
    would have. Nothing is sent, and nothing is kept.
    """
    with explained():
        settings = settings_of(config)
        period = _period(since)
        findings = findings_in(found or ())
        behaviour = rulebook_in(settings, rules, templates)
        with recorded(settings.store.url) as records:
            chosen = _chosen(records, settings, account, conversation)
            extent = records.extent(chosen)
            with reading("rehearsing", extent.count) as progress:
                result = backtest(records, behaviour, period, chosen, findings=findings, most=most, progress=progress)
    if as_json:
        write_json(_as_json(result))
    elif not result.events:
        said(_nothing(since, extent, chosen))
    else:
        _tell(result)


def _period(since: str) -> Period:
    until = SystemClock().now()
    try:
        return Period(since=until - parse_duration(since), until=until)
    except ValueError as error:
        raise BridgeError(f"--since: {error}") from None
    except OverflowError:
        raise BridgeError(f'--since: "{since}" reaches back to before the calendar begins') from None


def _chosen(records: Records, settings: Settings, account: str | None, conversation: str | None) -> Chosen:
    if conversation is not None:
        name, talk = conversation_of(records.called(conversation), conversation, account)
        return Chosen(account=name, conversation=talk)
    if account is not None and account not in settings.accounts and not records.newest(Chosen(account=account), 1):
        hint = did_you_mean(account, sorted(settings.accounts))
        raise BridgeError(
            f"--account {account}: the settings have no such account, and nothing of it is recorded{hint}"
        )
    return Chosen(account=account)


def _nothing(since: str, extent: Extent, chosen: Chosen) -> str:
    if extent.newest is None:
        return "nothing is recorded yet" if chosen.account is None else "nothing of it is recorded"
    return f"nothing is recorded of the last {since}; the newest event came on {moment(extent.newest)} UTC"


def _tell(result: Backtested) -> None:
    before = f", after {say_count(result.before, 'event')} before that for what is remembered" if result.before else ""
    said(f"{say_count(result.events, 'event')} since {moment(result.since)} UTC{before}")
    for note in result.notes:
        said(f"but {note}", style="yellow")
    out.print()
    _table(result)
    for difference in result.differences:
        _show(difference)
    out.print()
    talks = say_count(result.conversations, "conversation")
    if not result.different:
        said(f"all replies in {talks} would be the same")
        return
    said(f"{result.different} of {talks} would go otherwise")
    if (left := result.different - len(result.differences)) > 0:
        said(f"{left} of them {'is' if left == 1 else 'are'} not shown; --most {result.different} shows all")


def _table(result: Backtested) -> None:
    """The rules that did or do something, those that differ first."""
    active = sorted((one for one in result.rules if one.any), key=lambda one: not one.differs)
    if active:
        names = ("rule", "fired then", "fires now", "replies then", "replies now")
        failing = any(one.failed for one in active)
        listing = table(*names, *(("fails now",) if failing else ()), "where", whole=names)
        for one in active:
            numbers = [one.fired_then, one.fires_now, one.replies_then, one.replies_now]
            row = list(cells(one.rule, *numbers, *([one.failed or ""] if failing else []), one.place or "gone"))
            for text in row if one.differs else ():
                text.stylize("bold")
            listing.add_row(*row)
        out.print(listing)
    idle = len(result.rules) - len(active)
    if idle:
        said(f"{say_count(idle, 'rule')} fired neither then nor now")


def _show(difference: Difference) -> None:
    out.print()
    said(f"{difference.account}/{difference.conversation}", style="bold")
    day: str | None = None
    for sign, line in difference.lines:
        if (today := f"{line.at:%Y-%m-%d}") != day:
            day = today
            said(f"  {day} UTC", style="dim")
        _show_line(sign, line)
    if difference.cut:
        said("  ... and so on", style="dim")


def _show_line(sign: Sign, line: Line) -> None:
    who = shown(line.who.replace("\n", " "))
    who = f"{who[: _LONGEST_NAME - 1]}…" if len(who) > _LONGEST_NAME else who
    indent = "\n" + sign + " " * (10 + _LONGEST_NAME + 1)
    text = Text(f"{sign} {line.at:%H:%M:%S} {who:{_LONGEST_NAME}} {shown(line.text).replace(chr(10), indent)}")
    text.stylize(_STYLES[sign])
    out.print(text, soft_wrap=True)


def _as_json(result: Backtested) -> Mapping[str, object]:
    return {
        "since": result.since,
        "until": result.until,
        "events": result.events,
        "before": result.before,
        "notes": result.notes,
        "rules": [_rule(one) for one in result.rules],
        "conversations": {"all": result.conversations, "different": result.different},
        "differences": [_difference(one) for one in result.differences],
    }


def _rule(one: Tally) -> Mapping[str, object]:
    place = one.place
    return {
        "rule": one.rule,
        "place": None if place is None else {"file": place.file, "line": place.line, "column": place.column},
        "fired": {"then": one.fired_then, "now": one.fires_now},
        "replies": {"then": one.replies_then, "now": one.replies_now},
        "failed": one.failed,
    }


def _difference(one: Difference) -> Mapping[str, object]:
    lines = [{"sign": sign, "at": line.at, "who": line.who, "text": line.text} for sign, line in one.lines]
    return {"account": one.account, "conversation": one.conversation, "lines": lines, "cut": one.cut}
