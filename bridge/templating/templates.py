"""The templates of a rulebook: files and texts in rules, compiled once, rendered many times from any thread."""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, tzinfo
from pathlib import Path

from jinja2 import Undefined
from msgspec import Struct

from bridge.clock import Clock, SystemClock
from bridge.errors import Place, Problem, RulebookError, did_you_mean
from bridge.model.delivery import Format
from bridge.templating.meter import Bounds, Meter
from bridge.templating.names import Within
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

_BREAK = re.compile(r"\r\n?")
_TAG = re.compile(r"[a-z]{2,3}(?:-[a-z0-9]{1,8})*")
_ENDINGS: Mapping[str, Format] = {".md.j2": "markdown", ".txt.j2": "plain"}


class Template(Struct, frozen=True, kw_only=True):
    """A compiled template.

    `names` are the variables it uses, with those it includes: top-level names, and dotted ones where they can be
    told ("contact", "contact.name"). `needs` are those of `names` that must exist, because no default stands by;
    `within` those of which only what holds them was asked for, after that: ("contact", "contact.name").
    """

    format: Format
    names: frozenset[str]
    needs: frozenset[str]
    within: Within = frozenset()
    _program: Program
    _place: str
    _owner: "Templates"
    _fixed: str | None = None

    def where(self, name: str) -> tuple[str, int] | None:
        """The file and line (from 1) where a name of `names` first stands; None where that is in the text of a rule."""
        for program in (self._program, *self._owner.reached(self._program)):
            lines = [line for line, names in program.lines.items() if name in names]
            if lines:
                line = program.needs.get(name, min(lines))
                return None if program.file == IN_PLACE else (program.file, line)
        return None

    def render(self, variables: Mapping[str, object]) -> str:
        """The text, without blanks at its ends; "" says that there is nothing to send.

        Raises TemplateFault with the template's file and line, never with a value.
        """
        if self._fixed is not None:
            return self._fixed
        owner = self._owner
        try:
            return render(self._program, variables, Meter(owner.bounds, owner.clock))
        except FAILURES as error:
            raise explain(error, self._program, owner.files, self._place) from None


class Expression(Struct, frozen=True, kw_only=True):
    """A compiled `if:` condition: called with the variables, it gives its value, or raises TemplateFault.

    `names` are the variables that it uses, as those of a template.
    """

    place: Place
    names: frozenset[str]
    _program: Program
    _owner: "Templates"

    def __call__(self, variables: Mapping[str, object]) -> object:
        owner = self._owner
        try:
            value = evaluate(self._program, variables, Meter(owner.bounds, owner.clock))
            return bool(value) if isinstance(value, Undefined) else value
        except FAILURES as error:
            raise explain(error, self._program, owner.files, str(self.place)) from None


