"""A template's syntax tree: what it may contain, and the rewriting that puts a meter into it.

Jinja compiles a tree as well as a text. So `{{ x }}`, loops, `~`, slices and literals of lists become calls of
filters that count; whatever is not on the list of allowed parts is a problem with its line.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import chain

from jinja2 import nodes
from jinja2.visitor import NodeTransformer

from bridge.errors import did_you_mean
from bridge.templating.meter import Bounds
from bridge.templating.sandbox import DICT, JOIN, LIST, LOOP, OUT, SLICE, TUPLE, Sandbox

Finding = tuple[int, str]
"""A line and what is wrong there."""

_ALLOWED = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.Getattr, nodes.Getitem,
    nodes.Slice, nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair, nodes.Keyword, nodes.Filter, nodes.Test, nodes.Call,
    nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.And, nodes.Or, nodes.Not, nodes.Neg,
    nodes.Pos, nodes.Compare, nodes.Operand, nodes.Concat, nodes.CondExpr, nodes.If, nodes.For, nodes.Assign,
    nodes.AssignBlock, nodes.With, nodes.Macro, nodes.CallBlock, nodes.FilterBlock, nodes.Block, nodes.Extends,
    nodes.Include, nodes.Import, nodes.FromImport,
)  # fmt: skip

_HARMLESS = frozenset([
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Getattr, nodes.Getitem, nodes.Compare, nodes.Operand,
    nodes.CondExpr, nodes.If, nodes.And, nodes.Or, nodes.Not,
])  # fmt: skip
"""Allowed parts with nothing to look at, which most are."""

_LONGEST_NAME = 100
_NO_TEXT = re.compile("[\0\ud800-\udfff]")


def path_of(node: nodes.Node) -> str:
    """`contact.name` for such a chain of names, else ''."""
    parts: list[str] = []
    while True:
        match node:
            case nodes.Getattr(node=inner, attr=name):
                node = inner
            case nodes.Getitem(node=inner, arg=nodes.Const(value=str(name))):
                node = inner
            case nodes.Name(name=name):
                return ".".join([name, *reversed(parts)])
            case _:
                return ""
        parts.append(name)


def check(tree: nodes.Template, sandbox: Sandbox, bounds: Bounds) -> tuple[list[nodes.Node], list[Finding]]:
    """All parts of the tree, and what of them is not allowed; where it is too large or too deep, as far as that."""
    parts: list[nodes.Node] = []
    found: list[Finding] = []
    waiting: list[tuple[nodes.Node, int]] = [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        parts.append(node)
        if depth > bounds.nesting:
            message = f"it is nested more than {bounds.nesting} deep: write it in simpler parts"
            return parts, [*found, (node.lineno or 1, message)]
        if len(parts) > bounds.nodes:
            message = f"the template has more than {bounds.nodes:,} parts: divide it into several"
            return parts, [*found, (node.lineno or 1, message)]
        if message := _refused(node, sandbox):
            found.append((node.lineno or 1, message))
        waiting.extend((child, depth + 1) for child in children(node))
    return parts, found


def children(node: nodes.Node) -> list[nodes.Node]:
    """The parts right below `node`."""
    found: list[nodes.Node] = []
    for name in node.fields:
        value = getattr(node, name)
        if isinstance(value, nodes.Node):
            found.append(value)
        elif isinstance(value, list):
            found += [item for item in value if isinstance(item, nodes.Node)]
    return found


def _names(node: nodes.Node) -> Iterator[str]:
    """The names in a part of a template: of variables, macros, blocks, filters, arguments, imports."""
    yield from (
        getattr(node, field) for field in ("name", "key", "target") if isinstance(getattr(node, field, None), str)
    )
    if isinstance(node, nodes.FromImport):
        yield from chain.from_iterable([name] if isinstance(name, str) else name for name in node.names)


def _refused(node: nodes.Node, sandbox: Sandbox) -> str:
    if type(node) in _HARMLESS:
        return ""
    # Python normalises the names in what it compiles, which takes quadratic time for a long run of combining marks.
    if any(len(name) > _LONGEST_NAME for name in _names(node)):
        return f"a name has at most {_LONGEST_NAME} characters, and one here has more"
    match node:
        case nodes.For(recursive=True):
            return "a recursive loop is not available: loop over a list"
        case nodes.Pow():
            return "** is not available: use *"
        case nodes.NSRef():
            return "namespace() is not available"
        case nodes.EvalContextModifier():
            return "{% autoescape %} is not available: values are escaped as the template's format needs it"
        case nodes.Const(value=str(text)) if _NO_TEXT.search(text):
            return r"a text has \x00 or half a character (\ud800 to \udfff) in it: no store and no platform takes that"
        case nodes.Name(name="varargs" | "kwargs" as name):
            return f"{name} is not available: give the macro named arguments"
        case nodes.Call(dyn_args=None, dyn_kwargs=None) | nodes.Filter(dyn_args=None, dyn_kwargs=None):
            pass
        case nodes.Call() | nodes.Filter() | nodes.Test(dyn_args=nodes.Node()) | nodes.Test(dyn_kwargs=nodes.Node()):
            return "*arguments are not available: write the arguments one by one"
    if isinstance(node, nodes.Filter) and (node.name not in sandbox.filters):
        known = [name for name in sandbox.filters if name.isidentifier()]
        return f'there is no filter "{node.name}"{did_you_mean(node.name, known)}'
    if isinstance(node, nodes.Test) and node.name not in sandbox.tests:
        return f'there is no test "{node.name}"{did_you_mean(node.name, list(sandbox.tests))}'
    return "" if isinstance(node, _ALLOWED) else f"{type(node).__name__.lower()} is not available"


def references(parts: Iterable[nodes.Node]) -> Iterator[tuple[int, str | None]]:
    """The templates that this one extends, includes or imports, with their lines; None where that is no plain name."""
    for node in parts:
        if not isinstance(node, nodes.Extends | nodes.Include | nodes.Import | nodes.FromImport):
            continue
        name = node.template
        yield node.lineno, name.value if isinstance(name, nodes.Const) and isinstance(name.value, str) else None


def rewrite(tree: nodes.Template, sandbox: Sandbox) -> nodes.Template:
    """The tree, with meters in it. What it includes or imports sees its variables."""
    done: nodes.Template = _Rewriter().visit(tree)
    return done.set_environment(sandbox)  # type: ignore[return-value]  # it returns the node it was called on


def _call(name: str, value: nodes.Node, *args: nodes.Node) -> nodes.Filter:
    return nodes.Filter(value, name, list(args), [], None, None, lineno=value.lineno)


class _Rewriter(NodeTransformer):
    def _with_context(self, node: nodes.Include | nodes.Import | nodes.FromImport) -> nodes.Node:
        node.with_context = True
        return self.generic_visit(node)

    visit_Include = visit_Import = visit_FromImport = _with_context  # noqa: N815 - Jinja's names

    def visit_Output(self, node: nodes.Output) -> nodes.Output:  # noqa: N802
        node.nodes = [
            part
            if isinstance(part, nodes.TemplateData)
            else _call(OUT, self.visit(part), nodes.Const(path_of(part), lineno=part.lineno))
            for part in node.nodes
        ]
        return node

    def visit_For(self, node: nodes.For) -> nodes.For:  # noqa: N802
        self.generic_visit(node)
        node.iter = _call(LOOP, node.iter)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Filter:  # noqa: N802
        self.generic_visit(node)
        return _call(JOIN, *node.nodes)

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Expr:  # noqa: N802
        self.generic_visit(node)
        part = node.arg
        if not isinstance(part, nodes.Slice):
            return node
        nothing = nodes.Const(None, lineno=node.lineno)
        return _call(SLICE, node.node, part.start or nothing, part.stop or nothing, part.step or nothing)

    def visit_FilterBlock(self, node: nodes.FilterBlock) -> nodes.FilterBlock:  # noqa: N802
        self.generic_visit(node)
        node.filter = _call(OUT, node.filter)
        return node

    def visit_List(self, node: nodes.List) -> nodes.Expr:  # noqa: N802
        self.generic_visit(node)
        return _call(LIST, *node.items) if any(map(_varies, node.items)) else node

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Expr:  # noqa: N802
        self.generic_visit(node)
        return _call(TUPLE, *node.items) if node.ctx == "load" and any(map(_varies, node.items)) else node

    def visit_Dict(self, node: nodes.Dict) -> nodes.Expr:  # noqa: N802
        self.generic_visit(node)
        flat = [part for pair in node.items for part in (pair.key, pair.value)]
        return _call(DICT, *flat) if any(map(_varies, flat)) else node


def _varies(node: nodes.Expr) -> bool:
    """Whether an item of a literal is anything but a constant: its size is that of the source otherwise."""
    return not isinstance(node, nodes.Const | nodes.List | nodes.Tuple | nodes.Dict)
