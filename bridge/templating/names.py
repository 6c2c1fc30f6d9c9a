"""The variables that a template uses, for proofs that each one exists or has a default."""

from collections.abc import Iterator, Mapping, Sequence

from jinja2 import nodes
from jinja2.meta import TrackingCodeGenerator

from bridge.templating.rewrite import children, path_of
from bridge.templating.sandbox import Sandbox

_TARGETS = ("store", "param")
_GUARDS = ("defined", "undefined")
_NAMED = (nodes.Name, nodes.Getattr, nodes.Getitem)
Parts = Sequence[nodes.Node]
"""All parts of a template's tree."""

Within = frozenset[tuple[str, str]]
"""Names that hold others, and those others: `contact.name` where nothing but `contact is defined` was asked."""

Found = tuple[str, str, int]
"""A dotted name, what of it something stands by for (itself, what holds it, or ""), and its line."""


def names_of(tree: nodes.Template, parts: Parts, sandbox: Sandbox) -> tuple[frozenset[str], Mapping[str, int], Within]:
    """The names used (`contact`, `contact.name`), those of them that have no default, with the first line of each, and
    those that stand where only what holds them was asked for.

    A name needs no default after `| default`, in `is defined`, and within an `if` that asks `is defined`.
    """
    free = _undeclared(tree, parts, sandbox) - sandbox.globals.keys()
    used, needed, within = set[str](), dict[str, int](), set[tuple[str, str]]()
    for path, asked, line in _paths(tree, frozenset(), False):
        if path.split(".", 1)[0] in free:
            used.add(path)
            if not asked:
                needed[path] = min(line, needed.get(path, line))
            elif asked != path:
                within.add((asked, path))
    return frozenset(used | free), needed, frozenset(within)


def _undeclared(tree: nodes.Template, parts: Parts, sandbox: Sandbox) -> set[str]:
    """What `jinja2.meta.find_undeclared_variables` finds, without its working out of constants on the way."""
    named = {part.name for part in parts if isinstance(part, nodes.Name)}
    if "self" not in named and not stored(parts) and not any(isinstance(part, nodes.Block) for part in parts):
        # Nothing in the template gives a name a value, so all of them come from outside.
        return named
    generator = TrackingCodeGenerator(sandbox)
    generator.optimizer = None
    generator.visit(tree)
    return generator.undeclared_identifiers


def stored(parts: Parts) -> frozenset[str]:
    """The names that a template gives values to, and hands to those it includes."""
    found = set[str]()
    for part in parts:
        match part:
            case nodes.Name(name=name, ctx=context) if context in _TARGETS:
                found.add(name)
            case nodes.Macro(name=name) | nodes.Import(target=name):
                found.add(name)
            case nodes.FromImport(names=names):
                found.update(name if isinstance(name, str) else name[1] for name in names)
    return frozenset(found)


def lines_of(parts: Parts) -> Mapping[int, frozenset[str]]:
    """The dotted names on each line, by which an error finds the whole name of what is missing."""
    found: dict[int, set[str]] = {}
    for node in parts:
        if isinstance(node, _NAMED) and (path := path_of(node)):
            found.setdefault(node.lineno, set()).add(path)
    return {line: frozenset(paths) for line, paths in found.items()}


def _paths(node: nodes.Node, defined: frozenset[str], guarded: bool) -> Iterator[Found]:
    """Every longest dotted name below `node`."""
    match node:
        case nodes.Filter(name="default" | "d", node=nodes.Expr() as value):
            yield from _paths(value, defined, True)
            for other in (*node.args, *node.kwargs):
                yield from _paths(other, defined, guarded)
            return
        case nodes.Test(name=name, node=value) if name in _GUARDS:
            yield from _paths(value, defined, True)
            return
        case nodes.If() | nodes.CondExpr():
            yield from _branches(node, defined, guarded)
            return
        case nodes.And() | nodes.Or():
            # Of the first it is asked whether it is true, of which what is missing says nothing.
            yield from _paths(node.left, defined, False)
            asked = _asked(node.left) if isinstance(node, nodes.And) else frozenset[str]()
            yield from _paths(node.right, defined | asked, guarded)
            return
    if path := path_of(node):
        yield path, path if guarded else _held(path, defined), node.lineno or 1
        return
    looked_into = _looked_into(node) if guarded else None
    for child in children(node):
        # A default stands by for a value, not for what is done with it: `name | upper` fails before it is reached.
        yield from _paths(child, defined, child is looked_into)


def _held(path: str, defined: frozenset[str]) -> str:
    """The longest of these names that is `path` or holds it, or ""."""
    held = [name for name in defined if path == name or path.startswith(f"{name}.")]
    return max(held, key=len, default="")


def _looked_into(node: nodes.Node) -> nodes.Node | None:
    """That of which `node` is a part; where it is missing, so is the part."""
    match node:
        case nodes.Getitem(arg=nodes.Slice()):
            return None
        case nodes.Getattr(node=whole) | nodes.Getitem(node=whole):
            return whole
    return None


def _branches(node: nodes.If | nodes.CondExpr, defined: frozenset[str], guarded: bool) -> Iterator[Found]:
    yield from _paths(node.test, defined, False)
    then = [node.expr1] if isinstance(node, nodes.CondExpr) else node.body
    for child in node.iter_child_nodes(exclude=("test",)):
        inside = any(child is part for part in then)
        yield from _paths(child, defined | _asked(node.test) if inside else defined, guarded)


def _asked(test: nodes.Node) -> frozenset[str]:
    """The names that are certainly there when `test` is true."""
    match test:
        case nodes.Test(name="defined", node=value):
            return frozenset([path_of(value)]) - {""}
        case nodes.And(left=left, right=right):
            return _asked(left) | _asked(right)
    return frozenset()
