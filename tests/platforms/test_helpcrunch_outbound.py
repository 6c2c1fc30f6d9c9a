"""HelpCrunch: recordings in, calls out; and deliveries through the real door to a server as strict as HelpCrunch."""

import json
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bridge.adapter.account import Account
from bridge.adapter.protocol import HttpAnswer, HttpCall
from bridge.adapter.secret import Surroundings
from bridge.model.delivery import Failed, Outcome, Reply, Sent, Unknown
from bridge.model.quantity import parse_rate
from bridge.platforms import helpcrunch
from bridge.platforms.helpcrunch import adapter
from bridge.platforms.helpcrunch.account import HelpCrunchAccount
from bridge.platforms.helpcrunch.calls import explanation
from bridge.platforms.helpcrunch.inbound import MEANINGS
from bridge.rulebook.action_forms import ActionForm
from tests.fakes.chat_server import Say
from tests.fakes.helpcrunch import KEY, HelpCrunch
from tests.fakes.helpcrunch_errors import too_many
from tests.platforms.driving import drive
from tests.values import a_delivery

FOLDER = Path(helpcrunch.__file__).parent
DOC = (FOLDER / "doc.md").read_text(encoding="utf-8")
ANNA = {"id": 45, "email": "anna@shop.example", "userId": "u-1"}
BOB = {"id": 46, "email": "bob@shop.example", "userId": "u-2"}


def an_account(**options: Any) -> HelpCrunchAccount:
    return HelpCrunchAccount(**{"name": "shop", "api_key": KEY, "agent": 4188, **options})


# The account.


def test_an_account_by_its_defaults() -> None:
    account = an_account()
    assert account.base_url == "https://api.helpcrunch.com/v1"
    assert account.budget == parse_rate("120/min")
    assert account.on_unknown == "resend"
    assert KEY not in repr(account) + account.model_dump_json(exclude={"api_key"})


@pytest.mark.parametrize(
    ("options", "field", "words"),
    [
        ({"agent": 0}, "agent", "greater than or equal to 1"),
        ({"agent": "4188"}, "agent", "valid integer"),
        ({"api_key": f"<{KEY}>"}, "api_key", "without the < and >"),
        ({"api_key": f"{KEY}\nX-Admin: 1"}, "api_key", "no blanks, line ends"),
        ({"base_url": "ftp://api.helpcrunch.com"}, "base_url", '"ftp://api.helpcrunch.com" is not a base URL'),
        ({"base_url": f"https://me:{KEY}@api.helpcrunch.com/v1"}, "base_url", "a URL with a user is not a base URL"),
        ({"base_url": "https://api.helpcrunch.com/v1?key=1"}, "base_url", "not a base URL"),
        ({"aplication": 1}, "aplication", "not permitted"),
    ],
)
def test_an_account_is_refused_by_name(options: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        an_account(**options)
    (problem,) = caught.value.errors()
    assert problem["loc"] == (field,)
    assert words in problem["msg"]
    assert KEY not in str(caught.value)


def test_an_account_without_an_agent_is_refused() -> None:
    with pytest.raises(ValidationError) as caught:
        HelpCrunchAccount.model_validate({"name": "shop", "api_key": KEY})
    assert [(problem["loc"], problem["type"]) for problem in caught.value.errors()] == [(("agent",), "missing")]


def test_a_base_url_may_end_with_a_slash() -> None:
    assert an_account(base_url="http://127.0.0.1:8080/v1/").base_url == "http://127.0.0.1:8080/v1"


@pytest.mark.parametrize(
    ("closed", "status", "is_closed"),
    [
        (["closed", "5"], "Closed", True),
        (["closed", "5"], "5", True),
        (["closed", "5"], "opened", False),
        (["closed", "5"], "None", False),
        (["on hold"], "on-hold", True),
        (["onhold"], "On Hold", True),
        ([], "closed", False),
    ],
)
def test_statuses_are_compared_without_their_spelling(closed: list[str], status: str, is_closed: bool) -> None:
    assert an_account(closed_statuses=closed).is_closed(status) is is_closed


# Hostile answers and addresses.

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)
CHATS = st.fixed_dictionaries(
    {"data": st.lists(JSON | st.dictionaries(st.sampled_from(["id", "status", "lastMessageAt", "customer"]), JSON))},
    optional={"meta": JSON, "total": JSON},
)
ERRORS = st.fixed_dictionaries({"errors": JSON | st.lists(st.dictionaries(st.sampled_from(["code", "message"]), JSON))})
BODIES = st.binary() | (JSON | CHATS | ERRORS).map(lambda value: json.dumps(value).encode())
STATUSES = st.sampled_from([200, 201, 204, 302, 400, 401, 404, 429, 500, 503]) | st.integers(0, 999)


