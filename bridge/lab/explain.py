"""Explain: why each rule fires or not about an event, with the conversation as it was, beside what was decided then."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from bridge.clock import from_ms
from bridge.errors import Place
from bridge.lab.diff import what_happened, what_starts
from bridge.lab.near import Trace, What, silences
from bridge.lab.rebuild import Rebuilt, Wanted, begun, rebuild, unsure, wanted_in
from bridge.lab.then import rendered_then
from bridge.line.decide import Behaviour, Verdict
from bridge.line.render import Rendered
from bridge.model.conversation import BURST
from bridge.model.event import Event
from bridge.model.facts import Facts
from bridge.store.recorded import Chosen, Past, Records

Verdicts = Literal["fired", "gone"] | What


@dataclass(frozen=True, kw_only=True, slots=True)
class Opinion:
    """What comes of one rule, and why. `verdict` is "gone" for one that the rulebook has no more.

    `then` is what came of it at the time: None where nothing is recorded, "" where the record does not speak of it:
    its condition did not hold, or another rule had stopped the event, or there was no such rule.
    """

    rule: str
    place: Place | None
    verdict: Verdicts
    why: str
    then: str | None = None

    @property
    def differs(self) -> bool:
        return self.then is not None and (self.verdict == "fired") != (self.then == "fired")


@dataclass(frozen=True, kw_only=True, slots=True)
class Explained:
    """Of an event at a moment: an opinion for every rule, the nearest first, and what is said now and was said then.

    `number` and `then` are None for an event that was made up. `about` tells of timers and broadcasts, `notes` what
    could not be rebuilt; `rehearsed` events came before it.
    """

    number: int | None
    at: datetime
    event: Event
    opinions: tuple[Opinion, ...]
    now: tuple[Rendered, ...]
    then: tuple[Rendered, ...] | None
    about: tuple[str, ...]
    rehearsed: int
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Asking:
    """How to go about it: `whole` rehearses all that is recorded, not only the event's conversation."""

    behaviour: Behaviour
    whole: bool = False
    findings: Mapping[str, object] = field(default_factory=dict)
    progress: Callable[[int], None] = lambda _: None

    def rebuilt(self, records: Records, chosen: Chosen, until: datetime, wanted: Wanted | None = None) -> Rebuilt:
        return rebuild(
            records,
            self.behaviour,
            chosen,
            until,
            findings=self.findings,
            wanted=wanted,
            progress=self.progress,
        )


def explain(records: Records, past: Past, asking: Asking) -> Explained:
    """Explain a recorded event. Raises StoreError."""
    event, number = past.event, past.number
    chosen = _before(event, number - 1, whole=asking.whole)
    told = records.told(number, number).get(number, ())
    then = tuple(map(rendered_then, told))
    if event.kind == "timer":
        rebuilt = asking.rebuilt(records, chosen, past.at, wanted_in(event))
        verdict = rebuilt.woken
        opinions = _burst(rebuilt, past) if rebuilt.of_burst else [_follow_up(rebuilt, past)]
        about = (*_timer(past, records), *_starts(verdict))
    else:
        rebuilt = asking.rebuilt(records, chosen, past.at)
        facts = rebuilt.rehearsal.facts(event)
        verdict = rebuilt.hear(number, event)
        opinions = list(_beside(_opinions(asking.behaviour, facts, verdict.trace), past.trace))
        about = (*_cancelled(verdict.trace, past.trace), *_starts(verdict))
    return Explained(
        number=number,
        at=past.at,
        event=event,
        opinions=tuple(opinions),
        now=() if verdict is None else verdict.rendered,
        then=then,
        about=about,
        rehearsed=rebuilt.count,
        notes=tuple(unsure(rebuilt, event, records, chosen, asking.findings)),
    )


def explain_made_up(event: Event, asking: Asking, records: Records | None = None) -> Explained:
    """Explain an event that never was, as if it came after all that is recorded of its conversation.

    Without `records` nothing came before it. Raises StoreError.
    """
    notes: tuple[str, ...] = ()
    rebuilt = begun(asking.behaviour, event.at, asking.findings)
    if records is not None:
        chosen = _before(event, None, whole=asking.whole)
        rebuilt = asking.rebuilt(records, chosen, event.at)
        notes = tuple(unsure(rebuilt, event, records, chosen, asking.findings))
    facts = rebuilt.rehearsal.facts(event)
    verdict = rebuilt.hear(0, event)
    return Explained(
        number=None,
        at=event.at,
        event=event,
        opinions=tuple(_opinions(asking.behaviour, facts, verdict.trace)),
        now=verdict.rendered,
        then=None,
        about=(*_cancelled(verdict.trace, None), *_starts(verdict)),
        rehearsed=rebuilt.count,
        notes=notes,
    )


def _before(event: Event, upto: int | None, *, whole: bool) -> Chosen:
    if whole:
        return Chosen(upto=upto)
    return Chosen(account=event.account, conversation=event.conversation, upto=upto)


