"""GroupAlarm's chat API as a real server on a free port: what its page does not describe, it refuses.

Source: https://developer.groupalarm.com/api/chat.html for the fields. The page has no paths and no answers' statuses:
the paths are those that the account guesses, and the one of the default rooms is made up for the tests.
"""

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from tests.fakes.platform import FakePlatform

TOKEN = "ga-token-1234567890"
ORGANIZATION = 17
DEFAULT_ROOM = "/chatroom/of/{organization}/default"

Act = Callable[[], Any]


class Wrong(Exception):  # noqa: N818 - it is an answer
    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status
        self.error = error


def refusal(message: str, error: str) -> str:
    """The error's body of GroupAlarm's other services."""
    return json.dumps({"success": False, "message": message, "error": error})


class GroupAlarm(FakePlatform):
    """`async with GroupAlarm() as fake:`; `fake.url` is the account's base_url.

    `rooms` are by their number; `messages` are (room, text), `avatars` bytes by room; `asked` are all requests that
    were in order, `refused` those that were turned away. `answers` is used up one a request that is in order (None: as
    ever); a request that is answered so has taken effect all the same only where its connection hangs or is reset.
    """

    PATH = "/api/v1"

    def __init__(self, *, header: str = "API-TOKEN", longest: int | None = None) -> None:
        super().__init__()
        self.rooms: dict[int, dict[str, Any]] = {}
        self.messages: list[tuple[int, str]] = []
        self.avatars: dict[int, bytes] = {}
        self.asked: list[str] = []
        self.refused: list[tuple[int, str]] = []
        self._header = header
        self._longest = longest

    def add_room(self, number: int, **fields: Any) -> None:
        self.rooms[number] = {
            "assignedUsers": [],
            "avatarURL": "",
            "eventID": 0,
            "id": number,
            "name": f"room {number}",
            "organizationID": ORGANIZATION,
            "scheduledDeletion": None,
            "type": "custom",
            **fields,
        }

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        try:
            act = await self._understood(request)
        except Wrong as wrong:
            self.refused.append((wrong.status, wrong.error))
            told = refusal("the request was refused", wrong.error)
            return web.Response(status=wrong.status, text=told, content_type="application/json")
        self.asked.append(f"{request.method} {request.path_qs.removeprefix('/api/v1')}")

        def do() -> web.Response:
            done = act()
            return web.Response(status=204) if done is None else web.json_response(done)

        return await self._as_planned(request, do)

    async def _understood(self, request: web.Request) -> Act:
        """What the request asks for, checked and ready to be done."""
        tokens = {name: request.headers.getall(name, []) for name in ("API-TOKEN", "Personal-Access-Token")}
        if tokens.pop(self._header) != [TOKEN] or any(tokens.values()):
            raise Wrong(401, "unauthorized")
        methods: dict[str, Callable[[web.Request, int], Awaitable[Act]]] = {
            "GET /chatroom": self._of_event,
            "GET /chatrooms": self._list,
            "POST /chatrooms": self._create,
            f"POST {DEFAULT_ROOM}": self._create_default,
            f"DELETE {DEFAULT_ROOM}": self._remove_default,
            "GET /chatroom/{room}": self._read,
            "PUT /chatroom/{room}": self._update,
            "DELETE /chatroom/{room}": self._delete,
            "PUT /chatroom/{room}/avatar": self._avatar,
            "POST /chatroom/{room}/message": self._message,
        }
        asked = f"{request.method} {request.path.removeprefix('/api/v1')}"
        for template, method in methods.items():
            found = re.fullmatch(re.sub(r"\\{.*?\\}", "([1-9][0-9]*)", re.escape(template)), asked)
            if found:
                if request.query_string and request.method != "GET":
                    raise Wrong(400, "unknown query")
                return await method(request, int(found[1]) if found.groups() else 0)
        raise Wrong(404, f"no such method: {asked}")

    async def _of_event(self, request: web.Request, number: int) -> Act:
        query = _numbers(request, "organization_id", "event_id")
        if len(query) != 2:
            raise Wrong(400, "organization_id and event_id are required")
        wanted = (query["organization_id"], query["event_id"])
        for room in self.rooms.values():
            if (room["organizationID"], room["eventID"]) == wanted:
                return lambda: room
        raise Wrong(404, "no such chatroom")

    async def _list(self, request: web.Request, number: int) -> Act:
        query = _numbers(request, "organization_id", "limit", "offset", "all")
        limit, offset = query.get("limit", 10), query.get("offset", 0)
        if not 1 <= limit <= 50:
            raise Wrong(400, "limit must be between 1 and 50")
        owner = query.get("organization_id", 0)
        found = [room for room in self.rooms.values() if owner in (0, room["organizationID"])]
        listed = found if query.get("all") else found[offset : offset + limit]
        return lambda: {"entries": listed or None, "total": len(found)}

    async def _create(self, request: web.Request, number: int) -> Act:
        body = await self._room_body(request)
        return lambda: self._add(**body)

    async def _create_default(self, request: web.Request, number: int) -> Act:
        await _empty(request)
        return lambda: self._add(name="default", type="default", organizationID=number)

    async def _remove_default(self, request: web.Request, number: int) -> Act:
        await _empty(request)
        for room in self.rooms.values():
            if (room["type"], room["organizationID"]) == ("default", number):
                return lambda: self.rooms.pop(room["id"]) and None
        raise Wrong(404, "no default chatroom")

    def _add(self, **fields: Any) -> dict[str, Any]:
        number = max(self.rooms, default=100) + 1
        self.add_room(number, **fields)
        return self.rooms[number]

    async def _read(self, request: web.Request, number: int) -> Act:
        room = self._room(number)
        return lambda: room

    async def _update(self, request: web.Request, number: int) -> Act:
        room, body = self._custom(number), await self._room_body(request)
        return lambda: room.update(body)

    async def _delete(self, request: web.Request, number: int) -> Act:
        await _empty(request)
        self._custom(number)
        return lambda: self.rooms.pop(number) and None

    async def _avatar(self, request: web.Request, number: int) -> Act:
        self._custom(number)
        content = await request.read()
        if request.headers.get("Content-Type") != "application/json":
            raise Wrong(415, "unsupported media type")

        def put() -> None:
            if content:
                self.avatars[number] = content
            else:
                self.avatars.pop(number, None)

        return put

    async def _message(self, request: web.Request, number: int) -> Act:
        self._room(number)
        body = await _json(request)
        text = body.get("message")
        if set(body) != {"message"} or not isinstance(text, str) or not text:
            raise Wrong(400, "message is required")
        if self._longest is not None and len(text) > self._longest:
            raise Wrong(400, "message is too long")
        return lambda: self.messages.append((number, text))

    def _room(self, number: int) -> dict[str, Any]:
        if number not in self.rooms:
            raise Wrong(404, "no such chatroom")
        return self.rooms[number]

    def _custom(self, number: int) -> dict[str, Any]:
        room = self._room(number)
        if room["type"] != "custom":
            raise Wrong(403, "not a custom chatroom")
        return room

    async def _room_body(self, request: web.Request) -> dict[str, Any]:
        """A room is written whole, so all its fields are wanted; the page does not say which may be left out."""
        body = await _json(request)
        users = body.get("assignedUsers")
        if set(body) != {"assignedUsers", "name", "organizationID"} or not isinstance(users, list):
            raise Wrong(400, "assignedUsers, name and organizationID are required")
        if not all(type(user) is int for user in users) or not isinstance(body["name"], str) or not body["name"]:
            raise Wrong(400, "a field has the wrong type")
        if body["organizationID"] != ORGANIZATION:
            raise Wrong(403, "another organization")
        return body


def _numbers(request: web.Request, *known: str) -> dict[str, int]:
    """The query, whose values are numbers; `all` is true or false."""
    query = {name: {"true": "1", "false": "0"}.get(value, value) for name, value in request.query.items()}
    if not set(query) <= set(known) or not all(value.isdigit() for value in query.values()):
        raise Wrong(400, "unknown query")
    return {name: int(value) for name, value in query.items()}


async def _json(request: web.Request) -> dict[str, Any]:
    if request.headers.get("Content-Type") != "application/json":
        raise Wrong(415, "unsupported media type")
    try:
        body = json.loads(await request.read())
    except ValueError:
        raise Wrong(400, "the body is not JSON") from None
    if not isinstance(body, dict):
        raise Wrong(400, "the body is not an object")
    return body


async def _empty(request: web.Request) -> None:
    if await request.read() or "Content-Type" in request.headers:
        raise Wrong(400, "a body is not expected")
    if request.method == "POST" and request.headers.get("Content-Length") != "0":
        raise Wrong(411, "Content-Length is required")
