"""Compiling: from a template's source to a program that renders it under a meter, or to what is wrong with it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from threading import Lock
from types import TracebackType

from jinja2 import Template as Compiled
from jinja2 import TemplateError, TemplateSyntaxError, UndefinedError, nodes
from jinja2.parser import Parser
from msgspec import Struct

from bridge.clock import Clock
from bridge.errors import BridgeError
from bridge.templating.meter import METER, Bounds, Meter, RenderError
from bridge.templating.names import Within, lines_of, names_of, stored
from bridge.templating.plain import is_plain
from bridge.templating.rewrite import Finding, check, references, rewrite
from bridge.templating.sandbox import Sandbox

IN_PLACE = "<in place>"
"""Stands for the file of a template that is written in a rule; its place is known only to who uses it."""

FAILURES = (
    TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RuntimeError, MemoryError,
    SyntaxError,
)  # fmt: skip
"""What a template can raise. All of it is the template's fault, or of the values it was given."""

_MAKING = Lock()


class TemplateFault(BridgeError):  # noqa: N818 - the fault is that of the template, or of its values
    """A template cannot be rendered with these values: 'templates/x.md.j2:4: "contact.name" is undefined; ...'."""


class Unusable(Exception):  # noqa: N818 - it is a list of findings, which the caller gives a place
    """A source that cannot be compiled, with every finding."""

    def __init__(self, findings: list[Finding]) -> None:
        super().__init__(findings)
        self.findings = findings


class Program(Struct, kw_only=True, eq=False):
    """A template that has been checked.

    `uses` are the templates it extends, includes or imports, with their lines; `needs` the names without a default,
    each with its first line; `within` those where only what holds them was asked for.
    """

    file: str
    sandbox: Sandbox
    names: frozenset[str]
    needs: Mapping[str, int]
    within: Within
    stored: frozenset[str]
    uses: tuple[tuple[int, str], ...]
    lines: Mapping[int, frozenset[str]]
    _make: Callable[[], Compiled]
    _made: Compiled | None = None

    @property
    def compiled(self) -> Compiled:
        """The code. Of a plain text it is made when it is first wanted: a check renders few of a rulebook's texts."""
        return self._made or self.make()

    def make(self) -> Compiled:
        """Have the code made, if it has not been yet. Raises what Jinja and Python raise where they refuse a tree."""
        # The tree is changed on the way, so that no two threads may be at it.
        with _MAKING:
            if self._made is None:
                self._made = self._make()
                self._make = _no_more
            return self._made


def compile_template(
    source: str, name: str | None, file: str, sandbox: Sandbox, bounds: Bounds, clock: Clock
) -> Program:
    """Raises Unusable."""

    def parse() -> nodes.Template:
        return sandbox.parse(source, name, file)

    return _compile(parse, source, name, file, sandbox, bounds, clock)


def compile_value(source: str, sandbox: Sandbox, bounds: Bounds, clock: Clock) -> Program:
    """A program for one expression; `evaluate` gives its value. Raises Unusable."""

    def parse() -> nodes.Template:
        parser = Parser(sandbox, source, state="variable")
        value = parser.parse_expression()
        if not parser.stream.eos:
            parser.fail(f'"{parser.stream.current.value}" is not expected after the end of the expression')
        result = nodes.Assign(nodes.Name("result", "store", lineno=1), value, lineno=1)
        tree = nodes.Template([result], lineno=1)
        tree.set_environment(sandbox)
        return tree

    return _compile(parse, source, None, IN_PLACE, sandbox, bounds, clock)


def _compile(
    parse: Callable[[], nodes.Template],
    source: str,
    name: str | None,
    file: str,
    sandbox: Sandbox,
    bounds: Bounds,
    clock: Clock,
) -> Program:
    if len(source) > bounds.source:
        raise Unusable([(1, f"the template is longer than {bounds.source:,} characters: divide it into several")])
    try:
        with _metered(bounds, clock):
            tree = parse()
            parts, findings = check(tree, sandbox, bounds)
            if findings:
                raise Unusable(sorted(set(findings)))
            uses = _uses(parts)
            names, needs, within = names_of(tree, parts, sandbox)
            program = Program(
                file=file,
                sandbox=sandbox,
                names=names,
                needs=needs,
                within=within,
                stored=stored(parts),
                uses=uses,
                lines=lines_of(parts),
                _make=partial(_code, tree, name, file, sandbox, bounds, clock),
            )
        if not is_plain(parts):
            program.make()
        return program
    except TemplateSyntaxError as error:
        raise Unusable([(error.lineno, _syntax(error.message or "it cannot be read"))]) from None
    except (SyntaxError, RecursionError, MemoryError):
        raise Unusable([(1, "it is nested too deeply: write it in simpler parts")]) from None
    except (ValueError, OverflowError):
        raise Unusable([(1, "it contains a number that is too long, or a character that is none")]) from None