def _opinions(behaviour: Behaviour, facts: Facts, trace: Trace, *, after_burst: bool = False) -> list[Opinion]:
    """Of every rule: first those that fired, in their order, then the others, the nearest first."""
    fired = {step["rule"] for step in trace if step.get("fired")}
    stopped = {step["rule"] for step in trace if step.get("stopped")}
    return [
        Opinion(
            rule=rule.name,
            place=rule.place,
            verdict="fired",
            why="its condition holds" + ("; no later rule sees the event" if rule.name in stopped else ""),
        )
        for rule in behaviour.rulebook.rules
        if rule.name in fired
    ] + [
        Opinion(rule=one.rule.name, place=one.rule.place, verdict=one.what, why=one.why.removeprefix(f"{one.what}: "))
        for one in silences(behaviour, facts, trace, after_burst=after_burst)
    ]


def _beside(opinions: Sequence[Opinion], trace: Trace) -> Iterator[Opinion]:
    """The same with what was decided then, and with the rules of then that there are no more."""
    then = {
        str(step["rule"]): _then(step)
        for step in trace
        if "rule" in step and "after" not in step and "stopped" not in step
    }
    waited = "waited" if any(step.get("burst") for step in trace) else ""
    for one in opinions:
        default = waited if one.verdict == "waits" else ""
        yield replace(one, then=then.pop(one.rule, default))
    for rule, what in then.items():
        why = "the rulebook has no rule of this name any more"
        yield Opinion(rule=rule, place=None, verdict="gone", why=why, then=what)


def _then(step: Mapping[str, object]) -> str:
    """'fired', or 'limited: 1 per conversation, ever'."""
    for what, why in step.items():
        if what not in ("rule", "after"):
            return what if why is True else f"{what}: {why}"
    return ""


def _cancelled(now: Trace, then: Trace | None) -> Iterator[str]:
    """Which follow-ups the event cancels, and whether it was so then."""
    cancels, did = _cancels(now), _cancels(then or ())
    for rule, action in dict.fromkeys((*cancels, *did)):
        said = f"cancels the follow-up of rule {rule} (action {action})"
        if then is None or ((rule, action) in cancels and (rule, action) in did):
            yield said
        else:
            yield said + (", which it did not then" if (rule, action) in cancels else " only then, not any more")
    yield from (str(step["dropped"]) for step in now if "dropped" in step)


def _starts(verdict: Verdict | None) -> Iterator[str]:
    """Which broadcasts are started now. What was started then is not recorded with the event, but as a run."""
    for asked in () if verdict is None else verdict.asked:
        yield f"rule {asked.rule} {what_starts(asked)}"


def _cancels(trace: Trace) -> list[tuple[str, str]]:
    return [(str(step.get("rule")), str(step.get("after"))) for step in trace if step.get("cancelled")]


def _timer(past: Past, records: Records) -> Iterator[str]:
    """What a timer of the record was, of which events, and what it came to."""
    raw = past.event.raw
    events = raw.get("events")
    if raw.get("rule") == BURST:
        yield "the contact was quiet, so the burst of these messages was over:"
    else:
        yield f"a follow-up of rule {raw.get('rule')} (action {raw.get('action')}), because of:"
    for number in events if isinstance(events, list) else ():
        about = records.event(number) if isinstance(number, int) else None
        if about is None:
            yield f"  event {number}, which is kept no more"
        else:
            when = f"{about.at:%Y-%m-%d %H:%M:%S}"
            yield f"  event {number}, {when} UTC: {about.event.sender}: {what_happened(about.event)}"


def _burst(rebuilt: Rebuilt, past: Past) -> list[Opinion]:
    """What comes of the rules that wait for a burst to be over."""
    if rebuilt.seen is None:
        return list(_beside([], past.trace))
    trace = () if rebuilt.woken is None else rebuilt.woken.trace
    opinions = _opinions(rebuilt.rehearsal.behaviour, rebuilt.seen, trace, after_burst=True)
    return list(_beside(opinions, past.trace))


def _follow_up(rebuilt: Rebuilt, past: Past) -> Opinion:
    """What comes of the one rule whose follow-up it was."""
    name, action = str(past.event.raw.get("rule")), past.event.raw.get("action")
    rule = rebuilt.rehearsal.behaviour.rule(name)
    then = next((_then(step) for step in past.trace if step.get("rule") == name), "")
    verdict, why = _still(rebuilt) if rule is not None else ("gone", "the rulebook has no rule of this name any more")
    return Opinion(
        rule=f"{name}, action {action}", place=None if rule is None else rule.place, verdict=verdict, why=why, then=then
    )


def _still(rebuilt: Rebuilt) -> tuple[Verdicts, str]:
    """What becomes of the follow-up with this rulebook."""
    if rebuilt.woken is None:
        if (timer := rebuilt.waits()) is not None:
            return "waits", f"it is due only at {from_ms(timer.due):%Y-%m-%d %H:%M:%S} UTC"
        return "no", "no such follow-up waits at this time any more: its rule did not fire, or it was cancelled"
    for what, why in rebuilt.woken.trace[0].items():
        match what:
            case "fired":
                return "fired", "it is due, and its condition still holds"
            case "no_more":
                return "no", str(why)
            case "silent":
                return "silent", str(why)
            case "dropped":
                return "gone", str(why)
    return "no", "it came to nothing"
