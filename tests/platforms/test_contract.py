"""What every platform must keep, tried on every folder under bridge/platforms with the folder's own recordings.

A new folder is found by itself.
"""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import pytest
from msgspec import structs

from bridge.adapter.ability import asked_of, cannot_send
from bridge.adapter.account import Account
from bridge.adapter.answers import retry_after
from bridge.adapter.protocol import Ability, Answer, Awaited, Carried, HttpAnswer, HttpCall, ReadFile, Standing
from bridge.errors import Refused
from bridge.model.delivery import REASONS, Failed, Outcome, Reason, Sent, Unknown
from bridge.model.event import Attachment
from bridge.platforms.registry import ADAPTERS
from tests.platforms.recordings import (
    FOLDERS,
    Recording,
    adapter_of,
    answers_of,
    as_bytes,
    as_recorded,
    delivery_of,
    plain,
    recordings,
    request_of,
    secrets_of,
    steps_of,
    walk,
)
from tests.values import NOON

HEADINGS = ("Set up", "Settings", "Limits")


def is_sent_at_once(recording: Recording) -> bool:
    """Whether only its last call does something, so that what comes of that call is what comes of all of it."""
    recorded = recording.read()
    calls = recorded["calls"]
    is_by_http = bool(calls) and "mailbox" not in calls[-1]
    return "sent" in recorded["outcome"] and is_by_http and all("file" in call or call["safe"] for call in calls[:-1])


INBOUND, OUTBOUND = recordings("inbound"), recordings("outbound")
SIGNED = [one for one in INBOUND if any("signature" in name for name in one.read()["headers"])]
SENT = [one for one in OUTBOUND if is_sent_at_once(one)]
DELIVERED = [one for one in OUTBOUND if "delivery" in (said := one.read()) and "sent" in said["outcome"]]
WITH_TEXT = [one for one in DELIVERED if one.read()["delivery"]["reply"]["text"]]
PROBED = [one for one in OUTBOUND if "probe" in one.read()]
BESIDE: Mapping[Ability, object] = {
    "private": True,
    "attachments": (Attachment(name="a.png", type="image/png", url="https://files.example/a.png"),),
    "quick_replies": ("yes", "no"),
}
"""What a reply may have beside its text."""
RESERVED = {"via", "to", "remember", "then"}
"""Words of the rule language that stand beside the arguments of an operation."""


# Webhooks.


@pytest.mark.parametrize("recording", INBOUND, ids=str)
def test_a_recorded_request_is_taken_and_becomes_its_events(recording: Recording) -> None:
    recorded, account = recording.read(), recording.account()
    expected = json.loads(recording.path.with_suffix(".events.json").read_bytes())
    request = request_of(recorded)
    recording.adapter.verify(request, account)
    notice = recording.adapter.parse(request, account)
    assert [plain(event) for event in notice.events] == expected["events"]
    uploads = [{"name": u.name, "content_base64": base64.b64encode(u.content).decode()} for u in notice.uploads]
    assert uploads == expected.get("uploads", [])
    standing = Standing(**expected.get("standing", {"online": None, "open": 0, "waiting": 0}))
    answer = notice.answer.otherwise if isinstance(notice.answer, Awaited | Carried) else notice.answer
    answer = answer if isinstance(answer, Answer) else answer(standing)
    body = answer.body.decode()
    assert {**structs.asdict(answer), "body": body} == expected["answer"] or (
        {**structs.asdict(answer), "body": json.loads(body)} == expected["answer"]
    )
    for event in notice.events:
        assert (event.account, event.platform) == (account.name, recording.folder)
        assert set(event.address) <= set(recording.adapter.to_keys or event.address), "a reply can go to its address"


