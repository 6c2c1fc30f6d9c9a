"""The recordings in the platform's folder: requests in, events out; deliveries and operations in, calls out."""

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct, structs

from bridge.adapter.protocol import Answer, HttpAnswer, HttpCall, Steps, Webhook
from bridge.adapter.secret import Secret
from bridge.model.delivery import Delivery, Reply
from bridge.platforms import edna
from bridge.platforms.edna import adapter
from bridge.platforms.edna.account import EdnaAccount
from bridge.platforms.edna.message import PATHS
from tests.platforms.edna_calls import walk

FIXTURES = Path(edna.__file__).parent / "fixtures"
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


@pytest.mark.parametrize("path", INBOUND, ids=lambda p: p.stem)
def test_a_recorded_request(path: Path) -> None:
    recorded = json.loads(path.read_bytes())
    expected = json.loads(path.with_suffix(".events.json").read_bytes())
    given = {name: recorded[name] for name in ("method", "path", "operation", "headers", "remote")}
    received_at = datetime.fromisoformat(recorded["received_at"])
    request = Webhook(**given, body=recorded["body"].encode(), received_at=received_at)
    account = EdnaAccount.model_validate(recorded["account"])
    adapter.verify(request, account)
    notice = adapter.parse(request, account)
    assert [plain(event) for event in notice.events] == expected["events"]
    assert isinstance(notice.answer, Answer)
    assert {**asdict(notice.answer), "body": notice.answer.body.decode()} == expected["answer"]


def begun(recorded: dict[str, Any], account: EdnaAccount) -> Steps:
    if "operation" in recorded:
        operation = adapter.operations[recorded["operation"]]
        return operation.steps(operation.arguments.model_validate(recorded["arguments"]), recorded["to"], account)
    given = recorded["delivery"]
    created_at = datetime.fromisoformat(given["created_at"])
    return adapter.send(Delivery(**{**given, "reply": Reply(**given["reply"]), "created_at": created_at}), account)


def as_recorded(call: HttpCall) -> dict[str, object]:
    body = None if call.body is None else call.body.decode()
    return {"method": call.method, "url": call.url, "headers": dict(call.headers), "body": body, "safe": call.safe}


@pytest.mark.parametrize("path", OUTBOUND, ids=lambda p: p.stem)
def test_a_recorded_delivery_or_operation(path: Path) -> None:
    recorded = json.loads(path.read_bytes())
    account = EdnaAccount.model_validate(recorded["account"])
    if "token" in recorded:
        account.session.token = Secret(recorded["token"])
    answers = [HttpAnswer(**{**answer, "body": answer.get("body", "").encode()}) for answer in recorded["answers"]]
    calls, outcome = walk(begun(recorded, account), answers)
    assert [as_recorded(call) for call in calls] == recorded["calls"]
    assert {type(outcome).__name__.lower(): asdict(outcome)} == recorded["outcome"]


def test_every_action_operation_and_way_is_recorded() -> None:
    actions = {json.loads(json.loads(path.read_bytes())["body"])["action"] for path in INBOUND}
    assert actions == {"MESSAGE", "INIT_CHAT", "TRAINING", "WEBVIEW_CLOSED", "SOMETHING_NEW"}
    outbound = [json.loads(path.read_bytes()) for path in OUTBOUND]
    assert {one["operation"] for one in outbound if "operation" in one} == set(adapter.operations)
    paths = {call["url"].removeprefix("https://company.example") for one in outbound for call in one["calls"]}
    assert set(PATHS.values()) < paths


def test_the_routes() -> None:
    routes = [(route.method, route.path, route.what) for route in adapter.routes]
    assert routes == [("POST", "/hooks/{account}/{operation}", "webhook"), ("POST", "/hooks/{account}", "webhook")]
