"""Scopes: what a rulebook keeps beside single conversations, so that one conversation alone does not tell all of it."""

from collections.abc import Mapping

from bridge.model.conversation import Scope
from bridge.model.rule import Forget, Remember, Rulebook, numbered


def kept_beside(rulebook: Rulebook) -> Mapping[Scope, tuple[str, ...]]:
    """The rules that remember or count something for a contact, for an account, or for the rule as a whole."""
    found: dict[Scope, list[str]] = {}
    for rule in rulebook.rules:
        scopes = {action.scope for _, action in numbered(rule.do) if isinstance(action, Remember | Forget)}
        if rule.limit is not None:
            scopes.add(rule.limit.per)
        for scope in sorted(scopes - {"conversation"}):
            found.setdefault(scope, []).append(rule.name)
    return {scope: tuple(names) for scope, names in found.items()}


def named(names: tuple[str, ...], most: int = 3) -> str:
    """'greeting, opt-out and 4 more'."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
