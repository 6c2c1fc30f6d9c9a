"""`replybridge deliveries`: look at them, send again what was given up, call off what is still to be sent."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Annotated

import typer
from sqlalchemy import Connection, Engine

from bridge.cli.options import Config, settings_of
from bridge.cli.printing import cells, explained, moment, out, table, told, write_json
from bridge.cli.wording import say_address, say_command, say_reply
from bridge.clock import SystemClock
from bridge.errors import BridgeError, did_you_mean
from bridge.model.delivery import REASONS, STATES
from bridge.model.quantity import parse_duration, say_count
from bridge.settings import Settings
from bridge.store import history, intervene
from bridge.store.store import visit_store

MOST_LISTED = 100
"""Numbers that are still written out one by one."""

deliveries = typer.Typer(
    help="Look at deliveries, send again what was given up, call off what is still to be sent.", no_args_is_help=True
)

HIGHEST = 2**63 - 1
"""No store has a higher number."""
Number = Annotated[int, typer.Argument(min=1, max=HIGHEST, help="The delivery's number.")]
Numbers = Annotated[list[int] | None, typer.Argument(min=1, max=HIGHEST, help="The deliveries' numbers.")]
OfAccount = Annotated[str | None, typer.Option("--account", help="Only deliveries by this account.")]
WithReason = Annotated[str | None, typer.Option("--reason", help=f"Only with this reason: {', '.join(REASONS)}.")]
Since = Annotated[str | None, typer.Option("--since", help='Only those made in this time: "2h", "3 days".')]


@deliveries.command("list")
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
    with explained():
        chosen, settings = _filter((), (state,) if state else (), account, reason, since), settings_of(config)
        with visit_store(settings.store.url) as engine, engine.connect() as connection:
            found = history.list_deliveries(connection, chosen, most)
    if as_json:
        for listed in found:
            write_json(listed)
        return
    if not found:
        narrowed = state or account or reason or since
        out.print(("no deliveries like that" if narrowed else "no deliveries yet") + _hint(account, settings))
        return
    whole = ("number", "state", "tries")
    listing = table(*whole, "account", "rule", "made (UTC)", "why", whole=whole)
    for listed in found:
        d = listed.delivery
        why = (_why(listed) or "")[:120] or None
        listing.add_row(*cells(d.id, listed.state, d.attempts, d.account, d.rule, moment(d.created_at), why))
    out.print(listing)


def _why(listed: history.Listed) -> str | None:
    """'auth: 401: apiKey: wrong'; what was held back has no reason of the list, only words."""
    return ": ".join(part for part in (listed.reason, listed.detail) if part) or None


@deliveries.command("show")
def show_delivery(number: Number, config: Config = None) -> None:
    """One delivery, whole: what it says, every attempt with status and answer, and which rules looked at its event."""
    with explained():
        with visit_store(settings_of(config).store.url) as engine, engine.connect() as connection:
            story = history.tell(connection, number)
        if story is None:
            raise BridgeError(f"there is no delivery {number}; `replybridge deliveries list` shows the newest")
    listed = story.listed
    d = listed.delivery
    rows = {
        "delivery": f"{d.id}, {listed.state}" + (f", reference {listed.reference}" if listed.reference else ""),
        "reason": _why(listed),
        "due": _due(listed),
        "expires": f"{moment(d.expires_at)} UTC" if d.expires_at and listed.finished_at is None else None,
        "unsure": f"since {moment(d.unsure_since)} UTC whether it arrived" if d.unsure_since else None,
        "made": f"{moment(d.created_at)} UTC by rule {d.rule}, action {d.action}",
        "by": f"account {d.account}",
        "to": say_address(d.to),
        "event": f"{d.event}: {story.event.kind} in conversation {story.event.conversation}" if story.event else None,
        "rules": "; ".join(map(_step, story.trace)) or None,
        **dict(say_reply(d.reply) if d.command is None else say_command(d.command)),
        "attempts": "\n".join(_attempt(count, one) for count, one in enumerate(story.tries, 1)) or "none yet",
    }
    for name, value in rows.items():
        if value:
            told(name, value)


def _due(listed: history.Listed) -> str | None:
    """When it is to be sent; None where it is not."""
    if listed.state != "queued":
        return None
    return f"{moment(listed.due_at)} UTC" if listed.due_at else "after what comes before it in its conversation"


def _attempt(count: int, one: history.Try) -> str:
    """'2: 2026-03-27 12:00:05 UTC, 7 ms, failed (auth): 401: the key is wrong'."""
    outcome = f"{one.outcome} ({one.reason})" if one.reason else one.outcome
    said = [one.detail] if one.detail else []
    if one.status and not (one.answer and one.detail and one.answer in one.detail):
        said.append(f"the platform answered {one.status} {one.answer or ''}".rstrip())
    return f"{count}: {moment(one.at)} UTC, {one.took} ms, {outcome}" + "".join(f": {words}" for words in said)


def _step(step: Mapping[str, object]) -> str:
    """One step of the trace: 'price-question fired', 'greeting limited: 1 per conversation, ever'."""
    said = [key if value is True else f"{key}: {value}" for key, value in step.items() if key != "rule"]
    return f"{step.get('rule')} {', '.join(said)}"


@deliveries.command("replay")
def replay_deliveries(
    numbers: Numbers = None,
    config: Config = None,
    account: OfAccount = None,
    reason: WithReason = None,
    since: Since = None,
    everything: Annotated[bool, typer.Option("--all", help="All dead and unknown deliveries.")] = False,
) -> None:
    """Send dead and unknown deliveries again. A running server takes them up within a second."""
    with explained():
        chosen = _chosen(numbers, account, reason, since, everything=everything)
        settings = settings_of(config)
        now = SystemClock().now()

        def expires_in(name: str) -> timedelta:
            known = settings.accounts.get(name)
            return known.expires if known else timedelta(hours=1)

        with visit_store(settings.store.url) as engine:
            queued = bit_by_bit(
                engine, lambda connection: intervene.replay(connection, chosen, now, expires_in, intervene.AT_ONCE)
            )
            left = _left(engine, numbers or (), queued)
    if queued:
        out.print(f"queued again: {_listed(queued)}")
    if left:
        out.print(f"left alone, because neither dead nor unknown, or with nothing to send: {left}")
    elif not queued:
        hint = _hint(account, settings)
        out.print(f"nothing to replay: no such delivery is dead or unknown and has something to send{hint}")


@deliveries.command("cancel")
def cancel_deliveries(
    numbers: Numbers = None,
    config: Config = None,
    account: OfAccount = None,
    reason: WithReason = None,
    since: Since = None,
    everything: Annotated[bool, typer.Option("--all", help="All queued deliveries.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether that many are meant.")] = False,
) -> None:
    """Call off queued deliveries: they are never sent. What is being sent already goes on."""
    with explained():
        chosen = _chosen(numbers, account, reason, since, everything=everything)
        settings = settings_of(config)
        with visit_store(settings.store.url) as engine:
            if not numbers and not yes:
                with engine.connect() as connection:
                    meant = intervene.count_cancellable(connection, chosen)
                if meant:
                    typer.confirm(f"cancel {say_count(meant, 'delivery', 'deliveries')}?", abort=True)
            now = SystemClock().now()
            gone = bit_by_bit(engine, lambda connection: intervene.cancel(connection, chosen, now, intervene.AT_ONCE))
            left = _left(engine, numbers or (), gone)
    if gone:
        out.print(f"cancelled: {_listed(gone)}")
    if left:
        out.print(f"left alone, because not queued: {left}")
    elif not gone:
        out.print(f"nothing to cancel: no such delivery is queued{_hint(account, settings)}")


def bit_by_bit(engine: Engine, change: Callable[[Connection], Sequence[int]]) -> list[int]:
    """Change some at a time, each time in a short transaction, until none is left; gives the numbers of all."""
    changed: list[int] = []
    while True:
        with engine.begin() as connection:
            some = change(connection)
        # Fewer than were asked for are not the last: on PostgreSQL those of busy lanes are left for the next time.
        if not some:
            return changed
        changed += some


def _left(engine: Engine, numbers: Sequence[int], changed: Sequence[int]) -> str:
    """Those of the numbers that were not changed, with how they stand: '6 (sent), 99 (no such delivery)'."""
    left = sorted(set(numbers).difference(changed))
    if not left:
        return ""
    with engine.connect() as connection:
        found = history.list_deliveries(connection, intervene.Filter(numbers=tuple(left)), len(left))
    states = {listed.delivery.id: listed.state for listed in found}
    return ", ".join(f"{number} ({states.get(number, 'no such delivery')})" for number in left)


def _listed(numbers: Sequence[int]) -> str:
    """The numbers, or how many they are where nobody would read them all."""
    if len(numbers) > MOST_LISTED:
        return say_count(len(numbers), "delivery", "deliveries")
    return ", ".join(map(str, numbers))


def _hint(account: str | None, settings: Settings) -> str:
    """Nothing was found: perhaps because the account's name is misspelt."""
    if account is None or account in settings.accounts:
        return ""
    return f"; the settings have no account {account}{did_you_mean(account, sorted(settings.accounts))}"


def _chosen(
    numbers: Sequence[int] | None, account: str | None, reason: str | None, since: str | None, *, everything: bool
) -> intervene.Filter:
    """Those to act upon, of which a person has to say something. Raises BridgeError where they do not."""
    if not (numbers or account or reason or since or everything):
        raise BridgeError("say which: numbers, --account, --reason, --since, or --all")
    return _filter(tuple(numbers or ()), (), account, reason, since)


def _filter(
    numbers: tuple[int, ...], states: tuple[str, ...], account: str | None, reason: str | None, since: str | None
) -> intervene.Filter:
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
    return intervene.Filter(numbers=numbers, states=wanted, account=account, reason=reason, since=begin)