@contextmanager
def _metered(bounds: Bounds, clock: Clock) -> Iterator[None]:
    """Jinja works out constants when it makes code, which is counted like a render."""
    before = METER.set(Meter(bounds, clock))
    try:
        yield
    finally:
        METER.reset(before)


def _code(
    tree: nodes.Template, name: str | None, file: str, sandbox: Sandbox, bounds: Bounds, clock: Clock
) -> Compiled:
    with _metered(bounds, clock):
        code = sandbox.compile(rewrite(tree, sandbox), name, file)
        return Compiled.from_code(sandbox, code, sandbox.globals)


def _no_more() -> Compiled:
    raise AssertionError("code is made once; then its tree is let go of")


def _uses(parts: Sequence[nodes.Node]) -> tuple[tuple[int, str], ...]:
    """The other templates with the lines that name them. Raises Unusable where one is not named in quotes."""
    used = list(references(parts))
    if unnamed := [(line, "write the name of the other template in quotes") for line, name in used if name is None]:
        raise Unusable(unnamed)
    return tuple(sorted((line, name) for line, name in used if name is not None))


def _syntax(message: str) -> str:
    """Jinja's sentence about a mistake, with the signs that are written for what it calls by names of its own."""
    for name, sign in (("end of print statement", "}}"), ("end of statement block", "%}")):
        message = message.replace(name, sign)
    return message.rstrip(".")


def render(program: Program, variables: Mapping[str, object], meter: Meter) -> str:
    """The text. Raises what `explain` explains."""
    before = METER.set(meter)
    try:
        compiled = program.compiled
        # Put together here, because Jinja would copy them twice.
        context = compiled.new_context({**compiled.globals, **variables}, shared=True)
        return program.sandbox.concat(compiled.root_render_func(context)).strip()
    finally:
        METER.reset(before)


def evaluate(program: Program, variables: Mapping[str, object], meter: Meter) -> object:
    """The value of a program that `compile_value` made. Raises what `explain` explains."""
    before = METER.set(meter)
    try:
        context = program.compiled.new_context(dict(variables))
        for _ in program.compiled.root_render_func(context):
            pass
        return context.vars["result"]
    finally:
        METER.reset(before)


def explain(error: BaseException, program: Program, files: Mapping[str, Program], place: str) -> TemplateFault:
    """The fault that an error is: with file and line, in an author's words, and without any value."""
    found, line = _where(error.__traceback__, program, files)
    where = place if found.file == IN_PLACE else f"{found.file}:{line}"
    return TemplateFault(f"{where}: {_words(error, _named(found, line))}")


def _where(trace: TracebackType | None, program: Program, files: Mapping[str, Program]) -> tuple[Program, int]:
    """The innermost template that the error came through, and the line in it."""
    line = 1
    while trace is not None:
        compiled = trace.tb_frame.f_globals.get("__jinja_template__")
        if isinstance(compiled, Compiled):
            line = compiled.get_corresponding_lineno(trace.tb_lineno)
            program = program if compiled.name is None else files[compiled.name]
        trace = trace.tb_next
    return program, line


def _named(program: Program, line: int) -> Callable[[str], list[str]]:
    """Finds the whole names, as the template has them, that end in what was missing at `line`.

    None is found where the name is not written there: it was a value then, which is nobody's to see.
    """

    def whole(name: str) -> list[str]:
        everywhere = frozenset[str]().union(*program.lines.values())
        here = program.lines.get(line, frozenset())
        found = [[path for path in paths if path == name or path.endswith(f".{name}")] for paths in (here, everywhere)]
        return sorted(found[0] or found[1])

    return whole


def _words(error: BaseException, whole: Callable[[str], list[str]]) -> str:
    match error:
        case UndefinedError(message=str(message)) if message.startswith("="):
            names = whole(message[1:])
            subject = " or ".join(f'"{name}"' for name in names) or "what is looked up here"
            example = names[0] if len(names) == 1 else "..."
            return f"{subject} is undefined; give it a default: {{{{ {example} | default('friend') }}}}"
        case UndefinedError() | RenderError():
            return error.message or "a value is missing"
        case ZeroDivisionError():
            return "it divides by zero; ask for the number first: {% if ... %}"
        case RecursionError() | MemoryError():
            return "it needs too much memory: write it in simpler parts"
        case TypeError():
            return "values of different kinds are mixed here (convert with | int), or arguments are wrong"
        case TemplateError():
            return error.message or "it cannot be rendered"
    return f"this cannot be worked out with the values it was given ({type(error).__name__})"
