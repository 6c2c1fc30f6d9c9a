"""Play: one test, step by step, in a rehearsal of its own."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from msgspec import Struct

from bridge.errors import Place, Problem, did_you_mean
from bridge.lab.events import MADE_UP, first_account, made_up, platform_of
from bridge.lab.expectations import Came, differences
from bridge.lab.heard import came_of, fired_in
from bridge.lab.rehearsal import Rehearsal
from bridge.lab.scenes import Expects, Happens, Scene, Turns
from bridge.lab.whom import no_account
from bridge.line.decide import Behaviour, Verdict
from bridge.model.conversation import Memory, begin
from bridge.model.event import NOBODY, Contact, Event
from bridge.model.facts import Facts
from bridge.model.rule import OperationAction, numbered


class Heard(Struct, frozen=True, kw_only=True):
    """What came of one event or timer: the verdict, and for an event the facts on which it was decided."""

    verdict: Verdict
    facts: Facts | None = None


class Failure(Struct, frozen=True, kw_only=True):
    """An expectation that did not come out: what is wrong, at which step, when, and what was heard since the last."""

    place: Place
    at: datetime
    expect: str | Mapping[str, Any]
    wrong: tuple[str, ...]
    came: Came
    heard: tuple[Heard, ...]


class Played(Struct, frozen=True, kw_only=True):
    """How a test went: the rules that fired, how many steps were taken, and where it failed, if it did."""

    scene: Scene
    fired: frozenset[str]
    steps: int
    failure: Failure | None = None


def play(scene: Scene, behaviour: Behaviour) -> Played:
    """Take the steps of a test until one fails."""
    return _Stage(scene, behaviour).play()


@dataclass(slots=True)
class _Stage:
    """A test in the playing. `waiting` is what came and was not looked at by an `expect` yet."""

    scene: Scene
    behaviour: Behaviour
    rehearsal: Rehearsal = field(init=False)
    account: str = field(init=False)
    waiting: list[Heard] = field(default_factory=list)
    fired: set[str] = field(default_factory=set)
    contacts: dict[tuple[str, str], Contact] = field(default_factory=dict)

    def __post_init__(self) -> None:
        scene = self.scene
        self.rehearsal = Rehearsal(self.behaviour, scene.at, scene.answers)
        self.account = scene.account or first_account(self.behaviour.accounts)
        blank = self._event(Happens(place=scene.place, at=scene.at, given={}, contact=scene.contact), 0)
        if scene.memory:
            self.rehearsal.begin_with(begin(blank), {"conversation": Memory(facts=scene.memory)})

    def play(self) -> Played:
        failure, steps = None, 0
        for number, step in enumerate(self.scene.steps, 1):
            steps = number
            match step:
                case Happens():
                    self._happens(self._event(step, number))
                case Turns(at=moment):
                    self._take(Heard(verdict=verdict) for verdict in self.rehearsal.turn_to(moment))
                case Expects():
                    failure = self._look(step)
            if failure is not None:
                break
        if failure is None:
            failure = self._faults()
        return Played(scene=self.scene, fired=frozenset(self.fired), steps=steps, failure=failure)

    def _happens(self, event: Event) -> None:
        facts = self.rehearsal.facts(event)
        first, *later = self.rehearsal.hear(event)
        self._take([Heard(verdict=first, facts=facts), *(Heard(verdict=verdict) for verdict in later)])

    def _take(self, heard: Iterator[Heard] | Sequence[Heard]) -> None:
        for one in heard:
            self.waiting.append(one)
            self.fired.update(fired_in(one.verdict))

    def _look(self, step: Expects) -> Failure | None:
        """Hold the step against what came since the last; what it looks at is done with."""
        where = self._where(step.account, step.conversation)
        if step.conversation is None and step.account is None:
            heard, self.waiting = self.waiting, []
        else:
            heard = [one for one in self.waiting if _place_of(one) == where]
            self.waiting = [one for one in self.waiting if _place_of(one) != where]
        came = self._came(heard, step)
        wrong = tuple(differences(step.expect, came))
        if not wrong:
            return None
        return Failure(place=step.place, at=step.at, expect=step.expect, wrong=wrong, came=came, heard=tuple(heard))

    def _faults(self) -> Failure | None:
        """What failed after the last `expect` fails the test as well."""
        last = self.scene.steps[-1]
        end = Expects(place=last.place, at=last.at, expect={})
        return self._look(end)

    def _came(self, heard: Sequence[Heard], step: Expects) -> Came:
        at = Happens(place=step.place, at=step.at, given={}, conversation=step.conversation, account=step.account)
        return came_of((one.verdict for one in heard), self.rehearsal, self._event(at, 0))

    def _where(self, account: str | None, conversation: str | None) -> tuple[str, str]:
        return account or self.account, conversation or MADE_UP

    def _event(self, step: Happens, number: int) -> Event:
        """The step as an event; its number tells it from others."""
        where = account, conversation = self._where(step.account, step.conversation)
        if step.contact is not None:
            self.contacts[where] = step.contact
        return made_up(
            step.given,
            account=account,
            platform=platform_of(account, self.behaviour.accounts),
            at=step.at,
            key=str(number),
            conversation=conversation,
            contact=self.contacts.get(where, NOBODY),
        )


def _place_of(heard: Heard) -> tuple[str, str]:
    event = heard.verdict.event
    return event.account, event.conversation


def unknown_names(scene: Scene, behaviour: Behaviour) -> Iterator[Problem]:
    """What a test names and there is not: accounts, rules, operations that no rule has done."""
    yield from _no_account(scene.account, scene.place, behaviour)
    yield from _no_operations(scene.answers, scene.place, behaviour)
    for step in scene.steps:
        if isinstance(step, Turns):
            continue
        yield from _no_account(step.account, step.place, behaviour)
        if isinstance(step, Expects) and not isinstance(step.expect, str):
            yield from _no_rules(step.expect.get("rule", ()), step.place, behaviour)
            operations, broadcasts = step.expect.get("operation"), step.expect.get("broadcast")
            if isinstance(operations, Mapping):
                yield from _no_operations(operations, step.place, behaviour)
            if isinstance(broadcasts, Mapping):
                yield from _no_broadcasts(broadcasts, step.place, behaviour)


def _no_account(name: str | None, place: Place, behaviour: Behaviour) -> Iterator[Problem]:
    if name is not None and behaviour.accounts.get(name) is None:
        yield no_account(place, "account", name, behaviour.accounts)


def _no_rules(names: Iterable[str], place: Place, behaviour: Behaviour) -> Iterator[Problem]:
    for name in names:
        if behaviour.rule(name) is None:
            near = did_you_mean(name, [rule.name for rule in behaviour.rulebook.rules])
            yield Problem(place=place, message=f'there is no rule "{name}"{near}')


def _no_broadcasts(names: Iterable[str], place: Place, behaviour: Behaviour) -> Iterator[Problem]:
    known = sorted(behaviour.rulebook.broadcasts)
    for name in names:
        if name not in known:
            yield Problem(place=place, message=f'there is no broadcast "{name}"{did_you_mean(name, known)}')


def _no_operations(names: Iterable[str], place: Place, behaviour: Behaviour) -> Iterator[Problem]:
    wanted = list(names)
    if not wanted:
        return
    actions = (action for rule in behaviour.rulebook.rules for _, action in numbered(rule.do))
    done = {action.operation for action in actions if isinstance(action, OperationAction)}
    for name in wanted:
        if name not in done:
            yield Problem(place=place, message=f'no rule has "{name}" done{did_you_mean(name, sorted(done))}')
