"""The people of a plan, chunk by chunk, from wherever planning stands."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from bridge.broadcasts.audience_file import AudienceFile, Cursor
from bridge.broadcasts.plan import Plan, PlanError
from bridge.errors import Problem
from bridge.line.accounts import Known
from bridge.model.broadcast import FileAudience, Recipient
from bridge.model.event import Address

CHUNK = 500

_cursor = msgspec.json.Decoder(Cursor).decode


class Batch(Struct, frozen=True, kw_only=True):
    """Some people, a problem in place of one who cannot be read, and how far that is; None: it is all."""

    people: Sequence[Recipient | Problem]
    cursor: str | None


class Elsewhere(Protocol):
    """Audiences that are asked of a platform or of the store."""

    def read(self, plan: Plan, cursor: str | None) -> AsyncIterator[Batch]:
        """The people after `cursor`. Raises BridgeError."""
        ...


async def people(
    plan: Plan, known: Known, directory: Path, elsewhere: Elsewhere, after: str | None
) -> AsyncIterator[Batch]:
    """The people of a plan after a cursor that an earlier batch gave. Raises AudienceError and PlanError."""
    if plan.only:
        yield await _only(plan, known, directory, elsewhere)
        return
    if plan.chayns is not None and not plan.chayns.each:
        # The platform itself knows who is in a group: one call for all of them.
        yield Batch(people=(_alone({"uac_groups": list(plan.chayns.uac_groups)}),), cursor=None)
        return
    found = elsewhere.read(plan, after) if plan.file is None else _of_file(plan, plan.file, known, directory, after)
    async for batch in found:
        yield batch


async def _of_file(
    plan: Plan, file: FileAudience, known: Known, directory: Path, after: str | None
) -> AsyncIterator[Batch]:
    opened = await asyncio.to_thread(AudienceFile, file, directory, to=plan.to, keys=known.adapter.to_keys)
    with opened:
        records = opened.read(None if after is None else _cursor(after))
        while True:
            some = await asyncio.to_thread(_take, records)
            full = len(some) == CHUNK
            yield Batch(people=some, cursor=msgspec.json.encode(opened.cursor).decode() if full else None)
            if not full:
                return


def _take(records: Iterator[Recipient | Problem]) -> list[Recipient | Problem]:
    return list(islice(records, CHUNK))


async def _only(plan: Plan, known: Known, directory: Path, elsewhere: Elsewhere) -> Batch:
    """The address that somebody named, with what is known of the first recipient."""
    whole = replace(plan, only={})
    async for batch in people(whole, known, directory, elsewhere, None):
        for one in batch.people:
            if isinstance(one, Recipient):
                return Batch(people=(replace(one, address=plan.only, key="only", zone=None),), cursor=None)
    raise PlanError("the audience is empty, so there is nothing to show")


def _alone(address: Address) -> Recipient:
    return Recipient(key="all", address=address)
