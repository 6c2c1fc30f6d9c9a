"""The manuals followed to the letter: the settings and rules of every platform's doc.md pass `replybridge check`."""

import re
from pathlib import Path
from textwrap import dedent, indent

import pytest

import bridge.platforms
from bridge.lab.check import check
from bridge.line.accounts import Accounts
from bridge.platforms.registry import ADAPTERS
from tests.running import settings_in
from tests.values import NOON

HOME = Path(bridge.platforms.__file__).parent
_BLOCK = re.compile(r"^ *```(toml|yaml)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
_ENV = re.compile(r'env = "(\w+)"')
_SECRET = "0123456789abcdef"


def blocks(platform: str, language: str) -> list[str]:
    text = (HOME / platform / "doc.md").read_text(encoding="utf-8")
    return [dedent(found[2]) for found in _BLOCK.finditer(text) if found[1] == language]


def as_rules(number: int, text: str) -> str:
    """A block that shows only the actions of a rule, in a rule."""
    return (
        text
        if text.startswith(("rules:", "audiences:"))
        else f"rules:\n  - name: shown {number}\n    on: message\n{indent(text, '    ')}"
    )


@pytest.mark.parametrize("platform", sorted(ADAPTERS))
def test_what_a_manual_shows_is_sound(tmp_path: Path, platform: str) -> None:
    toml = blocks(platform, "toml")
    rules = {f"rules/{n}.yaml": as_rules(n, text) for n, text in enumerate(blocks(platform, "yaml"))}
    # A block without a table of its own goes on with the one before.
    written = "".join(f"\n{text}" if text.startswith("[") else text for text in toml)
    environ = dict.fromkeys(_ENV.findall(written), _SECRET)
    settings = settings_in(tmp_path, {"bridge.toml": written, **rules}, environ)
    assert {account.platform for account in settings.accounts.values()} == {platform}
    checked = check(
        rules=settings.rulebook.rules,
        templates=settings.rulebook.templates,
        timezone=settings.rulebook.timezone,
        accounts=Accounts(settings.accounts.values(), ADAPTERS),
        examples_at=NOON,
    )
    assert [str(problem) for problem in checked.problems] == []
    rulebook = checked.sound()
    places = [*(rule.place for rule in rulebook.rules), *(one.place for one in rulebook.broadcasts.values())]
    assert len({place.file for place in places}) == len(rules)
