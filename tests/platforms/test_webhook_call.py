"""`webhook.call`: calls through the real door to a strict receiver, where they cannot lead, and what is refused."""

from base64 import b64decode
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bridge.adapter.protocol import HttpAnswer, HttpCall, SignedCall
from bridge.model.delivery import Failed, Outcome, Reply, Sent, Unknown
from bridge.platforms.webhook import adapter
from bridge.platforms.webhook.account import WebhookAccount
from bridge.platforms.webhook.operations import LONGEST_ANSWER, LONGEST_BODY, Call
from tests.fakes.chat_server import Say
from tests.fakes.webhook import Receiver
from tests.platforms.driving import drive
from tests.values import NOON, a_delivery

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OPERATION = adapter.operations["call"]


@pytest.fixture
async def fake() -> AsyncIterator[Receiver]:
    async with Receiver(b64decode(SECRET.removeprefix("whsec_")), NOON.timestamp()) as opened:
        yield opened


def an_account(**options: Any) -> WebhookAccount:
    usual = {"name": "crm", "secrets": [SECRET], "url": "https://crm.example/in"}
    return WebhookAccount.model_validate({**usual, **options})


async def call(account: WebhookAccount, /, *, number: int = 1, **arguments: Any) -> Outcome:
    delivery = a_delivery(id=number, to={"conversation": "ticket-17"}, reply=Reply(text=""))
    return await drive(OPERATION.begin(OPERATION.arguments.model_validate(arguments), delivery, account))


def inside(**options: Any) -> WebhookAccount:
    return an_account(internal_hosts=["127.0.0.1"], **options)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
async def test_a_call_is_signed_and_its_answer_found(fake: Receiver, method: str) -> None:
    fake.found = {"order": {"id": 17, "lines": [1, 2]}}
    body: dict[str, Any] = {} if method == "GET" else {"body": {"text": "9 €", "list": [None, 1.5]}}
    url = f"{fake.calls_url}?id=17"
    outcome = await call(inside(), url=url, method=method.lower(), headers={"X-Source": "bridge"}, **body)
    assert outcome == Sent(found={"status": 200, "body": fake.found})
    (called,) = fake.called.values()
    assert (called.method, called.query, called.body) == (method, "id=17", body.get("body"))
    assert called.headers["x-source"] == "bridge"
    assert fake.refused == []


async def test_a_repeat_has_the_same_id_and_another_delivery_has_another(fake: Receiver) -> None:
    fake.answers.append("reset")
    given: dict[str, Any] = {"url": fake.calls_url, "body": {"text": "once"}}
    assert isinstance(await call(inside(), **given), Unknown)
    assert isinstance(await call(inside(), **given), Sent)
    assert len(fake.called) == 1
    assert isinstance(await call(inside(), number=2, **given), Sent)
    assert list(fake.called) == ["crm-1-1774612800000", "crm-2-1774612800000"]
    assert fake.attempts == 3


async def test_a_call_that_may_be_repeated_is(fake: Receiver) -> None:
    fake.answers.append("reset")
    outcome = await call(inside(), url=fake.calls_url, method="GET")
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.permanent) == ("network", False)


async def test_the_accounts_authorization_goes_to_its_own_receiver_only(fake: Receiver) -> None:
    own = inside(url=fake.calls_url, authorization="Bearer token-1234567890")
    assert isinstance(await call(own, body=1), Sent)
    other = inside(url="http://127.0.0.1:1/in", authorization="Bearer token-1234567890")
    assert isinstance(await call(other, number=2, url=fake.calls_url, body=1), Sent)
    assert [one.headers.get("authorization") for one in fake.called.values()] == ["Bearer token-1234567890", None]
    assert "token-1234567890" not in repr(own)


