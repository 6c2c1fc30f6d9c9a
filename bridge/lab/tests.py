"""Tests: every test and every example of a rulebook, tried; what fails, and which rules nothing ever fired."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from msgspec import Struct

from bridge.errors import Problem
from bridge.lab.events import nobody_writes
from bridge.lab.examples import examples_of, try_example, wrong_in
from bridge.lab.play import Played, play, unknown_names
from bridge.lab.scenes import BEGINNING, Scene, read_scenes
from bridge.line.decide import Behaviour
from bridge.model.rule import Rule


class Report(Struct, frozen=True, kw_only=True):
    """How the tests went. `unfired` are the rules that no test and no example fired."""

    played: tuple[Played, ...]
    examples: int
    wrong_examples: tuple[Problem, ...]
    unfired: tuple[Rule, ...]

    @property
    def failed(self) -> tuple[Played, ...]:
        return tuple(one for one in self.played if one.failure is not None)

    @property
    def steps(self) -> int:
        return sum(one.steps for one in self.played)

    @property
    def passed(self) -> bool:
        return not self.failed and not self.wrong_examples


def run_tests(directory: Path, behaviour: Behaviour, timezone: ZoneInfo) -> list[Problem]:
    """What is wrong with the tests of a folder of rules, and with what comes of them; for the gate of a reload.

    `timezone` is that of moments that name none. Without any account the tests are only read.
    """
    scenes, problems = read_scenes(directory, timezone)
    if nobody_writes(behaviour.accounts):
        return problems
    problems.extend(unknown for scene in scenes for unknown in unknown_names(scene, behaviour))
    if not problems:
        problems.extend(problem for scene in scenes for problem in failures(play(scene, behaviour)))
    return sorted(problems)


def failures(played: Played) -> list[Problem]:
    """What is wrong with a test, in a sentence each."""
    failure = played.failure
    if failure is None:
        return []
    return [Problem(place=failure.place, message=f'test "{played.scene.name}": {wrong}') for wrong in failure.wrong]


def report(scenes: Iterable[Scene], behaviour: Behaviour, timezone: ZoneInfo, *, examples: bool = True) -> Report:
    """Play all of these tests, and try the examples of the rules with them."""
    played = tuple(play(scene, behaviour) for scene in scenes)
    fired = {name for one in played for name in one.fired}
    wrong: list[Problem] = []
    tried = 0
    for rule, example in examples_of(behaviour.rulebook) if examples else ():
        came = try_example(behaviour, rule, example, beginning(timezone))
        fired.update(came.fired)
        wrong.extend(wrong_in(rule, example, came))
        tried += 1
    return Report(
        played=played,
        examples=tried,
        wrong_examples=tuple(wrong),
        unfired=unfired(behaviour.rulebook.rules, fired),
    )


def unfired(rules: Sequence[Rule], fired: Iterable[str]) -> tuple[Rule, ...]:
    known = set(fired)
    return tuple(rule for rule in rules if rule.name not in known)


def beginning(timezone: ZoneInfo) -> datetime:
    """When a test or an example happens that does not say."""
    return BEGINNING.replace(tzinfo=timezone)
