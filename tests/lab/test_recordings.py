"""Recordings: those that ship with the platforms are found and read; a person's own may be a body alone."""

import json
from pathlib import Path

import pytest

from bridge.errors import BridgeError
from bridge.lab import recordings
from bridge.platforms.registry import ADAPTERS, home
from tests.values import NOON

SHIPPED = [(platform, name) for platform in ADAPTERS for name in recordings.names(home(platform))]


@pytest.mark.parametrize(("platform", "name"), SHIPPED)
def test_every_recording_that_ships_can_be_read(platform: str, name: str) -> None:
    recording = recordings.shipped(home(platform), name, NOON)
    written = json.loads(Path(str(home(platform) / "fixtures" / "inbound" / f"{name}.json")).read_bytes())
    assert (recording.name, recording.webhook.method) == (name, written["method"])
    assert recording.webhook.operation == written.get("operation", "")
    assert recording.options == written.get("account")
    if "body" in written:
        assert recording.webhook.body == written["body"].encode()


def test_platforms_that_only_send_have_none() -> None:
    assert {platform for platform, _ in SHIPPED} == {name for name, adapter in ADAPTERS.items() if adapter.routes}


def test_a_kind_of_event_means_a_recording_of_the_contacts() -> None:
    assert recordings.find(home("helpcrunch"), "message")[0] == "message_chat_customer"
    assert recordings.find(home("helpcrunch"), "message_chat_agent") == ["message_chat_agent"]
    assert recordings.find(home("omnidesk"), "attachment")[0] == "attachment_json"
    assert recordings.holds(home("helpcrunch"), "message_chat_agent") == [("message", "agent")]


@pytest.mark.parametrize(
    ("platform", "wanted", "told"),
    [
        ("helpcrunch", "message_chat_custmer", 'no recording "message_chat_custmer" (did you mean "message_chat_cust'),
        ("groupalarm", "message", 'groupalarm has no recording "message"; there is none'),
        ("webchat", "../message", 'webchat has no recording "../message"'),
    ],
)
def test_a_recording_that_there_is_not(platform: str, wanted: str, told: str) -> None:
    with pytest.raises(BridgeError) as caught:
        recordings.shipped(home(platform), wanted, NOON)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"text": "hi", "body": "not a recording"}', "application/json"),
        (b"[1, 2]", "application/json"),
        (b"text=hi", "application/x-www-form-urlencoded"),
        (b"\xff\xfe", "application/x-www-form-urlencoded"),
        (b"", "application/x-www-form-urlencoded"),
        (b"[" * 200_000, "application/x-www-form-urlencoded"),
    ],
)
def test_what_is_no_recording_is_a_body(body: bytes, kind: str) -> None:
    webhook = recordings.read(body, "w.json", NOON).webhook
    assert (webhook.body, webhook.headers["content-type"], webhook.received_at) == (body, kind, NOON)


def test_an_own_recording() -> None:
    written = {"method": "PUT", "headers": {"X-Key": "k"}, "body": {"a": "ä"}, "received_at": "2026-01-02T03:04:05Z"}
    recording = recordings.read(json.dumps(written).encode(), "w.json", NOON)
    assert recording.webhook.headers == {"x-key": "k"}
    assert recording.webhook.body == '{"a":"ä"}'.encode()
    assert recording.webhook.received_at.isoformat() == "2026-01-02T03:04:05+00:00"
    assert recording.options is None


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("headers", {"a": 1}),
        ("method", 7),
        ("received_at", "yesterday"),
        ("received_at", "2026-03-27T08:00:00"),
        ("operaton", "message"),
        ("account", "shop"),
        ("query", ["a"]),
    ],
)
def test_a_part_that_is_not_what_it_should_be_is_named(part: str, value: object) -> None:
    with pytest.raises(BridgeError) as caught:
        recordings.read(json.dumps({"method": "POST", part: value}).encode(), "w.json", NOON)
    assert str(caught.value).startswith(f"w.json: {part}")


def test_a_recording_that_is_too_large() -> None:
    with pytest.raises(BridgeError, match="larger than"):
        recordings.read(b" " * (recordings.MOST + 1), "w.json", NOON)
