"""Simulate: recorded webhooks through rules; each event sees what those before it left."""

from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bridge.errors import BridgeError
from bridge.lab import recordings
from bridge.lab.check import check
from bridge.lab.recordings import Recording
from bridge.lab.simulate import Read, read_for, simulate, suits
from bridge.line.accounts import Accounts, Known
from bridge.line.decide import Behaviour
from bridge.line.render import Renderer
from bridge.platforms.registry import ADAPTERS, home
from tests.values import NOON

FILES = "https://bridge.example"


def known(platform: str, **options: Any) -> Known:
    adapter = ADAPTERS[platform]
    return Known(account=adapter.account.model_validate({"name": "mine", **options}), adapter=adapter)


HELPCRUNCH = known("helpcrunch", api_key="k", signing_keys=["of my own"], agent=1)
OMNIDESK = known("omnidesk", api_keys=["k"], chat_servers=["https://my-chat.example"])
WEBHOOK = known("webhook", secrets=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])


def shipped(platform: str, name: str) -> Recording:
    return recordings.shipped(home(platform), name, NOON)


def read(recording: Recording, by: Known) -> Read:
    return read_for(recording, by, NOON, FILES)


def test_a_webhook_of_another_account_is_read_as_if_it_came_to_this_one_now() -> None:
    found = read(shipped("helpcrunch", "message_chat_customer"), HELPCRUNCH)
    (event,) = found.events
    assert (event.account, event.at, event.kind, found.foreign) == ("mine", NOON, "message", None)


def test_where_the_accounts_own_options_refuse_it_those_of_the_recording_read_it_and_that_is_said() -> None:
    found = read(shipped("omnidesk", "message_json"), OMNIDESK)
    assert found.foreign is not None
    assert "https://chat.example.com" in found.foreign
    assert [event.account for event in found.events] == ["mine"]


def test_a_file_that_came_along_has_an_address() -> None:
    (event,) = read(shipped("omnidesk", "attachment_multipart"), OMNIDESK).events
    assert event.attachment is not None
    assert (event.attachment.url or "").startswith(f"{FILES}/attachments/simulated/")


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"{}", "w.json: would be refused (400): data.conversation: missing"),
        (b'{"method": "POST", "body": {}}', "w.json: would be refused (400): webhook-id: missing"),
        (b'{"method": "POST", "headers": {"webhook-id": "1"}, "body": "x"}', "would be refused (400): body: not JSON"),
        (b'{"method": "POST", "account": {"secrets": 7}, "headers": {}}', "w.json: account.secrets: "),
    ],
)
def test_a_recording_that_nobody_can_read(data: bytes, told: str) -> None:
    with pytest.raises(BridgeError) as caught:
        read(recordings.read(data, "w.json", NOON), WEBHOOK)
    assert told in str(caught.value)


def test_each_event_sees_what_those_before_it_left(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(
        """
rules:
  - {name: first, on: message, do: [{remember: {seen: "{{ text }}"}}, {reply: {text: "one"}}]}
  - {name: later, on: ended, do: [{reply: {text: "you asked: {{ memory.seen | default('nothing') }}"}}]}
""",
        encoding="utf-8",
    )
    accounts = Accounts([WEBHOOK.account], ADAPTERS)
    checked = check(rules=tmp_path, templates=tmp_path / "none", timezone=ZoneInfo("UTC"), accounts=accounts)
    events = read(shipped("webhook", "cloudevents_batch"), WEBHOOK)
    renderer = Renderer(checked.templates, accounts)
    behaviour = Behaviour(rulebook=checked.sound(), renderer=renderer, accounts=accounts)
    done = list(simulate(events, behaviour, NOON))
    assert [tried.rules for _, tried in done] == [("first",), ("later",)]
    assert [one.reply.text for _, tried in done for one in tried.replies] == ["one", "you asked: How much is it?"]


@pytest.mark.parametrize("scheme", ["standard", "cloudevents", "header"])
def test_of_several_recordings_the_first_is_taken_that_the_account_can_read(scheme: str) -> None:
    account = known("webhook", scheme=scheme, secrets=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])
    found = recordings.shipped(home("webhook"), "message", NOON, lambda one: suits(one, account))
    assert read(found, account).foreign is None


def test_where_the_account_can_read_none_the_plainest_is_taken() -> None:
    found = recordings.shipped(home("omnidesk"), "attachment", NOON, lambda one: suits(one, OMNIDESK))
    assert (found.name, read(found, OMNIDESK).foreign is None) == ("attachment_json", False)
