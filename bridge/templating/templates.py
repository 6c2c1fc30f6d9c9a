"""The templates of a rulebook: files and texts in rules, compiled once, rendered many times from any thread."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, tzinfo
from pathlib import Path

from jinja2 import Undefined

from bridge.clock import Clock, SystemClock
from bridge.errors import Place, Problem, RulebookError, did_you_mean
from bridge.model.delivery import Format
from bridge.templating.meter import Bounds, Meter
from bridge.templating.program import (
    FAILURES,
    IN_PLACE,
    Program,
    Unusable,
    compile_template,
    compile_value,
    evaluate,
    explain,
    render,
)
from bridge.templating.sandbox import Sandbox

Expression = Callable[[Mapping[str, object]], object]
_ENDINGS: Mapping[str, Format] = {".md.j2": "markdown", ".txt.j2": "plain"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Template:
    """A compiled template.

    `names` are the variables it uses, with those it includes: top-level names, and dotted ones where they can be
    told ("contact", "contact.name"). `needs` are those of `names` that must exist, because no default stands by.
    """

    format: Format
    names: frozenset[str]
    needs: frozenset[str]
    _program: Program
    _place: str
    _owner: "Templates"

    def render(self, variables: Mapping[str, object]) -> str:
        """The text, without blanks at its ends; "" says that there is nothing to send.

        Raises TemplateFault with the template's file and line, never with a value.
        """
        owner = self._owner
        try:
            return render(self._program, variables, Meter(owner.bounds, owner.clock))
        except FAILURES as error:
            raise explain(error, self._program, owner.files, self._place) from None


class Templates:
    """All templates of a directory, and those written in rules."""

    def __init__(self, *, timezone: tzinfo = UTC, clock: Clock | None = None, bounds: Bounds | None = None) -> None:
        self.clock = clock or SystemClock()
        self.bounds = bounds or Bounds()
        self.files: dict[str, Program] = {}
        self._sandboxes = {kind: Sandbox(kind, timezone) for kind in _ENDINGS.values()}
        self._in_place: dict[str, Program] = {}
        self._made: dict[str, Template] = {}

    @classmethod
    def load(
        cls,
        directory: Path,
        *,
        timezone: tzinfo = UTC,
        clock: Clock | None = None,
        bounds: Bounds | None = None,
    ) -> "Templates":
        """Compile every `**/*.j2` of `directory`; one that does not exist has none.

        `timezone` is that of the `date` filter. Raises RulebookError with the problems of all templates.
        """
        made = cls(timezone=timezone, clock=clock, bounds=bounds)
        problems: list[Problem] = []
        for path in sorted(directory.glob("**/*.j2")):
            name, file = path.relative_to(directory).as_posix(), path.as_posix()
            try:
                made._add(name, file, path)
            except Unusable as unusable:
                problems += [_problem(file, line, message) for line, message in unusable.findings]
        problems += made._broken_references({problem.place.file for problem in problems})
        if problems:
            raise RulebookError(problems)
        return made

    @property
    def known(self) -> tuple[str, ...]:
        """The names of all files, in order."""
        return tuple(sorted(self.files))

    @property
    def filters(self) -> tuple[str, ...]:
        """The names of the filters that a template may use."""
        return tuple(sorted(name for name in self._sandboxes["plain"].filters if name.isidentifier()))

    def file(self, name: str, place: Place, *, language: str | None = None) -> Template:
        """The template of that file, or its translation to `language` ("uk", "uk-UA"): `price.uk.md.j2`.

        Raises RulebookError at `place`, where the rule names it, if there is no such file.
        """
        for variant in _variants(name, language):
            if made := self._made.get(variant):
                return made
            if program := self.files.get(variant):
                return self._made.setdefault(variant, self._template(program, program.file))
        near = did_you_mean(name, self.known)
        raise RulebookError([Problem(place=place, message=f'there is no template "{name}"{near}')])

    def inline(self, source: str, place: Place) -> Template:
        """The template written at `place` in a rule: plain text. Compiled once for all places with the same text.

        Raises RulebookError with problems at `place`.
        """
        program = self._in_place.get(source)
        if program is None:
            try:
                sandbox = self._sandboxes["plain"]
                program = compile_template(source, None, IN_PLACE, sandbox, self.bounds, self.clock)
            except Unusable as unusable:
                raise RulebookError([_in_text(place, *finding) for finding in unusable.findings]) from None
            if misuses := list(self._misuses(program)):
                raise RulebookError([_in_text(place, *misuse) for misuse in misuses])
            self._in_place[source] = program
        return self._template(program, str(place))

    def expression(self, source: str, place: Place) -> Expression:
        """The `if:` condition written at `place`. Raises RulebookError; the condition itself raises TemplateFault."""
        try:
            program = compile_value(source, self._sandboxes["plain"], self.bounds, self.clock)
        except Unusable as unusable:
            raise RulebookError([_in_text(place, *finding) for finding in unusable.findings]) from None

        def condition(variables: Mapping[str, object]) -> object:
            try:
                value = evaluate(program, variables, Meter(self.bounds, self.clock))
                return bool(value) if isinstance(value, Undefined) else value
            except FAILURES as error:
                raise explain(error, program, self.files, str(place)) from None

        return condition

    def _add(self, name: str, file: str, path: Path) -> None:
        kind = next((kind for ending, kind in _ENDINGS.items() if name.endswith(ending)), None)
        if kind is None:
            raise Unusable([(1, "a template's name ends in .md.j2 (Markdown) or .txt.j2 (plain text)")])
        try:
            with path.open(encoding="utf-8", newline=None) as source:
                text = source.read(self.bounds.source + 1)
        except UnicodeDecodeError:
            raise Unusable([(1, "the file is not text in UTF-8")]) from None
        except OSError as error:
            raise Unusable([(1, f"the file cannot be read: {error.strerror}")]) from None
        program = compile_template(text, name, file, self._sandboxes[kind], self.bounds, self.clock)
        self.files[name] = program
        program.sandbox.templates[name] = program.compiled

    def _template(self, program: Program, place: str) -> Template:
        names, needs = set(program.names), set(program.needs)
        for used in self._reached(program):
            names.update(_without(used.names, program.stored))
            needs.update(_without(used.needs, program.stored))
        return Template(
            format=program.sandbox.format,
            names=frozenset(names),
            needs=frozenset(needs),
            _program=program,
            _place=place,
            _owner=self,
        )

    def _reached(self, program: Program) -> Iterator[Program]:
        """Every template that `program` includes, directly or not, once."""
        seen, waiting = set[str](), [name for _, name in program.uses]
        while waiting:
            name = waiting.pop()
            if name not in seen and name in self.files:
                seen.add(name)
                yield self.files[name]
                waiting += [used for _, used in self.files[name].uses]

    def _broken_references(self, broken: set[str]) -> list[Problem]:
        return [
            _problem(program.file, line, message)
            for program in self.files.values()
            for line, message in self._misuses(program, broken)
        ]

    def _misuses(self, program: Program, broken: frozenset[str] | set[str] = frozenset()) -> Iterator[tuple[int, str]]:
        """What is wrong with what a template includes; those in `broken` files are reported themselves."""
        for line, name in program.uses:
            used = self.files.get(name)
            if used is None:
                if not any(file.endswith(f"/{name}") for file in broken):
                    yield line, f'there is no template "{name}"{did_you_mean(name, self.known)}'
            elif used.sandbox is not program.sandbox:
                kinds = f"{used.sandbox.format}, and this template is {program.sandbox.format}"
                yield line, f'"{name}" is {kinds}: only templates of the same format go together'
            elif self._leads_too_far(name):
                yield line, f'"{name}" leads back to itself, or over more than {self.bounds.includes} templates'

    def _leads_too_far(self, name: str) -> bool:
        """Whether a chain of includes from `name` is longer than the bound; one that goes in a circle always is."""
        layer = {name}
        for _ in range(self.bounds.includes):
            layer = {used for one in layer if one in self.files for _, used in self.files[one].uses}
        return bool(layer)


def _without(names: frozenset[str], given: frozenset[str]) -> Iterator[str]:
    return (name for name in names if name.split(".", 1)[0] not in given)


def _variants(name: str, language: str | None) -> Iterator[str]:
    if language:
        for ending in _ENDINGS:
            if name.endswith(ending):
                tag = language.lower().replace("_", "-")
                for part in dict.fromkeys((tag, tag.split("-", 1)[0])):
                    yield f"{name.removesuffix(ending)}.{part}{ending}"
    yield name


def _problem(file: str, line: int, message: str) -> Problem:
    return Problem(place=Place(file=file, line=line, column=1), message=message)


def _in_text(place: Place, line: int, message: str) -> Problem:
    return Problem(place=place, message=message if line == 1 else f"in line {line} of the text: {message}")


def compile_expression(source: str, place: Place) -> Expression:
    """`Templates.expression` with the ordinary bounds and UTC, for where there are no templates."""
    return _ORDINARY.expression(source, place)


_ORDINARY = Templates()
