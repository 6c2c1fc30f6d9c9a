"""`replybridge backtest` as a person types it."""

import json
from pathlib import Path

import pytest

from tests.cli.recording import RULES, SHOWN, record, write
from tests.cli.typed import typed
from tests.end_to_end.terminal import fails


async def test_the_same_rules_would_do_the_same(tmp_path: Path) -> None:
    await record(tmp_path)
    done = typed(tmp_path, "backtest")
    assert done.returncode == 0
    assert done.stdout.startswith("3 events since ")
    assert [line.split() for line in done.stdout.splitlines() if "rules.yaml" in line] == [
        ["price", "1", "1", "1", "1", "rules/rules.yaml:3:5"],
        ["page", "1", "1", "1", "1", "rules/rules.yaml:8:5"],
    ]
    assert done.stdout.endswith("all replies in 2 conversations would be the same\n")


async def test_an_edited_rulebook_is_shown_as_a_table_and_a_diff(tmp_path: Path) -> None:
    await record(tmp_path)
    write(tmp_path, RULES.replace("9 EUR", "10 EUR").replace("times: 1", "times: 2"), "edited")
    done = typed(tmp_path, "backtest", "--rules", str(tmp_path / "edited"))
    assert done.returncode == 0
    assert ["price", "1", "2", "1", "2", "edited/rules.yaml:3:5"] in [line.split() for line in done.stdout.splitlines()]
    found = done.stdout.splitlines()
    diff = [line[:2] + line[11:] for line in found[found.index("site/one") + 2 :]]
    assert diff[:5] == [
        f"  contact                  {SHOWN}",
        "- price                    9 EUR",
        "+ price                    10 EUR",
        "  contact                  and the price?",
        "+ price                    10 EUR",
    ]
    assert done.stdout.endswith("1 of 2 conversations would go otherwise\n")


async def test_an_edited_template_and_a_message_of_several_lines(tmp_path: Path) -> None:
    await record(tmp_path)
    (tmp_path / "words").mkdir()
    (tmp_path / "words/price.txt.j2").write_text("9 EUR\nor more", encoding="utf-8")
    write(tmp_path, RULES.replace('text: "9 EUR"', "template: price.txt.j2"), "edited")
    options = ("--rules", str(tmp_path / "edited"), "--templates", str(tmp_path / "words"))
    done = typed(tmp_path, "backtest", *options)
    assert "price                    9 EUR\n+" + " " * 35 + "or more\n" in done.stdout


async def test_json_has_it_all(tmp_path: Path) -> None:
    await record(tmp_path)
    write(tmp_path, RULES.replace("name: page", "name: site"), "edited")
    told = json.loads(typed(tmp_path, "backtest", "--json", "--rules", str(tmp_path / "edited")).stdout)
    assert [(one["rule"], one["fired"], one["replies"]) for one in told["rules"]] == [
        ("price", {"then": 1, "now": 1}, {"then": 1, "now": 1}),
        ("site", {"then": 0, "now": 1}, {"then": 0, "now": 1}),
        ("page", {"then": 1, "now": 0}, {"then": 1, "now": 0}),
    ]
    assert told["conversations"] == {"all": 2, "different": 0}
    assert (told["events"], told["before"], told["differences"]) == (3, 0, [])


async def test_only_so_many_conversations_are_shown(tmp_path: Path) -> None:
    await record(tmp_path)
    write(tmp_path, RULES.replace("9 EUR", "10 EUR").replace("Ask me", "Ask us"))
    done = typed(tmp_path, "backtest", "--most", "1")
    assert "site/one" in done.stdout
    assert "site/two" not in done.stdout
    assert done.stdout.endswith("2 of 2 conversations would go otherwise\n1 of them is not shown; --most 2 shows all\n")
    only = typed(tmp_path, "backtest", "--conversation", "two")
    assert only.stdout.endswith("1 of 1 conversation would go otherwise\n")


async def test_nothing_in_the_period(tmp_path: Path) -> None:
    write(tmp_path)
    await record(tmp_path)
    for since in ("1h", "0"):
        done = typed(tmp_path, "backtest", "--since", since)
        assert done.returncode == 0
        assert done.stdout.startswith(f"nothing is recorded of the last {since}; the newest event came on ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--since", "banana"), '--since: "banana" is not a duration: write a number and ms, s, m, h, d or w'),
        (("--since", "99999999d"), '"99999999d" reaches back to before the calendar begins'),
        (("--since", "-7d"), '"-7d" is not a duration'),
        (("--rules", "nowhere"), "--rules nowhere: there is no such folder"),
        (("--templates", "nowhere"), "--templates nowhere: there is no such folder"),
        (("--account", "sit"), 'no such account, and nothing of it is recorded (did you mean "site"?)'),
        (("--conversation", "nope"), 'no conversation "nope" is recorded'),
        (("--account", "other", "--conversation", "one"), 'no conversation "one" is recorded'),
        (("--found", "x=1"), "--found x: no platform has such an operation"),
    ],
)
async def test_what_cannot_be_done_is_said(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    await record(tmp_path)
    assert said in " ".join(fails(typed(tmp_path, "backtest", *arguments)))


def test_without_a_store_there_is_nothing_to_rehearse(tmp_path: Path) -> None:
    write(tmp_path)
    [said] = fails(typed(tmp_path, "backtest"))
    assert said.endswith("there is no store yet; `replybridge serve` makes one")


@pytest.mark.parametrize(
    ("content", "said"), [(b"no database" * 99, "file is not a database"), (b"", "this is no store of replybridge")]
)
def test_a_file_that_is_no_store(tmp_path: Path, content: bytes, said: str) -> None:
    write(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/bridge.db").write_bytes(content)
    [line] = fails(typed(tmp_path, "backtest"))
    assert said in line


async def test_a_rulebook_with_errors_is_shown_as_check_shows_it(tmp_path: Path) -> None:
    await record(tmp_path)
    write(tmp_path, "rules:\n  - name: x\n    on: mesage\n    stop: true\n", "edited")
    first, *shown = fails(typed(tmp_path, "backtest", "--rules", str(tmp_path / "edited")))
    assert first.startswith('edited/rules.yaml:3:9: "on" must be one of')
    assert shown[:2] == ["     3 |     on: mesage", "       |         ^~~~~~"]