@pytest.mark.parametrize("recording", SIGNED, ids=str)
def test_a_signed_request_with_one_byte_changed_is_refused(recording: Recording) -> None:
    recorded, account = recording.read(), recording.account()
    body = as_bytes(recorded)
    for at in (0, len(body) // 2, len(body) - 1):
        changed = body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
        with pytest.raises(Refused) as caught:
            recording.adapter.verify(request_of(recorded, changed), account)
        assert caught.value.status == 401


def test_platforms_that_sign_are_among_them() -> None:
    assert {"helpcrunch", "webhook"} <= {recording.folder for recording in SIGNED}


@pytest.mark.parametrize("recording", INBOUND, ids=str)
def test_a_stranger_is_refused(recording: Recording) -> None:
    recorded, account = recording.read(), recording.account()
    stripped = {**recorded, "headers": {}, "query": {}, "operation": "", "remote": ""}
    with pytest.raises(Refused) as caught:
        recording.adapter.verify(request_of(stripped), account)
    assert caught.value.status in (401, 403, 415)
    assert not any(secret in caught.value.message for secret in secrets_of(account))


@pytest.mark.parametrize("recording", INBOUND, ids=str)
def test_hostile_bytes_are_refused_or_become_events(recording: Recording) -> None:
    recorded, account = recording.read(), recording.account()
    for body in (b"", b"\xff", b"[]", b"{", b"[" * 100_000, b'{"a":' * 900):
        refusal: Refused | None = None
        try:
            recording.adapter.parse(request_of(recorded, body), account)
        except Refused as caught:
            refusal = caught
        assert refusal is None or (400 <= refusal.status < 500 and len(refusal.message) <= 500), body[:9]


# Deliveries and operations.


@pytest.mark.parametrize("recording", OUTBOUND, ids=str)
def test_a_recorded_delivery_makes_its_calls(recording: Recording) -> None:
    recorded, answers = recording.read(), answers_of(recording.read())
    calls, outcome = walk(steps_of(recorded, recording.adapter, recording.account()), lambda number: answers[number])
    assert len(calls) == len(recorded["calls"]) == len(answers)
    for call, expected in zip(calls, recorded["calls"], strict=True):
        assert as_recorded(call, expected, recorded.get("at")) == expected
    ((what, fields),) = recorded["outcome"].items()
    assert isinstance(outcome, {"sent": Sent, "failed": Failed, "unknown": Unknown}[what])
    told = plain(asdict(outcome))
    assert {name: told[name] for name in fields} == fields


def ending(recording: Recording, status: int, headers: Mapping[str, str] = {}, body: bytes = b"") -> Outcome:
    """What comes of a recorded delivery whose last call, and all that may follow it, is answered so."""
    recorded, answers = recording.read(), answers_of(recording.read())
    last = len(answers) - 1
    said = HttpAnswer(status=status, headers=headers, body=body)
    _, outcome = walk(
        steps_of(recorded, recording.adapter, recording.account()),
        lambda number: answers[number] if number < last else said,
    )
    return outcome


REFUSALS: tuple[tuple[int, set[Reason], set[bool]], ...] = (
    (400, {"invalid"}, {True}),
    (401, {"auth"}, {True}),
    (403, {"auth", "refused"}, {True}),
    (404, {"not_found"}, {True}),
    (409, {"invalid", "unavailable"}, {True, False}),
    (410, {"not_found"}, {True}),
    (500, {"unavailable"}, {False}),
    (502, {"unavailable"}, {False}),
    (503, {"unavailable"}, {False}),
    (504, {"unavailable"}, {False}),
)
"""A status, the reasons that it may be taken for, and whether it is permanent."""


@pytest.mark.parametrize("recording", SENT, ids=str)
def test_a_refusal_is_classified(recording: Recording) -> None:
    for status, reasons, permanent in REFUSALS:
        for body in (b"", b"<html>\xff\0</html>", b"[[", b"null", b'{"errors":7,"data":7}'):
            outcome = ending(recording, status, body=body)
            assert isinstance(outcome, Failed), (status, body)
            assert outcome.reason in reasons, (status, body)
            assert outcome.permanent in permanent, (status, body)
            assert outcome.detail.isprintable(), (status, body)


@pytest.mark.parametrize("recording", SENT, ids=str)
@pytest.mark.parametrize(("said", "seconds"), [("7", 7.0), ("Fri, 27 Mar 2026 12:00:30 GMT", 30.0), ("", None)])
def test_too_many_requests_are_heeded(recording: Recording, said: str, seconds: float | None) -> None:
    wait = retry_after({"retry-after": said}, NOON)
    # The door has turned either form into seconds by the time an adapter sees it.
    outcome = ending(recording, 429, {} if wait is None else {"retry-after": f"{wait:.0f}"})
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.permanent, outcome.retry_after) == ("rate_limited", False, seconds)


@pytest.mark.parametrize("recording", SENT, ids=str)
def test_a_success_that_cannot_be_read_comes_to_an_outcome(recording: Recording) -> None:
    for status in (200, 201):
        for body in (b"", b"<html>\xff\0</html>", b"[" * 100_000, b"null", b'{"id":{}}'):
            outcome = ending(recording, status, body=body)
            assert isinstance(outcome, Sent | Failed | Unknown), (status, body[:9])
            assert isinstance(outcome, Sent) or outcome.reason in REASONS, (status, body[:9])


@pytest.mark.parametrize("recording", WITH_TEXT, ids=str)
def test_a_long_text_is_sent_whole_or_refused(recording: Recording) -> None:
    words = [f"w{number}x" for number in range(1000)]
    recorded, answers = recording.read(), answers_of(recording.read())
    steps = steps_of(recorded, recording.adapter, recording.account(), text=" ".join(words))
    calls, outcome = walk(steps, lambda number: answers[min(number, len(answers) - 1)])
    if isinstance(outcome, Failed):
        assert (outcome.reason, outcome.permanent) == ("invalid", True)
        return
    said = "".join(repr(call.body) for call in calls if not isinstance(call, ReadFile))
    assert [word for word in words if word not in said] == []