@pytest.mark.parametrize(
    ("say", "reason", "permanent"),
    [
        (Say(status=400, body="no"), "invalid", True),
        (Say(status=401, body="no"), "auth", True),
        (Say(status=404, body="no"), "not_found", True),
        (Say(status=409, body="no"), "unavailable", False),
        (Say(status=429, headers={"Retry-After": "7"}, body="no"), "rate_limited", False),
        (Say(status=503, body="no"), "unavailable", False),
        (Say(status=302, headers={"Location": "http://127.0.0.1:9/"}, body="no"), "refused", True),
    ],
)
async def test_a_refusal_is_classified(fake: Receiver, say: Say, reason: str, permanent: bool) -> None:
    fake.answers.append(say)
    outcome = await call(inside(), url=fake.calls_url)
    assert outcome == Failed(
        reason=reason,  # type: ignore[arg-type]  # the parametrised words are those of Reason
        detail=f"{say.status}: no",
        permanent=permanent,
        retry_after=7.0 if say.status == 429 else None,
    )


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("", None),
        ("<html>", None),
        ("null", None),
        ("7", 7),
        ('"ok"', "ok"),
        ("[1]", [1]),
        ('{"a":"\\u0000"}', None),
        ("[" * 30 + "]" * 30, None),
        ('"' + "x" * LONGEST_ANSWER + '"', None),
    ],
)
async def test_only_json_of_a_bounded_size_is_found(fake: Receiver, body: str, found: object) -> None:
    fake.answers.append(Say(status=201, body=body))
    assert await call(inside(), url=fake.calls_url) == Sent(found={"status": 201, "body": found})


# Where it cannot lead.


@pytest.mark.parametrize(
    ("options", "url", "words"),
    [
        ({}, "https://api.example.com/x", "url: api.example.com may not be called; if it should, add it to accounts."),
        ({"call_hosts": ["*.example.com"]}, "https://example.com/x", "url: example.com may not be called"),
        ({"call_hosts": ["*.example.com"]}, "https://evilexample.com/x", "url: evilexample.com may not be called"),
        ({"call_hosts": ["api.example.com"]}, "https://api.example.com.evil.example/", "url: api.example.com.evil"),
        ({"url": None}, None, "url: missing; write it in the rule, or into accounts.crm.url"),
    ],
)
async def test_a_host_that_is_not_allowed_is_refused(options: dict[str, Any], url: str | None, words: str) -> None:
    outcome = await call(an_account(**options), url=url)
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.permanent) == ("refused", True)
    assert outcome.detail.startswith(words)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "LOCALHOST"])
async def test_all_public_hosts_does_not_mean_those_inside(fake: Receiver, host: str) -> None:
    url = fake.calls_url.replace("127.0.0.1", host)
    outcome = await call(an_account(call_hosts=["*"]), url=url, body=1)
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.permanent) == ("refused", True)
    assert "may not be called: it is at" in outcome.detail
    assert (fake.attempts, fake.refused) == (0, [])


def test_hosts_by_their_lists() -> None:
    account = an_account(call_hosts=["API.example.com", "*.shop.example"], internal_hosts=["crm.internal"])
    may = ["crm.example", "api.example.com", "eu.shop.example", "a.b.shop.example", "crm.internal"]
    not_these = ["shop.example", "other.example", "example.com", "internal", "xapi.example.com"]
    assert [host for host in (*may, *not_these) if account.may_call(host)] == may
    assert [host for host in may if account.may_be_inside(host)] == ["crm.internal"]
    assert an_account(call_hosts=["*"]).may_call("anything.example")


