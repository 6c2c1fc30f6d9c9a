"""What every platform must keep, tried on every folder under bridge/platforms with the folder's own recordings.

A new folder is found by itself. A recording of a request may name its account's options (`account`), and one of a
delivery the moment of its calls (`at`, for calls that are signed) or the token of an earlier log-in (`token`).
"""

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct, structs

from bridge import platforms
from bridge.adapter.account import Account
from bridge.adapter.answers import retry_after
from bridge.adapter.protocol import (
    Adapter,
    Answer,
    HttpAnswer,
    HttpCall,
    Post,
    SignedCall,
    Standing,
    Step,
    Steps,
    Webhook,
)
from bridge.adapter.secret import Secret
from bridge.errors import Refused
from bridge.model.delivery import REASONS, Delivery, Failed, Outcome, Reply, Sent, Unknown
from bridge.platforms.registry import ADAPTERS
from tests.values import NOON

FOLDERS = sorted(path.parent for path in Path(platforms.__file__).parent.glob("*/__init__.py"))
HEADINGS = ("Set up", "Settings", "Limits")
MOST_CALLS = 10_000


@dataclass(frozen=True, kw_only=True)
class Recording:
    """One file of a folder's fixtures."""

    folder: str
    path: Path

    def __str__(self) -> str:
        return f"{self.folder}-{self.path.stem}"

    @property
    def adapter(self) -> Adapter[Any]:
        return adapter_of(self.folder)

    def read(self) -> dict[str, Any]:
        read: dict[str, Any] = json.loads(self.path.read_bytes())
        return read

    def account(self) -> Account:
        return self.adapter.account.model_validate(self.read().get("account", {"name": self.folder}))


def adapter_of(folder: str) -> Adapter[Any]:
    adapter = import_module(f"bridge.platforms.{folder}").adapter
    assert isinstance(adapter, Adapter)
    return adapter


def recordings(direction: str) -> list[Recording]:
    return [
        Recording(folder=folder.name, path=path)
        for folder in FOLDERS
        for path in sorted((folder / "fixtures" / direction).glob("*.json"))
        if not path.name.endswith(".events.json")
    ]


def is_sent_at_once(recording: Recording) -> bool:
    """Whether only its last call does something, so that what comes of that call is what comes of all of it."""
    recorded = recording.read()
    calls = recorded["calls"]
    is_by_http = bool(calls) and "mailbox" not in calls[-1]
    return "sent" in recorded["outcome"] and is_by_http and all(call["safe"] for call in calls[:-1])


INBOUND, OUTBOUND = recordings("inbound"), recordings("outbound")
SIGNED = [one for one in INBOUND if any("signature" in name for name in one.read()["headers"])]
SENT = [one for one in OUTBOUND if is_sent_at_once(one)]
DELIVERED = [one for one in OUTBOUND if "delivery" in (said := one.read()) and "sent" in said["outcome"]]


def plain(value: object) -> Any:
    """A value as the recordings write it."""

    def simple(item: object) -> object:
        if isinstance(item, datetime):
            return item.astimezone(UTC).isoformat().replace("+00:00", "Z")
        if isinstance(item, Struct):
            return structs.asdict(item)
        assert isinstance(item, timedelta)
        return item.total_seconds()

    return json.loads(json.dumps(value, default=simple))


def as_bytes(recorded: Mapping[str, Any]) -> bytes:
    return base64.b64decode(recorded["body_base64"]) if "body_base64" in recorded else recorded.get("body", "").encode()


def request_of(recorded: dict[str, Any], body: bytes | None = None) -> Webhook:
    given = {name: recorded[name] for name in ("method", "path", "operation", "query", "headers", "remote")
             if name in recorded}  # fmt: skip
    received_at = datetime.fromisoformat(recorded["received_at"])
    return Webhook(**given, body=as_bytes(recorded) if body is None else body, received_at=received_at)


def steps_of(recorded: dict[str, Any], adapter: Adapter[Any], account: Any, text: str | None = None) -> Steps:
    """The steps of a recorded delivery (with another text, if one is given), or of a recorded operation."""
    if "token" in recorded:
        account.session.token = Secret(recorded["token"])
    if "operation" in recorded:
        operation = adapter.operations[recorded["operation"]]
        return operation.steps(operation.arguments.model_validate(recorded["arguments"]), recorded["to"], account)
    given = recorded["delivery"]
    reply = Reply(**{**given["reply"], "text": given["reply"]["text"] if text is None else text})
    created_at = datetime.fromisoformat(given["created_at"])
    return adapter.send(Delivery(**{**given, "reply": reply, "created_at": created_at}), account)


def answers_of(recorded: dict[str, Any]) -> list[HttpAnswer]:
    return [
        HttpAnswer(status=say["status"], headers=say.get("headers", {}), body=as_bytes(say))
        for say in recorded["answers"]
    ]


def walk(steps: Steps, answer: Callable[[int], HttpAnswer]) -> tuple[list[Step], Outcome]:
    """The calls that are made while `answer` answers them by their number, and the outcome."""
    calls: list[Step] = []
    try:
        call = next(steps)
        while len(calls) < MOST_CALLS:
            calls.append(call)
            call = steps.send(answer(len(calls) - 1))
    except StopIteration as end:
        outcome: Outcome = end.value
        return calls, outcome
    raise AssertionError(f"no outcome after {MOST_CALLS} calls")


