"""A receiver of Standard Webhooks as a real server on a free port; what the standard asks of a sender, it checks.

The standard: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md. The signature
is computed here anew, from the decoded key that the test gives.
"""

import hashlib
import hmac
import json
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from tests.fakes.platform import FakePlatform

PATH = "/in"
CALLS = "/calls"


@dataclass(frozen=True, kw_only=True, slots=True)
class Called:
    """A call that was in order; `query` is without its question mark."""

    method: str
    query: str
    headers: Mapping[str, str]
    body: object


class Receiver(FakePlatform):
    """`async with Receiver(key, now) as fake:`; `fake.url` is the account's url, `now` its clock (seconds since 1970).

    `taken` are the bodies of the webhooks taken, each once however often it came; `attempts` counts every one that was
    in order; `refused` are the complaints about others. `answers` is used up one a webhook that is in order. Below
    `calls_url` any method is taken: `called` are those, each once, and `found` is what they are answered.
    """

    PATH = PATH

    def __init__(self, key: bytes, now: float) -> None:
        super().__init__()
        self.taken: dict[str, dict[str, Any]] = {}
        self.attempts = 0
        self.refused: list[str] = []
        self.now = now
        self.called: dict[str, Called] = {}
        self.found: object = {"ok": True}
        self._key = key

    @property
    def calls_url(self) -> str:
        return self.url.removesuffix(PATH) + CALLS

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        wrong = self._wrong(request, body)
        if wrong is not None:
            self.refused.append(wrong)
            return web.Response(status=400, text=wrong)
        self.attempts += 1
        return await self._as_planned(request, lambda: self._taken(request, body))

    def _taken(self, request: web.Request, body: bytes) -> web.Response:
        name = request.headers["webhook-id"]
        if request.path == CALLS:
            said = json.loads(body) if body else None
            headers = {key.lower(): value for key, value in request.headers.items()}
            called = Called(method=request.method, query=request.query_string, headers=headers, body=said)
            self.called.setdefault(name, called)
            return web.json_response(self.found)
        self.taken.setdefault(name, json.loads(body))
        return web.Response(status=204)

    def _wrong(self, request: web.Request, body: bytes) -> str | None:
        if request.path == CALLS:
            if body and (request.method == "GET" or request.headers.get("Content-Type") != "application/json"):
                return "body: it is JSON, and a GET has none"
            return self._unsigned(request, body)
        if request.method != "POST" or request.path_qs != PATH:
            return f"{request.method} {request.path_qs}: only POST {PATH} is taken"
        if request.headers.get("Content-Type") != "application/json":
            return "content-type: application/json is expected"
        wrong = self._unsigned(request, body)
        if wrong is not None:
            return wrong
        said = json.loads(body)
        if not isinstance(said, dict) or set(said) != {"type", "timestamp", "data"}:
            return "body: type, timestamp and data are expected"
        return None

    def _unsigned(self, request: web.Request, body: bytes) -> str | None:
        name = request.headers.get("webhook-id", "")
        seconds = request.headers.get("webhook-timestamp", "")
        if not name or "." in name or not re.fullmatch(r"[0-9]+", seconds) or abs(int(seconds) - self.now) > 300:
            return "webhook-id or webhook-timestamp: missing, malformed or too far from now"
        digest = hmac.new(self._key, f"{name}.{seconds}.".encode() + body, hashlib.sha256).digest()
        if f"v1,{b64encode(digest).decode()}" not in request.headers.get("webhook-signature", "").split(" "):
            return "webhook-signature: none of them is right"
        if request.headers.get("Idempotency-Key") != f'"{name}"':
            return "idempotency-key: the id as a quoted text is expected"
        return None
