"""A rulebook in a folder of its own, and what `check` finds in it."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from bridge.lab.check import Checked, check
from bridge.line.accounts import Accounts
from bridge.platforms.registry import ADAPTERS
from tests.platforms.omnidesk_calls import an_account
from tests.values import NOON

SHOP = ADAPTERS["helpcrunch"].account.model_validate({"name": "shop", "api_key": "k" * 20, "agent": 1})
FOUND_BY_EMAIL = SHOP.model_copy(update={"identity": {"email": "contact.email"}})


def checked(
    tmp_path: Path,
    rules: str | Mapping[str, str],
    templates: Mapping[str, str] | None = None,
    accounts: Accounts | None = None,
    at: datetime | None = NOON,
) -> Checked:
    """What is found in one rule file (or several), and these templates."""
    files = {"rules.yaml": rules} if isinstance(rules, str) else rules
    for folder, contents in (("rules", files), ("templates", templates or {})):
        (tmp_path / folder).mkdir()
        for name, content in contents.items():
            (tmp_path / folder / name).write_text(content, encoding="utf-8")
    if accounts is None:
        accounts = Accounts([an_account(), SHOP], ADAPTERS)
    return check(
        rules=tmp_path / "rules",
        templates=tmp_path / "templates",
        timezone=ZoneInfo("UTC"),
        accounts=accounts,
        examples_at=at,
    )


def found(tmp_path: Path, *given: Any, **more: Any) -> list[str]:
    """The problems as a person reads them, their files named from the working folder."""
    result = checked(tmp_path, *given, **more)
    return [str(problem).replace(f"{tmp_path}/", "") for problem in result.problems]


def rule(do: str, *, on: str = "message", **more: str) -> str:
    lines = "".join(f"    {key}: {value}\n" for key, value in more.items())
    return f"rules:\n  - name: r\n    on: {on}\n{lines}    do:\n      - {do}\n"
