"""What a rule wants of accounts and platforms is held against what there is, before an event asks for it."""

from pathlib import Path
from typing import Any

import pytest

from bridge.lab.suspicions import suspicions
from bridge.line.accounts import Accounts
from bridge.platforms.registry import ADAPTERS
from tests.lab.checking import FOUND_BY_EMAIL, found, rule
from tests.platforms.omnidesk_calls import an_account
from tests.rulebook.books import rules_of

OPTIONS: dict[str, dict[str, Any]] = {
    "chat": {"platform": "webchat"},
    "shop": {"platform": "helpcrunch", "api_key": "k" * 20, "agent": 1},
    "shop2": {"platform": "helpcrunch", "api_key": "k" * 20, "agent": 1},
    "club": {"platform": "chayns", "location_id": 378, "tapp_id": 77889, "secret": "s" * 20},
    "support": {
        "platform": "edna",
        "base_url": "https://edna.example",
        "login": "i",
        "password": "p" * 8,
        "hook_secret": "h" * 20,
    },
}


def accounts(*names: str) -> Accounts:
    """These accounts, and the chat server `site`."""
    made = []
    for name in names:
        options = {key: value for key, value in OPTIONS[name].items() if key != "platform"}
        platform = OPTIONS[name]["platform"]
        made.append(ADAPTERS[platform].account.model_validate({"name": name, "platform": platform, **options}))
    return Accounts([an_account(), *made], ADAPTERS)


def told(tmp_path: Path, do: str, *names: str, **more: str) -> list[str]:
    """What is said of one action, from its column on."""
    problems = found(tmp_path, rule(do, **more), accounts=accounts(*names), at=None)
    return [problem.removeprefix("rules/rules.yaml:") for problem in problems]


WRONG = [
    ("helpcrunch.asign: {agent: 1}", 'helpcrunch has no operation "asign" (did you mean "helpcrunch.assign"?)', 9),
    ("helpcrush.assign: {agent: 1}",
     '"helpcrush.assign": there is no platform "helpcrush" (did you mean "helpcrunch.assign"?)', 9),
    ("zendesk.x: {}", '"zendesk.x": there is no platform "zendesk"', 9),
    ("webchat.x: {}", 'webchat has no operation "x"; it has none', 9),
    ("helpcrunch.assign: {}", 'helpcrunch.assign needs "agent"', 9),
    ("helpcrunch.assign: {agent: 1, agnt: 2}", 'helpcrunch.assign knows no "agnt" (did you mean "agent"?)', 39),
    ("helpcrunch.close: {now: true}", 'helpcrunch.close knows no "now"; it takes none', 28),
    ("helpcrunch.rate: {rating: superb}",
     "helpcrunch.rate: rating: must be 'great', 'average', 'poor' or 'perfect'; not \"superb\"", 27),
    ("helpcrunch.tag: {tags: []}", "helpcrunch.tag: tags: must not be empty", 26),
    ("helpcrunch.tag: {tags: [a, {name: b, colour: red}]}", 'helpcrunch.tag knows no "colour"', 46),
    ("helpcrunch.assign: {agent: 1, to: {chatt: 1}}", 'to: helpcrunch knows no "chatt" (did you mean "chat"?)', 44),
    ("helpcrunch.assign: {agent: 1, via: shopp}", 'via: there is no account "shopp" (did you mean "shop"?)', 44),
    ("helpcrunch.assign: {agent: 1, via: site}",
     '"via: site" is an account of omnidesk, and helpcrunch.assign needs another', 44),
    ("edna.block: {reason: x}",
     "edna.block: the settings have no account of edna; add one to [accounts]", 9),
    ("helpcrunch.assign: {agent: 1, remember: x}",
     "helpcrunch.assign looks nothing up, so that there is nothing to remember: remove it", 39),
    ("helpcrunch.create_customer: {remember: {x: idd}}",
     'helpcrunch.create_customer does not find "idd" (did you mean "id"?)', 49),
    ("reply: {text: hi, quick_replies: [a], via: shop, to: {chat: 1}}", "helpcrunch cannot send quick replies", 27),
]  # fmt: skip