@given(st.tuples(STATUSES, BODIES), st.tuples(STATUSES, BODIES))
def test_any_answers_come_to_an_outcome(first: tuple[int, bytes], second: tuple[int, bytes]) -> None:
    answers = [HttpAnswer(status=status, body=body) for status, body in (first, second)]
    steps = adapter.send(a_delivery(to={"customer": 45}), an_account())
    next(steps)
    outcome: Outcome | None = None
    for answer in answers:
        try:
            steps.send(answer)
        except StopIteration as end:
            outcome = end.value
            break
    assert isinstance(outcome, Sent | Failed)
    assert isinstance(outcome, Failed) or (200 <= first[0] < 300 and 200 <= second[0] < 300)
    assert not isinstance(outcome, Failed) or (outcome.detail.isprintable() and len(outcome.detail) < 400)


@given(st.dictionaries(st.sampled_from(adapter.to_keys), JSON), st.text(st.characters()))
def test_any_address_is_asked_for_or_refused(to: dict[str, object], text: str) -> None:
    refusal = HttpAnswer(status=401)
    steps = adapter.send(a_delivery(to=to, reply=Reply(text=text)), an_account())
    calls: list[HttpCall] = []
    try:
        call = next(steps)
        assert isinstance(call, HttpCall)
        calls.append(call)
        steps.send(refusal)
    except StopIteration as end:
        outcome = end.value
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.permanent) == ("auth" if calls else "invalid", True)
    for call in calls:
        assert call.safe is call.url.endswith("/chats/search")
        assert isinstance(json.loads(call.body or b""), dict)


def test_half_a_character_does_not_cost_the_reply() -> None:
    call = next(
        adapter.send(a_delivery(to={"chat": 1}, reply=Reply(text="9 \ud83d€", format="markdown")), an_account())
    )
    assert isinstance(call, HttpCall)
    assert call.body is not None
    assert json.loads(call.body)["text"] == json.loads(call.body)["markdownText"] == "9 ?€"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", None),
        (b"<html>", None),
        (b'{"errors":{}}', None),
        (b'{"errors":[{"code":"invalid_request","message":"Invalid request"}]}', "invalid_request: Invalid request"),
        (b'{"errors":[{"code":"invalid_chat_value"}, 7, {"message":"and more"}]}', "invalid_chat_value; and more"),
    ],
)
def test_the_words_of_an_error(body: bytes, words: str | None) -> None:
    assert explanation(body) == words


# Through the door.


@pytest.fixture
async def fake() -> AsyncIterator[HelpCrunch]:
    async with HelpCrunch() as opened:
        opened.add_chat(1, ANNA, last=10)
        opened.add_chat(2, BOB, last=20)
        yield opened


async def deliver(
    fake: HelpCrunch,
    to: dict[str, object],
    *,
    patience: float = 20,
    key: str = KEY,
    application: int | None = None,
    **reply: Any,
) -> Outcome:
    delivery = a_delivery(to=to, reply=Reply(**{"text": "9 €", **reply}))
    account = an_account(base_url=fake.url, api_key=key, application=application)
    outcome = await drive(adapter.send(delivery, account), patience=patience)
    assert isinstance(outcome, Sent) or key not in outcome.detail
    return outcome


async def test_a_reply_is_posted_by_the_agent(fake: HelpCrunch) -> None:
    assert await deliver(fake, {"chat": 1}) == Sent(reference="542335")
    assert await deliver(fake, {"chat": 1}, text="**9** €", format="markdown") == Sent(reference="542336")
    assert await deliver(fake, {"chat": 2}, private=True) == Sent(reference="542337")
    posted = [(m["chat"], m["from"], m["type"], m["plain"], m["text"]) for m in fake.messages]
    assert posted == [
        (1, "agent", "message", "9 €", "9 €"),
        (1, "agent", "message", "9 €", "**9** €"),
        (2, "agent", "private", "9 €", "9 €"),
    ]
    assert fake.refused == []


@pytest.mark.parametrize(
    "to", [{"customer": 45}, {"customer": "45"}, {"user_id": "u-1"}, {"email": "anna@shop.example"}]
)
async def test_the_newest_open_chat_of_the_customer_is_found(fake: HelpCrunch, to: dict[str, object]) -> None:
    fake.add_chat(3, ANNA, last=30)
    fake.add_chat(4, ANNA, status="closed", last=40)
    fake.add_chat(5, BOB, last=50)
    assert isinstance(await deliver(fake, to), Sent)
    assert [message["chat"] for message in fake.messages] == [3]
    assert fake.refused == []


async def test_a_customer_without_a_chat_is_not_written_to(fake: HelpCrunch) -> None:
    outcome = await deliver(fake, {"email": "nobody@shop.example"})
    assert outcome == Failed(reason="not_found", detail="to.email: no chat of such a customer", permanent=True)
    assert fake.messages == []