def as_recorded(call: Step, recorded: Mapping[str, Any], at: str | None) -> dict[str, Any]:
    """What the recording says of the call, no more: a call without a body is recorded without, or as null."""
    if isinstance(call, Post):
        return {"mailbox": call.mailbox, "body": call.body}
    headers = dict(call.headers)
    if isinstance(call, SignedCall):
        assert at is not None, "a recording of a signed call says at which moment it is made"
        headers |= call.sign(datetime.fromisoformat(at))
    made = {"method": call.method, "url": call.url, "headers": headers, "safe": call.safe}
    if "body_base64" in recorded:
        made["body_base64"] = base64.b64encode(call.body or b"").decode()
    else:
        made["body"] = None if call.body is None else call.body.decode()
    return {name: value for name, value in made.items() if name in recorded or (name == "body" and value is not None)}


def secrets_in(value: object) -> Iterator[str]:
    """Every secret of an account's options, however deep in lists and tables."""
    if isinstance(value, Secret):
        yield value.reveal()
    elif isinstance(value, dict):
        for part in value.values():
            yield from secrets_in(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from secrets_in(part)


def secrets_of(account: Account) -> list[str]:
    return [text for name in type(account).model_fields for text in secrets_in(getattr(account, name))]


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
    answer = notice.answer if isinstance(notice.answer, Answer) else notice.answer(standing)
    body = answer.body.decode()
    assert {**asdict(answer), "body": body} == expected["answer"] or (
        {**asdict(answer), "body": json.loads(body)} == expected["answer"]
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
@pytest.mark.parametrize("body", [b"", b"\xff", b"[]", b"{", b"[" * 100_000, b'{"a":' * 900], ids=repr)
def test_hostile_bytes_are_refused_or_become_events(recording: Recording, body: bytes) -> None:
    refusal: Refused | None = None
    try:
        recording.adapter.parse(request_of(recording.read(), body), recording.account())
    except Refused as caught:
        refusal = caught
    assert refusal is None or (400 <= refusal.status < 500 and len(refusal.message) <= 500)


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


@pytest.mark.parametrize("recording", SENT, ids=str)
@pytest.mark.parametrize(
    ("status", "reasons", "permanent"),
    [
        (400, {"invalid"}, True),
        (401, {"auth"}, True),
        (403, {"auth", "refused"}, True),
        (404, {"not_found"}, True),
        (409, {"invalid", "unavailable"}, None),
        (410, {"not_found"}, True),
        (500, {"unavailable"}, False),
        (502, {"unavailable"}, False),
        (503, {"unavailable"}, False),
        (504, {"unavailable"}, False),
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html>\xff\0</html>", b"[[", b"null", b'{"errors":7,"data":7}'], ids=repr)
def test_a_refusal_is_classified(
    recording: Recording, status: int, reasons: set[str], permanent: bool | None, body: bytes
) -> None:
    outcome = ending(recording, status, body=body)
    assert isinstance(outcome, Failed)
    assert outcome.reason in reasons
    assert permanent is None or outcome.permanent is permanent
    assert outcome.detail.isprintable()


@pytest.mark.parametrize("recording", SENT, ids=str)
@pytest.mark.parametrize(("said", "seconds"), [("7", 7.0), ("Fri, 27 Mar 2026 12:00:30 GMT", 30.0), ("", None)])
def test_too_many_requests_are_heeded(recording: Recording, said: str, seconds: float | None) -> None:
    wait = retry_after({"retry-after": said}, NOON)
    # The door has turned either form into seconds by the time an adapter sees it.
    outcome = ending(recording, 429, {} if wait is None else {"retry-after": f"{wait:.0f}"})
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.permanent, outcome.retry_after) == ("rate_limited", False, seconds)


@pytest.mark.parametrize("recording", SENT, ids=str)
@pytest.mark.parametrize("status", [200, 201])
@pytest.mark.parametrize(
    "body", [b"", b"<html>\xff\0</html>", b"[" * 100_000, b"null", b'{"id":{}}'], ids=lambda b: repr(b[:9])
)
def test_a_success_that_cannot_be_read_comes_to_an_outcome(recording: Recording, status: int, body: bytes) -> None:
    outcome = ending(recording, status, body=body)
    assert isinstance(outcome, Sent | Failed | Unknown)
    assert isinstance(outcome, Sent) or outcome.reason in REASONS


@pytest.mark.parametrize("recording", DELIVERED, ids=str)
def test_a_long_text_is_sent_whole_or_refused(recording: Recording) -> None:
    words = [f"w{number}x" for number in range(1000)]
    recorded, answers = recording.read(), answers_of(recording.read())
    steps = steps_of(recorded, recording.adapter, recording.account(), " ".join(words))
    calls, outcome = walk(steps, lambda number: answers[min(number, len(answers) - 1)])
    if isinstance(outcome, Failed):
        assert (outcome.reason, outcome.permanent) == ("invalid", True)
        return
    said = "".join(repr(call.body) for call in calls)
    assert [word for word in words if word not in said] == []


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


def test_every_registered_platform_has_its_folder() -> None:
    assert set(ADAPTERS) <= {folder.name for folder in FOLDERS}
    assert len(FOLDERS) >= 4
