"""Recorded webhooks: those that come with each platform, and a person's own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.resources.abc import Traversable
from typing import Any

import orjson
from pydantic import AwareDatetime, Base64Bytes, BaseModel, ConfigDict, Field, ValidationError

from bridge.adapter.protocol import Webhook
from bridge.errors import BridgeError, did_you_mean
from bridge.model.event import Kind, Sender

MOST = 32 * 1024**2
"""Bytes of a recording that are read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recording:
    """A request as it was received; `options` are those of the account for which it was, where they are known."""

    name: str
    webhook: Webhook
    options: Mapping[str, object] | None = None


def names(home: Traversable) -> list[str]:
    """The recordings in a platform's folder."""
    folder = _folder(home)
    files = [file.name for file in folder.iterdir()] if folder.is_dir() else []
    return sorted(name.removesuffix(".json") for name in files if name.endswith(".json") and name.count(".") == 1)


def holds(home: Traversable, name: str) -> list[tuple[Kind, Sender]]:
    """What a recording of a platform's folder tells of: the kind of each event, and who it is by."""
    expected = _folder(home) / f"{name}.events.json"
    events = orjson.loads(expected.read_bytes())["events"] if expected.is_file() else []
    return [(event["kind"], event["sender"]) for event in events]


def find(home: Traversable, wanted: str) -> list[str]:
    """The recording of this name, or else those that tell of an event of this kind by the contact, the plainest first.

    Raises BridgeError where there is neither.
    """
    known = names(home)
    if wanted in known:
        return [wanted]
    of_kind = [name for name in known if any(held == (wanted, "contact") for held in holds(home, name))]
    if of_kind:
        return sorted(of_kind, key=lambda name: (not name.startswith(wanted), name))
    hint = did_you_mean(wanted, known) or f"; there is {', '.join(known) or 'none'}"
    raise BridgeError(f'{home.name} has no recording "{wanted}"{hint}')


def shipped(
    home: Traversable, name: str, at: datetime, suits: Callable[[Recording], bool] = lambda _: True
) -> Recording:
    """A recording of a platform's folder; of several, the first that `suits`, if any does.

    Raises BridgeError as `find` does.
    """
    found = [read((_folder(home) / f"{one}.json").read_bytes(), one, at) for one in find(home, name)]
    return next((one for one in found if suits(one)), found[0])


def read(data: bytes, name: str, at: datetime) -> Recording:
    """A recording in the form of those that come with the platforms (`method`, `headers`, `body`...), or, where it has
    no such parts, the body alone. Where it does not say when it was received, it was `at`.

    Raises BridgeError: it is too large, or a part of it is not what it should be.
    """
    if len(data) > MOST:
        raise BridgeError(f"{name}: larger than {MOST} bytes")
    try:
        whole = orjson.loads(data)
    except orjson.JSONDecodeError:
        whole = None
    if not isinstance(whole, dict) or not {"headers", "method"} & whole.keys():
        kind = "application/x-www-form-urlencoded" if whole is None else "application/json"
        # Standard Webhooks name each webhook in a header, and a body alone has none.
        headers = {"content-type": kind, "webhook-id": "simulated"}
        return Recording(name=name, webhook=Webhook(method="POST", path="", headers=headers, body=data, received_at=at))
    try:
        written = _Written.model_validate_json(data)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)
        lines = [f"{name}: {'.'.join(map(str, one['loc']))}: {one['msg']}" for one in wrong]
        raise BridgeError("\n".join(lines)) from None
    return Recording(name=name, webhook=written.webhook(at), options=written.account)


class _Written(BaseModel):
    """A recording as it is written. A `body` that is not a text is written as JSON."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    account: dict[str, Any] | None = None
    method: str = "POST"
    path: str = ""
    operation: str = ""
    query: dict[str, str] = Field(default_factory=dict)
    headers: dict[str, str] = Field(default_factory=dict)
    remote: str = ""
    received_at: AwareDatetime | None = None
    body: Any = ""
    body_base64: Base64Bytes | None = None

    def webhook(self, at: datetime) -> Webhook:
        body = self.body.encode(errors="replace") if isinstance(self.body, str) else orjson.dumps(self.body)
        return Webhook(
            method=self.method,
            path=self.path,
            operation=self.operation,
            query=self.query,
            headers={name.lower(): value for name, value in self.headers.items()},
            remote=self.remote,
            body=body if self.body_base64 is None else self.body_base64,
            received_at=self.received_at or at,
        )


def _folder(home: Traversable) -> Traversable:
    return home / "fixtures" / "inbound"