async def test_a_customer_without_a_chat_gets_one_in_the_application(fake: HelpCrunch) -> None:
    fake.add_customer({"id": 47, "email": "carl@shop.example"})
    assert isinstance(await deliver(fake, {"email": "carl@shop.example"}, application=1), Sent)
    assert isinstance(await deliver(fake, {"email": "carl@shop.example"}, application=1), Sent)
    assert fake.changes == [("POST", "/chats", {"customer": 47, "application": 1})]
    assert [message["chat"] for message in fake.messages] == [3, 3]
    outcome = await deliver(fake, {"email": "nobody@shop.example"}, application=1)
    assert outcome == Failed(reason="not_found", detail="to.email: no such customer", permanent=True)


async def test_a_chat_whose_beginning_got_no_answer_is_found_by_the_next_attempt(fake: HelpCrunch) -> None:
    fake.add_customer({"id": 47, "email": "carl@shop.example"})
    fake.answers.extend([None, "reset"])
    outcome = await deliver(fake, {"customer": 47}, application=1)
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.permanent) == ("network", False)
    assert isinstance(await deliver(fake, {"customer": 47}, application=1), Sent)
    assert len(fake.changes) == 1


async def test_a_wrong_key_and_an_unknown_chat(fake: HelpCrunch) -> None:
    outcome = await deliver(fake, {"chat": 1}, key="another-key")
    assert outcome == Failed(reason="auth", detail="401: unauthorized: Unauthorized", permanent=True)
    outcome = await deliver(fake, {"chat": 99})
    assert outcome == Failed(reason="not_found", detail="404: not_found: Not found", permanent=True)
    assert fake.messages == []


@pytest.mark.parametrize(
    ("after", "seconds"), [("7", 7.0), ("Fri, 27 Mar 2026 12:00:30 GMT", 30.0), (None, None), ("later", None)]
)
async def test_too_many_requests_pause(fake: HelpCrunch, after: str | None, seconds: float | None) -> None:
    fake.answers.append(too_many(after))
    words = "429: too_many_requests: Too many requests"
    assert await deliver(fake, {"chat": 1}) == Failed(reason="rate_limited", detail=words, retry_after=seconds)
    assert isinstance(await deliver(fake, {"chat": 1}), Sent)


async def test_an_outage_is_temporary(fake: HelpCrunch) -> None:
    fake.answers.append(Say(status=503, body="<h1>Down\n for  maintenance</h1>"))
    outcome = await deliver(fake, {"email": "anna@shop.example"})
    assert outcome == Failed(reason="unavailable", detail="503: <h1>Down for maintenance</h1>")
    assert fake.messages == []


async def test_a_taken_message_without_an_answer_is_unknown(fake: HelpCrunch) -> None:
    fake.answers.extend(["hang", "reset"])
    outcome = await deliver(fake, {"chat": 1}, patience=1)
    assert isinstance(outcome, Unknown)
    assert outcome.reason == "timeout"
    outcome = await deliver(fake, {"chat": 1})
    assert isinstance(outcome, Unknown)
    assert outcome.reason == "network"
    assert len(fake.messages) == 2


async def test_a_search_without_an_answer_is_made_again(fake: HelpCrunch) -> None:
    fake.answers.append("reset")
    outcome = await deliver(fake, {"customer": 45})
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.permanent, fake.messages) == ("network", False, [])
    assert isinstance(await deliver(fake, {"customer": 45}), Sent)


# The document.


def rows(heading: str) -> list[list[str]]:
    section = DOC.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in table]


def test_the_document_says_what_the_code_does() -> None:
    own = set(HelpCrunchAccount.model_fields) - (set(Account.model_fields) - {"platform", "base_url", "budget"})
    assert {row[0] for row in rows("Settings")[2:]} == own
    assert [(row[0], row[2]) for row in rows("Operations")[2:]] == [
        (name, operation.about + (" It finds `id`, the customer's number." if operation.finds else ""))
        for name, operation in adapter.operations.items()
    ]
    documented = {(row[0], row[1], row[2]) for row in rows("Webhooks")[2:]}
    assert documented == {(name, kind, sender) for name, (kind, sender) in MEANINGS.items()}
    assert [row[0] for row in rows("Sending")[2:6]] == ["chat", "customer", "user_id", "email"]
    assert {row[0] for row in rows("Sending")[2:6]} == set(adapter.to_keys)
    settings = tomllib.loads(DOC.split("```toml\n")[1].split("```")[0].replace("   ", ""))["accounts"]["shop"]
    account = HelpCrunchAccount.model_validate(
        {"name": "shop", **settings},
        context=Surroundings(environ={"HELPCRUNCH_API_KEY": KEY, "HELPCRUNCH_SIGNING_KEY": "s"}),
    )
    assert (account.agent, account.api_key.reveal()) == (4188, KEY)
    for action in yaml.safe_load(DOC.split("```yaml\n")[1].split("```")[0])["do"]:
        reply = ActionForm.model_validate(action).reply
        assert reply is not None
        assert set(reply.to or ()) <= set(adapter.to_keys)
