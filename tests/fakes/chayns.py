"""chayns' Backend API v2.0 as a real server on a free port: what its wiki does not describe, it refuses.

Source: https://github.com/TobitSoftware/chayns-backend/wiki. The answers to a push, to an e-mail and to the question
who is in a UAC group are not published: they have the envelope of the rest of the API here.
"""

import json
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from tests.fakes.platform import FakePlatform, Wrong

LOCATION = 378
TAPP = 77889
SECRET = "tapp-secret-1234"
RECEIVERS = ("UserIds", "UacIds", "ReceiverLocationIds", "UserAccessToken")

Kind = str
"""How a field is checked: "text", "numbers", "yes or no" or "images"."""
INTERCOM: Mapping[str, Kind] = {
    "Message": "text",
    "UacIds": "numbers",
    "UserIds": "numbers",
    "ReceiverLocationIds": "numbers",
    "ThreadName": "text",
    "UseGroupChat": "yes or no",
    "UserAccessToken": "text",
    "Images": "images",
}
EMAIL: Mapping[str, Kind] = {
    "UserIds": "numbers",
    "UacIds": "numbers",
    "Subject": "text",
    "Headline": "text",
    "Text": "text",
    "Greeting": "text",
}
PUSH: Mapping[str, Kind] = {"alert": "text"}


def error(message: str) -> str:
    return json.dumps({"message": message, "errorGuid": "5b2c9d1e-0000-4000-8000-000000000001"})


class Chayns(FakePlatform):
    """`async with Chayns() as fake:`; `fake.url` is the account's base_url.

    `sent` are the calls that changed something, each with its path below the location; `groups` are the users of the
    UAC groups, of whom `page` are told at once from `?skip=` on, where it is set; nobody can write to `strangers`.
    `refused` is what was turned away. `answers` is used up one a request that is in order; a request that is
    answered so has taken effect all the same only where its connection hangs or is reset.
    """

    PATH = "/v2.0"

    def __init__(self, *, tapp: int = TAPP, secret: str = SECRET) -> None:
        super().__init__()
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.groups: dict[int, list[int]] = {}
        self.page: int | None = None
        self.strangers: set[int] = set()
        self.refused: list[tuple[int, str]] = []
        self._authorization = "Basic " + b64encode(f"{tapp}:{secret}".encode()).decode()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        try:
            act = await self._understood(request)
        except Wrong as wrong:
            self.refused.append((wrong.status, wrong.message))
            return web.Response(status=wrong.status, text=error(wrong.message), content_type="application/json")

        def do() -> web.Response:
            status, done = act()
            return web.json_response({"data": done}, status=status)

        return await self._as_planned(request, do)

    async def _understood(self, request: web.Request) -> Callable[[], tuple[int, list[Any]]]:
        """What the request asks for, checked and ready to be done."""
        if request.headers.getall("Authorization", []) != [self._authorization]:
            raise Wrong(401, "Invalid TappId or Secret")
        path = request.path.removeprefix(f"/v2.0/{LOCATION}")
        of_group = re.fullmatch(r"/UAC/([0-9]+)/User", path)
        if path == request.path or (request.query_string and not (of_group and self.page)):
            raise Wrong(404, "No such location")
        if found := of_group:
            return self._members(request, int(found[1]))
        if path == "/UAC":
            if request.method != "GET":
                raise Wrong(405, "Method not allowed")
            return lambda: (200, [{"userGroupId": group, "name": f"Group {group}"} for group in self.groups])
        if path == "/Intercom":
            body = await self._body(request, INTERCOM, required=("Message",))
            if not any(body.get(name) for name in RECEIVERS):
                raise Wrong(400, "At least one recipient list has to be provided")
            if self.strangers.intersection(body.get("UserIds", ())):
                raise Wrong(404, "No such user")
        elif path == "/Email":
            body = await self._body(request, EMAIL, required=("Subject", "Text"))
            if not any(body.get(name) for name in RECEIVERS):
                raise Wrong(400, "UserIds or UacIds has to be provided")
        elif re.fullmatch(r"/(User|UAC)/[1-9][0-9]*/Push", path):
            body = await self._body(request, PUSH, required=("alert",))
        else:
            raise Wrong(404, "No such method")

        def take() -> tuple[int, list[Any]]:
            self.sent.append((path, body))
            return 201, [{"success": True}]

        return take

    def _members(self, request: web.Request, group: int) -> Callable[[], tuple[int, list[Any]]]:
        if request.method != "GET":
            raise Wrong(405, "Method not allowed")
        if group not in self.groups:
            raise Wrong(404, "No such UAC group")
        users = self.groups[group]
        if self.page:
            skip = re.fullmatch(r"skip=([0-9]+)", request.query_string)
            if skip is None:
                raise Wrong(400, "skip is required")
            users = users[int(skip[1]) :][: self.page]
        return lambda: (200, [{"userId": user, "personId": f"P-{user}", "firstName": "Anna"} for user in users])

    async def _body(
        self, request: web.Request, kinds: Mapping[str, Kind], *, required: tuple[str, ...]
    ) -> dict[str, Any]:
        if request.method != "POST":
            raise Wrong(405, "Method not allowed")
        if request.content_type != "application/json":
            raise Wrong(415, "Unsupported media type")
        try:
            body = json.loads(await request.read())
        except ValueError:
            raise Wrong(400, "The body is not JSON") from None
        if not isinstance(body, dict):
            raise Wrong(400, "The body is not an object")
        for name, value in body.items():
            if name not in kinds or not _is(value, kinds[name]):
                raise Wrong(400, f"{name} is not valid")
        for name in required:
            if not body.get(name):
                raise Wrong(400, f"{name} is required")
        return body


def _is(value: object, kind: Kind) -> bool:
    match kind:
        case "text":
            return isinstance(value, str)
        case "yes or no":
            return isinstance(value, bool)
        case "numbers":
            return isinstance(value, list) and all(type(number) is int and number > 0 for number in value)
    return isinstance(value, list) and all(
        isinstance(image, dict) and list(image) == ["url"] and str(image["url"]).startswith("https://")
        for image in value
    )
