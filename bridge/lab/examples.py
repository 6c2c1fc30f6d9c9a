"""Examples: a rule's author says what should happen; here it is tried, with nothing sent and nothing kept."""

from collections.abc import Iterator
from datetime import datetime

from bridge.errors import Place, Problem
from bridge.lab.events import contact_of, first_account, made_up, nobody_writes, platform_of
from bridge.lab.expectations import Came, differences
from bridge.lab.heard import came_of
from bridge.lab.rehearsal import Rehearsal
from bridge.line.accounts import Accounts
from bridge.line.decide import Behaviour
from bridge.line.render import Renderer
from bridge.model.conversation import Memory, begin
from bridge.model.rule import Example, Rule, Rulebook


def run_examples(rulebook: Rulebook, renderer: Renderer, accounts: Accounts, now: datetime) -> Iterator[Problem]:
    """Try every example of every rule; gives a problem for each that does not come out as it says.

    Without any account nothing can be tried.
    """
    if nobody_writes(accounts):
        return
    behaviour = Behaviour(rulebook=rulebook, renderer=renderer, accounts=accounts)
    for rule, example in examples_of(rulebook):
        yield from wrong_in(rule, example, try_example(behaviour, rule, example, now))


def examples_of(rulebook: Rulebook) -> Iterator[tuple[Rule, Example]]:
    return ((rule, example) for rule in rulebook.rules for example in rule.examples)


def try_example(behaviour: Behaviour, rule: Rule, example: Example, now: datetime) -> Came:
    """What comes of an example, as if it were `now`. A burst is over once the message is said."""
    given = example.given
    at = given.get("at")
    rehearsal = Rehearsal(behaviour, at if isinstance(at, datetime) else now)
    account = given.get("account") or next(iter(sorted(rule.accounts)), None) or first_account(behaviour.accounts)
    event = made_up(
        given,
        account=str(account),
        platform=platform_of(str(account), behaviour.accounts),
        at=rehearsal.now,
        contact=contact_of(_mapping(given.get("contact"))),
    )
    rehearsal.begin_with(begin(event), {"conversation": Memory(facts=_mapping(given.get("memory")))})
    verdicts = [*rehearsal.hear(event), *rehearsal.end_bursts()]
    return came_of(verdicts, rehearsal, event)


def wrong_in(rule: Rule, example: Example, came: Came) -> Iterator[Problem]:
    """A problem for each thing that came otherwise than the example says."""
    place: Place = example.place
    for wrong in differences(example.expect, came):
        yield Problem(place=place, message=f'example of "{rule.name}": {wrong}')


def _mapping(value: object) -> dict[str, object]:
    return dict(value) if isinstance(value, dict) else {}
