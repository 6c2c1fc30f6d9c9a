"""Preview: what a broadcast would say to whom, and who would get nothing and why, before anything is sent."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b

from msgspec.structs import replace
from sqlalchemy import Connection

from bridge.broadcasts.compose import Composer
from bridge.broadcasts.planning import BAD_LINE, compose_all
from bridge.chance import Chance
from bridge.clock import Clock
from bridge.line.accounts import Known
from bridge.line.beforehand import refusal_of_message
from bridge.model.broadcast import Batch
from bridge.model.delivery import Reply
from bridge.store.plan import Planned
from bridge.store.rows import reply_from

DUPLICATE = "the same person once more"
MOST_WRONG = 10
"""At most so many of those are named of whom something is wrong; the others are counted."""


@dataclass(slots=True)
class Preview:
    """How many get it, why others do not, and some of what is said: the first, the longest and a few at random.

    `wrong` are those whose line, address or text is wrong: the first `MOST_WRONG` of `all_wrong`.
    """

    people: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    first: Planned | None = None
    longest: Planned | None = None
    some: list[Planned] = field(default_factory=list)
    wrong: list[Planned] = field(default_factory=list)
    all_wrong: int = 0

    @property
    def shown(self) -> Mapping[str, Planned]:
        """What to show, by why it is shown; each person once."""
        found: dict[str, Planned] = {}
        named = [("the first", self.first), ("the longest", self.longest), *(("one of them", one) for one in self.some)]
        for number, (why, one) in enumerate(named):
            if one is not None and one.person not in {other.person for other in found.values()}:
                found[why if number < 2 else f"{why} ({number - 1})"] = one
        return found


async def preview(
    batches: AsyncIterator[Batch],
    composer: Composer,
    known: Known,
    connection: Connection | None,
    clock: Clock,
    chance: Chance,
    few: int,
) -> Preview:
    """Go through a whole audience that `known` sends to; `few` people are taken at random. Raises BridgeError."""
    made, seen, length = Preview(), set[bytes](), -1
    async for batch in batches:
        for one in compose_all(composer, batch.people, connection, clock):
            # A digest takes as much memory for a long key as for a short one.
            mark = blake2b(one.person.encode(), digest_size=12).digest()
            if mark in seen:
                made.skipped[DUPLICATE] += 1
                continue
            seen.add(mark)
            if (left_out := _left_out(one, known, clock.now())) is not None:
                _skip(made, left_out)
                continue
            made.people += 1
            made.first = made.first or one
            if (size := len(text_of(one).text)) > length:
                made.longest, length = one, size
            _maybe_take(made, one, chance, few)
    return made


def _left_out(one: Planned, known: Known, now: datetime) -> Planned | None:
    """Somebody who gets nothing, as a run leaves them: by its plan, or by an attempt that needs no call to fail."""
    if one.state != "queued":
        return one
    failed = refusal_of_message(text_of(one), one.to, known, now)
    return None if failed is None else replace(one, state="dead", reason=failed.reason, detail=failed.detail)


def _skip(made: Preview, one: Planned) -> None:
    detail = one.detail or ""
    bad_line = detail.startswith(BAD_LINE)
    # What is said of one who is wrong may quote them, so it would be a reason of its own for each.
    made.skipped[BAD_LINE if bad_line else one.reason or detail] += 1
    if bad_line or one.state == "dead":
        made.all_wrong += 1
        made.wrong += [one] if len(made.wrong) < MOST_WRONG else []


def _maybe_take(made: Preview, one: Planned, chance: Chance, few: int) -> None:
    """A few of many that are seen one after another, each as likely as any other."""
    if len(made.some) < few:
        made.some.append(one)
    elif (place := int(chance.between(0, made.people))) < few:
        made.some[place] = one


def text_of(one: Planned) -> Reply:
    return reply_from(one.reply)
