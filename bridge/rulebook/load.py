"""Read a directory of rule files into one Rulebook: whole, or not at all."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from bridge.errors import Place, Problem, RulebookError, did_you_mean
from bridge.model.broadcast import Audience, Broadcast
from bridge.model.rule import BroadcastAction, Rule, Rulebook, numbered
from bridge.rulebook.broadcasts import AudienceForm, BroadcastForm, RuleFileForm, build_audience, build_broadcast
from bridge.rulebook.build import build_calendar, build_rule
from bridge.rulebook.calendars import Hours
from bridge.rulebook.index import RuleIndex
from bridge.rulebook.lint import duplicates, lint
from bridge.rulebook.schema import CalendarForm, RuleForm, WhenForm
from bridge.rulebook.when import CompileExpression, Compiling, compile_when
from bridge.rulebook.wording import validate
from bridge.rulebook.yaml import MAX_FILE, Node, read

TOP = ("rules", "calendars", "broadcasts", "audiences")
SUFFIXES = (".yaml", ".yml")


def load(directory: Path, *, compile_expression: CompileExpression, timezone: str = "UTC") -> Rulebook:
    """The rulebook in `directory`: all `*.yaml` and `*.yml` below it, except `*.test.yaml`.

    `timezone` is the zone of calendars that name none. A directory that does not exist is an empty rulebook.
    Raises RulebookError with all problems found.
    """
    rulebook, problems = examine(directory, compile_expression=compile_expression, timezone=timezone)
    if rulebook is None:
        raise RulebookError([problem for problem in problems if not problem.warning])
    return rulebook


def examine(
    directory: Path, *, compile_expression: CompileExpression, timezone: str = "UTC"
) -> tuple[Rulebook | None, tuple[Problem, ...]]:
    """The rulebook, or None where it has errors; and everything found, warnings included, sorted by place."""
    files, problems = read_files(directory)
    rulebook, found = build(files, compile_expression=compile_expression, timezone=timezone)
    together = tuple(sorted((*problems, *found)))
    return (None if problems else rulebook), together


def read_files(directory: Path, *, tests: bool = False) -> tuple[dict[str, bytes], list[Problem]]:
    """The rule files below `directory` by the name that places show, in their order, and what cannot be read.

    With `tests`, the files of tests beside them.
    """
    files: dict[str, bytes] = {}
    problems: list[Problem] = []
    if not directory.is_dir():
        if directory.exists():
            problems.append(_unreadable(directory, "is no directory"))
        return files, problems
    for path in sorted(directory.rglob("*"), key=lambda path: path.relative_to(directory).parts):
        # Hidden directories are skipped: Kubernetes keeps the files of a ConfigMap in one, and links to them beside it.
        hidden = any(part.startswith(".") for part in path.relative_to(directory).parts)
        if hidden or path.suffix not in SUFFIXES or (Path(path.stem).suffix == ".test") != tests or path.is_dir():
            continue
        try:
            with path.open("rb") as file:
                files[path.as_posix()] = file.read(MAX_FILE + 1)
        except OSError as error:
            problems.append(_unreadable(path, f"cannot be read: {error.strerror}"))
    return files, problems


def _unreadable(path: Path, reason: str) -> Problem:
    return Problem(place=Place(file=path.as_posix(), line=1, column=1), message=reason)


def build(
    files: Mapping[str, bytes], *, compile_expression: CompileExpression, timezone: str = "UTC"
) -> tuple[Rulebook | None, tuple[Problem, ...]]:
    """The rulebook that these files (name -> content, in their order) make, as `examine` gives it."""
    making = _Making(compile_expression, timezone)
    nodes = [node for name, content in files.items() if (node := making.read(name, content)) is not None]
    # Rules ask for calendars of any file: all calendars come first.
    for node in nodes:
        making.calendars_of(node)
    for node in nodes:
        making.audiences_of(node)
    for node in nodes:
        making.file(node)
    order = {name: number for number, name in enumerate(files)}
    rules = sorted(
        making.rules,
        key=lambda rule: (-rule.priority, order[rule.place.file], rule.place.line, rule.place.column),
    )
    problems = [
        *making.problems,
        *duplicates(((rule.name, rule.place) for rule in rules), "rule"),
        *duplicates(making.calendar_places, "calendar"),
        *duplicates(making.audience_places, "audience"),
        *duplicates(((one.name, one.place) for one in making.broadcasts), "broadcast"),
        *_unknown_broadcasts(rules, making.broadcast_names),
    ]
    if wrong := {problem.place for problem in problems if not problem.warning}:
        # What is wrong at a place says more than what is suspicious there.
        return None, tuple(sorted(one for one in problems if not one.warning or one.place not in wrong))
    problems += lint(rules)
    rulebook = Rulebook(
        version=_version(files),
        rules=tuple(rules),
        index=RuleIndex(rules),
        calendars=making.sound_calendars,
        broadcasts={one.name: one for one in making.broadcasts},
        audiences=making.audiences,
    )
    return rulebook, tuple(sorted(problems))


def _unknown_broadcasts(rules: Sequence[Rule], known: Sequence[str]) -> Iterator[Problem]:
    for rule in rules:
        for _, action in numbered(rule.do):
            if isinstance(action, BroadcastAction) and action.name not in known:
                hint = did_you_mean(action.name, sorted(known)) or '; put it below "broadcasts:"'
                yield Problem(place=action.place, message=f'there is no broadcast "{action.name}"{hint}')


def _version(files: Mapping[str, bytes]) -> str:
    digest = sha256()
    for name, content in files.items():
        digest.update(sha256(name.encode("utf-8", "surrogateescape")).digest() + sha256(content).digest())
    return digest.hexdigest()[:12]


@dataclass(slots=True)
class _Making:
    """A rulebook in the making: what is right so far, and what is wrong."""

    compile_expression: CompileExpression
    timezone: str
    rules: list[Rule] = field(default_factory=list)
    calendars: dict[str, Hours | None] = field(default_factory=dict)
    calendar_places: list[tuple[str, Place]] = field(default_factory=list)
    audiences: dict[str, Audience] = field(default_factory=dict)
    audience_places: list[tuple[str, Place]] = field(default_factory=list)
    broadcasts: list[Broadcast] = field(default_factory=list)
    broadcast_names: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @property
    def sound_calendars(self) -> dict[str, Hours]:
        return {name: calendar for name, calendar in self.calendars.items() if calendar is not None}

    def read(self, name: str, content: bytes) -> Node | None:
        try:
            return read(content, name, self.problems)
        except RulebookError as error:
            self.problems.extend(error.problems)
            return None

    def calendars_of(self, node: Node) -> None:
        calendars = node.at("calendars")
        for name in _named(node, "calendars"):
            self.calendar_places.append((name, calendars.key_place(name)))
            form, _ = validate(CalendarForm, calendars.at(name))
            self.calendars[name] = None if form is None else build_calendar(form, self.timezone)

    def audiences_of(self, node: Node) -> None:
        """Broadcasts ask for audiences of any file. What is wrong with the form of one is told with its file."""
        audiences = node.at("audiences")
        for name in _named(node, "audiences"):
            self.audience_places.append((name, audiences.key_place(name)))
            form, _ = validate(AudienceForm, audiences.at(name))
            if form is not None:
                self.audiences[name] = build_audience(form, audiences.at(name), self._compiling)

    def file(self, node: Node) -> None:
        form, problems = validate(RuleFileForm, _without_empty(node))
        self.problems.extend(problems)
        # Where the file has a mistake, its parts are looked at one by one, so that all mistakes come up at once.
        for number, rule in enumerate(_listed(node, "rules")):
            self._rule(form.rules[number] if form and form.rules else validate(RuleForm, rule)[0], rule)

        for number, one in enumerate(_listed(node, "broadcasts")):
            self._broadcast(
                form.broadcasts[number] if form and form.broadcasts else validate(BroadcastForm, one)[0], one
            )

    def _broadcast(self, form: BroadcastForm | None, node: Node) -> None:
        if isinstance(node.value, dict) and isinstance(node.value.get("name"), str):
            self.broadcast_names.append(node.value["name"])
        if form is not None:
            named = {name for name, _ in self.audience_places}
            self.broadcasts.append(build_broadcast(form, node, named, self._compiling))

    def _rule(self, form: RuleForm | None, node: Node) -> None:
        if form is not None:
            self.rules.append(build_rule(form, node, self._compiling))
        elif "when" in node.inside:
            self._condition(node.at("when"))

    def _condition(self, node: Node) -> None:
        form, _ = validate(WhenForm, node)
        if form is not None:
            compile_when(form, node, self._compiling)
        elif len(node.inside) > 1 and isinstance(node.value, dict):
            for key in node.inside:
                self._condition(replace(node, value={key: node.value[key]}, inside={key: node.inside[key]}))

    @property
    def _compiling(self) -> Compiling:
        return Compiling(
            expression=self.compile_expression,
            calendars=self.calendars,
            zone=ZoneInfo(self.timezone),
            problems=self.problems,
        )


def _without_empty(node: Node) -> Node:
    """The file without `rules:`, `calendars:` and the like that have nothing below them, for now."""
    if not isinstance(node.value, dict):
        return node
    kept = {key: inner for key, inner in node.inside.items() if inner.value is not None or key not in TOP}
    return replace(node, value={key: node.value[key] for key in kept}, inside=kept)


def _listed(node: Node, key: str) -> list[Node]:
    return list(node.inside[key].inside.values()) if key in node.inside and not _named(node, key) else []


def _named(node: Node, key: str) -> list[str]:
    return list(node.inside[key].keys) if key in node.inside else []