# What is refused.


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"url": "crm.example/in"}, '"crm.example/in" is not a URL to send to'),
        ({"url": "https://u:p@crm.example/"}, "a URL with a user is not a URL"),
        ({"url": "ftp://crm.example/"}, "is not a URL to send to"),
        ({"url": "https://crm.example:65536/"}, "is not a URL to send to"),
        ({"url": "https://crm.example/a b"}, "is not a URL to send to"),
        ({"url": "https://crm.example\\@evil.example/"}, "is not a URL to send to"),
        ({"url": "https://crm.example/\nhost: x"}, "is not a URL to send to"),
        ({"url": "https://crm.example/" + "x" * 4000}, "is not a URL to send to"),
        ({"method": "TRACE"}, "Input should be 'GET', 'POST', 'PUT', 'PATCH' or 'DELETE'"),
        ({"method": "GET", "body": {}}, "body: a GET has none"),
        ({"headers": {"Authorization": "Bearer x"}}, "Authorization is a secret, which has no place in a rule"),
        ({"headers": {"cookie": "a=b"}}, "cookie is a secret"),
        ({"headers": {"Host": "a.example"}}, "Host is not for rules to set"),
        ({"headers": {"Transfer-Encoding": "chunked"}}, "Transfer-Encoding is not for rules to set"),
        ({"headers": {"webhook-signature": "v1,x"}}, "webhook-signature is not for rules to set"),
        ({"headers": {"x y": "1"}}, '"x y" is not the name of a header'),
        ({"headers": {"x-a": "1\r\nHost: b"}}, "x-a: its value is 1 to 1000 printable ASCII characters"),
        ({"headers": {"x-a": "é"}}, "x-a: its value is 1 to 1000 printable"),
        ({"headers": {"x-a": "1" * 1001}}, "x-a: its value is 1 to 1000 printable"),
        ({"headers": {f"x-{n}": "1" for n in range(21)}}, "at most 20 items"),
        ({"body": "x" * LONGEST_BODY}, f"body: {LONGEST_BODY + 2} bytes, at most {LONGEST_BODY} are sent"),
        ({"body": {"a": "\ud83d"}}, "body: cannot be written as JSON"),
        ({"body": 2**70}, "body: cannot be written as JSON"),
        ({"timeout": 5}, "Extra inputs are not permitted"),
    ],
)
def test_arguments_are_refused_by_name(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        OPERATION.arguments.model_validate(arguments)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("options", "place", "words"),
    [
        ({"call_hosts": ["https://api.example.com"]}, ("call_hosts", 0), "is not a host: write"),
        ({"call_hosts": ["*example.com"]}, ("call_hosts", 0), "is not a host: write"),
        ({"internal_hosts": ["*.internal"]}, ("internal_hosts", 0), 'write its name alone, for example "crm.internal"'),
        ({"authorization": "Bearer a\nHost: b"}, ("authorization",), "no line ends"),
        (
            {"url": "http://127.0.0.1:9/in"},
            (),
            "url: 127.0.0.1 is not a public address; if it should be called, internal_",
        ),
        ({"url": "http://10.0.0.7/in"}, (), "url: 10.0.0.7 is not a public address"),
        ({"url": "http://LOCALHOST/in"}, (), "url: localhost is not a public address"),
    ],
)
def test_wrong_options_are_refused_by_name(options: dict[str, Any], place: tuple[object, ...], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        an_account(**options)
    (problem,) = caught.value.errors()
    assert (problem["loc"], words in problem["msg"]) == (place, True)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(JSON, st.text(), st.dictionaries(st.text(), st.text(), max_size=3), st.integers(0, 999), st.binary())
def test_any_arguments_come_to_a_call_or_are_refused(
    body: object, path: str, headers: dict[str, str], status: int, answer: bytes
) -> None:
    arguments = {"url": f"https://crm.example/{path}", "method": "PUT", "headers": headers, "body": body}
    try:
        valid = Call.model_validate(arguments)
    except ValidationError:
        return
    steps = OPERATION.begin(valid, a_delivery(), an_account())
    call = next(steps)
    assert isinstance(call, SignedCall)
    assert call.guarded
    with pytest.raises(StopIteration) as end:
        steps.send(HttpAnswer(status=status, body=answer))
    assert isinstance(end.value.value, Sent | Failed)


def test_without_a_delivery_equal_calls_have_the_same_name() -> None:
    def made(**arguments: Any) -> HttpCall:
        step = next(OPERATION.steps(Call.model_validate(arguments), {}, an_account()))
        assert isinstance(step, HttpCall)
        return step

    first, again, other = made(body=1), made(body=1), made(body=2)
    assert first.headers["idempotency-key"] == again.headers["idempotency-key"] != other.headers["idempotency-key"]
