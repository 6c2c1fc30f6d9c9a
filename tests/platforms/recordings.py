"""The recordings in the platforms' folders, read and played.

A recording of a request may name its account's options (`account`). One of what goes out is a `delivery`, an
`operation` or a `probe`; it may name the moment of its calls (`at`, for calls that are signed) or the token of an
earlier log-in (`token`).
"""

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

from msgspec import Struct, convert, structs

from bridge import platforms
from bridge.adapter.account import Account
from bridge.adapter.protocol import Adapter, HttpAnswer, Post, ReadFile, SignedCall, Step, Steps, Webhook
from bridge.adapter.secret import Secret
from bridge.model.delivery import Delivery, Outcome, Reply
from bridge.model.event import Event
from tests.values import a_delivery

FOLDERS = sorted(path.parent for path in Path(platforms.__file__).parent.glob("*/__init__.py"))
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
        account: Account = self.adapter.account.model_validate(self.read().get("account", {"name": self.folder}))
        return account


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


def plain(value: object) -> Any:
    """A value as the recordings write it."""

    def simple(item: object) -> object:
        if isinstance(item, datetime):
            return item.astimezone(UTC).isoformat().replace("+00:00", "Z")
        if isinstance(item, Event):
            told = structs.asdict(item)
            # Most events have neither, and a recording says only what there is.
            return {name: told[name] for name in told if name not in ("reference", "messages") or told[name]}
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


def steps_of(recorded: dict[str, Any], adapter: Adapter[Any], account: Any, **reply: Any) -> Steps:
    """The steps of what is recorded; a delivery's reply may be given other values."""
    if "token" in recorded:
        account.session.token = Secret(recorded["token"])
    if "probe" in recorded:
        assert adapter.probe is not None
        return adapter.probe(account)
    if "operation" in recorded:
        operation = adapter.operations[recorded["operation"]]
        arguments = operation.arguments.model_validate(recorded["arguments"])
        return operation.begin(arguments, a_delivery(to=recorded["to"], reply=Reply(text="")), account)
    delivery = delivery_of(recorded)
    return adapter.send(structs.replace(delivery, reply=structs.replace(delivery.reply, **reply)), account)


def delivery_of(recorded: dict[str, Any]) -> Delivery:
    return convert(recorded["delivery"], Delivery)


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
    if isinstance(call, ReadFile):
        return {"file": call.url}
    headers = dict(call.headers)
    if isinstance(call, SignedCall):
        assert at is not None, "a recording of a signed call says at which moment it is made"
        headers |= call.sign(datetime.fromisoformat(at))
    made = {"method": call.method, "url": call.url, "headers": headers, "safe": call.safe, "guarded": call.guarded}
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
