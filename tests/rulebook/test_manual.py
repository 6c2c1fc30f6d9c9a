"""rules/README.md: every rule in it loads, every example comes out, its tables name exactly what exists."""

import re
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bridge.lab.check import check
from bridge.line.accounts import Accounts
from bridge.model.event import KINDS, SENDERS
from bridge.model.rule import UNLESS
from bridge.platforms.registry import ADAPTERS
from bridge.rulebook.action_forms import ActionForm, OperationForm, ReplyForm
from bridge.rulebook.broadcasts import AudienceForm, BroadcastForm
from bridge.rulebook.example_forms import EVENT_WORDS, ExampleForm, ExpectedReply
from bridge.rulebook.fields import KNOWN, OPEN, STATES
from bridge.rulebook.forms import Form
from bridge.rulebook.load import build
from bridge.rulebook.schema import MatcherForm, RuleForm, WhenForm
from bridge.templating import Templates

NOON = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)
MANUAL = (Path(__file__).parents[2] / "rules" / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```([a-z ]+)\n(.*?)```", MANUAL, re.DOTALL)
RULES = [text for language, text in BLOCKS if language == "yaml"]
ACCOUNTS: dict[str, tuple[str, dict[str, object]]] = {
    "site": ("webchat", {}),
    "shop": ("helpcrunch", {"api_key": "key", "agent": 4188}),
    "duty": ("groupalarm", {"organization": 17, "api_token": "token"}),
    "club": ("chayns", {"location_id": 378, "tapp_id": 77889, "secret": "secret"}),
    "crm": ("webhook", {"secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], "call_hosts": ["crm.example"]}),
}
"""The accounts that the manual speaks of; the web chat is the one that events come from."""
TEMPLATES = Templates(timezone=ZoneInfo("UTC"))


def cells(heading: str) -> set[str]:
    """What stands in backticks in the first column of the table whose heading begins like this."""
    table = MANUAL.split(f"\n| {heading}", 1)[1].split("\n\n", 1)[0]
    rows = table.splitlines()[2:]
    return {word.split(":")[0] for row in rows for word in re.findall(r"`([^`]+)`", row.split("|")[1])}


def keys(form: type[Form]) -> set[str]:
    return {field.alias or name for name, field in form.model_fields.items()}


def accounts_of(text: str) -> Accounts:
    """The accounts that a reader of this example has: those that it names. `call` needs none by name."""
    named = {name for name in ACCOUNTS if re.search(rf"\b(account|via): {name}\b", text)} | {"site"}
    if "- call:" in text:
        named.add("crm")
    return Accounts(
        [
            ADAPTERS[platform].account.model_validate({"name": name, **options})
            for name, (platform, options) in ACCOUNTS.items()
            if name in named
        ],
        ADAPTERS,
    )


@pytest.mark.parametrize("text", RULES)
def test_every_rule_of_the_manual_passes_the_check(text: str, tmp_path: Path) -> None:
    rules, templates = tmp_path / "rules", tmp_path / "templates"
    rules.mkdir()
    templates.mkdir()
    (rules / "manual.yaml").write_text(text, encoding="utf-8")
    (templates / "new-prices.md.j2").write_text("{{ said | default('Come and see') }}", encoding="utf-8")
    accounts = accounts_of(text)
    checked = check(
        rules=rules, templates=templates, timezone=ZoneInfo("UTC"), accounts=accounts, examples_at=NOON, now=NOON
    )
    assert list(map(str, checked.problems)) == []
    assert checked.rulebook is not None
    assert checked.rulebook.rules or checked.rulebook.calendars or checked.rulebook.broadcasts


def test_every_rule_of_the_manual_that_answers_has_an_example() -> None:
    rulebooks = [build({"a.yaml": text.encode()}, compile_expression=TEMPLATES.expression)[0] for text in RULES]
    assert [
        rule.name for rulebook in rulebooks if rulebook for rule in rulebook.rules if rule.do and not rule.examples
    ] == []


def test_the_mistakes_of_the_manual_are_shown_as_it_says() -> None:
    (wrong,) = [text for language, text in BLOCKS if language == "yaml wrong"]
    (shown,) = [text for language, text in BLOCKS if language == "text"]
    _, problems = build({"rules/wrong.yaml": wrong.encode()}, compile_expression=TEMPLATES.expression)
    assert "".join(f"{problem}\n" for problem in problems) == shown


def test_the_tables_name_exactly_what_exists() -> None:
    assert cells("key |") == keys(RuleForm)
    assert cells("matcher |") == keys(MatcherForm)
    assert {name for name in cells("field |") if "<" not in name} == {*KNOWN, "time", "calendar"}
    assert {name for name in cells("field |") if "<" in name} == set(OPEN) - {"contact.<key>"}
    assert cells("event |") - {"stopped"} == set(EVENT_WORDS)
    assert cells("action |") == keys(ActionForm) - {"scope", "unless", "do"}
    assert cells("key of `reply` |") == keys(ReplyForm)
    assert cells("key of an operation |") == keys(OperationForm)
    assert cells("key of a broadcast |") == keys(BroadcastForm)
    assert cells("key of an audience |") == keys(AudienceForm)
    words = {*KINDS, *SENDERS, *STATES, *UNLESS, "scope"}
    for word in words.union(keys(ExpectedReply), keys(ExampleForm), keys(WhenForm)):
        assert f"`{word}" in MANUAL
