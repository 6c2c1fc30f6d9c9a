"""The generic webhook: deliveries through the real door to a strict receiver; and the document."""

import json
import re
import tomllib
from base64 import b64decode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bridge.adapter.account import Account
from bridge.adapter.mapping import FIELDS
from bridge.adapter.protocol import SignedCall
from bridge.adapter.secret import Surroundings
from bridge.clock import SetClock
from bridge.model.delivery import Failed, Outcome, Reply, Sent, Unknown
from bridge.platforms import webhook as platform
from bridge.platforms.webhook import adapter
from bridge.platforms.webhook.account import WebhookAccount
from bridge.platforms.webhook.fields import Scheme, default_paths
from tests.fakes.chat_server import Say
from tests.fakes.webhook import Receiver
from tests.platforms.driving import drive
from tests.values import NOON, a_delivery

FOLDER = Path(platform.__file__).parent
DOC = (FOLDER / "doc.md").read_text(encoding="utf-8")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TO = {"conversation": "ticket-17"}


# Through the door.


@pytest.fixture
async def fake() -> AsyncIterator[Receiver]:
    async with Receiver(b64decode(SECRET.removeprefix("whsec_")), NOON.timestamp()) as opened:
        yield opened


async def deliver(fake: Receiver, clock: SetClock, *, patience: float = 20, **options: Any) -> Outcome:
    inside = {"internal_hosts": ["127.0.0.1"]}
    account = WebhookAccount.model_validate({"name": "crm", "secrets": [SECRET], "url": fake.url, **inside, **options})
    return await drive(adapter.send(a_delivery(to=TO), account), patience=patience, clock=clock)


async def test_a_reply_is_signed_at_each_attempt_and_taken_once(fake: Receiver) -> None:
    clock = SetClock(NOON)
    fake.answers.extend([Say(status=503, body="busy"), "reset"])
    assert await deliver(fake, clock) == Failed(reason="unavailable", detail="503: busy")
    clock.advance(3600)
    fake.now = clock.now().timestamp()
    assert isinstance(await deliver(fake, clock), Unknown)
    assert await deliver(fake, clock, secrets=["the next secret", SECRET]) == Sent()
    assert fake.refused == []
    assert fake.attempts == 3
    (said,) = fake.taken.values()
    assert said == {
        "type": "reply",
        "timestamp": "2026-03-27T12:00:00.000Z",
        "data": {
            "to": TO,
            "text": "9 €",
            "format": "plain",
            "private": False,
            "attachments": [],
            "quick_replies": [],
            "delivery": 1,
            "event": 1,
            "rule": "price-question",
        },
    }


async def test_another_secret_is_refused_there(fake: Receiver) -> None:
    outcome = await deliver(fake, SetClock(NOON), secrets=["another secret"])
    detail = "400: webhook-signature: none of them is right"
    assert outcome == Failed(reason="invalid", detail=detail, permanent=True)
    assert fake.taken == {}


@pytest.mark.parametrize("url", ["http://2130706433:9/in", "http://0x7f.1:9/in"])
async def test_a_host_inside_is_refused_unless_it_is_allowed(fake: Receiver, url: str) -> None:
    outcome = await deliver(fake, SetClock(NOON), url=url, internal_hosts=[])
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.permanent) == ("refused", True)
    assert "this address may not be called: it is at" in outcome.detail
    assert fake.attempts == 0


@pytest.mark.parametrize(("after", "seconds"), [("7", 7.0), ("Fri, 27 Mar 2026 12:00:30 GMT", 30.0), ("later", None)])
async def test_too_many_pause(fake: Receiver, after: str, seconds: float | None) -> None:
    fake.answers.append(Say(status=429, headers={"Retry-After": after}, body="slowly"))
    outcome = await deliver(fake, SetClock(NOON))
    assert outcome == Failed(reason="rate_limited", detail="429: slowly", retry_after=seconds)


def test_what_is_not_json_is_refused_with_a_reason() -> None:
    account = WebhookAccount.model_validate({"name": "crm", "secrets": [SECRET], "url": "https://crm.example/in"})
    with pytest.raises(StopIteration) as end:
        next(adapter.send(a_delivery(to={"room": "\ud83d"}), account))
    assert isinstance(end.value.value, Failed)
    assert (end.value.value.reason, end.value.value.permanent) == ("invalid", True)
    call = next(adapter.send(a_delivery(to=TO, reply=Reply(text="9 \ud83d€")), account))
    assert isinstance(call, SignedCall)
    assert json.loads(call.body or b"")["data"]["text"] == "9 ?€"


# The document.


def rows(heading: str) -> list[list[str]]:
    """The rows of a section's first table, without its head."""
    section = DOC.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


def test_every_setting_is_described_with_its_default() -> None:
    own = {name: field for name, field in WebhookAccount.model_fields.items() if name not in Account.model_fields}
    described = {row[0].strip("`"): row[1] for row in rows("Settings")}
    assert set(described) == {*own, "platform"}
    for name, field in own.items():
        default = field.get_default(call_default_factory=True)
        text = described[name].strip("`")
        if field.is_required():
            assert text == "required"
        else:
            assert (None if text == "none" else tomllib.loads(f"x = {text}")["x"]) == default


def test_every_field_is_described_with_its_paths() -> None:
    schemes: tuple[Scheme, ...] = ("standard", "cloudevents", "header")
    paths = {scheme: default_paths(scheme) for scheme in schemes}
    told = {"standard": "the header `webhook-id`", "cloudevents": "`source` and `id`"}
    expected = [
        [
            f"`{field}`",
            *(told[s] if field == "id" and s in told else f"`{paths[s][field]}`" for s in schemes),
        ]
        for field in FIELDS
    ]
    assert [row[:4] for row in rows("Webhooks")] == expected


def test_every_operation_is_described() -> None:
    described = {row[0].strip("`"): row for row in rows("Operations")}
    assert set(described) == set(adapter.operations)
    for name, operation in adapter.operations.items():
        fields = operation.arguments.model_fields.items()
        words = ", ".join(f"`{field}`" + ("" if info.is_required() else " (optional)") for field, info in fields)
        assert described[name][1:] == [words, operation.about]


def test_the_documented_settings_and_the_documented_body() -> None:
    environ = {"CRM_WEBHOOK_SECRET": SECRET, "EVENTS_TOKEN": "t" * 20, "FORM_KEY": "k" * 20}
    blocks = re.findall(r"^ *```toml\n(.*?)^ *```$", DOC, re.DOTALL | re.MULTILINE)
    accounts = {}
    for block in blocks:
        for name, options in tomllib.loads(block)["accounts"].items():
            around = Surroundings(environ=environ)
            accounts[name] = WebhookAccount.model_validate({"name": name, **options}, context=around)
    assert [account.scheme for account in accounts.values()] == ["standard", "cloudevents", "header"]
    (documented,) = re.findall(r"^ *```json\n(.*?)^ *```$", DOC, re.DOTALL | re.MULTILINE)
    call = next(adapter.send(a_delivery(to=TO), accounts["crm"]))
    assert isinstance(call, SignedCall)
    assert json.loads(documented) == json.loads(call.body or b"")
