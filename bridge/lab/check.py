"""Check: is everything sound? Syntax, schema, names across files and settings, templates, and the examples."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo

from bridge.errors import Place, Problem, RulebookError, did_you_mean
from bridge.lab.examples import run_examples
from bridge.line.accounts import Accounts
from bridge.line.render import Renderer
from bridge.model.rule import Forget, Remember, ReplyAction, Rule, Rulebook
from bridge.rulebook.load import examine
from bridge.templating import Templates

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
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
    *, rules: Path, templates: Path, timezone: ZoneInfo, accounts: Accounts, examples_at: datetime | None = None
) -> Checked:
    """Read the folders of rules and templates and look for what is wrong with them.

    The examples are tried, as if it were `examples_at`, when everything else is sound.
    """
    problems: list[Problem] = []
    loaded = _noting(problems, lambda: Templates.load(_near(templates), timezone=timezone))
    compiled = loaded or Templates(timezone=timezone)
    rulebook, found = examine(_near(rules), compile_expression=compiled.expression, timezone=timezone.key)
    problems.extend(found)
    if rulebook is not None:
        for rule in rulebook.rules:
            problems.extend(_check_rule(rule, loaded, accounts))
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


def _near(path: Path) -> Path:
    """A path as people say it where they stand: relative to the working directory, if it is below it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _noting(problems: list[Problem], do: Callable[[], T]) -> T | None:
    try:
        return do()
    except RulebookError as error:
        problems.extend(error.problems)
        return None


def _check_rule(rule: Rule, templates: Templates | None, accounts: Accounts) -> Iterator[Problem]:
    """Names that the rule file alone cannot know; without `templates` the files are not looked at."""
    for name in sorted(rule.accounts):
        if accounts.get(name) is None:
            yield _no_account(rule.place, f'rule "{rule.name}": account', name, accounts)
    for action in rule.do:
        if isinstance(action, Forget):
            continue
        if templates is not None:
            yield from _check_templates(action, templates)
        if isinstance(action, ReplyAction) and action.via is not None:
            yield from _check_via(action, action.via, accounts)


def _check_templates(action: ReplyAction | Remember, templates: Templates) -> Iterator[Problem]:
    problems: list[Problem] = []
    if isinstance(action, ReplyAction):
        if action.template is not None:
            _noting(problems, partial(templates.file, action.template, action.place))
        texts = [action.text, *(action.to or {}).values()]
    else:
        texts = list(action.facts.values())
    for text in texts:
        if isinstance(text, str):
            _noting(problems, partial(templates.inline, text, action.place))
    yield from problems


def _check_via(action: ReplyAction, via: str, accounts: Accounts) -> Iterator[Problem]:
    known = accounts.get(via)
    if known is None:
        yield _no_account(action.place, "via", via, accounts)
        return
    for key in action.to or {}:
        # A platform without words of its own takes any.
        if known.adapter.to_keys and key not in known.adapter.to_keys:
            near = did_you_mean(key, known.adapter.to_keys) or f" (known: {', '.join(known.adapter.to_keys)})"
            yield Problem(place=action.place, message=f'to: {known.adapter.name} knows no "{key}"{near}')
    if action.to is None and not known.account.identity:
        needed = f'"via: {via}" needs "to", or an identity in the settings: accounts.{via}.identity'
        yield Problem(place=action.place, message=needed, warning=True)


def _no_account(place: Place, what: str, name: str, accounts: Accounts) -> Problem:
    near = did_you_mean(name, [known.account.name for known in accounts])
    hint = near or f"; add [accounts.{name}] to the settings"
    return Problem(place=place, message=f'{what}: there is no account "{name}"{hint}')


def _check_calendars(rulebook: Rulebook, accounts: Accounts) -> Iterator[Problem]:
    for known in accounts:
        name = known.account.calendar
        if name is not None and name not in rulebook.calendars:
            near = did_you_mean(name, list(rulebook.calendars))
            message = f'accounts.{known.account.name}.calendar: no rule file has a calendar "{name}"{near}'
            yield Problem(place=Place(file="settings", line=1, column=1), message=message)
