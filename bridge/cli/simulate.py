"""`replybridge simulate`: a recorded webhook through the rules, without sending."""

from pathlib import Path
from typing import Annotated

import typer

from bridge.cli.options import Config, settings_of
from bridge.cli.printing import cells, explained, out, said, table, told
from bridge.cli.rulebook import behaviour_of
from bridge.cli.wording import say_address, say_command, say_event, say_reply, say_value
from bridge.clock import SystemClock
from bridge.errors import BridgeError, did_you_mean
from bridge.lab import recordings
from bridge.lab.simulate import Tried, read_for, suits
from bridge.lab.simulate import simulate as run
from bridge.line.accounts import Accounts, Known
from bridge.line.render import Rendered
from bridge.model.event import Event
from bridge.platforms.registry import ADAPTERS, home


def simulate(
    account: Annotated[str, typer.Argument(help="The account to which it comes.")],
    name: Annotated[
        str | None, typer.Argument(help="A recording of its platform, or a kind of event; none: lists them.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="A recording of your own: the webhook's body, or the whole request.")
    ] = None,
    config: Config = None,
) -> None:
    """A recorded webhook through the rules: what would be sent. Nothing is sent, and nothing is kept."""
    with explained():
        settings = settings_of(config)
        accounts = Accounts(settings.accounts.values(), ADAPTERS)
        known = _known(account, accounts)
        if name is None and file is None:
            _list(known)
            return
        now = SystemClock().now()
        if file is not None:
            recording = recordings.read(file.read_bytes(), str(file), now)
        else:
            recording = recordings.shipped(home(known.adapter.name), str(name), now, lambda one: suits(one, known))
        behaviour = behaviour_of(settings)
        read = read_for(recording, known, now, settings.server.public_url)
        told("webhook", f"{recording.name}, as if it came to account {account} now; its signature is not checked")
        if read.foreign is not None:
            told("", f"read with the options of its recording, because those of {account} refuse it: {read.foreign}")
        for event, tried in run(read, behaviour, now):
            _tell(event, tried)
    out.print()
    said("nothing was sent" if read.events else "it holds no event, so no rule is asked")


def _known(account: str, accounts: Accounts) -> Known:
    known = accounts.get(account)
    if known is None:
        known_names = [one.account.name for one in accounts]
        hint = did_you_mean(account, known_names) or f": there is {', '.join(known_names)}"
        raise BridgeError(f'no account is called "{account}"{hint}')
    return known


def _list(known: Known) -> None:
    names = recordings.names(home(known.adapter.name))
    if not names:
        said(f"{known.adapter.name} only sends, so it has no recorded webhooks")
        return
    listing = table("recording", "events")
    for each in names:
        held = (f"{kind} by the {sender}" for kind, sender in recordings.holds(home(known.adapter.name), each))
        listing.add_row(*cells(each, ", ".join(held) or "none"))
    out.print(listing)


def _tell(event: Event, tried: Tried) -> None:
    out.print()
    for fact, value in say_event(event):
        told(fact, value)
    told("rules", ", ".join(f"{rule} fired" for rule in tried.rules) or "none fired")
    for rendered in tried.replies:
        _tell_rendered(rendered)
    for asked in tried.started:
        told("starts", f"broadcast {asked.broadcast} by rule {asked.rule}")
        for name, given in asked.variables.items():
            told("", f"{name}: {say_value(given)}")


def _tell_rendered(rendered: Rendered) -> None:
    by = f"rule {rendered.rule}, action {rendered.action}"
    if rendered.fault is not None:
        told("failed", f"{by}: {rendered.fault[0]}: {rendered.fault[1]}")
        return
    told("reply" if rendered.command is None else "command", by)
    if rendered.held is not None:
        told("held back", rendered.held)
    told("by", f"account {rendered.account}")
    told("to", say_address(rendered.to))
    for fact, value in say_reply(rendered.reply) if rendered.command is None else say_command(rendered.command):
        told(fact, value)
