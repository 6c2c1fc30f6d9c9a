"""What only the whole rulebook can tell: names used twice, rules that nothing ever reaches."""

from collections.abc import Iterable, Iterator, Sequence

from bridge.errors import Place, Problem
from bridge.model.rule import Rule
from bridge.rulebook.conditions import All


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


def unreachable(rules: Sequence[Rule]) -> Iterator[Problem]:
    """Warnings about rules, given in the rulebook's order, that come after one that stops all of their events."""
    stoppers: list[Rule] = []
    for rule in rules:
        before = next((stopper for stopper in stoppers if _covers(stopper, rule)), None)
        if before is not None:
            message = f'"{rule.name}" is never reached: "{before.name}" at {before.place} stops every event before it'
            yield Problem(place=rule.place, message=message, warning=True)
        elif rule.stop and rule.limit is None and rule.when == All():
            stoppers.append(rule)


def _covers(stopper: Rule, rule: Rule) -> bool:
    """Whether every event that `rule` is for reaches `stopper` first."""
    return (
        rule.on <= stopper.on
        and rule.senders <= stopper.senders
        and (not stopper.accounts or (bool(rule.accounts) and rule.accounts <= stopper.accounts))
    )
