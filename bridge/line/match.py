"""Match: which rules say yes to an event, and why the near ones did not."""

from collections.abc import Callable, Mapping
from datetime import timedelta

from msgspec import Struct

from bridge.clock import to_ms
from bridge.line.restraint import silenced
from bridge.model.conversation import EMPTY
from bridge.model.facts import Facts
from bridge.model.quantity import say_duration
from bridge.model.rule import Limit, Match, Rule, Rulebook


class Matched(Struct, frozen=True, kw_only=True):
    """The rules that fired, in order, and the trace: what was decided about each rule that came near."""

    matches: tuple[Match, ...]
    trace: tuple[Mapping[str, object], ...]

    @property
    def stopped(self) -> bool:
        """Whether a rule said that no later one shall see the event."""
        return bool(self.matches) and self.matches[-1].rule.stop


def match(rulebook: Rulebook, facts: Facts, asked: Callable[[Rule], bool] | None = None) -> Matched:
    """All rules whose conditions hold and which nothing keeps quiet, until one says `stop`; only those `asked`."""
    matches: list[Match] = []
    trace: list[Mapping[str, object]] = []
    for rule in rulebook.index.candidates(facts):
        groups: dict[str, str] = {}
        if (asked is not None and not asked(rule)) or not rule.when.holds(facts, groups):
            continue
        if reason := quiet(rule, facts):
            trace.append({"rule": rule.name, **reason})
            continue
        matches.append(Match(rule=rule, groups=groups))
        trace.append({"rule": rule.name, "fired": True})
        if rule.stop:
            trace.append({"rule": rule.name, "stopped": True})
            break
    return Matched(matches=tuple(matches), trace=tuple(trace))


def quiet(rule: Rule, facts: Facts) -> Mapping[str, str] | None:
    """What keeps a rule quiet whose condition holds: its limit, or a human who is active."""
    if rule.limit is not None and (limited := used_up(rule, rule.limit, facts)):
        return {"limited": limited}
    if reason := silenced(rule, facts):
        return {"silent": reason}
    return None


def used_up(rule: Rule, limit: Limit, facts: Facts) -> str | None:
    """Why the limit keeps the rule quiet, or None where it does not."""
    now = to_ms(facts.now)
    fired = facts.memories.get(limit.per, EMPTY).fired.get(rule.name, ())
    within = None if limit.within is None else round(limit.within.total_seconds() * 1000)
    counting = [at for at in fired if within is None or at > now - within]
    if len(counting) < limit.times:
        return None
    said = f"{limit.times} per {limit.per}"
    if within is None:
        return f"{said}, ever"
    again = timedelta(milliseconds=counting[-limit.times] + within - now)
    return f"{said} within {say_duration(limit.within or again)}; again in {say_duration(again)}"
