"""The example requests of the platforms' own pages are among the recordings, with every field as it stands there."""

import json
from pathlib import Path
from typing import Any

import pytest

from bridge import platforms

HERE = Path(platforms.__file__).parent

EXAMPLES: dict[str, dict[str, Any]] = {
    # The page's markdownText has no question mark at its end; here both texts are made of one, so both have it.
    "helpcrunch/as_documented": {
        "chat": 5215261,
        "text": "Can you can a can as a canner can can a can?",
        "markdownText": "Can you can a **can** as a canner can can a **can**?",
        "agent": 4188,
        "type": "message",
    },
    "edna/agent_as_documented": {
        "text": "message",
        "attachments": [],
        "clientId": "clientId",
        "channelType": "MOBILE",
        "login": "login",
        "status": "READY",
    },
    "edna/agent_with_attachment": {
        "text": "message",
        "attachments": [{"url": "http://...", "name": "test.jpg", "type": "image/jpeg", "size": 256}],
        "clientId": "clientId",
        "channelType": "MOBILE",
        "login": "login",
        "status": "READY",
    },
    # This page shows an image only, and names the other fields without values.
    "chayns/picture_as_documented": {
        "Message": "Training is at 7",
        "UserIds": [1001, 1002],
        "Images": [{"url": "https://tsimg.space/v1/Images/f16d3d26-9cdc-e611-837b-00155d00f416.jpg"}],
    },
    "groupalarm/as_documented": {"message": "string"},
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_documented_request_is_what_is_sent(name: str) -> None:
    folder, _, recording = name.partition("/")
    recorded = json.loads((HERE / folder / "fixtures/outbound" / f"{recording}.json").read_bytes())
    written = json.dumps(EXAMPLES[name], ensure_ascii=False, separators=(",", ":"))
    assert recorded["calls"][-1]["body"] == written
    assert "sent" in recorded["outcome"]
