"""Omnidesk's chat API as a real server on a free port: what its description refuses, it refuses.

Sources: https://docs.omnidesk.io/omnidesk/api-specification/chat for the fields, and
https://docs.omnidesk.io/omnidesk/live-chat/chatbot-integration for the answer with a ticket. What its items hold is not
published: those here are this fake's own.
"""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import BodyPartReader, web

from tests.fakes.platform import FakePlatform, Wrong

KEY = "key-made-in-omnidesk"
PATH = "/api/v2/chat/"


@dataclass(frozen=True)
class Field:
    """What the description says of a field; `number` makes `least` and `most` bounds of the value."""

    required: bool = False
    least: int = 0
    most: int | None = None
    pattern: str = ""
    number: bool = False


_SERVER = Field(required=True, least=5, pattern=r"[a-zA-Z0-9.:/-]+")
_TOKEN = Field(required=True, least=10, pattern=r"[a-zA-Z0-9]+")
_SESSION = Field(required=True, least=10, pattern=r"[a-zA-Z0-9-]+")
_TEXT = Field(least=1)
CALLS: Mapping[str, Mapping[str, Field]] = {
    "requestChatConfig": {"chatServer": _SERVER, "chatAccountToken": _TOKEN},
    "notifyUserNewChatMessage": {
        "chatServer": _SERVER,
        "chatSessionID": Field(required=True, least=10, most=65, pattern=r"\+?[a-zA-Z0-9-]+"),
        "chatAccountToken": _TOKEN,
        "channelID": Field(number=True, least=1),
        "message": Field(required=True, least=1),
        "url": _TEXT,
        "messageNumber": Field(number=True, least=1, most=50),
        "usedPredefinedUserInput": _TEXT,
        "additionalData": _TEXT,
        "externalAddressOverwrite": _TEXT,
        "customerName": Field(pattern=r"[a-zA-Z 0-9]+"),
        "emailAddress": Field(pattern=r"[^@\s]+@[^@\s]+"),
        "phoneNumber": Field(pattern=r"\+[0-9]+"),
    },
    "notifyUserNewChatEvent": {
        "chatServer": _SERVER,
        "chatSessionID": _SESSION,
        "event": Field(required=True, pattern="startedtyping|stoppedtyping|expandedchat|minimizedchat"),
    },
    "notifyUserVisited": {"chatServer": _SERVER, "chatSessionID": _SESSION, "url": Field(required=True, least=4)},
    "notifyUserEndChat": {"chatServer": _SERVER, "chatSessionID": _SESSION},
    "addAttachment": {
        "chatServer": _SERVER,
        "chatSessionID": Field(required=True, least=10, pattern=r"\+?[a-zA-Z0-9-]+"),
        "chatAccountToken": _TOKEN,
        "phoneNumber": Field(pattern=r"\+?[0-9]+"),
        "messageNumber": Field(number=True),
    },
    "checkOriginAndIP": {
        "chatServer": _SERVER,
        "chatAccountToken": _TOKEN,
        "origin": Field(required=True, least=1, pattern=r"[a-zA-Z0-9.-]+"),
        "ip": Field(required=True, least=5),
    },
    "whitelistedDomainsAndBlacklistedIPs": {},
    "requestChatQueue": {"chatAccountToken": _TOKEN},
}
ITEMS: Mapping[str, Mapping[str, object]] = {
    "requestChatConfig": {"online": True},
    "checkOriginAndIP": {"allowed": True},
    "whitelistedDomainsAndBlacklistedIPs": {"whitelistedDomains": ["shop.example"], "blacklistedIPs": []},
    "requestChatQueue": {"open": 3},
}


