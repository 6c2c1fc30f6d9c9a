"""What only the whole rulebook can tell: names used twice, rules that nothing ever reaches, two that answer at once."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import product

from bridge.errors import Place, Problem
from bridge.model.event import Kind
from bridge.model.rule import ReplyAction, Rule, key_place
from bridge.rulebook.conditions import All, Anchor, Exists, If, Not, Test
from bridge.rulebook.conditions import Any as AnyOf
from bridge.rulebook.fields import KNOWN
from bridge.rulebook.folding import phrase_of, runs_of
from bridge.rulebook.imply import disjoint, implies, known_by, never_holds
from bridge.rulebook.keys import BOUNDS, Key, identities
from bridge.rulebook.matchers import Matcher, Same, UrlGlob, Words
from bridge.rulebook.moments import Opening, TimeOfDay
from bridge.rulebook.urls import path_glob

_PARTS = (Test, Exists, All, AnyOf, Not, If, Opening, TimeOfDay)
_WITHOUT: Mapping[Kind, tuple[str, ...]] = {
    **dict.fromkeys(("typing", "widget", "visited"), ("text", "attachment")),
    **dict.fromkeys(("ended", "opened", "assigned"), ("attachment",)),
}
"""What events of a kind do not have: a rule that asks for it waits in vain."""

_NEAR = 20
"""How many of the earlier rules that look for the same are held against a later one: thousands may look for "yes"."""

_FAR = 200
"""How many of the earlier rules that look for nothing in particular are held against a later one."""


def duplicates(named: Iterable[tuple[str, Place]], what: str) -> Iterator[Problem]:
    """Names that are used more than once; each place tells where the first use is."""
    first: dict[str, Place] = {}
    for name, place in sorted(named, key=lambda one: one[1]):
        if name in first:
            yield Problem(
                place=place, message=f'another {what} is named "{name}" already, at {first[name]}: rename one'
            )
        else:
            first[name] = place


def lint(rules: Sequence[Rule]) -> Iterator[Problem]:
    """Warnings about rules, given in the rulebook's order, that never fire or that answer a second time."""
    vain = set[str]()
    for rule in rules:
        if (reason := _in_vain(rule)) is not None:
            vain.add(rule.name)
            yield Problem(place=key_place(rule, "when"), message=f'"{rule.name}" never holds: {reason}', warning=True)
        elif (reason := _unheard_of(rule)) is not None:
            yield Problem(place=key_place(rule, "when"), message=f'"{rule.name}" {reason}', warning=True)
    others = [rule for rule in rules if rule.name not in vain]
    yield from unreachable(others)
    yield from answered_twice(others)


def unreachable(rules: Sequence[Rule]) -> Iterator[Problem]:
    """Warnings about rules, given in the rulebook's order, that come after those that stop all of their events."""
    stoppers = _Stoppers()
    for rule in rules:
        if before := stoppers.of(rule):
            stopping = " and ".join(f'"{stopper.name}" at {stopper.place}' for stopper in before)
            verb = "stops" if len(before) == 1 else "stop"
            message = f'"{rule.name}" is never reached: {stopping} {verb} every event before it'
            yield Problem(place=rule.place, message=message, warning=True)
        elif rule.stop and rule.limit is None:
            stoppers.add(rule)


class _Stoppers:
    """The rules so far that stop, found by what they look for in an event."""

    def __init__(self) -> None:
        self._by_anchor: dict[Anchor, list[Rule]] = {}
        self._always: list[Rule] = []
        self._others: list[tuple[frozenset[str], Rule]] = []

    def add(self, rule: Rule) -> None:
        offers = _alternatives(rule)
        if rule.when == All():
            self._always.append(rule)
            return
        if not offers:
            self._others.append((known_by(rule.when), rule))
            return
        for anchor in min(offers, key=lambda offer: sum(len(self._by_anchor.get(anchor, ())) for anchor in offer)):
            self._by_anchor.setdefault(anchor, []).append(rule)

    def of(self, rule: Rule) -> list[Rule]:
        """Those that stop every event which `rule` is for; none where an event may get through to it."""
        near: dict[str, Rule] = {}
        for anchor in _looks_for(rule.when):
            near.update((one.name, one) for one in self._by_anchor.get(anchor, [])[-_NEAR:])
        known = known_by(rule.when)
        near.update((one.name, one) for wants, one in self._others[-_FAR:] if wants <= known)
        near.update((one.name, one) for one in self._always)
        stopping = [one for one in near.values() if _quiet_with(one, rule) and implies(rule.when, one.when)]
        needed: dict[str, Rule] = {}
        for scope in product(rule.on, rule.senders, rule.accounts or (None,)):
            before = next((one for one in stopping if _is_for(one, *scope)), None)
            if before is None:
                return []
            needed[before.name] = before
        return sorted(needed.values(), key=lambda one: one.place)


