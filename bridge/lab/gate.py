"""The gate: what a folder of rules has to pass before customers are answered by it."""

from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from bridge.errors import Problem, RulebookError
from bridge.lab.check import Checked, check, near
from bridge.lab.tests import beginning, run_tests
from bridge.line.accounts import Accounts
from bridge.line.decide import Behaviour
from bridge.line.render import Renderer


@dataclass(frozen=True, kw_only=True, slots=True)
class Passed:
    """What may go live, and the warnings that do not keep it from that."""

    behaviour: Behaviour
    warnings: tuple[Problem, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Gate:
    """Decides for these accounts; `timezone` and `replies_per_hour` are those of the settings."""

    accounts: Accounts
    timezone: ZoneInfo
    replies_per_hour: int

    def admit(self, rules: Path, templates: Path) -> Passed:
        """These folders, if syntax, checks, examples and tests are all well.

        Examples and tests happen at a moment that is always the same, so that it does not matter when somebody edits.
        Raises RulebookError with everything that is wrong.
        """
        checked = check(
            rules=rules,
            templates=templates,
            timezone=self.timezone,
            accounts=self.accounts,
            examples_at=beginning(self.timezone),
        )
        passed = self._passed(checked)
        if wrong := run_tests(near(rules), passed.behaviour, self.timezone):
            raise RulebookError(wrong)
        return passed

    def readmit(self, rules: Path, templates: Path) -> Passed:
        """Folders that were admitted before, and are needed now: they are checked, and nothing is tried.

        Raises RulebookError: the settings or this program have changed, and they do not fit any more.
        """
        return self._passed(check(rules=rules, templates=templates, timezone=self.timezone, accounts=self.accounts))

    def _passed(self, checked: Checked) -> Passed:
        renderer = Renderer(checked.templates, self.accounts, self.replies_per_hour)
        behaviour = Behaviour(rulebook=checked.sound(), renderer=renderer, accounts=self.accounts)
        return Passed(behaviour=behaviour, warnings=checked.problems)
