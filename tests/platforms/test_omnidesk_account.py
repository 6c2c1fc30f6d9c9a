"""The options of an account: what is taken, what is refused with which words, and who may be called back."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bridge.platforms.omnidesk.account import OmnideskAccount, base_url
from tests.platforms.omnidesk_calls import TOKEN, an_account


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"api_keys": []}, 'api_keys: missing; write for example [{ env = "SITE_API_KEY" }]'),
        ({"api_keys": [""]}, "a secret is { env"),
        ({"chat_servers": []}, 'chat_servers: missing; write for example ["https://chat.example.com"]'),
        ({"chat_servers": ["chat.example.com"]}, '"chat.example.com" is not a base URL: write for example "https://'),
        ({"chat_servers": ["https://.."]}, '"https://.." is not a base URL'),
        ({"chat_servers": ["ftp://chat.example.com"]}, "is not a base URL"),
        ({"chat_servers": ["https://u:secret@chat.example.com"]}, "a URL with a user is not a base URL"),
        ({"chat_servers": ["https://chat.example.com/?a=b"]}, "is not a base URL"),
        ({"chat_servers": ["https://chat.example.com:99999"]}, "is not a base URL"),
        ({"chat_account_tokens": ["short"]}, "should match pattern"),
        ({"chat_account_tokens": ["tok-1234567890"]}, "should match pattern"),
        ({"chat_account_tokens": ["tok1234567890\n"]}, "should match pattern"),
        (
            {"whitelisted_domains": ["https://shop.example"]},
            '"https://shop.example" is not a domain: write for example',
        ),
        ({"whitelisted_domains": ["*"]}, "is not a domain"),
        ({"whitelisted_domains": ["shop.*"]}, "is not a domain"),
        ({"whitelisted_domains": ["a" * 64 + ".example"]}, "is not a domain"),
        ({"blacklisted_ips": ["203.0.113.0/33"]}, "write for example 203.0.113.7 or 203.0.113.0/24"),
        ({"blacklisted_ips": ["203.0.113.7/24"]}, "has host bits set"),
        ({"blacklisted_ips": [5]}, "blacklisted_ips"),
        ({"greeting": ""}, "at least 1 character"),
        ({"max_text": 0}, "greater than or equal to 1"),
        ({"message_path": "messageForCustomer"}, 'is not a path: write for example "/messageForCustomer"'),
        ({"message_path": "/a/../b"}, "is not a path"),
        ({"message_path": "/a?b=c"}, "is not a path"),
        ({"message_format": "xml"}, "'json' or 'form'"),
        ({"message_fields": {"session": "id"}}, '"message" is missing'),
        ({"message_fields": {"message": "text"}}, '"session" is missing'),
        ({"message_fields": {"session": "a", "message": "a"}}, "two values share one field name"),
        ({"message_fields": {"session": "a", "message": "b", "colour": "c"}}, "'session', 'message', 'id'"),
        ({"message_fields": {"session": "a", "message": "b", "account_token": "c"}}, '"account_token" needs a token'),
        ({"message_fields": {"session": "a b", "message": "b"}}, "should match pattern"),
        ({"api_keys": [], "chat_servers": []}, "webhook_secrets (Omnidesk's webhooks): one of these is needed"),
        ({"api_key": "x"}, 'base_url: missing; write for example "https://company.omnidesk.com"'),
        ({"base_url": "https://company.omnidesk.com"}, "api_key: missing; it is made in Omnidesk"),
        ({"base_url": "company.omnidesk.com", "api_key": "x"}, '"company.omnidesk.com" is not a base URL'),
        ({"base_url": "https://company.omnidesk.com", "api_key": "ke\ny"}, "a key has no blanks, line ends"),
        ({"forward_chat_server": "chat"}, '"chat" is not a base URL'),
        ({"call_format": "xml"}, "'multipart', 'form' or 'json'"),
        ({"ticket_within": "21s"}, 'must be at most "20s", for a chat server waits'),
        ({"webhook_secrets": ["whsec_short"]}, "what follows whsec_ is not base64"),
        ({"webhook_secrets": ["whpk_AAAA"]}, "asymmetric keys"),
        ({"webhook_fields": {"id": "data.id"}}, '"id" is the header webhook-id: leave it out'),
        ({"webhook_fields": {"text": "data text"}}, '"data text" is not a path: write names joined by dots'),
        ({"webhook_fields": {"colour": "data"}}, "'kind', 'sender'"),
        ({"webhook_kinds": {"ticket": "timer"}}, "'message', 'typing'"),
        ({"webhook_senders": {"Agent": "human"}}, "'contact', 'agent', 'bot' or 'system'"),
        ({"colour": "x"}, "Extra inputs are not permitted"),
    ],
)
def test_an_option_is_refused_with_the_way_out(options: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(complaint)) as caught:
        an_account(**options)
    assert "secret@" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"api_keys": ["one-of-our-api-keys"], "chat_servers": ["https://chat.example.com"]},
        {"base_url": "https://company.omnidesk.com", "api_key": "key-made-in-omnidesk"},
        {"webhook_secrets": ["any-secret"]},
    ],
)
def test_each_of_the_three_is_enough(options: dict[str, object]) -> None:
    account = OmnideskAccount.model_validate({"name": "desk", **options})
    assert account.callback("https://chat.example.com") == next(iter(account.chat_servers), None)
    assert len(account.credentials()) == len(account.api_keys)


def test_the_options_are_kept_in_one_spelling() -> None:
    account = an_account(
        chat_servers=["HTTPS://Chat.Example.com:443/bot/", "http://127.0.0.1:8090"],
        whitelisted_domains=["Shop.Example.", "*.käse.example"],
        blacklisted_ips=["203.0.113.7", "::ffff:198.51.100.0/120"],
        chat_account_tokens=[TOKEN],
        message_fields={"session": "sid", "message": "text", "account_token": "token"},
    )
    assert account.chat_servers == ["https://chat.example.com/bot", "http://127.0.0.1:8090"]
    assert account.whitelisted_domains == ["shop.example", "*.xn--kse-qla.example"]
    assert [str(network) for network in account.blacklisted_ips] == ["203.0.113.7/32", "198.51.100.0/24"]


def test_no_secret_is_printed() -> None:
    account = an_account(
        api_keys=["never-print-me"],
        message_api_key="never-print-me",
        base_url="https://company.omnidesk.com",
        api_key="never-print-me",
        webhook_secrets=["never-print-me"],
    )
    assert "print-me" not in f"{account!r}{account}"


@pytest.mark.parametrize(
    ("chat_server", "called"),
    [
        ("https://chat.example.com", "https://chat.example.com"),
        ("HTTPS://CHAT.example.com:443/", "https://chat.example.com"),
        ("https://chat.example.com/any/path/", "https://chat.example.com/any/path"),
        ("http://10.0.0.7:8080/bot", "http://10.0.0.7:8080/bot"),
        ("http://10.0.0.7:8080/bot/two", "http://10.0.0.7:8080/bot/two"),
        ("http://10.0.0.7:8080/bots", None),
        ("http://10.0.0.7:8080", None),
        ("http://10.0.0.7/bot", None),
        ("http://10.0.0.7:8080/bot/../admin", None),
        ("http://10.0.0.7:8080/bot/./x", None),
        ("http://10.0.0.7:8080/bot//x", None),
        ("http://chat.example.com", None),
        ("https://chat.example.com:8443", None),
        ("https://chat.example.com.evil.example", None),
        ("https://chat.example.com@evil.example", None),
        ("https://chat.example.com\\@evil.example", None),
        ("https://chat.example.com#", None),
        ("https://chat.example.com\n", None),
        ("chat.example.com", None),
        ("//chat.example.com", None),
        ("", None),
    ],
)
def test_only_what_is_listed_is_called_back(chat_server: str, called: str | None) -> None:
    account = an_account(chat_servers=["https://chat.example.com", "http://10.0.0.7:8080/bot"])
    assert account.callback(chat_server) == called


@given(st.text("htps:/.example-0123456789A@\\%?#[]", max_size=40) | st.text(max_size=20))
def test_a_base_url_has_one_spelling(text: str) -> None:
    for given_text in (text, f"https://{text}"):
        base = base_url(given_text)
        if base is not None:
            assert base_url(base) == base
            assert base_url(base.upper()) is not None
            assert not base.endswith("/")
            assert ".." not in base.split("/")


def test_another_account_keeps_its_own_lists() -> None:
    first, second = an_account(), an_account(chat_servers=["https://two.example"])
    assert first.callback("https://two.example") is None
    assert second.callback("https://two.example") == "https://two.example"
