"""Runs: begun when their time comes or somebody asks, planned, let go at their pace, and ended.

The store is the truth: whoever pauses, resumes or cancels a run changes its row, and here it is seen within a moment.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache, partial
from math import ceil
from typing import Protocol
from zoneinfo import ZoneInfo

from msgspec.structs import replace
from sqlalchemy import Connection

from bridge.broadcasts.due import due
from bridge.broadcasts.pace import in_a_call
from bridge.broadcasts.plan import GONE, Plan, plan_of, read_plan, sender_of, write_plan
from bridge.broadcasts.planning import Planning
from bridge.broadcasts.quiet import next_allowed
from bridge.broadcasts.schedule import upcoming
from bridge.broadcasts.trigger import Alarms
from bridge.clock import Clock
from bridge.errors import BridgeError, StoreError
from bridge.line.accounts import Accounts, Known
from bridge.line.bell import Bell
from bridge.line.decide import Behaviour
from bridge.line.duty import Duty
from bridge.line.trouble import Trouble
from bridge.model.broadcast import Asked, Broadcast, ByHand, Run, RunState
from bridge.model.rule import Rulebook
from bridge.observe import Metrics, log
from bridge.store import runs as store_runs
from bridge.store import tally
from bridge.store.plan import Release, release
from bridge.store.store import Store

TICK = 0.25
COUNT_EVERY = 1.0
WINDOW = 2000
"""Deliveries of a run that are on their way at the same time, where nothing but the platform's speed bounds them."""
SOON = 0.1
"""Seconds after which more are let go where some just were. A fast platform takes less than a window meanwhile."""
AHEAD = timedelta(seconds=1)
ENOUGH = 20
"""So many deliveries must have come to an end before their failures are held against a run."""
LOOK_ANEW = timedelta(hours=1)
"""So seldom it is noted that a schedule was looked at, where nothing was due."""


class Behaves(Protocol):
    """Whose rulebook it is that counts: the line's, which is swapped whole when files were edited."""

    behaviour: Behaviour


