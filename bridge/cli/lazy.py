"""Commands by name: only the module of the command that is asked for is loaded.

Otherwise `check`, which an editor may run at every save, would first load the web server, the database and the
scheduler.
"""

from collections.abc import Callable, Mapping
from pkgutil import resolve_name
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group


class Lazy(NamedTuple):
    """A command, or a group of them: where it is (`module:name`), and the first line of its help."""

    where: str
    about: str


def on_demand(commands: Mapping[str, Lazy]) -> type[TyperGroup]:
    """The group of these commands. Its help is told without loading any of them."""

    class OnDemand(TyperGroup):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            for name, lazy in commands.items():
                self.add_command(TyperCommand(name, help=lazy.about))

        # Commands and contexts are Any, because the types of typer's own click are private to it.
        def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
            name, command, rest = super().resolve_command(ctx, args)
            return name, load(name, commands[name]) if name else command, rest

    return OnDemand


def load(name: str, lazy: Lazy) -> Any:
    """The command itself, or the group, by that name."""
    found: typer.Typer | Callable[..., None] = resolve_name(lazy.where)
    if isinstance(found, typer.Typer):
        return get_group(found)
    alone = typer.Typer(add_completion=False)
    alone.command(name)(found)
    return get_command(alone)
