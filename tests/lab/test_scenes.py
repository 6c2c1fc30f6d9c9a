"""Files of tests: every mistake is told with its place, in the words of the file."""

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bridge.lab.scenes import BEGINNING, Happens, Turns, read_scenes
from bridge.model.event import Contact
from tests.lab.playing import mistakes, scenes_of

KYIV = ZoneInfo("Europe/Kyiv")


def a_test(*steps: str, about: str = "") -> str:
    lines = "".join(f"      - {step}\n" for step in steps)
    return f"tests:\n  - name: t\n{about}    steps:\n{lines}"


CASES = {
    "no list": ("test: []", ['1:1: the file needs "tests"', '1:1: unknown key "test" (did you mean "tests"?)']),
    "nothing expected": (
        a_test("message: hi"),
        ['2:5: the test expects nothing of all that happens: add a step "expect"'],
    ),
    "no steps": ("tests:\n  - name: t\n", ['2:5: the test needs "steps"']),
    "an unknown step": (
        a_test("mesage: hi", "expect: nothing"),
        ['4:9: unknown key "mesage" (did you mean "message"?)'],
    ),
    "two steps in one": (
        a_test("{message: hi, wait: 1m}", "expect: nothing"),
        ["4:9: a step is one of message, visited, typing, ended, attachment, event, agent, bot, wait, at, expect:"
         " message, wait are a step each, with a dash of its own"],
    ),
    "no step": (
        a_test("{conversation: b}", "expect: nothing"),
        ["4:9: a step is one of message, visited, typing, ended, attachment, event, agent, bot, wait, at, expect"],
    ),
    "something beside a wait": (
        a_test("{wait: 1m, conversation: b}", "expect: nothing"),
        ['4:9: "conversation" does not go with "wait"'],
    ),
    "a duration that is none": (
        a_test("wait: 3 parsecs", "expect: nothing"),
        ['4:15: "3 parsecs" is not a duration: write a number and ms, s, m, h, d or w, for example "10m"'],
    ),
    "an expectation that asks nothing": (
        a_test("expect: {}"),
        ['4:17: "expect" expects "nothing", or one of reply, send, operation, broadcast, rule, remember, forget'],
    ),
    "a reply that asks nothing": (
        a_test("expect: {reply: {}}"),
        ['4:25: "reply" must say what is expected of it, for example {contains: price}'],
    ),
    "a word of a reply": (
        a_test("expect: {reply: {containz: x}}"),
        ['4:26: unknown key "containz" (did you mean "contains"?)'],
    ),
    "a word of a reply in a list": (
        a_test("expect: {reply: [{contains: x}, {start_with: x}]}"),
        ['4:42: unknown key "start_with" (did you mean "starts_with"?)'],
    ),
    "a pattern": (
        a_test("expect: {reply: {matches: '(?=x)'}}"),
        ["4:35: not a pattern that RE2 takes: invalid perl operator: (?=;"
         " look-around does not exist in RE2: use two conditions, one of them in `not`"],
    ),
    "an operation": (
        a_test("expect: {operation: assign}"),
        ['4:18: "assign" is no operation: write <platform>.<operation>, for example helpcrunch.assign, or call'],
    ),
    "a scope of nothing": (
        a_test("expect: {rule: x, scope: contact}"),
        ['4:17: "scope" goes with remember and forget'],
    ),
    "a moment": (
        a_test("expect: nothing", about="    at: tomorrow\n"),
        ['3:9: "tomorrow" is no moment: write for example "2026-03-27T10:00+02:00" or "2026-03-27T10:00"'],
    ),
    "a moment long ago": (
        a_test("expect: nothing", about="    at: 1912-01-01T00:00\n"),
        ['3:9: "1912-01-01T00:00" is not between 1970 and 2199'],
    ),
    "a moment in the missing hour": (
        a_test("expect: nothing", about="    at: 2026-03-29T03:30\n"),
        ['3:9: "2026-03-29T03:30:00" does not exist in Europe/Kyiv: the clock is put forward'],
    ),
    "a moment in the repeated hour": (
        a_test("expect: nothing", about="    at: 2026-10-25T03:30\n"),
        ['3:9: "2026-10-25T03:30:00" comes twice in Europe/Kyiv: end it with +03:00 or +02:00'],
    ),
    "time that runs back": (
        a_test("wait: 1h", "at: 2026-03-27T10:59+02:00", "expect: nothing", about="    at: 2026-03-27T10:00\n"),
        ["6:13: 2026-03-27T10:59+02:00 is past: the test has come to 2026-03-27T11:00+02:00"],
    ),
    "a test for centuries": (
        a_test(*["wait: 366 days"] * 280, "expect: nothing"),
        [f"{line}:15: a test ends before 2300" for line in range(277, 284)],
    ),
    "two of one name": (
        a_test("expect: nothing") + "  - name: t\n    steps: [expect: nothing]\n",
        ['5:11: another test is named "t" already, at rules/a.test.yaml:2:11: rename one'],
    ),
    "not YAML": (
        "tests: [",
        [
            "2:1: not valid YAML: did not find expected node content (while parsing a flow node); "
            "put the text in quotes; or a value is missing before it, or a bracket is not closed"
        ],
    ),
    "an empty key": (
        a_test("{message: , typing: started}", "expect: nothing"),
        ['4:10: "message" is empty: give it a value or remove it'],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "said"), CASES.values(), ids=CASES)
def test_a_mistake_is_told_with_its_place(text: str, said: list[str]) -> None:
    assert mistakes(text, KYIV) == said


def test_moments_without_an_offset_are_local() -> None:
    (scene,) = scenes_of(a_test("at: 2026-07-01T10:00", "expect: nothing", about="    at: 2026-03-27 10:00\n"), KYIV)
    assert scene.at == datetime(2026, 3, 27, 8, 0, tzinfo=UTC)
    assert scene.steps[0].at == datetime(2026, 7, 1, 7, 0, tzinfo=UTC)


def test_what_is_not_said_is_the_same_on_every_day() -> None:
    (scene,) = scenes_of(a_test("message: hi", "wait: 90s", "message: ho", "expect: nothing"), KYIV)
    assert scene.at == BEGINNING.replace(tzinfo=KYIV)
    assert BEGINNING.strftime("%A %H:%M") == "Tuesday 12:00"
    first, turn, second, _ = scene.steps
    assert isinstance(first, Happens)
    assert isinstance(turn, Turns)
    assert (first.given, second.at - first.at) == ({"message": "hi"}, turn.at - first.at)


def test_a_contact_may_have_further_facts() -> None:
    (scene,) = scenes_of(a_test("expect: nothing", about="    contact: {name: Ada, plan: gold, seats: 3}\n"))
    assert scene.contact == Contact(name="Ada", extra={"plan": "gold", "seats": 3})


def test_only_files_of_tests_are_read_and_every_one_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("rules: []")
    (tmp_path / "a.test.yaml").write_text(a_test("expect: nothing"))
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "b.test.yml").write_bytes(b"tests: \xff")
    (tmp_path / "empty.test.yaml").write_text("# nothing yet\n")
    scenes, problems = read_scenes(tmp_path, KYIV)
    assert [scene.name for scene in scenes] == ["t"]
    assert [str(problem) for problem in problems] == [
        f"{tmp_path}/deep/b.test.yml:1:8: byte 0xff is not UTF-8: save the file as UTF-8"
    ]
    assert read_scenes(tmp_path / "nowhere", KYIV) == ([], [])