class Broadcasts:
    """All broadcasts of a rulebook: their schedules, and the runs that there are.

    Where several servers share the store, each looks at the schedules, and one has the runs go on: whose `duty` it is.
    """

    def __init__(
        self,
        *,
        line: Behaves,
        accounts: Accounts,
        store: Store,
        clock: Clock,
        planning: Planning,
        zone: ZoneInfo,
        alarms: Alarms,
        metrics: Metrics,
        duty: Duty,
    ) -> None:
        self._line = line
        self._seen: Rulebook | None = None
        self._accounts = accounts
        self._store = store
        self._clock = clock
        self._planning = planning
        self._zone = zone
        self._alarms = alarms
        self._metrics = metrics
        self._duty = duty
        self._bell = Bell(clock)
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._tidy = False

    async def look(self) -> Sequence[int]:
        """Ask for a run of each broadcast whose time has come; gives the numbers of the new runs.

        A broadcast that is new, or whose schedule was edited, is due from now on, and not for what lies behind.
        """
        known = await self._store.read(store_runs.looked_at)
        begun: list[int] = []
        for broadcast in self._line.behaviour.rulebook.broadcasts.values():
            if not isinstance(broadcast.schedule, ByHand):
                found = self._look_at(broadcast, known.get(broadcast.name), self._clock.now())
                begun += [] if found is None else await self._note(found)
        return begun

    async def _note(self, found: store_runs.Look) -> Sequence[int]:
        """Note that a schedule was looked at; whoever is the first to gets runs, and tells what was missed."""
        numbers = await self._store.write(store_runs.looked, found)
        if numbers and found.missed:
            self._metrics.run_ended(found.broadcast, "skipped", found.missed)
            latest = next((asked.moment for asked in reversed(found.due) if asked.skip), None)
            log().warning("runs missed", broadcast=found.broadcast, count=found.missed, latest=latest)
        return numbers

    def _look_at(
        self, broadcast: Broadcast, known: tuple[str, datetime] | None, now: datetime
    ) -> store_runs.Look | None:
        written = f"{broadcast.schedule} {broadcast.clock_change}"
        if known is None or known[0] != written:
            return store_runs.Look(broadcast=broadcast.name, schedule=written, at=now, before=None)
        moments = upcoming(broadcast.schedule, known[1], broadcast.clock_change)
        found = due(moments, None, now, broadcast.not_after)
        asked = [
            Asked(broadcast=broadcast.name, moment=one.moment.key, at=one.moment.at, skip=one.reason)
            for one in found.skipped
        ]
        if found.run is not None:
            asked.append(Asked(broadcast=broadcast.name, moment=found.run.key, at=found.run.at))
        if not asked and now - known[1] < LOOK_ANEW:
            return None
        return store_runs.Look(
            broadcast=broadcast.name,
            schedule=written,
            at=now,
            before=known[1],
            due=tuple(asked),
            missed=found.missed,
        )

    def look_now(self, _: str = "") -> None:
        """A run was asked for, or changed, by another server or a person; which does not matter."""
        self._bell.ring()

    async def run(self) -> None:
        """Have all runs go on that there are, for ever."""
        trouble = Trouble("look for runs of broadcasts")
        try:
            while True:
                self._bell.hush()
                try:
                    if self._line.behaviour.rulebook is not self._seen:
                        await self._rulebook_changed(self._line.behaviour.rulebook)
                    await self._have_runs_go_on()
                    trouble.over()
                except StoreError as error:
                    trouble.meets(error)
                await self._bell.rest(TICK)
        finally:
            await self._let_go()

    async def _have_runs_go_on(self) -> None:
        if not await self._duty.mine():
            await self._let_go()
            return
        if not self._tidy:
            await self._cut_off_leftovers()
        for run in await self._store.read(store_runs.active):
            if run.id not in self._tasks:
                self._tasks[run.id] = asyncio.create_task(self._go(run))

    async def _let_go(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _rulebook_changed(self, rulebook: Rulebook) -> None:
        """Go by another rulebook from now on. Runs that have begun go on as they were when they began."""
        self._alarms.set(rulebook.broadcasts.values(), self._alarm)
        await self.look()
        self._seen = rulebook

    async def _alarm(self) -> None:
        try:
            await self.look()
        except StoreError as error:
            log().error("cannot look whether a broadcast is due; trying again within a minute", error=str(error))

    async def _cut_off_leftovers(self) -> None:
        """Finish what a process that was killed had begun: what is left of runs that were cancelled, or had failed."""
        for number, why in await self._store.read(store_runs.left_over):
            await self._cut_off(number, why)
        self._tidy = True

    async def _go(self, run: Run) -> None:
        try:
            await self._go_on_or_give_up(run)
        except StoreError as error:
            log(run=run.id).error("a run cannot go on; trying again", error=str(error))
            await self._clock.sleep(1)
        finally:
            del self._tasks[run.id]

    async def _go_on_or_give_up(self, run: Run) -> None:
        try:
            await self._go_on(run)
        except StoreError:
            raise
        except BridgeError as error:
            log(run=run.id).error("a run cannot go on", broadcast=run.asked.broadcast, error=str(error))
            await self._give_up(run, str(error))
        except Exception as error:  # noqa: BLE001
            # A fault of ours in one run must not stop the others, nor be met again at every look.
            log(run=run.id).exception("a run cannot go on", broadcast=run.asked.broadcast)
            await self._give_up(run, f"the bridge failed: {type(error).__name__}; its log has more")

    async def _give_up(self, run: Run, why: str) -> None:
        """A run that is being sent waits for a person who mends it; one that cannot be planned sends nothing at all."""
        if await self._change(run, ("running",), "paused", why):
            await self._store.write(store_runs.hold_back, run.id)
        elif await self._change(run, ("asked", "planning"), "failed", why):
            self._metrics.run_ended(run.asked.broadcast, "failed")
            await self._cut_off(run.id, store_runs.NEVER_SENT)

    async def _cut_off(self, run: int, why: str) -> None:
        cut = store_runs.CutOff(run=run, at=self._clock.now(), why=why)
        while await self._store.write(store_runs.cut_off, cut):
            await asyncio.sleep(0)

    async def _go_on(self, run: Run) -> None:
        if run.plan is None:
            plan = self._plan(run)
            if not await self._change(run, ("asked",), "planning", plan=write_plan(plan)):
                return
            late = self._clock.now() - run.asked.at
            self._metrics.run_begun(late.total_seconds())
            log(run=run.id).info(
                "a run begins", broadcast=plan.broadcast, moment=run.asked.moment, late=round(late.total_seconds(), 1)
            )
        else:
            plan = read_plan(run.plan)
        if run.planned_at is None:
            planned = await self._planning.go_on(run, plan)
            if not planned or await self._too_many(run, plan, partial(_unworded, run.id), "could not be worded"):
                return
        await self._send(run, plan)

    def _plan(self, run: Run) -> Plan:
        behaviour = self._line.behaviour
        broadcast = behaviour.rulebook.broadcasts.get(run.asked.broadcast)
        if broadcast is None:
            raise BridgeError(GONE)
        audience = behaviour.rulebook.audiences[broadcast.audience]
        return plan_of(broadcast, audience, behaviour.renderer.templates, self._zone.key, run.asked)

    async def _send(self, run: Run, plan: Plan) -> None:
        """Let a planned run's deliveries go, until all of them have come to an end."""
        known = sender_of(plan, self._accounts)
        wish = self._wish(run, plan, known)
        counted_at = self._clock.monotonic()
        while (released := await self._store.write(release, replace(wish, at=self._clock.now()))) is not None:
            if released.next_at is None and not released.on_the_way:
                await self._end(run)
                return
            if self._clock.monotonic() - counted_at >= COUNT_EVERY:
                counted_at = self._clock.monotonic()
                failures = partial(_failures, run.id, plan.pause_if_failed)
                if await self._too_many(run, plan, failures, "failed"):
                    return
            if released.gone + released.put_off < wish.most:
                await self._clock.sleep(SOON if released.gone else TICK)

    def _wish(self, run: Run, plan: Plan, known: Known) -> Release:
        return Release(
            run=run.id,
            at=self._clock.now(),
            window=window(plan, known),
            gap=plan.gap,
            ahead=AHEAD,
            expires=known.account.expires,
            allowed=_allowed(plan),
        )

    async def _end(self, run: Run) -> None:
        if await self._change(run, ("running",), "done"):
            self._metrics.run_ended(run.asked.broadcast, "done")
            log(run=run.id).info("a run is done", broadcast=run.asked.broadcast)

    async def _too_many(self, run: Run, plan: Plan, count: Callable[[Connection], tuple[int, int]], what: str) -> bool:
        """Pause a run of which more has failed than may, as `count` tells: so many of so many; whether that is so."""
        failed, of = await self._store.read(count)
        if of < ENOUGH or failed <= plan.pause_if_failed * of:
            return False
        why = f"{failed} of {of} {what}, and pause_if_failed is {plan.pause_if_failed:.3g}"
        log(run=run.id).error("a run is paused", broadcast=plan.broadcast, why=why)
        await self._change(run, ("running",), "paused", why)
        await self._store.write(store_runs.hold_back, run.id)
        return True

    async def _change(
        self,
        run: Run,
        come_from: tuple[RunState, ...],
        to: RunState,
        detail: str | None = None,
        plan: str | None = None,
    ) -> bool:
        wanted = store_runs.Change(
            run=run.id, come_from=come_from, to=to, at=self._clock.now(), detail=detail, plan=plan
        )
        return await self._store.write(store_runs.change, wanted)


def _unworded(run: int, connection: Connection) -> tuple[int, int]:
    """How many of a run that was just planned have no text, and how many were to get one."""
    counts = tally.counts(connection, run)
    return counts.get("dead", 0), sum(many for state, many in counts.items() if state != "cancelled")


def _failures(run: int, share: float, connection: Connection) -> tuple[int, int]:
    """How many of a run have failed and how many have ended: exactly, where that is so few that too many failed."""
    failed = tally.failed(connection, run)
    if failed <= 0:
        return 0, 0
    enough = max(ENOUGH, ceil(failed / share)) if share else None
    return failed, failed + tally.sent(connection, run, enough)


def _allowed(plan: Plan) -> Callable[[str | None, datetime], datetime] | None:
    """The first moment from another on at which somebody in a zone may be written to; None where all moments are."""
    if plan.quiet_hours is None:
        return None

    # Many are let go at the same moment, in few zones.
    @lru_cache(maxsize=256)
    def allowed(zone: str | None, moment: datetime) -> datetime:
        return next_allowed(moment, ZoneInfo(zone or plan.zone), plan.quiet_hours)

    return allowed


def window(plan: Plan, known: Known) -> int:
    """How many deliveries of a run may be on their way: two seconds' worth at the pace that is allowed.

    More would be sent yet after somebody has paused the run. The budget counts calls, each of which may be for several.
    """
    each, budget = in_a_call(known), known.account.budget
    paces = [] if plan.rate is None else [plan.rate.times / plan.rate.per.total_seconds()]
    if budget is not None:
        paces.append(each * budget.times / budget.per.total_seconds())
    return min(WINDOW, each * known.account.max_in_flight + ceil(2 * min(paces))) if paces else WINDOW
