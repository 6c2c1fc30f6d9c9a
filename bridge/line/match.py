"""Match: which rules say yes to an event, and why the near ones did not."""

from collections.abc import Mapping
from datetime import timedelta

from msgspec import Struct

from bridge.clock import to_ms
from bridge.model.conversation import EMPTY
from bridge.model.facts import Facts
from bridge.model.quantity import say_duration
from bridge.model.rule import Limit, Match, Rule, Rulebook


class Matched(Struct, frozen=True, kw_only=True):
    """The rules that fired, in order, and the trace: what was decided about each rule that came near."""

    matches: tuple[Match, ...]
    trace: tuple[Mapping[str, object], ...]


def match(rulebook: Rulebook, facts: Facts) -> Matched:
    """All rules whose conditions hold and whose limit is not used up, until one says `stop`."""
    matches: list[Match] = []
    trace: list[Mapping[str, object]] = []
    for rule in rulebook.index.candidates(facts):
        groups: dict[str, str] = {}
        if not rule.when.holds(facts, groups):
            continue
        if rule.limit is not None and (limited := used_up(rule, rule.limit, facts)):
            trace.append({"rule": rule.name, "limited": limited})
            continue
        matches.append(Match(rule=rule, groups=groups))
        trace.append({"rule": rule.name, "fired": True})
        if rule.stop:
            trace.append({"rule": rule.name, "stopped": True})
            break
    return Matched(matches=tuple(matches), trace=tuple(trace))


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
