"""How fast a broadcast goes: how many recipients a call may be for, and when the last one's turn will have been."""

from datetime import datetime, timedelta

from bridge.line.accounts import Known
from bridge.model.quantity import Rate


def in_a_call(known: Known) -> int:
    """How many recipients of a broadcast an account can tell the same in one call."""
    together = known.adapter.together
    return 1 if together is None else together.most(known.account)


def finish(
    remaining: int,
    rate: Rate | None,
    budget: Rate | None,
    sent_rate: float | None,
    now: datetime,
    *,
    in_a_call: int = 1,
) -> datetime | None:
    """When the last of `remaining` deliveries will be out if it goes on like this; None if nobody can say.

    It goes as fast as the slowest allows: the broadcast's `rate`, the account's `budget` for calls of which each may be
    for `in_a_call` deliveries, and what was really seen: `sent_rate` deliveries a second of late (None: not known yet;
    live replies that share the budget show up there). Quiet hours are not counted in.
    """
    if remaining <= 0:
        return now
    each = [rate.per.total_seconds() / rate.times] if rate is not None else []
    if budget is not None:
        each.append(budget.per.total_seconds() / budget.times / in_a_call)
    if sent_rate is not None:
        if sent_rate <= 0:
            return None
        each.append(1 / sent_rate)
    if not each:
        return None
    try:
        return now + timedelta(seconds=remaining * max(each))
    except OverflowError:
        return None
