"""The recordings in the platform's folder are complete; tests/platforms/test_contract.py plays them."""

import json

import pytest

from bridge.adapter.protocol import HttpCall, Route, Upload
from bridge.platforms.omnidesk import adapter
from bridge.platforms.omnidesk.body import read_body
from bridge.platforms.omnidesk.operations import OPERATIONS
from tests.platforms.omnidesk_calls import FIELDS, a_webhook, parse, refusal
from tests.platforms.recordings import Recording, answers_of, recordings, steps_of, walk

INBOUND = [one for one in recordings("inbound") if one.folder == "omnidesk"]
OUTBOUND = [one for one in recordings("outbound") if one.folder == "omnidesk"]


def calls_of(recording: Recording) -> list[HttpCall]:
    recorded, answers = recording.read(), answers_of(recording.read())
    calls, _ = walk(steps_of(recorded, adapter, recording.account()), lambda number: answers[number])
    return [call for call in calls if isinstance(call, HttpCall)]


def test_every_call_and_every_operation_is_recorded() -> None:
    assert {one.read().get("operation") for one in INBOUND} == {*OPERATIONS, None}
    assert {one.read().get("operation") for one in OUTBOUND} == {*adapter.operations, None}
    called = {call.url.partition("?")[0].rpartition("/")[2] for one in OUTBOUND for call in calls_of(one)}
    assert called >= set(OPERATIONS)


def test_every_post_of_the_description_is_recorded_in_the_layout_of_its_sample() -> None:
    recorded = [one.read() for one in INBOUND if one.read()["headers"].get("content-type") == "multipart/form-data"]
    assert all(one["body"].startswith('{\n  "') for one in recorded)
    assert {one["operation"] for one in recorded} == {o.name for o in OPERATIONS.values() if o.method == "POST"}


def test_what_cannot_be_done_twice_says_so() -> None:
    said = {call.url.partition("?")[0].rpartition("/")[2]: call.safe for one in OUTBOUND for call in calls_of(one)}
    assert {name for name, safe in said.items() if not safe} == {
        "messageForCustomer",
        "in",
        "notifyUserNewChatMessage",
        "notifyUserVisited",
        "addAttachment",
    }


def test_the_routes() -> None:
    path = "/api/v2/chat/{operation}"
    assert adapter.routes == (
        Route(method="POST", path=path, uploads=True, needs="api_keys"),
        Route(method="GET", path=path),
        Route(method="POST", path="/hooks/{account}", needs="webhook_secrets"),
    )
    assert (adapter.name, adapter.to_keys, adapter.can) == ("omnidesk", ("session", "chat_server"), frozenset())


# The samples of the description, byte for byte, with the Content-Length that it gives each. (Its page hides the e-mail
# address of one; this one is as long.)
SAMPLES = {
    "requestChatConfig": (47, '{"chatServer":"text","chatAccountToken":"text"}'),
    "notifyUserNewChatMessage": (
        281,
        '{"chatServer":"text","chatSessionID":"text","chatAccountToken":"text","channelID":8,"message":"","url":"",'
        '"messageNumber":1,"usedPredefinedUserInput":false,"additionalData":"","externalAddressOverwrite":"",'
        '"customerName":"text","emailAddress":"name@gmail.com","phoneNumber":"text"}',
    ),
    "notifyUserNewChatEvent": (68, '{"chatServer":"text","chatSessionID":"text","event":"startedtyping"}'),
    "notifyUserVisited": (57, '{"chatServer":"text","chatSessionID":"text","url":"text"}'),
    "notifyUserEndChat": (44, '{"chatServer":"text","chatSessionID":"text"}'),
    "addAttachment": (19, '{"file":"Ynl0ZXM="}'),
    "checkOriginAndIP": (75, '{"chatServer":"text","chatAccountToken":"text","origin":"text","ip":"text"}'),
    "requestChatQueue": (27, '{"chatAccountToken":"text"}'),
}


@pytest.mark.parametrize("operation", SAMPLES)
def test_the_sample_of_the_description_is_read(operation: str) -> None:
    length, sample = SAMPLES[operation]
    assert len(sample) == length
    assert read_body("multipart/form-data", sample.encode()).fields == json.loads(sample)


def test_the_sample_of_a_file_is_taken() -> None:
    query = {name: str(value) for name, value in FIELDS["addAttachment"].items()}
    webhook = a_webhook("addAttachment", SAMPLES["addAttachment"][1].encode(), "multipart/form-data", query=query)
    assert parse(webhook).uploads == (Upload(name="attachment", content=b"bytes"),)


@pytest.mark.parametrize("operation", [name for name in SAMPLES if name != "addAttachment"])
def test_the_other_samples_are_taken_once_they_keep_their_own_rules(operation: str) -> None:
    """Their placeholders are shorter than the same page asks for, and texts where it asks for addresses."""
    sample = json.loads(SAMPLES[operation][1])
    as_it_is = a_webhook(operation, json.dumps(sample).encode(), "multipart/form-data")
    assert refusal(as_it_is)[1].startswith(f'{next(iter(sample))}: "text" is too short' if len(sample) > 1 else "chat")
    sample |= FIELDS[operation]
    if "phoneNumber" in sample:
        sample["phoneNumber"] = "+380441234567"
    notice = parse(a_webhook(operation, json.dumps(sample).encode(), "multipart/form-data"))
    assert [event.raw for event in notice.events] in ([sample], [])
