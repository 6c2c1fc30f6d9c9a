"""The questions that the bridge asks a real Omnidesk, over real HTTP to a strict fake of it."""

from typing import Any

import pytest

from bridge.model.delivery import Failed, Outcome, Sent
from bridge.model.event import Address
from bridge.platforms.omnidesk import adapter
from bridge.platforms.omnidesk.account import OmnideskAccount
from tests.fakes.chat_server import Say
from tests.fakes.omnidesk import ITEMS, Omnidesk
from tests.platforms.driving import drive
from tests.platforms.omnidesk_calls import SERVER, SESSION, TOKEN, a_client, an_account

HERE: Address = {"session": SESSION, "chat_server": SERVER}
CHECK: dict[str, Any] = {"origin": "shop.example", "ip": "198.51.100.7"}


async def ask(account: OmnideskAccount, name: str, to: Address = HERE, **arguments: Any) -> Outcome:
    operation = adapter.operations[name]
    return await drive(operation.steps(operation.arguments.model_validate(arguments), to, account))


@pytest.mark.parametrize(
    ("operation", "arguments", "call", "fields"),
    [
        ("request_chat_config", {}, "requestChatConfig", {"chatServer": SERVER, "chatAccountToken": TOKEN}),
        ("check_origin", CHECK, "checkOriginAndIP", {"chatServer": SERVER, "chatAccountToken": TOKEN, **CHECK}),
        ("whitelist", {}, "whitelistedDomainsAndBlacklistedIPs", {}),
        ("queue", {}, "requestChatQueue", {"chatAccountToken": TOKEN}),
        ("queue", {"account_token": "another12345"}, "requestChatQueue", {"chatAccountToken": "another12345"}),
    ],
)
async def test_a_question_finds_the_item_of_its_answer(
    operation: str, arguments: dict[str, Any], call: str, fields: dict[str, str]
) -> None:
    async with Omnidesk() as fake:
        found = await ask(a_client(fake.url), operation, **arguments)
        assert found == Sent(found={"item": ITEMS[call]})
        assert fake.received == [(call, fields)]
        assert fake.refused == []


async def test_the_chat_server_is_the_one_given_or_the_public_one_or_that_of_the_conversation() -> None:
    public = "https://chat.shop.example"
    async with Omnidesk() as fake:
        await ask(a_client(fake.url), "request_chat_config")
        await ask(a_client(fake.url, forward_chat_server=public), "request_chat_config")
        await ask(
            a_client(fake.url, forward_chat_server=public), "request_chat_config", chat_server="https://x.example"
        )
        assert [fields["chatServer"] for _, fields in fake.received] == [SERVER, public, "https://x.example"]


@pytest.mark.parametrize(
    ("operation", "arguments", "why"),
    [
        ("request_chat_config", {}, "chatServer: missing"),
        ("check_origin", {**CHECK, "origin": "https://shop.example"}, 'origin: "https://shop.example" may hold only'),
        ("check_origin", {**CHECK, "ip": "1"}, 'ip: "1" is too short: at least 5 characters'),
        ("queue", {"account_token": "short"}, "chatAccountToken: the value is too short: at least 10 characters"),
    ],
)
async def test_a_question_that_omnidesk_would_refuse_is_not_asked(
    operation: str, arguments: dict[str, str], why: str
) -> None:
    given = {"chat_server": SERVER, **arguments} if operation == "check_origin" else arguments
    async with Omnidesk() as fake:
        outcome = await ask(a_client(fake.url), operation, {}, **given)
        assert isinstance(outcome, Failed)
        assert (outcome.reason, outcome.permanent, outcome.detail[: len(why)]) == ("invalid", True, why)
        assert fake.received == []
        assert fake.refused == []


async def test_who_is_no_client_asks_nothing() -> None:
    words = "accounts.site: base_url and api_key are missing, and only with them is Omnidesk called"
    assert await ask(an_account(), "whitelist") == Failed(reason="invalid", detail=words, permanent=True)


@pytest.mark.parametrize("body", ["", "<html>", "[]", '{"type":', "[" * 3000 + "]" * 3000])
async def test_a_question_without_an_answer_is_asked_again(body: str) -> None:
    async with Omnidesk() as fake:
        fake.answers.append(Say(body=body))
        outcome = await ask(a_client(fake.url), "queue")
        words = "the answer to requestChatQueue is no JSON object, or too large"
        assert outcome == Failed(reason="unavailable", detail=words)


async def test_a_question_is_never_in_doubt() -> None:
    async with Omnidesk() as fake:
        questions: dict[str, dict[str, Any]] = {
            "request_chat_config": {}, "check_origin": CHECK, "whitelist": {}, "queue": {},
        }  # fmt: skip
        for name, arguments in questions.items():
            fake.answers.append("reset")
            assert isinstance(await ask(a_client(fake.url), name, **arguments), Failed)


async def test_the_probe_tells_a_good_key_from_a_bad_one() -> None:
    assert adapter.probe is not None
    async with Omnidesk() as fake:
        good = await drive(adapter.probe(a_client(fake.url)))
        bad = await drive(adapter.probe(a_client(fake.url, api_key="wrong")))
        assert isinstance(good, Sent)
        assert bad == Failed(reason="auth", detail="401: apiKey: missing or wrong", permanent=True)
        assert fake.names() == ["whitelistedDomainsAndBlacklistedIPs"]
    assert await drive(adapter.probe(an_account())) == Sent()