@pytest.mark.parametrize(("do", "message", "column"), WRONG, ids=[do for do, _, _ in WRONG])
def test_what_a_platform_does_not_do_is_told_by_name_at_its_key(
    tmp_path: Path, do: str, message: str, column: int
) -> None:
    [problem] = told(tmp_path, do, "shop", account="shop")
    place, _, said = problem.partition(": ")
    assert said.startswith(message)
    assert place == f"6:{column}"


SOUND = [
    "helpcrunch.assign: {agent: 17}",
    'helpcrunch.assign: {agent: "{{ memory.agent | default(17) }}"}',
    'helpcrunch.tag: {tags: ["{{ kind }}", {name: "{{ platform }}"}]}',
    "helpcrunch.unassign: {}",
    "helpcrunch.create_customer: {name: Ada, remember: {number: id}}",
    "helpcrunch.create_customer: {name: Ada, remember: whole}",
    "helpcrunch.assign: {agent: 17, via: shop, to: {chat: 5}}",
    "reply: {text: hi, private: true, via: shop, to: {chat: 5}}",
    "reply: {text: hi, via: club, to: {users: [1, 2]}}",
]


@pytest.mark.parametrize("do", SOUND)
def test_what_a_platform_does_is_sound(tmp_path: Path, do: str) -> None:
    assert told(tmp_path, do, "shop", "club") == []


def test_of_two_accounts_the_one_whose_event_it_is_does_it_and_else_it_has_to_be_said(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).mkdir()
    do = "helpcrunch.assign: {agent: 1}"
    assert told(tmp_path / "a", do, "shop", "shop2", account="[shop, shop2]") == []
    [problem] = told(tmp_path / "b", do, "shop", "shop2")
    assert problem == (
        "5:9: helpcrunch.assign: for an event of site it cannot be told which account does it:"
        ' say which with "via" (one of shop, shop2)'
    )
    assert told(tmp_path / "c", "helpcrunch.assign: {agent: 1, via: shop2}", "shop", "shop2") == []


def test_only_what_every_answer_has_is_there_without_a_default(tmp_path: Path) -> None:
    """A thread that nobody has yet has no agent, and a search may find no client."""
    for fact in ("phone", "clients"):
        (tmp_path / fact).mkdir()
    then = "to: {client_id: a}, remember: {f: %s}, then: [{reply: {text: '{{ memory.f }}'}}]"
    [problem] = told(tmp_path / "phone", f"edna.client: {{{then % 'phone'}}}", "support")
    assert '"memory.f" may be missing' in problem
    assert told(tmp_path / "clients", f"edna.client: {{{then % 'clients'}}}", "support") == []


