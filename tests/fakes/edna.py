"""edna Chat Center's API as a real server on a free port: what the documentation refuses, it refuses.

Sources: https://docs.edna.io/kb/login-request, .../send-outgoing-message-from-myself, .../post-answers and the pages
beside them. The form of its errors is not published: the bodies here are this fake's own.
"""

import json
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from tests.fakes.chat_server import Behaviour
from tests.fakes.platform import FakePlatform, Wrong

LOGIN, PASSWORD = "integrator", "pass-word-1234"
BOT_TOKEN = "bot-token-1234567890"
AGENTS = {"bot": 5, "olha": 6}
CHANNELS = (
    "WEB", "MOBILE", "EMAIL", "VIBER", "TELEGRAM", "VIBERPA", "FACEBOOK", "VKONTAKTE", "YANDEX", "WHATSAPP",
    "APPLE_BUSINESS_CHAT",
)  # fmt: skip
Act = Callable[[], object]
Kinds = Mapping[str, type | tuple[type, ...]]

_FILE: Kinds = {"url": str, "name": str, "type": str, "size": int}
_LONGEST = {"url": 4000, "name": 1000, "type": 256}
_BUTTON: Kinds = {"type": str, "text": str, "shown_text": str, "callback_data": str, "imageUrl": str, "url": str}
_CONTENT: Kinds = {"text": str, "attachments": list}
_DEVICE: Kinds = {
    "channelType": str,
    "deviceAddress": str,
    "clientId": str,
    "unauthorizedClientId": str,
    "appMarker": str,
}


