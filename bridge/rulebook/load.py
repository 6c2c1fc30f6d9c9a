"""Read a directory of rule files into one Rulebook: whole, or not at all."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

from bridge.errors import Place, Problem, RulebookError
from bridge.model.rule import Calendar, Rule, Rulebook
from bridge.rulebook.build import build_calendar, build_rule
from bridge.rulebook.index import RuleIndex
from bridge.rulebook.lint import duplicates, unreachable
from bridge.rulebook.schema import CalendarForm, FileForm, RuleForm, WhenForm
from bridge.rulebook.when import CompileExpression, compile_when
from bridge.rulebook.wording import validate
from bridge.rulebook.yaml import MAX_FILE, Node, read

TOP = ("rules", "calendars")
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


def read_files(directory: Path) -> tuple[dict[str, bytes], list[Problem]]:
    """The rule files below `directory` by the name that places show, in their order, and what cannot be read."""
    files: dict[str, bytes] = {}
    problems: list[Problem] = []
    if not directory.is_dir():
        if directory.exists():
            problems.append(_unreadable(directory, "is no directory"))
        return files, problems
    for path in sorted(directory.rglob("*"), key=lambda path: path.relative_to(directory).parts):
        # Hidden directories are skipped: Kubernetes keeps the files of a ConfigMap in one, and links to them beside it.
        hidden = any(part.startswith(".") for part in path.relative_to(directory).parts)
        if hidden or path.suffix not in SUFFIXES or Path(path.stem).suffix == ".test" or path.is_dir():
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
    for name, content in files.items():
        making.file(name, content)
    order = {name: number for number, name in enumerate(files)}
    rules = sorted(
        making.rules,
        key=lambda rule: (-rule.priority, order[rule.place.file], rule.place.line, rule.place.column),
    )
    problems = [
        *making.problems,
        *duplicates(((rule.name, rule.place) for rule in rules), "rule"),
        *duplicates(making.calendar_places, "calendar"),
    ]
    if any(not problem.warning for problem in problems):
        return None, tuple(sorted(problems))
    problems += unreachable(rules)
    rulebook = Rulebook(
        version=_version(files), rules=tuple(rules), index=RuleIndex(rules), calendars=dict(making.calendars)
    )
    return rulebook, tuple(sorted(problems))


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
    calendars: dict[str, Calendar] = field(default_factory=dict)
    calendar_places: list[tuple[str, Place]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def file(self, name: str, content: bytes) -> None:
        try:
            node = read(content, name)
        except RulebookError as error:
            self.problems.extend(error.problems)
            return
        if node is None:
            return
        form, problems = validate(FileForm, _without_empty(node))
        self.problems.extend(problems)
        # Where the file has a mistake, its parts are looked at one by one, so that all mistakes come up at once.
        for number, rule in enumerate(_listed(node, "rules")):
            self._rule(form.rules[number] if form and form.rules else validate(RuleForm, rule)[0], rule)
        for calendar in _named(node, "calendars"):
            self._calendar(calendar, node.at("calendars"))

    def _rule(self, form: RuleForm | None, node: Node) -> None:
        if form is not None:
            self.rules.append(build_rule(form, node, self.compile_expression, self.problems))
        elif "when" in node.inside:
            self._condition(node.at("when"))

    def _condition(self, node: Node) -> None:
        form, _ = validate(WhenForm, node)
        if form is not None:
            compile_when(form, node, self.compile_expression, self.problems)
        elif len(node.inside) > 1 and isinstance(node.value, dict):
            for key in node.inside:
                self._condition(replace(node, value={key: node.value[key]}, inside={key: node.inside[key]}))

    def _calendar(self, name: str, calendars: Node) -> None:
        self.calendar_places.append((name, calendars.key_place(name)))
        form, _ = validate(CalendarForm, calendars.at(name))
        if form is not None:
            self.calendars[name] = build_calendar(form, self.timezone)


def _without_empty(node: Node) -> Node:
    """The file without `rules:` and `calendars:` that have nothing below them: all may have been taken out for now."""
    if not isinstance(node.value, dict):
        return node
    kept = {key: inner for key, inner in node.inside.items() if inner.value is not None or key not in TOP}
    return replace(node, value={key: node.value[key] for key in kept}, inside=kept)


def _listed(node: Node, key: str) -> list[Node]:
    return list(node.inside[key].inside.values()) if key in node.inside and not _named(node, key) else []


def _named(node: Node, key: str) -> list[str]:
    return list(node.inside[key].keys) if key in node.inside else []
