"""Rebuild: a conversation as it was at a moment, by rehearsing what is recorded of it before."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bridge.clock import from_ms
from bridge.lab.recollection import Recollection
from bridge.lab.rehearsal import Rehearsal
from bridge.lab.scopes import kept_beside, named
from bridge.line.decide import Behaviour, Verdict, together
from bridge.model.conversation import BURST, Timer
from bridge.model.event import Event
from bridge.model.facts import Facts
from bridge.store.recorded import Chosen, Records
from bridge.store.rows import conversation_key


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """A timer to look out for: its conversation, whose it is, and the number of the first event it is about."""

    conversation: str
    rule: str
    action: str
    first: object

    def is_timer(self, timer: Timer) -> bool:
        return (timer.rule, timer.action, timer.events[0]) == (self.rule, self.action, self.first)

    def is_event(self, event: Event) -> bool:
        return event.kind == "timer" and wanted_in(event) == self


def wanted_in(event: Event) -> Wanted:
    """The timer that a recorded event of the kind "timer" was."""
    raw = event.raw
    events = raw.get("events")
    return Wanted(
        conversation=conversation_key(event.account, event.conversation),
        rule=str(raw.get("rule", "")),
        action=str(raw.get("action", "")),
        first=events[0] if isinstance(events, list) and events else None,
    )


@dataclass(slots=True)
class Rebuilt:
    """`count` events were rehearsed; `oldest` is the first. `operations` are those whose findings rules go on with.

    Of the timer that is `wanted`: `woken` is what it came to, once it woke, and `seen` the facts that it saw.
    """

    rehearsal: Rehearsal
    page: Recollection
    wanted: Wanted | None = None
    count: int = 0
    oldest: Event | None = None
    operations: set[str] = field(default_factory=set)
    seen: Facts | None = None
    woken: Verdict | None = None

    @property
    def of_burst(self) -> bool:
        """Whether the wanted timer is the end of a burst."""
        return self.wanted is not None and self.wanted.rule == BURST

    def turn_to(self, moment: datetime) -> None:
        """Let time go on. The wanted timer is looked at just when it is due."""
        timer = self.waits()
        if timer is not None and from_ms(timer.due) <= moment:
            self._note(self.rehearsal.turn_to(from_ms(timer.due) - timedelta(milliseconds=1)))
            self._look(self.waits())
        self._note(self.rehearsal.turn_to(moment))

    def hear(self, number: int, event: Event) -> Verdict:
        """What an event comes to, now; what is due at once because of it is done as well."""
        self.page.expect(number)
        verdicts = self.rehearsal.hear(event)
        self._note(verdicts)
        return verdicts[0]

    def waits(self) -> Timer | None:
        """The wanted timer, for as long as it waits."""
        wanted = self.wanted
        conversation = None if wanted is None else self.page.conversation(wanted.conversation)
        if wanted is None or conversation is None:
            return None
        return next((timer for timer in conversation.timers if wanted.is_timer(timer)), None)

    def _look(self, timer: Timer | None) -> None:
        if timer is None or self.wanted is None:
            return
        self.page.turn_to(max(self.page.now, from_ms(timer.due)))
        events = [event for number in timer.events if (event := self.page.event(number)) is not None]
        self.seen = self.page.facts_later(together(events), self.wanted.conversation) if events else None

    def _note(self, verdicts: list[Verdict]) -> None:
        for verdict in verdicts:
            commands = (one.command for one in verdict.rendered if one.command is not None)
            self.operations.update(one.operation for one in commands if one.keep or one.then)
            if self.wanted is not None and self.wanted.is_event(verdict.event):
                self.woken = verdict


def rebuild(
    records: Records,
    behaviour: Behaviour,
    chosen: Chosen,
    until: datetime,
    *,
    findings: Mapping[str, object] | None = None,
    wanted: Wanted | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Rebuilt:
    """Rehearse the chosen events, each at the moment at which it came, and let time go on `until` a moment.

    `findings` are what operations find; `progress` is told how many more events were read. Raises StoreError.
    """
    rebuilt: Rebuilt | None = None
    for chunk in records.chunks(chosen):
        if rebuilt is None:
            rebuilt = begun(behaviour, chunk[0].at, findings, wanted)
            rebuilt.oldest = chunk[0].event
        for past in chunk:
            rebuilt.turn_to(past.at)
            if past.event.kind != "timer":
                rebuilt.hear(past.number, past.event)
                rebuilt.count += 1
        progress(len(chunk))
    if rebuilt is None:
        rebuilt = begun(behaviour, until, findings, wanted)
    rebuilt.turn_to(until)
    return rebuilt


def begun(
    behaviour: Behaviour,
    at: datetime,
    findings: Mapping[str, object] | None = None,
    wanted: Wanted | None = None,
) -> Rebuilt:
    """Nothing has happened yet."""
    page = Recollection(at)
    return Rebuilt(Rehearsal(behaviour, at, findings, page), page, wanted)


def unsure(
    rebuilt: Rebuilt, event: Event, records: Records, chosen: Chosen, findings: Mapping[str, object]
) -> Iterator[str]:
    """What could not be rebuilt of what was before the event, a sentence each."""
    if chosen.account is not None and chosen.conversation is not None:
        began = records.opened_at(chosen.account, chosen.conversation)
        if began is not None and began < (rebuilt.oldest or event).at:
            yield f"the conversation began on {began:%Y-%m-%d %H:%M} UTC, but its first events are kept no more"
        for scope, rules in kept_beside(rebuilt.rehearsal.behaviour.rulebook).items():
            yield (
                f"what is remembered or counted per {scope} ({named(rules)}) is known from this conversation alone; "
                "--whole rehearses all of them"
            )
    if operations := sorted(rebuilt.operations.difference(findings)):
        yield (
            f"operations were taken to find nothing ({', '.join(operations)}); "
            "--found OPERATION=JSON says what one finds"
        )
