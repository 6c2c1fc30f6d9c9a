"""`replybridge forget`: everything about one person is deleted, and gone from the files."""

import asyncio
from typing import Annotated

import typer
from sqlalchemy import Engine

from bridge.cli.options import Config, settings_of
from bridge.cli.printing import explained, said
from bridge.clock import SystemClock, to_ms
from bridge.errors import BridgeError
from bridge.model.quantity import say_count
from bridge.settings import Settings
from bridge.store.forget import compact, erase, mentions, traces
from bridge.store.person import SHORTEST, Person, find_person
from bridge.store.store import visit_store

ROUNDS = 5


def forget(
    contact: Annotated[str, typer.Argument(help="Their e-mail address, phone number or id on a platform.")],
    config: Config = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether the right person is meant.")] = False,
) -> None:
    """Delete everything about a person: conversations, events, deliveries, what is remembered, files. For good.

    A visitor who said nothing of themselves is found by the id of their conversation.

    A running server need not be stopped; it takes no new events for the seconds (about ten for each GB of the store) in
    which the file is written anew. Backups made before still have it.
    """
    with explained():
        if not contact.strip():
            raise BridgeError("say whom: an id, an e-mail address or a phone number")
        settings = settings_of(config)
        with visit_store(settings.store.url) as engine:
            person = _find(engine, contact)
            if not person:
                said(f"nothing is kept of {contact}")
                return
            said(f"{contact}: {_told(person)}")
            if not yes:
                typer.confirm("delete all of it, for good?", abort=True)
            names = _erase(engine, contact, settings)
            said("deleted")
            _prove(engine, names, settings)


def _find(engine: Engine, contact: str) -> Person:
    with engine.execution_options(reads=True).connect() as connection:
        return find_person(connection, contact)


def _told(person: Person) -> str:
    also = sorted(person.names | {f"{who} at {account}" for account, who in person.ids})
    parts = [
        say_count(len(person.conversations), "conversation"),
        say_count(len(person.events), "event"),
        say_count(len(person.deliveries), "delivery", "deliveries"),
        say_count(len(person.memories), "memory", "memories"),
        say_count(len(person.files), "file"),
    ]
    if person.runs:
        parts.append(say_count(len(person.runs), "run of a broadcast", "runs of broadcasts"))
    return ", ".join(parts) + (f"; known as {', '.join(also)}" if len(also) > 1 else "")


def _erase(engine: Engine, contact: str, settings: Settings) -> set[str]:
    """Until nothing is left: a customer may write at this very moment. Gives the names the person was known by."""
    names = {contact}
    for _ in range(ROUNDS):
        if not (person := _find(engine, contact)):
            break
        names |= person.names | {who for _, who in person.ids}
        # The files first: a row whose file is gone is found by the next `forget`, a file without a row by nobody.
        for token in person.files:
            (settings.data_directory / "attachments" / token).unlink(missing_ok=True)
        with engine.begin() as connection:
            erase(connection, person, to_ms(SystemClock().now()))
    compact(engine, lambda: asyncio.run(SystemClock().sleep(0.1)))
    return names


def _prove(engine: Engine, names: set[str], settings: Settings) -> None:
    """Look for what should be gone: in the bytes of the files, and where there are none of ours, in all rows."""
    file = settings.store.file
    left = traces(file, names) if file else {name for name in names if len(name) >= SHORTEST}
    with engine.execution_options(reads=True).connect() as connection:
        said_by_others = {name: where for name in left if (where := mentions(connection, name))}
    for name, where in said_by_others.items():
        places = ", ".join(f"{place} ({count})" for place, count in where.items())
        said(f"{name} is still named in rows that are not about them: {places}")
    if not said_by_others:
        said(f"the {'files' if file else 'rows'} of the store say none of it any more")
    if file is None:
        said("PostgreSQL's files, its log of changes and its backups may say it until they are written over")
