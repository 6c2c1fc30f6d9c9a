"""The recordings in the platform's folder: requests in, events out; deliveries in, calls out."""

import base64
import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct, structs

from bridge.adapter.protocol import Answer, HttpAnswer, HttpCall, Standing, Webhook
from bridge.model.delivery import Delivery, Failed, Outcome, Reply, Sent
from bridge.platforms import omnidesk
from bridge.platforms.omnidesk import adapter
from bridge.platforms.omnidesk.account import OmnideskAccount
from bridge.platforms.omnidesk.operations import OPERATIONS

FIXTURES = Path(omnidesk.__file__).parent / "fixtures"
INBOUND = sorted(p for p in (FIXTURES / "inbound").glob("*.json") if not p.name.endswith(".events.json"))
OUTBOUND = sorted((FIXTURES / "outbound").glob("*.json"))


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


def recorded_request(recorded: dict[str, Any]) -> Webhook:
    body = recorded["body"].encode() if "body" in recorded else base64.b64decode(recorded["body_base64"])
    given = {name: recorded[name] for name in ("method", "path", "operation", "query", "headers")}
    return Webhook(**given, body=body, received_at=datetime.fromisoformat(recorded["received_at"]))


@pytest.mark.parametrize("path", INBOUND, ids=lambda p: p.stem)
def test_a_recorded_request(path: Path) -> None:
    recorded = json.loads(path.read_bytes())
    expected = json.loads(path.with_suffix(".events.json").read_bytes())
    request, account = recorded_request(recorded), OmnideskAccount.model_validate(recorded["account"])
    adapter.verify(request, account)
    notice = adapter.parse(request, account)
    assert [plain(event) for event in notice.events] == expected["events"]
    uploads = [{"name": u.name, "content_base64": base64.b64encode(u.content).decode()} for u in notice.uploads]
    assert uploads == expected.get("uploads", [])
    answer = notice.answer
    if not isinstance(answer, Answer):
        answer = answer(Standing(**expected["standing"]))
    assert {**asdict(answer), "body": json.loads(answer.body)} == expected["answer"]


def outcome_as_recorded(outcome: Outcome) -> dict[str, object]:
    name = {Sent: "sent", Failed: "failed"}[type(outcome)]
    return {name: asdict(outcome)}


@pytest.mark.parametrize("path", OUTBOUND, ids=lambda p: p.stem)
def test_a_recorded_delivery(path: Path) -> None:
    recorded = json.loads(path.read_bytes())
    account = OmnideskAccount.model_validate(recorded["account"])
    given = recorded["delivery"]
    delivery = Delivery(
        **{**given, "reply": Reply(**given["reply"]), "created_at": datetime.fromisoformat(given["created_at"])}
    )
    steps, calls, answers = adapter.send(delivery, account), [], iter(recorded["answers"])
    answer: HttpAnswer | None = None
    while True:
        try:
            call = steps.send(answer) if answer else next(steps)
        except StopIteration as end:
            outcome: Outcome = end.value
            break
        assert isinstance(call, HttpCall)
        assert not call.safe
        assert call.body is not None
        calls.append(
            {"method": call.method, "url": call.url, "headers": dict(call.headers), "body": call.body.decode()}
        )
        say = next(answers)
        answer = HttpAnswer(status=say["status"], headers=say.get("headers", {}), body=say.get("body", "").encode())
    assert calls == recorded["calls"]
    assert outcome_as_recorded(outcome) == recorded["outcome"]
    assert list(answers) == []


def test_every_operation_is_recorded() -> None:
    recorded = {json.loads(path.read_bytes())["operation"] for path in INBOUND}
    assert recorded == set(OPERATIONS)
    assert len(OUTBOUND) >= 20


def test_the_routes() -> None:
    routes = [(route.method, route.path, route.what, route.uploads) for route in adapter.routes]
    path = "/api/v2/chat/{operation}"
    assert routes == [("POST", path, "webhook", True), ("GET", path, "webhook", False)]
    assert (adapter.name, adapter.to_keys) == ("omnidesk", ("session", "chat_server"))
