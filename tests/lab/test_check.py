"""Check: every mistake is found before it goes live, with the place where it stands."""

import shutil
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bridge.errors import RulebookError
from bridge.lab.check import check
from bridge.line.accounts import Accounts
from bridge.platforms.registry import ADAPTERS
from tests.lab.checking import FOUND_BY_EMAIL, checked, found, rule
from tests.platforms.omnidesk_calls import an_account

ROOT = Path(__file__).parents[2]

CASES = {
    "an unknown account": (
        rule("reply: {text: hi}", account="sit"),
        'rules/rules.yaml:4:14: rule "r": account: there is no account "sit" (did you mean "site"?)',
    ),
    "an account far from any": (
        rule("reply: {text: hi}", account="warehouse"),
        'rules/rules.yaml:4:14: rule "r": account: there is no account "warehouse"; add [accounts.warehouse] to the'
        " settings",
    ),
    "an unknown via": (
        rule("reply: {text: hi, via: shoop, to: {chat: 1}}"),
        'rules/rules.yaml:5:32: via: there is no account "shoop" (did you mean "shop"?)',
    ),
    "an unknown word of an address": (
        rule("reply: {text: hi, via: shop, to: {chatt: 1}}"),
        'rules/rules.yaml:5:43: to: helpcrunch knows no "chatt" (did you mean "chat"?)',
    ),
    "an address of another platform": (
        rule("reply: {text: hi, via: shop, to: {room: 1}}"),
        'rules/rules.yaml:5:43: to: helpcrunch knows no "room" (known: chat, customer, email, user_id)',
    ),
    "nobody to send to": (
        rule("reply: {text: hi, via: shop}"),
        'rules/rules.yaml:5:32: warning: "via: shop" needs "to",'
        " or an identity in the settings: accounts.shop.identity",
    ),
    "an unknown template": (
        rule("reply: {template: prise.md.j2}"),
        'rules/rules.yaml:5:27: there is no template "prise.md.j2" (did you mean "price.md.j2"?)',
    ),
}


@pytest.mark.parametrize(("rules", "said"), CASES.values(), ids=CASES)
def test_a_name_that_only_the_whole_can_know_is_told_with_its_place(tmp_path: Path, rules: str, said: str) -> None:
    assert found(tmp_path, rules, {"price.md.j2": "9 €"}) == [said]


@pytest.mark.parametrize(
    ("do", "column", "why"),
    [
        ("reply: {text: '{{ text'}", 23, "unexpected end of template"),
        ("reply: {text: hi, via: shop, to: {email: '{{ contact.email'}}", 43, "unexpected end of template"),
        ("remember: {a: '{% if %}'}", 19, "Expected an expression"),
        ("reply: {text: '{{ text | shout }}'}", 23, 'there is no filter "shout"'),
    ],
)
def test_a_broken_template_in_a_rule_is_told_with_its_place(tmp_path: Path, do: str, column: int, why: str) -> None:
    [said] = found(tmp_path, rule(do))
    assert said.startswith(f"rules/rules.yaml:5:{column}: {why}")


def test_broken_files_are_told_all_at_once_in_the_order_of_their_places(tmp_path: Path) -> None:
    said = found(
        tmp_path,
        {
            "a.yaml": "rules:\n  - name: a\n    on: mesage\n    do: [{reply: {text: hi}}]\n",
            "b.yaml": "rules: [",
            "c.yaml": rule("reply: {text: hi}") + rule("reply: {text: hi}").removeprefix("rules:\n"),
        },
        {"x.md.j2": "one\ntwo {{ contact.name", "y.md.j2": "{% include 'z.md.j2' %}", "z.html": "not ours"},
    )
    assert [one.split(": ")[0] for one in said] == sorted(one.split(": ")[0] for one in said)
    assert [one.split(":")[0] for one in said] == [
        "rules/a.yaml", "rules/b.yaml", "rules/c.yaml", "templates/x.md.j2", "templates/y.md.j2",
    ]  # fmt: skip
    assert 'did you mean "message"?' in said[0]
    assert 'another rule is named "r" already, at' in said[2]
    assert said[3].startswith("templates/x.md.j2:2:1: ")
    assert said[4] == 'templates/y.md.j2:1:1: there is no template "z.md.j2" (did you mean "y.md.j2"?)'


