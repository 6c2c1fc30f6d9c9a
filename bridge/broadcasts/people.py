"""The people of a plan, chunk by chunk, from wherever planning stands."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec.structs import replace

from bridge.broadcasts.audience_file import AudienceFile, Cursor
from bridge.broadcasts.plan import Plan, PlanError
from bridge.errors import Problem
from bridge.line.accounts import Known
from bridge.model.broadcast import Batch, FileAudience, Recipient

CHUNK = 200

_cursor = msgspec.json.Decoder(Cursor).decode


class Source(Protocol):
    """Where audiences come from that no file names: the store, or a platform."""

    def read(self, plan: Plan, cursor: str | None) -> AsyncIterator[Batch]:
        """The people after `cursor`. Raises BridgeError."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Sources:
    """`directory` is what the paths of audience files are relative to; `met` is the store, `asked` are platforms."""

    directory: Path
    met: Source
    asked: Source


async def people(plan: Plan, known: Known, sources: Sources, after: str | None) -> AsyncIterator[Batch]:
    """The people of a plan after a cursor that an earlier batch gave. Raises BridgeError."""
    if plan.only:
        yield await _only(plan, known, sources)
        return
    if plan.file is not None:
        found = _of_file(plan, plan.file, known, sources.directory, after)
    else:
        found = (sources.met if plan.asked is None else sources.asked).read(plan, after)
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


async def _only(plan: Plan, known: Known, sources: Sources) -> Batch:
    """The address that somebody named, with what is known of the first recipient."""
    whole = replace(plan, only={})
    async for batch in people(whole, known, sources, None):
        for one in batch.people:
            if isinstance(one, Recipient):
                return Batch(people=(replace(one, address=plan.only, key="only", zone=None, skip=None),), cursor=None)
    raise PlanError("the audience is empty, so there is nothing to show")