def test_what_is_about_the_event_itself_needs_an_event_of_its_own_platform(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
    [problem] = told(tmp_path / "a", "omnidesk.forward: {via: site}", "shop")
    assert problem == (
        "5:9: omnidesk.forward takes events of omnidesk only, and shop is on helpcrunch:"
        ' name the accounts that it is for with "account"'
    )
    assert told(tmp_path / "b", "omnidesk.forward: {via: site}", "shop", account="site") == []


@pytest.mark.parametrize(
    ("do", "message"),
    [
        ("chayns.push: {alert: hi, via: club}",
         "9: chayns.push: to: a push goes to one user or to one UAC group; write users or uac_groups with one number"),
        ("chayns.push: {alert: hi, via: club, to: {users: [1, 2]}}",
         "9: chayns.push: to: a push goes to one user or to one UAC group; write users or uac_groups with one number"),
        ("reply: {text: hi, via: club, to: {users: everybody}}",
         '38: "via: club": to.users: it is a list of numbers, 1 or above'),
        ("reply: {text: hi, via: shop, to: {chat: abc}}",
         '38: "via: shop": to.chat: it is the number of a chat in HelpCrunch, 1 or above'),
        ("helpcrunch.close: {via: shop, to: {chat: 17}}", None),
        ("chayns.push: {alert: hi, via: club, to: {users: '{{ contact.id | default(0) }}'}}", None),
        ("reply: {text: hi, via: shop, to: {chat: '{{ contact.id | default(0) }}'}}", None),
    ],
)  # fmt: skip
def test_what_a_platform_would_refuse_at_every_event_is_told_before(
    tmp_path: Path, do: str, message: str | None
) -> None:
    problems = told(tmp_path, do, "shop", "club", account="site")
    assert problems == ([] if message is None else [f"6:{message}"])


def test_an_ability_is_asked_of_every_account_that_may_have_to_answer(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).mkdir()
    do = "reply: {text: hi, private: true}"
    [problem] = told(tmp_path / "a", do, "shop", account="[shop, site]")
    assert problem == "6:27: omnidesk cannot send private notes"
    [problem] = told(tmp_path / "b", do, "shop", "club")
    assert problem == (
        '5:27: omnidesk cannot send private notes; name the accounts that can with "account" (this one is "site")'
    )
    assert told(tmp_path / "c", do, "shop", account="shop") == []


@pytest.mark.parametrize(
    ("account", "on", "message"),
    [
        ("club", "message", 'rule "r": chayns tells of no events, so none ever comes from "club"'),
        ("shop", "[typing, visited]",
         'rule "r": helpcrunch tells of no events of the kind typing or visited, so none ever comes from "shop"'),
        ("chat", "rated", 'rule "r": webchat tells of no events of the kind rated, so none ever comes from "chat"'),
        ("shop", "[typing, message]", None),
        ("site", "typing", None),
    ],
)  # fmt: skip
def test_a_rule_for_what_a_platform_never_tells_of_is_a_warning(
    tmp_path: Path, account: str, on: str, message: str | None
) -> None:
    problems = told(tmp_path, "remember: {a: 1}", "club", "shop", "chat", account=account, on=on)
    assert problems == ([] if message is None else [f"4:14: warning: {message}"])


def test_a_reply_by_an_identity_needs_no_address(tmp_path: Path) -> None:
    both = Accounts([an_account(), FOUND_BY_EMAIL], ADAPTERS)
    assert found(tmp_path, rule("reply: {text: hi, via: shop}"), accounts=both, at=None) == []


SUSPICIOUS: list[tuple[dict[str, Any], str | None]] = [
    ({"do": [{"after": "10m", "do": [{"reply": {"text": "x"}}]}]}, "nothing cancels this: in 10m it is said whatever"),
    ({"do": [{"after": "10m", "unless": ["ended"], "do": [{"reply": {"text": "x"}}]}]}, None),
    ({"do": [{"after": "10m", "do": [{"remember": {"a": 1}}]}]}, None),
    ({"do": [{"after": "10m", "do": [{"helpcrunch.close": {}}]}]}, None),
    ({"do": [{"after": "1m", "do": [{"edna.thread": {"then": [{"reply": {"text": "x"}}]}}]}]}, "nothing cancels this"),
    (
        {"do": [{"after": "1m", "do": [{"after": "2m", "do": [{"reply": {"text": "x"}}]}]}]},
        "nothing cancels this: in 2m",
    ),
    ({"do": [{"after": "1m", "do": [{"send": {"text": "x", "via": "a", "to": {"b": 1}}}]}]}, None),
    ({"on": "visited", "burst": "2s"}, '"burst" waits for more messages'),
    ({"on": ["message", "visited"], "burst": "2s"}, None),
    ({"sender": "agent"}, '"r" never answers: when an agent writes, a human is active'),
    ({"sender": "agent", "even_if_human": True}, None),
    ({"sender": ["agent", "contact"]}, None),
    ({"sender": "agent", "on": "assigned"}, None),
    ({"sender": "agent", "do": [{"remember": {"a": 1}}]}, None),
]


@pytest.mark.parametrize(("given", "message"), SUSPICIOUS, ids=range(len(SUSPICIOUS)))
def test_what_an_author_can_hardly_have_meant_is_a_warning(given: dict[str, Any], message: str | None) -> None:
    problems = [problem for one in rules_of({"name": "r", **given}).rules for problem in suspicions(one)]
    assert len(problems) == (message is not None)
    assert all(problem.warning and problem.message.startswith(str(message)) for problem in problems)