class Omnidesk(FakePlatform):
    """`async with Omnidesk() as fake:`; `fake.url` is the account's base_url.

    `received` are the calls that were in order, as (name, fields), whatever was answered; `files` those of
    addAttachment, as (name, content); `tickets` has one for each session; `refused` what was turned away. `answers` is
    used up one a call that is in order. `takes` is the content type it wants.
    """

    def __init__(self, *, takes: str = "multipart/form-data") -> None:
        super().__init__()
        self.received: list[tuple[str, dict[str, Any]]] = []
        self.files: list[tuple[str | None, bytes]] = []
        self.tickets: dict[str, int] = {}
        self.refused: list[tuple[int, str]] = []
        self._takes = takes

    def names(self) -> list[str]:
        return [name for name, _ in self.received]

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        try:
            name, fields = await self._understood(request)
        except Wrong as wrong:
            self.refused.append((wrong.status, wrong.message))
            return web.json_response({"status": "error", "message": wrong.message}, status=wrong.status)
        self.received.append((name, fields))
        return await self._as_planned(request, lambda: web.json_response(self._told(name, fields)))

    def _told(self, name: str, fields: Mapping[str, Any]) -> dict[str, object]:
        if name in ITEMS:
            return {"type": "item", "item": ITEMS[name]}
        if name != "notifyUserNewChatMessage":
            return {"type": "result", "message": "Done."}
        ticket = self.tickets.setdefault(fields["chatSessionID"], 7001 + len(self.tickets))
        return {"type": "result", "message": "Message sent.", "ticketID": ticket}

    async def _understood(self, request: web.Request) -> tuple[str, dict[str, Any]]:
        name = request.path.removeprefix(PATH)
        if not request.path.startswith(PATH) or name not in CALLS:
            raise Wrong(404, f"{request.path}: no such call")
        if request.method != ("GET" if name == "whitelistedDomainsAndBlacklistedIPs" else "POST"):
            raise Wrong(405, f"{request.method}: wrong method")
        if request.headers.getall("apiKey", []) != [KEY]:
            raise Wrong(401, "apiKey: missing or wrong")
        if name != "addAttachment" and request.query_string:
            raise Wrong(400, "no query is expected")
        fields = await self._body(request) if request.method == "POST" else {}
        if name == "addAttachment":
            self._take_file(fields)
            fields = dict(request.query)
        check(fields, CALLS[name], as_text=name == "addAttachment" or self._takes != "application/json")
        return name, fields

    async def _body(self, request: web.Request) -> dict[str, Any]:
        if request.content_type != self._takes:
            raise Wrong(415, f"content-type: {self._takes} is expected, not {request.content_type}")
        if self._takes == "application/json":
            body = json.loads(await request.read())
            if not isinstance(body, dict):
                raise Wrong(400, "an object is expected")
            return body
        if self._takes == "application/x-www-form-urlencoded":
            return dict(await request.post())
        return await _parts(request)

    def _take_file(self, body: dict[str, Any]) -> None:
        if set(body) != {"file"}:
            raise Wrong(400, "file: required, alone in the body")
        file = body["file"]
        if isinstance(file, tuple):
            self.files.append(file)
            return
        try:
            self.files.append((None, base64.b64decode(file, validate=True)))
        except ValueError:
            raise Wrong(400, "file: neither a part with a file name nor Base64") from None


async def _parts(request: web.Request) -> dict[str, Any]:
    """The fields as texts; a part with a file name as (name, content)."""
    fields: dict[str, Any] = {}
    try:
        reader = await request.multipart()
        async for part in reader:
            if not isinstance(part, BodyPartReader) or part.name is None or part.name in fields:
                raise Wrong(400, "a part without a name of its own")
            content = bytes(await part.read())
            fields[part.name] = content.decode() if part.filename is None else (part.filename, content)
    except ValueError as error:
        raise Wrong(400, f"not multipart/form-data: {error}") from None
    return fields


def check(given: Mapping[str, Any], known: Mapping[str, Field], *, as_text: bool) -> None:
    for name in given:
        if name not in known:
            raise Wrong(400, f"{name}: unknown field")
    for name, field in known.items():
        if name not in given:
            if field.required:
                raise Wrong(400, f"{name}: required")
            continue
        value = given[name]
        if field.number:
            _check_number(name, value, field, as_text=as_text)
        elif not isinstance(value, str) and not (name == "usedPredefinedUserInput" and isinstance(value, bool)):
            raise Wrong(400, f"{name}: wrong type")
        elif isinstance(value, str) and not field.least <= len(value) <= (field.most or len(value)):
            raise Wrong(400, f"{name}: wrong length")
        elif field.pattern and not (isinstance(value, str) and re.fullmatch(field.pattern, value)):
            raise Wrong(400, f"{name}: wrong form")


def _check_number(name: str, value: object, field: Field, *, as_text: bool) -> None:
    if isinstance(value, str) and as_text and re.fullmatch("[0-9]+", value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Wrong(400, f"{name}: wrong type")
    if value < field.least or (field.most is not None and value > field.most):
        raise Wrong(400, f"{name}: out of range")