def test_an_error_keeps_a_rulebook_from_going_live_and_a_warning_does_not(tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "good").mkdir()
    bad = checked(tmp_path / "bad", rule("reply: {text: hi}", account="nobody"))
    with pytest.raises(RulebookError) as caught:
        bad.sound()
    assert [problem.message for problem in caught.value.problems] == [problem.message for problem in bad.errors]
    good = checked(tmp_path / "good", rule("reply: {text: hi, via: shop}"))
    assert [rule.name for rule in good.sound().rules] == ["r"]
    assert (len(good.problems), good.errors) == (1, ())


def test_a_rule_that_is_never_reached_is_a_warning(tmp_path: Path) -> None:
    text = rule("reply: {text: hi}", stop="true") + rule("reply: {text: hi}").replace("name: r", "name: late")[7:]
    [said] = found(tmp_path, text)
    assert said.startswith("rules/rules.yaml:7:5: warning: ")
    assert '"late" is never reached: "r" at ' in said


def test_an_identity_in_the_settings_answers_whom_a_reply_is_for(tmp_path: Path) -> None:
    accounts = Accounts([an_account(), FOUND_BY_EMAIL], ADAPTERS)
    assert found(tmp_path, rule("reply: {text: hi, via: shop}"), accounts=accounts) == []


def test_a_calendar_that_no_rule_file_has_is_told_with_its_setting(tmp_path: Path) -> None:
    accounts = Accounts([an_account(calendar="ofice")], ADAPTERS)
    text = "calendars:\n  office: {hours: {mon-fri: 09:00-17:00}}\n"
    assert found(tmp_path, text, accounts=accounts) == [
        'settings: accounts.site.calendar: no rule file has a calendar "ofice" (did you mean "office"?)'
    ]


def test_folders_that_are_not_there_are_an_empty_rulebook(tmp_path: Path) -> None:
    nothing = check(
        rules=tmp_path / "no", templates=tmp_path / "no", timezone=ZoneInfo("UTC"), accounts=Accounts([], ADAPTERS)
    )
    assert nothing.problems == ()
    assert nothing.sound().rules == ()


def test_examples_are_tried_only_where_everything_else_is_sound(tmp_path: Path) -> None:
    wrong = "    examples: [{message: x, expect: nothing}]\n"
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "c").mkdir()
    assert checked(tmp_path / "a", rule("reply: {text: hi}") + wrong, at=None).examples == 0
    tried = checked(tmp_path / "b", rule("reply: {text: hi}") + wrong)
    assert (tried.examples, len(tried.errors)) == (1, 1)
    unsound = checked(tmp_path / "c", rule("reply: {text: hi}", account="nobody") + wrong)
    assert (unsound.examples, len(unsound.errors)) == (0, 1)


@pytest.mark.parametrize("at", [datetime(2026, 3, 27, 12, tzinfo=UTC), datetime(2026, 12, 25, 3, tzinfo=UTC)])
def test_the_rules_that_ship_are_sound_at_any_time(tmp_path: Path, at: datetime) -> None:
    """In a folder of their own, as a person who has just installed them has them: with the web chat only."""
    for folder in ("rules", "templates"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    webchat = ADAPTERS["webchat"].account.model_validate({"name": "webchat"})
    result = check(
        rules=tmp_path / "rules",
        templates=tmp_path / "templates",
        timezone=ZoneInfo("Europe/Kyiv"),
        accounts=Accounts([webchat], ADAPTERS),
        examples_at=at,
    )
    assert [str(problem) for problem in result.problems] == []
    assert result.examples >= 20
