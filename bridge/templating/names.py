"""The variables that a template uses, for proofs that each one exists or has a default."""

from collections.abc import Iterator, Mapping

from jinja2 import nodes
from jinja2.meta import TrackingCodeGenerator

from bridge.templating.rewrite import path_of
from bridge.templating.sandbox import Sandbox

_TARGETS = ("store", "param")
_GUARDS = ("defined", "undefined")


def names_of(tree: nodes.Template, sandbox: Sandbox) -> tuple[frozenset[str], frozenset[str]]:
    """The names used (`contact`, `contact.name`), and those of them that have no default: `needs`.

    A name needs no default after `| default`, in `is defined`, and within an `if` that asks `is defined`.
    """
    free = _undeclared(tree, sandbox) - sandbox.globals.keys()
    used, needed = set[str](), set[str]()
    for path, guarded in _paths(tree, frozenset(), False):
        if path.split(".", 1)[0] in free:
            used.add(path)
            if not guarded:
                needed.add(path)
    return frozenset(used | free), frozenset(needed)


def _undeclared(tree: nodes.Template, sandbox: Sandbox) -> set[str]:
    """What `jinja2.meta.find_undeclared_variables` finds, without its working out of constants on the way."""
    generator = TrackingCodeGenerator(sandbox)
    generator.optimizer = None
    generator.visit(tree)
    return generator.undeclared_identifiers


def stored(tree: nodes.Template) -> frozenset[str]:
    """The names that a template gives values to, and hands to those it includes."""
    found = {name.name for name in tree.find_all(nodes.Name) if name.ctx in _TARGETS}
    found.update(macro.name for macro in tree.find_all(nodes.Macro))
    found.update(name.target for name in tree.find_all(nodes.Import))
    for wanted in tree.find_all(nodes.FromImport):
        found.update(name if isinstance(name, str) else name[1] for name in wanted.names)
    return frozenset(found)


def lines_of(tree: nodes.Template) -> Mapping[int, frozenset[str]]:
    """The dotted names on each line, by which an error finds the whole name of what is missing."""
    found: dict[int, set[str]] = {}
    for node in tree.find_all((nodes.Getattr, nodes.Getitem, nodes.Name)):
        if path := path_of(node):
            found.setdefault(node.lineno, set()).add(path)
    return {line: frozenset(paths) for line, paths in found.items()}


def _paths(node: nodes.Node, defined: frozenset[str], guarded: bool) -> Iterator[tuple[str, bool]]:
    """Every longest dotted name below `node`, and whether something stands by for its absence."""
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
        case nodes.And():
            yield from _paths(node.left, defined, guarded)
            yield from _paths(node.right, defined | _asked(node.left), guarded)
            return
    if path := path_of(node):
        yield path, guarded or any(path == name or path.startswith(f"{name}.") for name in defined)
        return
    for child in node.iter_child_nodes():
        yield from _paths(child, defined, guarded)


def _branches(node: nodes.If | nodes.CondExpr, defined: frozenset[str], guarded: bool) -> Iterator[tuple[str, bool]]:
    yield from _paths(node.test, defined, guarded)
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
