"""The recordings in the platform's folder: requests in, events out; deliveries and operations in, calls out."""

import json
from pathlib import Path

from bridge.platforms import edna
from bridge.platforms.edna import adapter
from bridge.platforms.edna.message import PATHS

FIXTURES = Path(edna.__file__).parent / "fixtures"
INBOUND = sorted(p for p in (FIXTURES / "inbound").glob("*.json") if not p.name.endswith(".events.json"))
OUTBOUND = sorted((FIXTURES / "outbound").glob("*.json"))


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
