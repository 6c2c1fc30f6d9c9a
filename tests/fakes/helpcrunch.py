"""HelpCrunch's API as a real server on a free port: what the documentation refuses, it refuses.

Sources: https://docs.helpcrunch.com/rest-api-v1/create-message-v1 and .../search-chats-v1. As there, a message without
an agent is posted in the name of the customer.
"""

import asyncio
import json
from collections import deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from tests.fakes.chat_server import Behaviour, Say

KEY = "hc-key-1234567890abcdef"
AGENT = {"id": 4188, "name": "Olha", "email": "olha@shop.example", "role": "agent"}
SEARCHABLE = {"chats.customer": "id", "chats.customer.email": "email", "chats.customer.userId": "userId"}
SORTS = ("chats.createdAt", "chats.lastCustomerMessageAt", "chats.lastMessageAt", "chats.closedAt")


def too_many(after: str | None = None) -> Say:
    """The documented 429; `after` is its Retry-After, which the documentation does not promise."""
    return Say(
        status=429,
        headers={"Retry-After": after} if after is not None else {},
        body=json.dumps(errors(("too_many_requests", "Too many requests"))),
    )


def errors(*told: tuple[str, str]) -> dict[str, object]:
    """An error's body in the newer form: a general item, then what is wrong."""
    listed = [("invalid_request", "Invalid request"), *told]
    return {"errors": [{"code": code, "message": message} for code, message in listed]}


class Wrong(Exception):  # noqa: N818 - it is an answer
    def __init__(self, status: int, *told: tuple[str, str]) -> None:
        self.status = status
        self.told = told


