"""Scenes: the tests of `*.test.yaml`, read and checked; each a conversation with what has to come of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct

from bridge.errors import Place, Problem, RulebookError
from bridge.lab.events import contact_of
from bridge.lab.scene_forms import HAPPENINGS, SceneFileForm, SceneForm, StepForm, plain
from bridge.model.event import Contact
from bridge.rulebook.lint import duplicates
from bridge.rulebook.load import read_files
from bridge.rulebook.wording import validate
from bridge.rulebook.yaml import Node, read, shown

BEGINNING = datetime(2026, 3, 3, 12, 0)  # noqa: DTZ001 - local to the settings
"""When a test begins that does not say: a Tuesday at noon, so that it comes out the same on every day."""

_END = datetime(2300, 1, 1, tzinfo=UTC)


class Happens(Struct, frozen=True, kw_only=True):
    """Something happens at a moment. No `conversation`: in the one that has no name; no `account`: the test's."""

    place: Place
    at: datetime
    given: Mapping[str, Any]
    conversation: str | None = None
    account: str | None = None
    contact: Contact | None = None


class Turns(Struct, frozen=True, kw_only=True):
    """Time goes on until a moment."""

    place: Place
    at: datetime


class Expects(Struct, frozen=True, kw_only=True):
    """What must have come: "nothing", or as in the file. With `conversation` only what came there is looked at."""

    place: Place
    at: datetime
    expect: str | Mapping[str, Any]
    conversation: str | None = None
    account: str | None = None


Step = Happens | Turns | Expects


class Scene(Struct, frozen=True, kw_only=True):
    """One test. `answers` are what operations find: operation -> its answer."""

    name: str
    place: Place
    at: datetime
    steps: tuple[Step, ...]
    account: str | None = None
    contact: Contact | None = None
    memory: Mapping[str, object] = {}
    answers: Mapping[str, object] = {}


def read_scenes(directory: Path, timezone: ZoneInfo) -> tuple[list[Scene], list[Problem]]:
    """The tests below `directory` in the order of their files, and all that is wrong with them.

    `timezone` is that of moments that name none.
    """
    files, problems = read_files(directory, tests=True)
    scenes, found = scenes_in(files, timezone)
    return scenes, sorted([*problems, *found])


def scenes_in(files: Mapping[str, bytes], timezone: ZoneInfo) -> tuple[list[Scene], list[Problem]]:
    """The tests in these files (name -> content), and what is wrong with them."""
    scenes: list[Scene] = []
    problems: list[Problem] = []
    for name, content in files.items():
        try:
            node = read(content, name)
        except RulebookError as error:
            problems.extend(error.problems)
            continue
        if node is None:
            continue
        form, found = validate(SceneFileForm, node)
        problems.extend(found)
        for number, one in enumerate(form.tests if form else ()):
            scenes.append(_Reading(node.at("tests", number), timezone, problems).scene(one))
    problems.extend(duplicates(((scene.name, scene.place) for scene in scenes), "test"))
    return scenes, problems


@dataclass(slots=True)
class _Reading:
    """One test in the reading; `now` is the moment that its steps have come to."""

    node: Node
    zone: ZoneInfo
    problems: list[Problem]
    now: datetime = field(init=False)

    def scene(self, form: SceneForm) -> Scene:
        self.now = start = self._moment(form.at or BEGINNING, self.node.at("at").place)
        return Scene(
            name=form.name,
            place=self.node.at("name").place,
            at=start,
            steps=tuple(self._step(step, self.node.at("steps", n)) for n, step in enumerate(form.steps)),
            account=form.account,
            contact=None if form.contact is None else contact_of(plain(form.contact)),
            memory=dict(form.memory or {}),
            answers=dict(form.answers or {}),
        )

    def _step(self, form: StepForm, node: Node) -> Step:
        place = node.key_place(form.word)
        if form.word in HAPPENINGS:
            given = {key: value for key, value in plain(form).items() if key in (*HAPPENINGS, "url")}
            contact = None if form.contact is None else contact_of(plain(form.contact))
            return Happens(
                place=place,
                at=self.now,
                given=given,
                conversation=form.conversation,
                account=form.account,
                contact=contact,
            )
        if form.expect is not None:
            expect = form.expect if isinstance(form.expect, str) else plain(form.expect)
            return Expects(
                place=place, at=self.now, expect=expect, conversation=form.conversation, account=form.account
            )
        self.now = self._then(form, node)
        return Turns(place=place, at=self.now)

    def _then(self, form: StepForm, node: Node) -> datetime:
        """The moment until which a step lets time go on."""
        if form.wait is not None:
            then = self.now + form.wait
            if then > _END:
                self._wrong(node.at("wait").place, f"a test ends before {_END.year}")
            return min(then, _END)
        then = self.now if form.at is None else self._moment(form.at, node.at("at").place)
        if then < self.now:
            self._wrong(node.at("at").place, f"{self._said(then)} is past: the test has come to {self._said(self.now)}")
        return max(then, self.now)

    def _moment(self, moment: datetime, place: Place) -> datetime:
        """The moment in UTC; a local one must exist, once."""
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
        first, second = (moment.replace(tzinfo=self.zone, fold=fold) for fold in (0, 1))
        if first.astimezone(UTC).astimezone(self.zone).replace(tzinfo=None) != moment:
            self._wrong(place, f"{shown(moment.isoformat())} does not exist in {self.zone}: the clock is put forward")
        elif first.utcoffset() != second.utcoffset():
            offsets = f"{_offset(first)} or {_offset(second)}"
            self._wrong(place, f"{shown(moment.isoformat())} comes twice in {self.zone}: end it with {offsets}")
        return first.astimezone(UTC)

    def _said(self, moment: datetime) -> str:
        return moment.astimezone(self.zone).isoformat(timespec="minutes")

    def _wrong(self, place: Place, message: str) -> None:
        self.problems.append(Problem(place=place, message=message))


def _offset(moment: datetime) -> str:
    return moment.isoformat()[-6:]