# What a reply may have beside its text.


@pytest.mark.parametrize("recording", [one for one in DELIVERED if BESIDE.keys() - one.adapter.can], ids=str)
def test_what_cannot_be_sent_is_refused_by_name(recording: Recording) -> None:
    for ability in BESIDE.keys() - recording.adapter.can:
        given = {ability: BESIDE[ability]}
        calls, outcome = walk(steps_of(recording.read(), recording.adapter, recording.account(), **given), no_answer)
        said = cannot_send(recording.folder, ability)
        assert (calls, outcome) == ([], Failed(reason="invalid", detail=said, permanent=True))


def no_answer(number: int) -> HttpAnswer:
    raise AssertionError("nothing should be called")


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_what_can_be_sent_is_recorded(folder: Path) -> None:
    mine = [recording for recording in DELIVERED if recording.folder == folder.name]
    shown = {ability for recording in mine for ability in asked_of(delivery_of(recording.read()).reply)}
    assert shown == adapter_of(folder.name).can


# Probes.


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_a_probe_is_recorded_with_right_and_wrong_credentials(folder: Path) -> None:
    outcomes = [one.read()["outcome"] for one in PROBED if one.folder == folder.name]
    if adapter_of(folder.name).probe is None:
        assert outcomes == []
        return
    assert any("sent" in outcome for outcome in outcomes)
    assert any(outcome.get("failed", {}).get("reason") == "auth" for outcome in outcomes)


@pytest.mark.parametrize("recording", PROBED, ids=str)
def test_a_probe_changes_nothing(recording: Recording) -> None:
    assert [call["safe"] for call in recording.read()["calls"]] in ([], [True])


# Operations.


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_every_operation_is_recorded(folder: Path) -> None:
    recorded = {one.read().get("operation") for one in OUTBOUND if one.folder == folder.name}
    assert recorded - {None} == set(adapter_of(folder.name).operations)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_the_arguments_of_operations_leave_the_words_of_rules_alone(folder: Path) -> None:
    operations = adapter_of(folder.name).operations
    assert [name for name, one in operations.items() if RESERVED & set(one.arguments.model_fields)] == []


@pytest.mark.parametrize("recording", [one for one in OUTBOUND if "operation" in one.read()], ids=str)
def test_what_an_operation_finds_is_as_it_says(recording: Recording) -> None:
    """Plain JSON, of no other facts than those which rules may remember."""
    recorded, answers = recording.read(), answers_of(recording.read())
    operation = recording.adapter.operations[recorded["operation"]]
    _, outcome = walk(steps_of(recorded, recording.adapter, recording.account()), lambda number: answers[number])
    if isinstance(outcome, Sent) and outcome.found is not None:
        assert json.loads(json.dumps(outcome.found)) == outcome.found == recorded["outcome"]["sent"]["found"]
        assert isinstance(outcome.found, dict)
        assert set(outcome.found) <= set(operation.finds)
        assert all(outcome.found[name] is not None for name in operation.always)


# Secrets.


@pytest.mark.parametrize("recording", [*INBOUND, *OUTBOUND], ids=str)
def test_no_secret_is_shown(recording: Recording) -> None:
    account = recording.account()
    secrets = secrets_of(account)
    shown = [repr(account), str(account)]
    if recording in OUTBOUND:
        recorded, answers = recording.read(), answers_of(recording.read())
        calls, outcome = walk(steps_of(recorded, recording.adapter, account), lambda number: answers[number])
        shown += [repr(outcome), *map(repr, calls), *(call.url for call in calls if isinstance(call, HttpCall))]
    assert [secret for secret in secrets if any(secret in text for text in shown)] == []


# The folder.


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_the_folder(folder: Path) -> None:
    adapter = adapter_of(folder.name)
    assert adapter.name == folder.name
    assert adapter.account.model_fields["platform"].default == folder.name
    assert ADAPTERS.get(folder.name, adapter) is adapter
    assert any((folder / "fixtures").glob("*/*.json"))
    assert all(operation.about.endswith(".") for operation in adapter.operations.values())


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_the_document(folder: Path) -> None:
    text, adapter = (folder / "doc.md").read_text(encoding="utf-8"), adapter_of(folder.name)
    assert text.startswith("# ")
    assert [heading for heading in HEADINGS if f"\n## {heading}\n" not in text] == []
    own = [name for name in adapter.account.model_fields if name not in Account.model_fields]
    assert [name for name in [*own, *adapter.operations] if f"`{name}`" not in text] == []
    assert [key for key in adapter.to_keys if not re.search(rf"\b{key}\b", text)] == []
    facts = {fact for operation in adapter.operations.values() for fact in operation.finds}
    assert [fact for fact in facts if f"`{fact}`" not in text] == []


def test_every_registered_platform_has_its_folder() -> None:
    assert set(ADAPTERS) <= {folder.name for folder in FOLDERS}
    assert len(FOLDERS) >= 4