class Edna(FakePlatform):
    """`async with Edna() as fake:`; `fake.url` is the account's base_url.

    `sent` are the messages in order, as (path, body); `log_ins` counts those that succeeded; `refused` is what was
    turned away. Tokens are good until `expire()`, and not at all where `rights` is False. `answers` is used up one a
    request that is in order and no log-in; `log_in_answers` one a log-in.
    """

    def __init__(self) -> None:
        super().__init__()
        self.threads: dict[int, dict[str, Any]] = {902: _thread(902, 17, "ASSIGNED")}
        self.clients: dict[int, dict[str, Any]] = {17: {"externalId": "c-17", "phone": "+10000000000", "blocked": None}}
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.log_ins = 0
        self.refused: list[tuple[int, str]] = []
        self.log_in_answers: deque[Behaviour | None] = deque()
        self.rights = True
        self._good: set[str] = set()
        self._answer_ids: dict[str, int] = {}

    def expire(self) -> None:
        self._good.clear()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        headers: dict[str, str] = {}
        try:
            act = await self._understood(request, headers)
        except Wrong as wrong:
            self.refused.append((wrong.status, wrong.message))
            return web.json_response({"message": wrong.message}, status=wrong.status)
        planned = self.log_in_answers if request.path == "/api/auth/login" else self.answers
        return await self._as_planned(request, lambda: web.json_response(act(), headers=headers), planned)

    async def _understood(self, request: web.Request, headers: dict[str, str]) -> Act:
        """What the request asks for, checked and ready to be done."""
        if request.query_string:
            raise Wrong(400, "no query is expected")
        body = await _body(request)
        match request.method, *map(unquote, request.raw_path.strip("/").split("/")):
            case "POST", "api", "auth", "login":
                return self._log_in(body, headers)
            case "POST", "api", "v1", "chatbot":
                _authorised(request, {BOT_TOKEN})
                return self._by_bot(body)
            case method, "api", "v1", *rest:
                _authorised(request, self._good if self.rights else set())
                return self._by_integrator(method, rest, body)
        raise Wrong(404, "Not Found")

    def _by_integrator(self, method: str, rest: list[str], body: dict[str, Any]) -> Act:
        match method, *rest:
            case "POST", "messages", "outgoing-from-myself":
                return self._from_myself(body)
            case "POST", "messages", "outgoing":
                return self._outgoing(body)
            case "POST", "messages", "outgoing-to-device":
                return self._to_device(body)
            case "PUT", "threads", thread, "assign":
                return self._assign(thread, body)
            case "GET", "threads", thread:
                found = self._thread(thread)
                return lambda: found
            case "GET", "clients", "internal", client, "profile":
                known = self._client(int(client))
                return lambda: {"threadsClientId": int(client), **known, "segments": ["vip"]}
            case "PUT", "clients", "block":
                return self._block(body)
            case "POST", "clients", "short-info":
                return self._short_info(body)
        raise Wrong(404, "Not Found")

    def _log_in(self, body: dict[str, Any], headers: dict[str, str]) -> Act:
        check(body, {"login": str, "password": str, "locale": str}, required=("login", "password"))
        if body.get("locale", "en") not in ("en", "ru"):
            raise Wrong(400, "locale: unknown")
        if (body["login"], body["password"]) != (LOGIN, PASSWORD):
            raise Wrong(401, "Bad credentials")

        def issue() -> dict[str, object]:
            self.log_ins += 1
            token = f"tok.{self.log_ins}.abc-_="
            self._good.add(token)
            headers["Authorization"] = f"Bearer Bearer {token}"
            return {"userId": 1, "login": LOGIN, "token": f"Bearer {token}", "role": "INTEGRATOR"}

        return issue

    def _from_myself(self, body: dict[str, Any]) -> Act:
        kinds = {
            **_CONTENT, "login": str, "status": str, "channelType": str, "threadsClientId": int, "clientId": str,
            "appMarker": str,
        }  # fmt: skip
        check(body, kinds, required=("login", "status", "channelType"))
        check_content(body)
        if body["login"] not in AGENTS:
            raise Wrong(404, "login: no such agent")
        if body["status"] not in ("READY", "OUTGOING"):
            raise Wrong(400, "status: READY or OUTGOING")
        if body["channelType"] not in CHANNELS:
            raise Wrong(400, "channelType: unknown")
        self._client_of(body)
        return self._take("outgoing-from-myself", body)

    def _outgoing(self, body: dict[str, Any]) -> Act:
        check(body, {**_CONTENT, "threadsClientId": int, "clientId": str, "threadId": int})
        check_content(body)
        if "threadId" in body and not {"threadsClientId", "clientId"} & body.keys():
            self._open_thread(str(body["threadId"]))
        else:
            self._client_of(body)
        return self._take("outgoing", body)

    def _to_device(self, body: dict[str, Any]) -> Act:
        check(body, {**_CONTENT, "clientApplicationDescriptor": dict}, required=("clientApplicationDescriptor",))
        check_content(body)
        device = body["clientApplicationDescriptor"]
        check(device, _DEVICE, required=("channelType",))
        if not {"deviceAddress", "clientId", "unauthorizedClientId"} & device.keys():
            raise Wrong(400, "clientApplicationDescriptor: an address is missing")
        return self._take("outgoing-to-device", body)

    def _by_bot(self, body: dict[str, Any]) -> Act:
        kinds = {
            **_CONTENT, "formattedText": str, "answerId": str, "threadsClientId": int, "questionId": int,
            "sessionId": str, "questionIndex": int, "clientId": str, "receivedAt": str, "quickReplies": list,
            "settings": dict, "segmentationInfo": dict,
        }  # fmt: skip
        check(body, kinds)
        if not body.get("text") and not body.get("formattedText"):
            raise Wrong(400, "text: required unless formattedText")
        if len(body.get("answerId", "")) > 4000:
            raise Wrong(400, "answerId: at most 4000 characters")
        if not (
            {"threadsClientId", "questionId", "clientId"} & body.keys() or {"sessionId", "questionIndex"} <= body.keys()
        ):
            raise Wrong(400, "threadsClientId, questionId, sessionId with questionIndex, or clientId: required")
        for button in body.get("quickReplies", []):
            check(button, _BUTTON, required=("type", "text"))
            if button["type"] != "TEXT":
                raise Wrong(400, "quickReplies.type: TEXT")
        check_files(body)
        answer_id = body.get("answerId")
        if answer_id in self._answer_ids:
            return lambda: {"id": self._answer_ids[answer_id]}
        take = self._take("chatbot", body)

        def once() -> object:
            done = take()
            if answer_id is not None:
                self._answer_ids[answer_id] = len(self.sent)
            return done

        return once

    def _take(self, path: str, body: dict[str, Any]) -> Act:
        def take() -> dict[str, object]:
            self.sent.append((path, body))
            return {"id": len(self.sent)}

        return take

    def _assign(self, number: str, body: dict[str, Any]) -> Act:
        check(body, {"userId": int, "login": str})
        if len(body) != 1:
            raise Wrong(400, "userId or login: one of them")
        names = {name for name, agent in AGENTS.items() if body in ({"userId": agent}, {"login": name})}
        if not names:
            raise Wrong(404, "no such agent")
        thread = self._open_thread(number)
        return lambda: thread.update(currentAgentLogin=names.pop())

    def _block(self, body: dict[str, Any]) -> Act:
        check(body, {"threadId": int, "externalClientId": str, "reason": str}, required=("reason",))
        if "externalClientId" in body:
            client = self._client_of({"clientId": body["externalClientId"]})
        else:
            client = self.clients[self._thread(str(body.get("threadId")))["clientId"]]
        return lambda: client.update(blocked=body["reason"])

    def _short_info(self, body: dict[str, Any]) -> Act:
        check(body, {"phones": list, "externalIds": list})
        found = [
            {"id": number, "externalId": c["externalId"], "phone": c["phone"], "hasActiveThread": True}
            for number, c in self.clients.items()
            if c["externalId"] in body["externalIds"] or c["phone"] in body["phones"]
        ]
        return lambda: found

    def _client_of(self, body: dict[str, Any]) -> dict[str, Any]:
        """By the internal id, which wins, or by the external one."""
        if "threadsClientId" in body:
            return self._client(body["threadsClientId"])
        if "clientId" not in body:
            raise Wrong(400, "threadsClientId or clientId: required")
        for client in self.clients.values():
            if client["externalId"] == body["clientId"]:
                return client
        raise Wrong(404, "no such client")

    def _client(self, number: int) -> dict[str, Any]:
        if number not in self.clients:
            raise Wrong(404, "no such client")
        return self.clients[number]

    def _thread(self, number: str) -> dict[str, Any]:
        thread = self.threads.get(int(number)) if number.isdigit() else None
        if thread is None:
            raise Wrong(404, "no such thread")
        return thread

    def _open_thread(self, number: str) -> dict[str, Any]:
        thread = self._thread(number)
        if thread["status"] == "CLOSED":
            raise Wrong(400, "the thread is closed")
        return thread