class HelpCrunch:
    """`async with HelpCrunch() as fake:`; `fake.url` is the account's base_url.

    `messages` are those posted, in order; `searches` the bodies of searches; `refused` what was turned away.
    `answers` is used up one a request that is in order; a request that is answered so has taken effect all the same
    only where its connection hangs or is reset.
    """

    def __init__(self, *, api_key: str = KEY) -> None:
        self.chats: dict[int, dict[str, Any]] = {}
        self.messages: list[dict[str, Any]] = []
        self.searches: list[dict[str, Any]] = []
        self.refused: list[tuple[int, str]] = []
        self.answers: deque[Behaviour] = deque()
        self.url = ""
        self._api_key = api_key
        self._closing = asyncio.Event()

    def add_chat(self, number: int, customer: Mapping[str, object], *, status: str = "opened", last: int = 0) -> None:
        """A chat of this customer ({id, email, userId, ...}), whose last message was `last` seconds after the first."""
        self.chats[number] = {
            "id": number,
            "status": status,
            "customer": {"name": None, "email": None, "userId": None, **customer},
            "createdAt": "1603885000",
            "lastMessageAt": f"{1603885000 + last}.913",
            "lastMessageText": "…",
            "assignee": None,
        }

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        try:
            act = await self._understood(request)
        except Wrong as wrong:
            self.refused.append((wrong.status, wrong.told[-1][0]))
            return web.json_response(errors(*wrong.told), status=wrong.status)
        behaviour = self.answers.popleft() if self.answers else None
        if isinstance(behaviour, Say):
            return web.Response(status=behaviour.status, headers=behaviour.headers, text=behaviour.body)
        done = act()
        if behaviour == "hang":
            await self._closing.wait()
        if behaviour is not None and request.transport is not None:
            request.transport.abort()
        return web.json_response(done)

    async def _understood(self, request: web.Request) -> Callable[[], dict[str, Any]]:
        """What the request asks for, checked and ready to be done."""
        if request.headers.getall("Authorization", []) != [f"Bearer {self._api_key}"]:
            raise Wrong(401, ("unauthorized", "Unauthorized"))
        known = {"/v1/messages": self._message, "/v1/chats/search": self._search}.get(request.path)
        if known is None or request.query_string:
            raise Wrong(404, ("not_found", "Not found"))
        if request.method != "POST":
            raise Wrong(405, ("method_not_allowed", "Method not allowed"))
        if request.content_type != "application/json":
            raise Wrong(415, ("content_type", "Unsupported media type"))
        try:
            body = json.loads(await request.read())
        except ValueError:
            raise Wrong(400, ("body", "Syntax error")) from None
        if not isinstance(body, dict):
            raise Wrong(400, ("body", "This value should be of type array."))
        return known(body)

    def _message(self, body: dict[str, Any]) -> Callable[[], dict[str, Any]]:
        kinds = {"chat": int, "text": str, "type": str, "agent": int, "markdownText": str}
        _check(body, kinds, required=("chat", "text", "type"))
        if not body["text"]:
            raise Wrong(400, ("text", "This value should not be blank."))
        if body["type"] not in ("message", "private"):
            raise Wrong(400, ("type", "The value you selected is not a valid choice."))
        if body["chat"] not in self.chats:
            raise Wrong(404, ("not_found", "Not found"))
        if body.get("agent", AGENT["id"]) != AGENT["id"]:
            raise Wrong(400, ("agent", "This value is not valid."))

        def post() -> dict[str, Any]:
            message = {
                "id": 542335 + len(self.messages),
                "agent": AGENT if "agent" in body else None,
                "type": body["type"],
                "text": body.get("markdownText", body["text"]),
                "read": False,
                "edited": False,
                "createdAt": "1603885746",
                "updatedAt": "1603885746.120",
                "broadcastType": None,
                "chat": body["chat"],
                "from": "agent" if "agent" in body else "customer",
            }
            self.messages.append({**message, "plain": body["text"]})
            return message

        return post

    def _search(self, body: dict[str, Any]) -> Callable[[], dict[str, Any]]:
        kinds = {"comparison": str, "filter": list, "limit": int, "offset": int, "sort": str, "order": str}
        _check(body, kinds, required=("filter",))
        if not 1 <= body.get("limit", 10) <= 100:
            raise Wrong(400, ("limit", "This value should be between 1 and 100."))
        if body.get("sort", SORTS[0]) not in SORTS:
            raise Wrong(400, ("sort", "The value you selected is not a valid choice."))
        if body.get("order", "ASC") not in ("ASC", "DESC") or body.get("comparison", "AND") not in ("AND", "OR"):
            raise Wrong(400, ("order", "The value you selected is not a valid choice."))
        wanted = [self._condition(at, condition) for at, condition in enumerate(body["filter"])]

        def find() -> dict[str, Any]:
            self.searches.append(body)
            found = [c for c in self.chats.values() if all(c["customer"][name] == value for name, value in wanted)]
            sort = body.get("sort", SORTS[0]).removeprefix("chats.")
            found.sort(key=lambda chat: float(chat[sort]), reverse=body.get("order") == "DESC")
            start = body.get("offset", 0)
            return {"data": found[start : start + body.get("limit", 10)], "meta": {"total": len(found)}}

        return find

    def _condition(self, at: int, condition: object) -> tuple[str, object]:
        place = f"filter[{at}]"
        if not isinstance(condition, dict) or set(condition) != {"field", "operator", "value"}:
            raise Wrong(400, (place, "This value is not valid."))
        name = SEARCHABLE.get(condition["field"])
        if name is None:
            raise Wrong(400, (f"{place}.field", "The value you selected is not a valid choice."))
        if condition["operator"] != "=":
            raise Wrong(400, (f"{place}.operator", "The value you selected is not a valid choice."))
        if not isinstance(condition["value"], int if name == "id" else str):
            raise Wrong(
                400, (f"{place}.value", f"This value should be of type {'numeric' if name == 'id' else 'string'}.")
            )
        return name, condition["value"]


def _check(body: dict[str, Any], kinds: Mapping[str, type], *, required: tuple[str, ...]) -> None:
    for name, value in body.items():
        if name not in kinds:
            raise Wrong(400, (name, "This field was not expected."))
        if not isinstance(value, kinds[name]) or isinstance(value, bool):
            word = "numeric" if kinds[name] is int else "string"
            raise Wrong(400, (name, f"This value should be of type {word}."))
    for name in required:
        if name not in body:
            raise Wrong(400, (name, "This value should not be blank."))
