"""Near: why rules did not fire about an event, those that came nearest first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bridge.line.decide import Behaviour
from bridge.line.match import quiet
from bridge.model.facts import Facts
from bridge.model.rule import Rule
from bridge.rulebook.conditions import All

Trace = Sequence[Mapping[str, object]]
What = Literal["limited", "silent", "waits", "stopped", "holds", "no", "other"]
"""What kept a rule from firing: "no" is its condition, "other" that it is for other events, "holds" is nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Silence:
    """A rule that did not fire, and why. `distance` is 0 where its condition holds, and above 2 for other events."""

    rule: Rule
    what: What
    why: str
    distance: float


def silences(behaviour: Behaviour, facts: Facts, trace: Trace, *, after_burst: bool = False) -> list[Silence]:
    """Every rule that did not fire about the event of `facts`, the nearest first; `trace` is what was decided.

    With `after_burst` the event is a burst that is over, and the rules that do not wait for that were never asked.
    """
    fired = {step["rule"] for step in trace if step.get("fired")}
    stopper = next((behaviour.rule(str(step["rule"])) for step in trace if step.get("stopped")), None)
    waiting = _waiting(behaviour, facts)
    found: list[Silence] = []
    after_stop = False
    for rule in behaviour.rulebook.rules:
        waits = rule.name in waiting
        if rule.name not in fired:
            # A message that a rule stops is in no burst, so it is stopped for all rules that wait.
            by = stopper if after_stop or (waits and not after_burst) else None
            found.append(_silence(rule, facts, by, _asked_when(waits, after_burst)))
        after_stop = after_stop or rule is stopper
    return sorted(found, key=lambda one: one.distance)


def _waiting(behaviour: Behaviour, facts: Facts) -> frozenset[str]:
    """The rules that wait until the contact is quiet before they look at such an event."""
    event = facts.event
    if event.kind != "message" or event.sender != "contact":
        return frozenset()
    known = behaviour.accounts.get(event.account)
    all_wait = known is not None and bool(known.account.burst)
    return frozenset(rule.name for rule in behaviour.rulebook.rules if all_wait or rule.burst is not None)


def _asked_when(waits: bool, after_burst: bool) -> str | None:
    """When a rule is asked, where that is not now."""
    if waits == after_burst:
        return None
    return "waits until the contact is quiet (burst)" if waits else "answers each message at once, not the burst"


def _silence(rule: Rule, facts: Facts, stopper: Rule | None, other_time: str | None) -> Silence:
    if (other := _for_others(rule, facts)) is not None:
        return Silence(rule=rule, what="other", why=other, distance=3)
    if other_time is not None and stopper is None:
        return Silence(rule=rule, what="waits", why=other_time, distance=0)
    if (reason := rule.when.why_not(facts)) is not None:
        return Silence(rule=rule, what="no", why=reason, distance=_missed(rule, facts))
    if stopper is not None:
        return Silence(rule=rule, what="stopped", why=f"stopped by {stopper.name} ({stopper.place})", distance=0)
    for what, why in (quiet(rule, facts) or {}).items():
        return Silence(rule=rule, what="limited" if what == "limited" else "silent", why=f"{what}: {why}", distance=0)
    return Silence(rule=rule, what="holds", why="its condition holds now", distance=0)


def _for_others(rule: Rule, facts: Facts) -> str | None:
    """Why the rule is not for such events at all."""
    event = facts.event
    if event.kind not in rule.on:
        return f"is for {' or '.join(sorted(rule.on))}, not for {event.kind}"
    if event.sender not in rule.senders:
        return f"is for what the {' or '.join(sorted(rule.senders))} does, not the {event.sender}"
    if rule.accounts and event.account not in rule.accounts:
        return f"is for the account {' or '.join(sorted(rule.accounts))}, not for {event.account}"
    return None


def _missed(rule: Rule, facts: Facts) -> float:
    """Which share of its conditions fails, from above 0 to 1."""
    parts = rule.when.parts if isinstance(rule.when, All) else (rule.when,)
    failing = sum(not part.holds(facts, {}) for part in parts)
    return max(failing, 1) / max(len(parts), 1)
