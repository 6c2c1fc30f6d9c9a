"""`replybridge groupalarm`: the chat rooms, with the numbers that rules need in `to: {room: ...}`."""

import asyncio
from typing import Annotated, Any

import typer

from bridge.cli.options import AsJson, Config, account_on
from bridge.cli.printing import cells, explained, out, said, table, write_json
from bridge.cli.wording import say_outcome
from bridge.clock import SystemClock
from bridge.line.by_hand import drive
from bridge.model.quantity import say_count
from bridge.platforms.groupalarm.rooms import Rooms, rooms

groupalarm = typer.Typer(help="Look at GroupAlarm's chat rooms.", no_args_is_help=True)


@groupalarm.callback()
def group() -> None:
    """Look at GroupAlarm's chat rooms."""


@groupalarm.command("rooms")
def list_rooms(
    account: Annotated[str | None, typer.Option("--account", help="By this account (default: the only one).")] = None,
    organization: Annotated[
        int | None, typer.Option("--organization", min=1, help="Of this organization (default: the account's).")
    ] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """All chat rooms of the organization, or those one is in where the account names none. Exit code 1: not found."""
    with explained():
        known = account_on("groupalarm", account, config)
        duty: Any = known.account
        outcome = asyncio.run(drive(rooms(duty, organization), known, SystemClock()))
    if not isinstance(outcome, Rooms):
        said(say_outcome(outcome), style="red")
        raise typer.Exit(1)
    if as_json:
        write_json(outcome.rooms)
        return
    listing = table("room", "name", "type", "event", "people", "deleted on", whole=("room",))
    for room in outcome.rooms:
        people = None if room.users is None else len(room.users)
        listing.add_row(*cells(room.id, room.name, room.type, room.event, people, room.scheduled_deletion))
    if outcome.rooms:
        out.print(listing)
    if outcome.total is not None and outcome.total > len(outcome.rooms):
        said(f"GroupAlarm says that there are {say_count(outcome.total, 'room')}, and gave {len(outcome.rooms)}")
    elif not outcome.rooms:
        out.print("no rooms")
