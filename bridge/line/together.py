"""Together: the recipients of one broadcast who are told the same, in one call where the platform takes several."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec
from msgspec.structs import replace

from bridge.line.accounts import Known
from bridge.model.delivery import Attempt, Delivery, Failed


def companions(first: Delivery, waiting: Iterable[Delivery], known: Known, now: datetime) -> list[Delivery]:
    """Those of `waiting` that may go in one call with the first: of the same run, with the same text."""
    together = known.adapter.together
    if together is None or first.urgency != "broadcast" or not _is_fresh(first, now):
        return []
    most, found, seen = together.most(known.account) - 1, list[Delivery](), {_mark(first)}
    if most < 1 or together.address((first.to,), known.account) is None:
        return found
    for one in waiting:
        if len(found) == most:
            break
        same = one.reply == first.reply and (one.rule, one.action) == (first.rule, first.action)
        # Somebody who is in a run twice is written to twice, as ever.
        if not same or not _is_fresh(one, now) or (mark := _mark(one)) in seen:
            continue
        if together.address((one.to,), known.account) is not None:
            found.append(one)
            seen.add(mark)
    return found if found and together.address([first.to, *(one.to for one in found)], known.account) else []


def joined(several: Sequence[Delivery], known: Known) -> Delivery:
    """One delivery to all of them, of whom the others are `companions` of the first."""
    together = known.adapter.together
    assert together is not None  # noqa: S101 - without it nobody has companions
    address = together.address([one.to for one in several], known.account)
    assert address is not None  # noqa: S101 - companions have one
    return replace(several[0], to=address)


def is_refused(attempt: Attempt) -> bool:
    """Whether a call for several was turned down for good: then nobody got it, and perhaps because of one of them.

    A key that is wrong is wrong for each of them.
    """
    outcome = attempt.outcome
    return isinstance(outcome, Failed) and outcome.permanent and outcome.reason != "auth"


def part_of(attempt: Attempt, delivery: Delivery, many: int) -> Attempt:
    """The attempt at all of them, as that at one."""
    return replace(attempt, delivery=delivery.id, note=f"in one call for {many}")


def _is_fresh(delivery: Delivery, now: datetime) -> bool:
    """Whether it can simply be sent: it is not too late, and there is no doubt about an earlier attempt."""
    late = delivery.expires_at is not None and delivery.expires_at <= now
    return not late and delivery.command is None and delivery.unsure_since is None


def _mark(delivery: Delivery) -> bytes:
    return msgspec.json.encode(delivery.to, order="sorted")
