"""The options of an account: what is taken, and what is refused with which words."""

from typing import Any

import pytest
from pydantic import ValidationError

from bridge.platforms.edna.account import EdnaAccount
from tests.fakes.edna import BOT_TOKEN, PASSWORD
from tests.platforms.edna_calls import SECRET, an_account


def test_an_account_by_its_defaults() -> None:
    account = an_account()
    assert (account.send_by, account.agent_status, account.channel_type) == ("auto", "READY", "MOBILE")
    assert (account.max_text, account.long_text, account.answer) == (2000, "split", "async")
    assert account.client_fields == {"name": "name", "email": "email", "phone": "phone"}
    assert account.base_url == "https://company.example"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"hook_secret": None}, "hook_secret and allowed_ips: both are missing, and edna signs nothing"),
        ({"hook_secret": "short"}, "16 to 200 letters"),
        ({"hook_secret": "0123456789/abcdef"}, "16 to 200 letters"),
        ({"allowed_ips": ["203.0.113.7/8"]}, "write for example 203.0.113.7"),
        ({"allowed_ips": [7]}, "must be a text"),
        ({"base_url": "company.example"}, "is not a base URL"),
        ({"base_url": "https://company.example/?a"}, "is not a base URL"),
        ({"base_url": "https://me:hidden@company.example"}, "a URL with a user is not a base URL"),
        ({"password": None}, "login and password: one is given without the other"),
        ({"login": None, "agent_login": None}, "login and password: one is given without the other"),
        ({"login": None, "password": None, "bot_token": None}, "without them nothing can be sent"),
        ({"bot_token": "two words"}, "a token has no blanks"),
        ({"bot_token": None, "send_by": "bot"}, 'send_by: "bot" needs bot_token'),
        ({"login": None, "password": None, "send_by": "agent"}, 'send_by: "agent" needs login and password'),
        ({"login": None, "password": None, "send_by": "device"}, 'send_by: "device" needs login and password'),
        ({"agent_login": None, "send_by": "agent"}, 'send_by: "agent" needs agent_login'),
        ({"answer": "sync", "send_by": "agent"}, 'answer: "sync" is the bot\'s own answer, and send_by is "agent"'),
        ({"max_text": 2001}, "less than or equal to 2000"),
        ({"max_text": 0}, "greater than or equal to 1"),
        ({"channel_type": "mobile"}, "should match pattern"),
        ({"agent_status": "BUSY"}, "'READY' or 'OUTGOING'"),
        ({"client_fields": {"fax": "fax"}}, "'name', 'email', 'phone' or 'language'"),
        ({"training": {"agent": ["AGENT"]}}, "Field required"),
        ({"training": {"field": "a..b"}}, "should match pattern"),
        ({"bot_header": "X Token"}, "should match pattern"),
        ({"tokens": []}, "not permitted"),
    ],
)
def test_an_option_is_refused_with_the_way_out(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        an_account(**options)
    (problem,) = caught.value.errors()
    assert words in problem["msg"]
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"hook_secret": None, "allowed_ips": ["203.0.113.0/24"]},
        {"login": None, "password": None, "agent_login": None},
        {"bot_token": None},
        {"login": None, "password": None, "agent_login": None, "bot_token": None, "reply_via": "shop"},
        {"send_by": "bot"},
        {"base_url": "http://127.0.0.1:8080/threads/"},
    ],
)
def test_what_is_enough(options: dict[str, Any]) -> None:
    assert isinstance(an_account(**options), EdnaAccount)


def test_no_secret_is_printed() -> None:
    shown = f"{an_account()!r}{an_account()}{an_account().session!r}"
    assert not any(secret in shown for secret in (SECRET, PASSWORD, BOT_TOKEN))


@pytest.mark.parametrize(
    ("remote", "allowed"),
    [
        ("203.0.113.7", True),
        ("::ffff:203.0.113.7", True),
        ("198.51.100.1", True),
        ("2001:db8::5", True),
        ("203.0.114.7", False),
        ("2001:db9::5", False),
        ("", False),
        ("unix:", False),
    ],
)
def test_the_addresses_that_are_allowed(remote: str, allowed: bool) -> None:
    networks = ["203.0.113.0/24", "::ffff:198.51.100.0/120", "2001:db8::/32"]
    assert an_account(allowed_ips=networks).allows(remote) is allowed
    assert an_account().allows(remote)


def test_accounts_share_no_session() -> None:
    assert an_account().session is not an_account().session
