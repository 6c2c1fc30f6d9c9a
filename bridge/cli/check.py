"""`replybridge check`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from msgspec.structs import replace
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from bridge.cli.options import Config, settings_of
from bridge.cli.printing import explained, near, out, shown, write_json
from bridge.clock import SystemClock
from bridge.errors import Place, Problem
from bridge.lab.check import Checked
from bridge.lab.check import check as check_rulebook
from bridge.lab.sources import Excerpt, Sources
from bridge.lab.tests import beginning, run_tests
from bridge.line.accounts import Accounts
from bridge.line.decide import Behaviour
from bridge.line.render import Renderer
from bridge.model.quantity import say_count
from bridge.platforms.registry import ADAPTERS
from bridge.settings import Settings

_AROUND = 80
"""Characters of a long line that are shown on each side of the place."""

_LONGEST = 2_000
"""Characters of a line that go into JSON."""


def check(
    config: Config = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write what was found as JSON.")] = False,
) -> None:
    """Is everything sound: settings, rules, templates, examples, tests? What passes here may go live.

    Exit code 0: yes (there may be warnings); 1: the rulebook has errors; 2: it could not be checked.
    """
    with explained():
        settings = settings_of(config)
        checked = _checked(settings)
    sources = Sources()
    if as_json:
        found = [_as_json(problem, sources.excerpt(problem)) for problem in checked.problems]
        rules = 0 if checked.rulebook is None else len(checked.rulebook.rules)
        write_json({"problems": found, "rules": rules, "examples": checked.examples})
    else:
        for problem in checked.problems:
            show_problem(problem, sources.excerpt(problem))
        out.print(_in_one_line(checked, settings.rulebook.rules))
    raise typer.Exit(1 if checked.errors else 0)


def _checked(settings: Settings) -> Checked:
    """What is found in the rulebook, and when nothing is wrong with it, in its tests."""
    accounts = Accounts(settings.accounts.values(), ADAPTERS)
    folders = settings.rulebook
    checked = check_rulebook(
        rules=folders.rules,
        templates=folders.templates,
        timezone=folders.timezone,
        accounts=accounts,
        examples_at=beginning(folders.timezone),
        audiences=settings.directory,
        now=SystemClock().now(),
    )
    if not folders.rules.exists():
        checked = replace(checked, problems=(_missing(folders.rules), *checked.problems))
    if checked.errors:
        return checked
    renderer = Renderer(checked.templates, accounts, folders.replies_per_hour)
    behaviour = Behaviour(rulebook=checked.sound(), renderer=renderer, accounts=accounts)
    wrong = run_tests(Path(near(folders.rules)), behaviour, folders.timezone)
    return replace(checked, problems=tuple(sorted((*checked.problems, *wrong))))


def _missing(folder: Path) -> Problem:
    """A server would begin without any rules, and nobody be answered."""
    message = "there is no such folder; make it, or say in rulebook.rules where the rules are"
    return Problem(place=Place(file=near(folder), line=1, column=1), message=message)


def _in_one_line(checked: Checked, folder: Path) -> str:
    """'21 rules, 34 examples: all sound'."""
    errors = len(checked.errors)
    found = f"{say_count(errors, 'error')}, {say_count(len(checked.problems) - errors, 'warning')}"
    if errors or checked.rulebook is None:
        return f"{found}: this rulebook cannot be used until the errors are mended"
    rules, broadcasts = len(checked.rulebook.rules), len(checked.rulebook.broadcasts)
    tried = f"{say_count(rules, 'rule')}, {say_count(checked.examples, 'example')}"
    if broadcasts:
        tried += f", {say_count(broadcasts, 'broadcast')}"
    if checked.problems:
        return f"{tried}: {found}"
    nothing = f"there are no rules in {near(folder)}, so nothing will be answered"
    return f"{tried}: {'all sound' if rules or broadcasts else nothing}"


def show_problem(problem: Problem, excerpt: Excerpt | None, to: Console = out) -> None:
    """What is wrong, and below it the line in which it stands with the place underlined."""
    colour = "yellow" if problem.warning else "red"
    to.print(Text(shown(str(problem)), style=colour), soft_wrap=True)
    if excerpt is None:
        return
    first = max(0, min(excerpt.start - _AROUND, len(excerpt.line) - 2 * _AROUND))
    before, rest = excerpt.line[first : excerpt.start], excerpt.line[excerpt.start :]
    meant, after = rest[: excerpt.length][:_AROUND], rest[excerpt.length :][:_AROUND]
    before, meant, after = (shown(part.replace("\t", " ")) for part in (before, meant, after))
    number = str(problem.place.line)
    to.print(Text.assemble((f"{number:>6} | ", "dim"), before, (meant, "bold"), after), soft_wrap=True)
    underline = "^" + "~" * (cell_len(meant) - 1)
    to.print(Text.assemble((" " * 6 + " | ", "dim"), " " * cell_len(before), (underline, colour)), soft_wrap=True)


def _as_json(problem: Problem, excerpt: Excerpt | None) -> Mapping[str, object]:
    return {
        "file": problem.place.file,
        "line": problem.place.line,
        "column": problem.place.column,
        "severity": "warning" if problem.warning else "error",
        "message": problem.message,
        "source": None if excerpt is None else excerpt.line[:_LONGEST],
        "underline": None if excerpt is None else {"column": excerpt.start + 1, "length": excerpt.length},
    }
