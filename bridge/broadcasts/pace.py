"""How fast a broadcast goes: when the last recipient's turn will have been."""

from datetime import datetime, timedelta

from bridge.model.quantity import Rate


def finish(
    remaining: int,
    rate: Rate | None,
    budget: Rate | None,
    sent_rate: float | None,
    now: datetime,
    *,
    calls_each: float = 1.0,
) -> datetime | None:
    """When the last of `remaining` deliveries will be out if it goes on like this; None if nobody can say.

    It goes as fast as the slowest allows: the broadcast's `rate`, the account's `budget` for `calls_each` calls a
    delivery, and what was really seen: `sent_rate` deliveries a second of late (None: not known yet; live replies that
    share the budget show up there). Quiet hours are not counted in.
    """
    if remaining <= 0:
        return now
    each = [rate.per.total_seconds() / rate.times] if rate is not None else []
    if budget is not None:
        each.append(budget.per.total_seconds() / budget.times * calls_each)
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
