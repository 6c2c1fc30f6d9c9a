"""Which named groups of a pattern are certainly there when the pattern matches.

A group in one branch of `|`, or in something that may be left out (`?`, `*`, `{0,3}`), is not. Sound and not complete:
whatever is not surely understood makes a group uncertain.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache

_TOKEN = re.compile(
    r"""(?sx)
      \\Q.*?(?:\\E|\Z)                            # a text as it stands
    | \\[pPx]\{[^}]*\} | \\.                      # an escape
    | \[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\]     # a class of characters
    | \(\?P?<(?P<name>\w+)>                       # a named group
    | \(\?[a-zA-Z-]*\)                            # flags for what follows
    | (?P<open>\((?:\?[a-zA-Z-]*:)?)              # another group
    | (?P<close>\)) (?P<times>[?*]|\{[0,]|)
    | (?P<bar>\|)
    | .
    """
)


@dataclass(slots=True)
class _Scope:
    """What stands between two brackets; `certain` are the groups that are there whenever all of it is."""

    name: str | None = None
    certain: set[str] = field(default_factory=set)
    branches: bool = False


@lru_cache(maxsize=10_000)
def certain_groups(pattern: str) -> frozenset[str]:
    """The named groups that take part in every match of a pattern which RE2 takes."""
    scopes = [_Scope()]
    for token in _TOKEN.finditer(pattern):
        if token["name"] or token["open"]:
            scopes.append(_Scope(name=token["name"]))
        elif token["bar"]:
            scopes[-1].branches = True
        elif token["close"]:
            if len(scopes) == 1:
                return frozenset()
            inner = scopes.pop()
            if not token["times"]:
                scopes[-1].certain |= _kept(inner) | ({inner.name} if inner.name else set())
    return frozenset(_kept(scopes[0])) if len(scopes) == 1 else frozenset()


def _kept(scope: _Scope) -> set[str]:
    return set() if scope.branches else scope.certain
