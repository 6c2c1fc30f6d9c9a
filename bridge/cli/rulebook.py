"""The rulebook for a command of the lab: that of the settings, or one from other folders."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import typer

from bridge.cli.check import show_problem
from bridge.cli.options import pairs
from bridge.cli.printing import err
from bridge.errors import BridgeError, Problem, RulebookError, did_you_mean
from bridge.lab.check import check
from bridge.lab.operations import find_operation
from bridge.lab.sources import Sources
from bridge.line.accounts import Accounts
from bridge.line.decide import Behaviour
from bridge.line.render import Renderer
from bridge.model.quantity import say_count
from bridge.platforms.registry import ADAPTERS
from bridge.settings import Settings


def behaviour_of(settings: Settings) -> Behaviour:
    """The rulebook of the settings with its templates. Raises RulebookError with every error in it."""
    accounts, folders = Accounts(settings.accounts.values(), ADAPTERS), settings.rulebook
    checked = check(rules=folders.rules, templates=folders.templates, timezone=folders.timezone, accounts=accounts)
    renderer = Renderer(checked.templates, accounts, folders.replies_per_hour)
    return Behaviour(rulebook=checked.sound(), renderer=renderer, accounts=accounts)


def somebody_writes(settings: Settings) -> None:
    """Raises BridgeError where the settings have no account to which anything could happen."""
    if not settings.accounts:
        hint = 'add for example [accounts.chat] with platform = "webchat"'
        raise BridgeError(f"the settings have no account, so nobody ever writes: {hint}")


def rulebook_in(settings: Settings, rules: Path | None = None, templates: Path | None = None) -> Behaviour:
    """The rulebook of the settings, with the rules or templates of other folders where they are given.

    What is wrong with it is shown as `check` does, and the command ends with exit code 2.
    """
    for folder, option in ((rules, "--rules"), (templates, "--templates")):
        if folder is not None and not folder.is_dir():
            raise BridgeError(f"{option} {folder}: there is no such folder")
    folders = settings.rulebook
    other = {"rules": (rules or folders.rules).absolute(), "templates": (templates or folders.templates).absolute()}
    try:
        return behaviour_of(replace(settings, rulebook=folders.model_copy(update=other)))
    except RulebookError as error:
        raise unusable(error.problems, "this rulebook cannot be used until they are mended") from None


def unusable(problems: Sequence[Problem], so: str) -> typer.Exit:
    """Show what is wrong as `check` does, and what that means; the end of the command, with exit code 2."""
    sources = Sources()
    for problem in problems:
        show_problem(problem, sources.excerpt(problem), err)
    err.print(f"{say_count(len(problems), 'error')}: {so}")
    return typer.Exit(2)


def findings_in(given: Iterable[str]) -> Mapping[str, object]:
    """What operations find, from OPERATION=JSON. Raises BridgeError for what is no operation."""
    found = pairs(given, "--found")
    for name in found:
        if find_operation(name, ADAPTERS) is None:
            every = [f"{platform}.{one}" for platform, adapter in ADAPTERS.items() for one in adapter.operations]
            raise BridgeError(f"--found {name}: no platform has such an operation{did_you_mean(name, every)}")
    return found


def conversation_of(found: list[tuple[str, str]], name: str, account: str | None) -> tuple[str, str]:
    """The one conversation (account and id) that a name means. Raises BridgeError where that is none, or several."""
    mine = [one for one in found if account is None or one[0] == account]
    if len(mine) == 1:
        return mine[0]
    if not mine:
        raise BridgeError(f'no conversation "{name}" is recorded: write its id as the platform calls it, or ACCOUNT/ID')
    raise BridgeError(f"several conversations are called so: {', '.join('/'.join(one) for one in mine[:5])}")