class Templates:
    """All templates of a directory, and those written in rules."""

    def __init__(self, *, timezone: tzinfo = UTC, clock: Clock | None = None, bounds: Bounds | None = None) -> None:
        self.clock = clock or SystemClock()
        self.bounds = bounds or Bounds()
        self.files: dict[str, Program] = {}
        self._sources: dict[str, str] = {}
        self._translations: dict[str, set[str]] = {}
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
        for path in sorted(_shown(directory)):
            name, file = path.relative_to(directory).as_posix(), path.as_posix()
            try:
                made._add(name, file, path)
            except Unusable as unusable:
                problems += [_problem(file, line, message) for line, message in unusable.findings]
        problems += made._broken_references({problem.place.file for problem in problems})
        if problems:
            raise RulebookError(problems)
        return made

    @classmethod
    def of(cls, sources: Mapping[str, str], *, timezone: tzinfo = UTC, clock: Clock | None = None) -> "Templates":
        """The templates of these texts by the names of their files, as `copies` gave them. Raises RulebookError."""
        made = cls(timezone=timezone, clock=clock)
        problems: list[Problem] = []
        for name, text in sources.items():
            try:
                made._compile(name, name, text)
            except Unusable as unusable:
                problems += [_problem(name, line, message) for line, message in unusable.findings]
        if problems:
            raise RulebookError(problems)
        return made

    def copies(self, name: str) -> Mapping[str, str]:
        """The text of that file, of its translations and of all that they include, by the names of the files."""
        variants = self.variants(name)
        included = {program.file for variant in variants for program in self.reached(self.files[variant])}
        used = (known for known, program in self.files.items() if known in variants or program.file in included)
        return {known: self._sources[known] for known in used}

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

    def variants(self, name: str) -> tuple[str, ...]:
        """The file of that name and its translations, as far as there are any: `price.md.j2`, `price.uk.md.j2`."""
        return (*([name] if name in self.files else []), *sorted(self._translations.get(name, ())))

    def inline(self, source: str, place: Place) -> Template:
        """The template written at `place` in a rule: plain text. Compiled once for all places with the same text.

        Raises RulebookError with problems at `place`.
        """
        if (fixed := self._fixed(source)) is not None:
            return fixed
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

    def _fixed(self, source: str) -> Template | None:
        """The template of a text with no gaps in it, as most are that rules remember: there is nothing to compile."""
        if "{" in source or len(source) > min(self.bounds.source, self.bounds.text):
            return None
        blank = self._in_place.get("")
        if blank is None:
            blank = compile_template("", None, IN_PLACE, self._sandboxes["plain"], self.bounds, self.clock)
            self._in_place[""] = blank
        text = _BREAK.sub("\n", source).strip()
        return Template(
            format="plain", names=frozenset(), needs=frozenset(), _program=blank, _place="", _owner=self, _fixed=text
        )

    def expression(self, source: str, place: Place) -> Expression:
        """The `if:` condition written at `place`. Raises RulebookError."""
        try:
            program = compile_value(source, self._sandboxes["plain"], self.bounds, self.clock)
        except Unusable as unusable:
            raise RulebookError([_in_text(place, *finding) for finding in unusable.findings]) from None

        return Expression(place=place, names=program.names, _program=program, _owner=self)

    def _add(self, name: str, file: str, path: Path) -> None:
        _kind(name)
        try:
            with path.open(encoding="utf-8", newline=None) as source:
                text = source.read(self.bounds.source + 1)
        except UnicodeDecodeError:
            raise Unusable([(1, "the file is not text in UTF-8")]) from None
        except OSError as error:
            raise Unusable([(1, f"the file cannot be read: {error.strerror}")]) from None
        self._compile(name, file, text)

    def _compile(self, name: str, file: str, text: str) -> None:
        kind = _kind(name)
        program = compile_template(text, name, file, self._sandboxes[kind], self.bounds, self.clock)
        self.files[name] = program
        self._sources[name] = text
        if (original := _translated(name)) is not None:
            self._translations.setdefault(original, set()).add(name)
        program.sandbox.templates[name] = program.compiled

    def _template(self, program: Program, place: str) -> Template:
        names, needs, within = set(program.names), set(program.needs), set(program.within)
        for used in self.reached(program):
            names.update(_without(used.names, program.stored))
            needs.update(_without(used.needs, program.stored))
            within.update(pair for pair in used.within if pair[0].split(".", 1)[0] not in program.stored)
        return Template(
            format=program.sandbox.format,
            names=frozenset(names),
            needs=frozenset(needs),
            within=frozenset(within),
            _program=program,
            _place=place,
            _owner=self,
        )

    def reached(self, program: Program) -> Iterator[Program]:
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


def _shown(directory: Path) -> Iterator[Path]:
    """Hidden files and folders are left out: an editor keeps its own there, and Kubernetes those of a ConfigMap."""
    for path in directory.glob("**/*.j2"):
        if not any(part.startswith(".") for part in path.relative_to(directory).parts):
            yield path


def _kind(name: str) -> Format:
    """The format that a file's name says. Raises Unusable."""
    kind = next((kind for ending, kind in _ENDINGS.items() if name.endswith(ending)), None)
    if kind is None:
        raise Unusable([(1, "a template's name ends in .md.j2 (Markdown) or .txt.j2 (plain text)")])
    return kind


def _without(names: Iterable[str], given: frozenset[str]) -> Iterator[str]:
    return (name for name in names if name.split(".", 1)[0] not in given)


def _translated(name: str) -> str | None:
    """The file that the file of this name translates, if its name says so: `price.md.j2` for `price.uk.md.j2`."""
    ending = next(ending for ending in _ENDINGS if name.endswith(ending))
    stem, _, tag = name.removesuffix(ending).rpartition(".")
    return f"{stem}{ending}" if stem and _TAG.fullmatch(tag) else None


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
