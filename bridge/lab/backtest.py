"""Backtest: what a rulebook would have done about what is recorded, beside what was done then. Nothing is sent."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from bridge.errors import Place
from bridge.lab.backtest_talks import Comparison, Difference, heard, said
from bridge.lab.recollection import Recollection
from bridge.lab.rehearsal import Rehearsal
from bridge.lab.scopes import kept_beside, named
from bridge.lab.then import rendered_then
from bridge.line.decide import Behaviour, Verdict
from bridge.line.render import Rendered
from bridge.store.recorded import Chosen, Past, Records, Told

Findings = Mapping[str, object]


@dataclass(slots=True)
class Tally:
    """How often a rule fired and how many messages it said, then and now; `failed` are its actions that fail now."""

    rule: str
    place: Place | None
    fired_then: int = 0
    fires_now: int = 0
    replies_then: int = 0
    replies_now: int = 0
    failed: int = 0

    @property
    def differs(self) -> bool:
        return (self.fired_then, self.replies_then) != (self.fires_now, self.replies_now) or self.failed > 0

    @property
    def any(self) -> bool:
        return any((self.fired_then, self.fires_now, self.replies_then, self.replies_now, self.failed))


@dataclass(frozen=True, kw_only=True, slots=True)
class Backtested:
    """What came of it. `events` were compared, `before` only rehearsed for what is remembered of them."""

    since: datetime
    until: datetime
    events: int
    before: int
    rules: tuple[Tally, ...]
    conversations: int
    different: int
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Period:
    """From `since` on is compared; what came before is rehearsed. Timers go on until `until`."""

    since: datetime
    until: datetime


def backtest(
    records: Records,
    behaviour: Behaviour,
    period: Period,
    chosen: Chosen,
    *,
    findings: Findings | None = None,
    most: int = 20,
    progress: Callable[[int], None] = lambda _: None,
) -> Backtested:
    """Rehearse the chosen events with their own clock. At most `most` of the conversations that differ are shown.

    `findings` are what operations find; `progress` is told of every event that was read. Raises StoreError.
    """
    extent = records.extent(chosen)
    within = records.extent(chosen, period.since)
    # Events that come in meanwhile are no part of it: then the counts agree.
    chosen = Chosen(account=chosen.account, conversation=chosen.conversation, upto=extent.last)
    run = _Run(behaviour, period, extent.oldest or period.since, findings or {}, most)
    for chunk in records.chunks(chosen):
        told = records.told(chunk[0].number, chunk[-1].number) if chunk[-1].at >= period.since else {}
        for past in chunk:
            run.take(past, told.get(past.number, ()))
        progress(len(chunk))
    run.end()
    return Backtested(
        since=period.since,
        until=period.until,
        events=run.events,
        before=run.before,
        rules=tuple(run.tallies.values()),
        conversations=within.conversations,
        different=run.comparison.different,
        differences=tuple(run.comparison.differences()),
        notes=tuple(_notes(run, chosen, extent.oldest)),
    )


@dataclass(slots=True)
class _Run:
    """A rehearsal of the record on its way, and what has come of it so far."""

    behaviour: Behaviour
    period: Period
    begin: datetime
    findings: Findings
    most: int
    page: Recollection = field(init=False)
    rehearsal: Rehearsal = field(init=False)
    comparison: Comparison = field(init=False)
    tallies: dict[str, Tally] = field(init=False)
    operations: Counter[str] = field(default_factory=Counter)
    strangers: Counter[str] = field(default_factory=Counter)
    events: int = 0
    before: int = 0
    late: int = 0

    def __post_init__(self) -> None:
        self.page = Recollection(self.begin)
        self.rehearsal = Rehearsal(self.behaviour, self.begin, self.findings, self.page)
        self.comparison = Comparison(self.most)
        self.tallies = {rule.name: Tally(rule.name, rule.place) for rule in self.behaviour.rulebook.rules}

    def take(self, past: Past, told: tuple[Told, ...] | list[Told]) -> None:
        """One recorded event, and what followed from it then. Timers of the record are not taken in: they are made."""
        self._turn_to(past.at)
        counts = past.at >= self.period.since
        event = past.event
        then = [rendered_then(one) for one in told]
        if counts:
            self._count_then(past, then)
        if event.kind == "timer":
            if counts:
                self.comparison.add(event, None, said(then, event, past.at), [])
            return
        self.events += counts
        self.before += not counts
        if self.behaviour.accounts.get(event.account) is None:
            self.strangers[event.account] += 1
        self.page.expect(past.number)
        now = [one for verdict in self.rehearsal.hear(event) for one in self._came(verdict, counts=counts)]
        if counts:
            line = heard(event, past.at)
            self.comparison.add(event, line, said(then, event, past.at), said(now, event, past.at))

    def end(self) -> None:
        """Let time go on to the end of the period."""
        self.late = self._turn_to(self.period.until)

    def _turn_to(self, moment: datetime) -> int:
        """Let time go on; gives how many deliveries came of the timers that were due."""
        came = 0
        for verdict in self.rehearsal.turn_to(moment):
            event = verdict.event
            counts = event.at >= self.period.since
            now = list(self._came(verdict, counts=counts))
            came += len(now)
            if counts:
                self.comparison.add(event, None, [], said(now, event, event.at))
        return came

    def _came(self, verdict: Verdict, *, counts: bool) -> Iterator[Rendered]:
        """What a verdict wants to be sent, counted if it counts."""
        for one in verdict.rendered:
            command = one.command
            if command is not None and (command.keep or command.then) and command.operation not in self.findings:
                self.operations[command.operation] += 1
        if not counts:
            return
        for rule in verdict.rules:
            self._tally(rule).fires_now += 1
        for one in verdict.rendered:
            tally = self._tally(one.rule)
            tally.replies_now += _is_reply(one)
            tally.failed += one.fault is not None
            yield one

    def _count_then(self, past: Past, then: list[Rendered]) -> None:
        for step in past.trace:
            if step.get("fired") and "after" not in step:
                self._tally(str(step["rule"])).fired_then += 1
        for one in then:
            self._tally(one.rule).replies_then += _is_reply(one)

    def _tally(self, rule: str) -> Tally:
        """That of a rule which the rulebook has no more comes after the others."""
        if rule not in self.tallies:
            self.tallies[rule] = Tally(rule, None)
        return self.tallies[rule]


def _is_reply(rendered: Rendered) -> bool:
    return rendered.command is None and rendered.fault is None and rendered.held is None


def _notes(run: _Run, chosen: Chosen, oldest: datetime | None) -> Iterator[str]:
    """What a person has to know to judge the figures."""
    if oldest is not None and oldest > run.period.since:
        yield f"the record begins only at {oldest:%Y-%m-%d %H:%M:%S} UTC"
    if run.operations:
        counts = ", ".join(f"{name} {count}" for name, count in run.operations.items())
        yield (
            f"operations were taken to be done and to find nothing, though rules go on with what they find ({counts}); "
            "--found OPERATION=JSON says what one finds"
        )
    if run.late:
        yield f"{run.late} of what follow-ups say comes after the newest recorded event, when perhaps no server ran"
    yield from _apart(run.behaviour, chosen)
    for account, count in run.strangers.items():
        yield f"the settings have no account {account} any more, to which {count} of the events came"


def _apart(behaviour: Behaviour, chosen: Chosen) -> Iterator[str]:
    """What is not known because not all events are rehearsed."""
    for scope, rules in kept_beside(behaviour.rulebook).items():
        if chosen.conversation is not None or (chosen.account is not None and scope == "rule"):
            what = "conversation" if chosen.conversation is not None else "account"
            yield f"what is remembered or counted per {scope} ({named(rules)}) is known from this {what} alone"
