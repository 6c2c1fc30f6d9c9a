"""`replybridge explain` as a person types it."""

import json
from pathlib import Path

import pytest

from tests.cli.recording import SHOWN, record, write
from tests.cli.typed import typed
from tests.end_to_end.terminal import fails


async def test_an_event_is_explained_rule_by_rule(tmp_path: Path) -> None:
    await record(tmp_path)
    done = typed(tmp_path, "explain", "2")
    assert done.returncode == 0
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["event", "2:", "message", "by", "the", "contact", "in", "conversation", "one"] in lines
    [price] = [line for line in lines if line[:1] == ["price"]]
    assert price == [
        *["price", "limited", "1", "per", "conversation,", "ever"],
        *["limited:", "1", "per", "conversation,", "ever", "rules/rules.yaml:3:5"],
    ]
    assert "nothing comes of it, and nothing came of it then" in done.stdout
    assert "≠" not in done.stdout


async def test_what_is_decided_otherwise_now_is_marked_and_both_replies_are_shown(tmp_path: Path) -> None:
    await record(tmp_path)
    write(tmp_path, "rules: [{name: new, on: message, do: [{reply: {text: 'Hello'}}]}]")
    done = typed(tmp_path, "explain", "1")
    assert done.returncode == 0
    assert f"text     {SHOWN}" in done.stdout
    assert [line.split()[:3] for line in done.stdout.splitlines() if line.startswith("≠")] == [
        ["≠", "new", "fired"],
        ["≠", "price", "gone"],
        ["≠", "it", "was"],
    ]
    assert done.stdout.splitlines()[-3:] == ["then (-) and now (+):", "- price: 9 EUR", "+ new: Hello"]


async def test_json_has_a_verdict_for_every_rule(tmp_path: Path) -> None:
    await record(tmp_path)
    told = json.loads(typed(tmp_path, "explain", "1", "--json").stdout)
    assert told["rules"] == [
        {
            "rule": "price",
            "verdict": "fired",
            "why": "its condition holds",
            "then": "fired",
            "differs": False,
            "place": {"file": "rules/rules.yaml", "line": 3, "column": 5},
        },
        {
            "rule": "page",
            "verdict": "other",
            "why": "is for visited, not for message",
            "then": "",
            "differs": False,
            "place": {"file": "rules/rules.yaml", "line": 8, "column": 5},
        },
    ]
    assert told["now"] == told["then"] == [{"rule": "price", "action": "0", "account": "site", "what": "9 EUR"}]
    assert (told["event"], told["account"], told["conversation"], told["rehearsed"]) == (1, "site", "one", 0)


async def test_the_newest_events_are_listed(tmp_path: Path) -> None:
    await record(tmp_path)
    done = typed(tmp_path, "explain")
    rows = [line.split() for line in done.stdout.splitlines()[2:-1]]
    assert [(row[0], row[4], row[-1]) for row in rows] == [("3", "two", "page"), ("2", "one", "price?"),
                                                           ("1", "one", "price")]  # fmt: skip
    assert SHOWN in done.stdout
    told = [
        json.loads(line) for line in typed(tmp_path, "explain", "--conversation", "one", "--json").stdout.splitlines()
    ]
    assert [(one["event"], one["fired"]) for one in told] == [(2, []), (1, ["price"])]
    assert typed(tmp_path, "explain", "--account", "other").stdout == "nothing is recorded of account other\n"


async def test_a_message_that_never_was_needs_no_record(tmp_path: Path) -> None:
    write(tmp_path)
    told = json.loads(typed(tmp_path, "explain", "--text", "the price", "--json").stdout)
    assert [(one["rule"], one["verdict"]) for one in told["rules"]] == [("price", "fired"), ("page", "other")]
    assert (told["event"], told["then"], told["now"][0]["what"]) == (None, None, "9 EUR")


async def test_a_message_that_never_was_comes_after_what_is_recorded(tmp_path: Path) -> None:
    await record(tmp_path)
    told = json.loads(typed(tmp_path, "explain", "--text", "price", "--conversation", "site/one", "--json").stdout)
    assert (told["rules"][0]["verdict"], told["rehearsed"]) == ("limited", 2)
    told = json.loads(typed(tmp_path, "explain", "--text", "price", "--whole", "--json").stdout)
    assert (told["rules"][0]["verdict"], told["rehearsed"]) == ("fired", 3)


async def test_of_very_many_rules_the_nearest_are_shown(tmp_path: Path) -> None:
    many = [
        f"- {{name: r{n}, on: [{'message' if n % 2 else 'visited'}], when: {{text: w{n}}}, stop: true}}"
        for n in range(100)
    ]
    write(tmp_path, "rules:\n" + "\n".join(many))
    done = typed(tmp_path, "explain", "--text", "w7")
    shown = [line.split()[0] for line in done.stdout.splitlines() if "rules/rules.yaml" in line]
    assert (len(shown), shown[0]) == (40, "r7")
    assert "and 60 rules more that did not fire: 10 for their conditions, 50 are for other events; --all" in done.stdout
    assert typed(tmp_path, "explain", "--text", "w7", "--all").stdout.count("rules/rules.yaml:") == 100


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("99",), "there is no event 99; `replybridge explain` alone lists the newest"),
        (("1", "--text", "x"), "either a recorded EVENT or a message of --text, not both"),
        (("1", "--account", "site"), "--account and --conversation go with --text"),
        (("--text", "x", "--account", "sit"), 'no account sit (did you mean "site"?)'),
        (("--text", "x", "--conversation", "nope"), 'no conversation "nope" is recorded'),
        (("1", "--found", "edna.clent=1"), 'no platform has such an operation (did you mean "edna.client"?)'),
        (("1", "--found", "edna.client"), "--found edna.client: write key=value"),
    ],
)
async def test_what_cannot_be_explained_is_said(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    await record(tmp_path)
    assert said in " ".join(fails(typed(tmp_path, "explain", *arguments)))


def test_without_a_store_there_is_nothing_to_explain(tmp_path: Path) -> None:
    write(tmp_path)
    for arguments in ((), ("1",), ("--text", "x", "--whole")):
        [said] = fails(typed(tmp_path, "explain", *arguments))
        assert said.endswith("there is no store yet; `replybridge serve` makes one")


async def test_a_rulebook_with_errors_is_shown_as_check_shows_it(tmp_path: Path) -> None:
    await record(tmp_path)
    write(tmp_path, "rules:\n  - name: x\n    on: mesage\n    stop: true\n")
    first, *shown = fails(typed(tmp_path, "explain", "1", "--json"))
    assert first.startswith('rules/rules.yaml:3:9: "on" must be one of')
    assert shown[:2] == ["     3 |     on: mesage", "       |         ^~~~~~"]