def _looks_for(part: object) -> Iterator[Anchor]:
    """Among what any condition looks for that is implied by `part`, if it looks for anything at all, is one of these.

    Of several branches the first will do, because each of them has to imply it; so will the first of several words.
    """
    match part:
        case All(parts=parts):
            for one in parts:
                yield from _looks_for(one)
        case AnyOf(parts=parts):
            yield from _looks_for(parts[0])
        case Test(field=field, matcher=matcher):
            yield from (Anchor(field, key) for key in _keys(matcher))


def _keys(matcher: Matcher) -> Iterator[Key]:
    match matcher:
        case Words(phrases=(first, *_)):
            yield from (Key("run", run) for run in runs_of(phrase_of(first)))
        case Same(values=(first, *_)):
            yield Key("same", identities(first)[0])
            yield from (Key("run", run) for run in runs_of(phrase_of(str(first))))
        case UrlGlob(part="path", globs=(first, *_)):
            yield from (Key("segment", segment) for segment in path_glob(first)[1])
        case _:
            yield from (next(iter(offer)) for offer in matcher.offers() if offer)


def _quiet_with(stopper: Rule, rule: Rule) -> bool:
    """Whether the stopper is asked whenever the rule is: about bursts or not, and while a human is active."""
    together = (stopper.burst is None) == (rule.burst is None)
    silent = stopper.answers and not stopper.even_if_human
    return together and (not silent or (rule.answers and not rule.even_if_human))


def _is_for(rule: Rule, kind: str, sender: str, account: str | None) -> bool:
    return kind in rule.on and sender in rule.senders and (not rule.accounts or account in rule.accounts)


def _alternatives(rule: Rule) -> list[frozenset[Anchor]]:
    """What the rule looks for, as far as a narrower condition looks for some of the same: another bound is another."""
    offers = rule.when.alternatives() if isinstance(rule.when, _PARTS) else ()
    return [offer for offer in offers if not any(anchor.key.how in BOUNDS for anchor in offer)]


def _in_vain(rule: Rule) -> str | None:
    """Why the rule's condition holds for no event that it is for, if that is so."""
    if never_holds(rule.when):
        return "its conditions contradict one another"
    for name, words in (("kind", rule.on), ("sender", rule.senders), ("account", rule.accounts)):
        if words and disjoint(rule.when, _asked_for(name, words)):
            return f'its "when" asks for another {name} than {" or ".join(sorted(words))}'
    return None


@lru_cache(maxsize=256)
def _asked_for(name: str, words: frozenset[str]) -> Test:
    """Rules share a few kinds, senders and accounts."""
    return Test(KNOWN[name], Same(sorted(words)))


def _unheard_of(rule: Rule) -> str | None:
    """What the rule asks for and events of its kinds do not have, unless a webhook of one's own gives it to them."""
    for name in sorted(known_by(rule.when)):
        if all(name.partition(".")[0] in _WITHOUT.get(kind, ()) for kind in rule.on):
            return f'asks for "{name}", which events of the kind {" or ".join(sorted(rule.on))} hardly ever have'
    return None


def answered_twice(rules: Sequence[Rule]) -> Iterator[Problem]:
    """Warnings about rules that answer what an earlier one has answered, most likely unmeant.

    Rules may well answer the same event on purpose. What is told are two without conditions, two with the same
    conditions, and two that look for the same word.
    """
    earlier: dict[object, list[Rule]] = {}
    for rule in rules:
        if not _replies(rule):
            continue
        signs = list(_signs(rule))
        for sign, said in signs:
            before = next((one for one in earlier.get(sign, ())[-_NEAR:] if _together(one, rule)), None)
            if before is not None:
                message = (
                    f'"{rule.name}" answers what "{before.name}" at {before.place} has answered: {said};'
                    f' give "{before.name}" stop: true, or tell them apart'
                )
                yield Problem(place=rule.place, message=message, warning=True)
                break
        if not rule.stop:
            for sign, _ in signs:
                earlier.setdefault(sign, []).append(rule)


def _replies(rule: Rule) -> bool:
    """Whether it writes to the contact at once."""
    return any(isinstance(action, ReplyAction) and action.answers for action in rule.do)


def _signs(rule: Rule) -> Iterator[tuple[object, str]]:
    """What two rules have in common that answer the same thing, and how it is said."""
    if rule.when == All():
        yield "always", "neither has conditions"
        return
    for part in rule.when.parts if isinstance(rule.when, All) else (rule.when,):
        if isinstance(part, Test) and isinstance(part.matcher, Words):
            for phrase in part.matcher.phrases:
                yield (part.field.name, phrase.casefold()), f'both look for "{phrase}" in {part.field.name}'
    yield ("same", _shape(rule)), "both have the same conditions"


def _shape(rule: Rule) -> str:
    return rule.when.wants if isinstance(rule.when, _PARTS) else ""


def _together(one: Rule, other: Rule) -> bool:
    """Whether one event may fire both."""
    return (
        not one.on.isdisjoint(other.on)
        and not one.senders.isdisjoint(other.senders)
        and not (one.accounts and other.accounts and one.accounts.isdisjoint(other.accounts))
        and not disjoint(one.when, other.when)
    )
