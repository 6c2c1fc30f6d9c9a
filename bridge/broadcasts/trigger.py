"""What tells APScheduler when to wake the process for a broadcast."""

from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta

from apscheduler.schedulers.base import BaseScheduler
from apscheduler.triggers.base import BaseTrigger

from bridge.broadcasts.schedule import upcoming
from bridge.model.broadcast import USUAL, Broadcast, ByHand, ClockChange, Schedule

_TICK = timedelta(microseconds=1)
_OURS = "broadcast: "


class ScheduleTrigger(BaseTrigger):  # type: ignore[misc]  # APScheduler 3 has no types
    """Fires at the moments of a schedule.

    APScheduler's own cron trigger loses the day of a change at midnight and fires twice in a repeated hour. This one
    only wakes: after a long sleep once, however much was missed. What is to run then, `due` decides from the store.
    """

    __slots__ = ("clock_change", "schedule")

    def __init__(self, schedule: Schedule, clock_change: ClockChange = USUAL) -> None:
        self.schedule = schedule
        self.clock_change = clock_change

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """The first moment from `now` on that is later than the previous one, in UTC; None if there is none."""
        after = now - _TICK
        if previous_fire_time is not None:
            after = max(after, previous_fire_time)
        moment = next(upcoming(self.schedule, after, self.clock_change), None)
        return None if moment is None else moment.at


class Alarms:
    """The alarms of a scheduler by which the process wakes for its broadcasts."""

    def __init__(self, scheduler: BaseScheduler) -> None:
        self._scheduler = scheduler

    def set(self, broadcasts: Iterable[Broadcast], ring: Callable[[], Awaitable[None]]) -> None:
        """Ring at the moments of these broadcasts, and of no others any more.

        It also rings every minute: a machine that slept, or whose clock was set, is late for its alarms.
        """
        for job in self._scheduler.get_jobs():
            if job.id.startswith(_OURS):
                job.remove()
        usual = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        self._scheduler.add_job(ring, "interval", minutes=1, id=_OURS, **usual)
        for broadcast in broadcasts:
            if not isinstance(broadcast.schedule, ByHand):
                trigger = ScheduleTrigger(broadcast.schedule, broadcast.clock_change)
                self._scheduler.add_job(ring, trigger, id=f"{_OURS}{broadcast.name}", **usual)