def _thread(number: int, client: int, status: str) -> dict[str, Any]:
    return {
        "id": number, "status": status, "startTime": "2026-03-27T11:00:00.000Z", "unread": 1, "unanswered": 1,
        "currentAgent": "Olha", "currentAgentLogin": "olha", "channel": {"id": 1, "name": "Site"}, "clientId": client,
        "clientExternalId": f"c-{client}", "clientName": "Anna", "tags": ["new"],
    }  # fmt: skip


async def _body(request: web.Request) -> dict[str, Any]:
    content = await request.read()
    if request.method == "GET":
        if content:
            raise Wrong(400, "no body is expected")
        return {}
    if request.content_type != "application/json":
        raise Wrong(415, "Unsupported Media Type")
    try:
        body = json.loads(content)
    except ValueError:
        raise Wrong(400, "JSON parse error") from None
    if not isinstance(body, dict):
        raise Wrong(400, "an object is expected")
    return body


def _authorised(request: web.Request, tokens: set[str]) -> None:
    if request.headers.getall("Authorization", []) not in [[f"Bearer {token}"] for token in tokens]:
        raise Wrong(401, "Unauthorized")


def check(body: object, kinds: Kinds, *, required: tuple[str, ...] = ()) -> None:
    if not isinstance(body, dict):
        raise Wrong(400, "an object is expected")
    for name, value in body.items():
        if name not in kinds:
            raise Wrong(400, f"{name}: unknown field")
        if not isinstance(value, kinds[name]) or isinstance(value, bool):
            raise Wrong(400, f"{name}: wrong type")
    for name in required:
        if not body.get(name):
            raise Wrong(400, f"{name}: required")


def check_content(body: dict[str, Any]) -> None:
    if not body.get("text") and not body.get("attachments"):
        raise Wrong(400, "text or attachments: required")
    if len(body.get("text", "")) > 2000:
        raise Wrong(400, "text: at most 2000 characters")
    check_files(body)


def check_files(body: dict[str, Any]) -> None:
    for file in body.get("attachments", []):
        check(file, _FILE, required=("url", "name"))
        for name, most in _LONGEST.items():
            if len(file.get(name, "")) > most:
                raise Wrong(400, f"attachments.{name}: at most {most} characters")
        if "." not in file["name"] and "type" not in file:
            raise Wrong(400, "attachments.name: no extension, and no type")
