"""Check: is everything sound? Syntax, schema, names across files and settings, templates, and the examples."""

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import replace

from bridge.errors import Place, Problem, RulebookError, did_you_mean
from bridge.lab.broadcasts import check_broadcasts
from bridge.lab.examples import run_examples
from bridge.lab.operations import Platforms, check_operation, find_operation
from bridge.lab.sources import Sources
from bridge.lab.suspicions import suspicions
from bridge.lab.variables import Finds, Proof
from bridge.lab.whom import check_reply, check_rule
from bridge.line.accounts import Accounts
from bridge.line.render import Renderer
from bridge.model.rule import OperationAction, ReplyAction, Rulebook, numbered
from bridge.rulebook.load import examine
from bridge.templating import Templates

T = TypeVar("T")


class Checked(Struct, frozen=True, kw_only=True):
    """A rulebook with its templates, all that was found, and how many examples were tried."""

    rulebook: Rulebook | None
    templates: Templates
    problems: tuple[Problem, ...]
    examples: int = 0

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if not problem.warning)

    def sound(self) -> Rulebook:
        """The rulebook, if it may go live. Raises RulebookError with every error."""
        if self.rulebook is None or self.errors:
            raise RulebookError(self.errors)
        return self.rulebook


def check(
    *,
    rules: Path,
    templates: Path,
    timezone: ZoneInfo,
    accounts: Accounts,
    examples_at: datetime | None = None,
    now: datetime | None = None,
    audiences: Path | None = None,
) -> Checked:
    """Read the folders of rules and templates and look for what is wrong with them.

    The examples are tried, as if it were `examples_at`, when everything else is sound. Audience files are looked at
    where `audiences` says what their paths are relative to; `now` tells which schedules are over.
    """
    problems: list[Problem] = []
    loaded = _noting(problems, lambda: Templates.load(near(templates), timezone=timezone))
    compiled = loaded or Templates(timezone=timezone)
    rulebook, found = examine(near(rules), compile_expression=compiled.expression, timezone=timezone.key)
    problems.extend(found)
    if rulebook is not None:
        problems.extend(_check_rules(rulebook, accounts))
        if loaded is not None:
            problems.extend(check_broadcasts(rulebook, loaded, accounts, audiences, now))
            problems.extend(Proof(loaded, Sources(), rulebook, _finds(accounts.adapters)).problems())
        problems.extend(_check_calendars(rulebook, accounts))
    checked = Checked(rulebook=rulebook, templates=compiled, problems=tuple(sorted(problems)))
    if examples_at is None or rulebook is None or checked.errors:
        return checked
    wrong = run_examples(rulebook, Renderer(compiled, accounts), accounts, examples_at)
    return replace(
        checked,
        problems=tuple(sorted((*problems, *wrong))),
        examples=sum(len(rule.examples) for rule in rulebook.rules),
    )


def near(path: Path) -> Path:
    """A path as people say it where they stand: relative to the working directory, if it is below it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _noting(problems: list[Problem], do: Callable[[], T]) -> T | None:
    try:
        return do()
    except RulebookError as error:
        problems.extend(error.problems)
        return None


def _check_rules(rulebook: Rulebook, accounts: Accounts) -> Iterator[Problem]:
    """What the rule files alone cannot know: accounts, and what their platforms can do."""
    for rule in rulebook.rules:
        yield from check_rule(rule, accounts)
        yield from suspicions(rule)
        for _, action in numbered(rule.do):
            if isinstance(action, ReplyAction):
                yield from check_reply(action, rule, accounts)
            elif isinstance(action, OperationAction):
                yield from check_operation(action, rule, accounts)


def _finds(platforms: Platforms) -> Finds:
    def finds(name: str) -> tuple[str, ...]:
        operation = find_operation(name, platforms)
        return () if operation is None else operation.always

    return finds


def _check_calendars(rulebook: Rulebook, accounts: Accounts) -> Iterator[Problem]:
    for known in accounts:
        name = known.account.calendar
        if name is not None and name not in rulebook.calendars:
            near = did_you_mean(name, list(rulebook.calendars))
            message = f'accounts.{known.account.name}.calendar: no rule file has a calendar "{name}"{near}'
            yield Problem(place=Place(file="settings", line=0, column=0), message=message)
