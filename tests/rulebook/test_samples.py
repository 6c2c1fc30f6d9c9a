"""The rules that ship: their tests pass, none is without one, and what people write in between does no harm."""

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bridge.lab.scenes import read_scenes
from bridge.lab.tests import report, run_tests
from bridge.rulebook.load import read_files
from bridge.templating import Templates
from tests.lab.playing import behaviour_of, steps, wrong

ROOT = Path(__file__).parents[2]
FILES, _ = read_files(ROOT / "rules")
BEHAVIOUR = behaviour_of(FILES, Templates.load(ROOT / "templates", timezone=ZoneInfo("UTC")))


@pytest.mark.parametrize("zone", ["UTC", "Europe/Kyiv", "America/New_York"])
def test_their_tests_pass_wherever_one_lives(zone: str) -> None:
    assert run_tests(ROOT / "rules", BEHAVIOUR, ZoneInfo(zone)) == []


def test_every_rule_is_fired_by_a_test_or_an_example() -> None:
    scenes, _ = read_scenes(ROOT / "rules", ZoneInfo("UTC"))
    result = report(scenes, BEHAVIOUR, ZoneInfo("UTC"))
    assert [rule.name for rule in result.unfired] == []
    assert (result.wrong_examples, result.failed) == ((), ())


@pytest.mark.parametrize("answer", ["no idea", "{{ 7 * 7 }}", "[b]x[/b]", "a@b", "@" * 5000])
def test_an_answer_that_is_none_is_asked_for_once_more_and_then_handed_over(answer: str) -> None:
    played = steps(
        BEHAVIOUR,
        "message: Where is my order?",
        f'message: "{answer}"',
        "expect: {rule: [order-question-of-a-stranger, order-email-again]}",
        f'message: "{answer}"',
        "expect: {reply: [{rule: hand-over}]}",
        "message: ada@shop.example",
        "expect: {reply: [{rule: order-email}], remember: {order_step: number}}",
        "expect: {remember: {email: ada@shop.example}, scope: contact}",
    )
    assert wrong(played) == []
