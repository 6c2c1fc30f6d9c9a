"""Which templates are certain to compile. Their code is made when it is first wanted; that of others is made at once,
because only making it tells what is wrong with it: a block that stands twice, loops in loops in loops."""

from collections.abc import Iterable

from jinja2 import nodes

_CERTAIN = frozenset([
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.Getattr, nodes.Getitem,
    nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair, nodes.Filter, nodes.Test, nodes.Call, nodes.Add, nodes.Sub,
    nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.Pos,
    nodes.Compare, nodes.Operand, nodes.Concat, nodes.CondExpr, nodes.If,
])  # fmt: skip
"""Texts, expressions and `if`. Named arguments are not among them (one may stand twice), nor are slices."""

_LONG = 2**63


def is_plain(parts: Iterable[nodes.Node]) -> bool:
    """Whether a tree of these parts, in which nothing is wrong, certainly compiles."""
    return all(type(part) in _CERTAIN and not _is_long(part) for part in parts)


def _is_long(part: nodes.Node) -> bool:
    """A whole number may have more digits than Python writes out."""
    return isinstance(part, nodes.Const) and isinstance(part.value, int) and abs(part.value) > _LONG
