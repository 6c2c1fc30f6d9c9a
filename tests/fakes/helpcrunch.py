"""HelpCrunch's API as a real server on a free port: what the documentation refuses, it refuses.

Sources: https://docs.helpcrunch.com/rest-api-v1, its pages on messages, chats, customers and events. As there, a
message without an agent is posted in the name of the customer. What those pages do not say is answered as the
adapter's defaults assume it (doc.md, "What is not known").
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from aiohttp import web

from tests.fakes.helpcrunch_customers import condition_of as customer_condition_of
from tests.fakes.helpcrunch_errors import Wrong, check, condition_of, errors
from tests.fakes.platform import FakePlatform

Act = Callable[[], dict[str, Any]]

KEY = "hc-key-1234567890abcdef"
AGENT = {"id": 4188, "name": "Olha", "email": "olha@shop.example", "role": "agent"}
SEARCHABLE = {"chats.customer": "id", "chats.customer.email": "email", "chats.customer.userId": "userId"}
SORTS = ("chats.createdAt", "chats.lastCustomerMessageAt", "chats.lastMessageAt", "chats.closedAt")
CUSTOMER_SORTS = ("customers.firstSeen", "customers.lastSeen")
STATUSES = ("new", "opened", "pending", "on hold", "no communication", "closed")
DEPARTMENT = 7
APPLICATION = 1
CUSTOMER_FIELDS = {
    **dict.fromkeys(("name", "email", "userId", "company", "phone", "locale", "notes"), str),
    "customData": list,
    "tags": list,
}


class HelpCrunch(FakePlatform):
    """`async with HelpCrunch() as fake:`; `fake.url` is the account's base_url.

    `messages` are those posted, in order; `searches` the bodies of searches; `refused` what was turned away;
    `changes` what was done beside that: the method, the path and the body.
    `answers` is used up one a request that is in order (None: as it should be); a request that is answered so has
    taken effect all the same only where its connection hangs or is reset.
    """

    PATH = "/v1"

    def __init__(self, *, api_key: str = KEY) -> None:
        super().__init__()
        self.chats: dict[int, dict[str, Any]] = {}
        self.customers: dict[int, dict[str, Any]] = {}
        self.changes: list[tuple[str, str, Any]] = []
        self.clock = 1603885746.0
        self.messages: list[dict[str, Any]] = []
        self.searches: list[dict[str, Any]] = []
        self.refused: list[tuple[int, str]] = []
        self._api_key = api_key

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

    def add_customer(self, customer: Mapping[str, object]) -> None:
        number = customer["id"]
        assert isinstance(number, int)
        seen = {"firstSeen": f"{1603880000 + number}.5", "lastSeen": "1603885000"}
        self.customers[number] = {"name": None, "email": None, "userId": None, **seen, **customer}

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        try:
            act = await self._understood(request)
        except Wrong as wrong:
            self.refused.append((wrong.status, wrong.told[-1][0]))
            return web.json_response(errors(*wrong.told), status=wrong.status)
        return await self._as_planned(request, lambda: web.json_response(act()))

    async def _understood(self, request: web.Request) -> Act:
        """What the request asks for, checked and ready to be done."""
        if request.headers.getall("Authorization", []) != [f"Bearer {self._api_key}"]:
            raise Wrong(401, ("unauthorized", "Unauthorized"))
        path = request.path.removeprefix("/v1")
        known = {method: (act, found) for method, known, act in ROUTES if (found := re.fullmatch(known, path))}
        if not known:
            raise Wrong(404, ("not_found", "Not found"))
        if request.method not in known:
            raise Wrong(405, ("method_not_allowed", "Method not allowed"))
        act, found = known[request.method]
        numbers = [int(part) for part in found.groups()]
        asked = Asked(method=request.method, path=path, numbers=numbers, query=dict(request.query))
        if request.method == "GET":
            if await request.read():
                raise Wrong(400, ("body", "A GET has no body."))
            return act(self, asked)
        if request.query_string:
            raise Wrong(404, ("not_found", "Not found"))
        if request.content_type != "application/json":
            raise Wrong(415, ("content_type", "Unsupported media type"))
        try:
            body = json.loads(await request.read())
        except ValueError:
            raise Wrong(400, ("body", "Syntax error")) from None
        if not isinstance(body, dict):
            raise Wrong(400, ("body", "This value should be of type array."))
        return act(self, replace(asked, body=body))

    def _message(self, asked: "Asked") -> Act:
        body = asked.body
        kinds = {"chat": int, "text": str, "type": str, "agent": int, "markdownText": str}
        check(body, kinds, required=("chat", "text", "type"))
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
                "createdAt": f"{self.clock:.0f}",
                "updatedAt": f"{self.clock + 0.12:.3f}",
                "broadcastType": None,
                "chat": body["chat"],
                "from": "agent" if "agent" in body else "customer",
            }
            self.messages.append({**message, "plain": body["text"]})
            return message

        return post

    def _search_chats(self, asked: "Asked") -> Act:
        wanted = self._wanted(asked.body, SEARCHABLE, SORTS)

        def of(chat: dict[str, Any]) -> dict[str, Any]:
            customer: dict[str, Any] = chat["customer"]
            return customer

        return self._page(asked.body, self.chats, SORTS, lambda chat: all(of(chat)[n] == v for n, v in wanted))

    def _search_customers(self, asked: "Asked") -> Act:
        filters = self._filters(asked.body, CUSTOMER_SORTS)
        wanted = [customer_condition_of(at, condition) for at, condition in enumerate(filters)]
        several = any if asked.body.get("comparison") == "OR" else all
        return self._page(
            asked.body, self.customers, CUSTOMER_SORTS, lambda customer: several(one(customer) for one in wanted)
        )

    def _wanted(
        self, body: dict[str, Any], searchable: Mapping[str, str], sorts: tuple[str, ...]
    ) -> list[tuple[str, object]]:
        filters = self._filters(body, sorts)
        return [condition_of(at, condition, searchable) for at, condition in enumerate(filters)]

    def _filters(self, body: dict[str, Any], sorts: tuple[str, ...]) -> list[object]:
        kinds = {"comparison": str, "filter": list, "limit": int, "offset": int, "sort": str, "order": str}
        check(body, kinds, required=("filter",))
        if not 1 <= body.get("limit", 10) <= 100:
            raise Wrong(400, ("limit", "This value should be between 1 and 100."))
        if body.get("sort", sorts[0]) not in sorts:
            raise Wrong(400, ("sort", "The value you selected is not a valid choice."))
        if body.get("order", "ASC") not in ("ASC", "DESC") or body.get("comparison", "AND") not in ("AND", "OR"):
            raise Wrong(400, ("order", "The value you selected is not a valid choice."))
        if body.get("offset", 0) < 0:
            raise Wrong(400, ("offset", "This value should be positive."))
        filters: list[object] = body["filter"]
        return filters

    def _page(
        self,
        body: dict[str, Any],
        among: Mapping[int, dict[str, Any]],
        sorts: tuple[str, ...],
        is_wanted: Callable[[dict[str, Any]], bool],
    ) -> Act:
        def find() -> dict[str, Any]:
            self.searches.append(body)
            found = [one for one in among.values() if is_wanted(one)]
            sort = body.get("sort", sorts[0]).partition(".")[2]
            found.sort(key=lambda one: float(one[sort]), reverse=body.get("order") == "DESC")
            start = body.get("offset", 0)
            return {"data": found[start : start + body.get("limit", 10)], "meta": {"total": len(found)}}

        return find

    def _chat(self, number: object) -> dict[str, Any]:
        if not isinstance(number, int) or number not in self.chats:
            raise Wrong(404, ("not_found", "Not found"))
        return self.chats[number]

    def _customer(self, number: object) -> dict[str, Any]:
        if not isinstance(number, int) or number not in self.customers:
            raise Wrong(404, ("not_found", "Not found"))
        return self.customers[number]

    def _show_chat(self, asked: "Asked") -> Act:
        chat = self._chat(asked.numbers[0])
        return lambda: chat

    def _show_messages(self, asked: "Asked") -> Act:
        self._chat(asked.numbers[0])
        query = {"limit": "100", "offset": "0", **asked.query}
        if set(query) != {"limit", "offset"} or not all(value.isdigit() for value in query.values()):
            raise Wrong(400, ("limit", "This value is not valid."))
        limit, offset = int(query["limit"]), int(query["offset"])
        if not 1 <= limit <= 100:
            raise Wrong(400, ("limit", "This value should be between 1 and 100."))
        mine = [message for message in reversed(self.messages) if message["chat"] == asked.numbers[0]]
        shown = [{name: value for name, value in message.items() if name != "plain"} for message in mine]
        return lambda: {"data": shown[offset : offset + limit], "total": len(mine)}

    def _show_agents(self, asked: "Asked") -> Act:
        if set(asked.query) - {"limit", "offset"} or not 1 <= int(asked.query.get("limit", "10")) <= 100:
            raise Wrong(400, ("limit", "This value should be between 1 and 100."))
        return lambda: {"data": [AGENT], "meta": {"total": 1}}

    def _begin_chat(self, asked: "Asked") -> Act:
        kinds = {"customer": int, "application": int, "assignee": int, "department": int}
        check(asked.body, kinds, required=("customer", "application"))
        customer = self._customer(asked.body["customer"])
        if asked.body["application"] != APPLICATION:
            raise Wrong(400, ("application", "This value is not valid."))

        def begin() -> dict[str, Any]:
            number = max(self.chats, default=0) + 1
            self.add_chat(number, {name: customer[name] for name in ("id", "name", "email", "userId")})
            self.changes.append(("POST", asked.path, asked.body))
            return self.chats[number]

        return begin

    def _change_chat(self, asked: "Asked") -> Act:
        what = asked.path.rpartition("/")[2]
        name = {"snooze": "snoozedUntil", "rate": "rating"}.get(what, what)
        if set(asked.body) != {"id", name}:
            raise Wrong(400, (name, "This field is missing or was not expected."))
        chat, value = self._chat(asked.body["id"]), asked.body[name]
        allowed = {
            "status": value in STATUSES,
            "assignee": value is None or value == AGENT["id"],
            "department": value == DEPARTMENT,
            "snooze": value is None or (isinstance(value, int) and value > self.clock),
            "rate": value in ("great", "average", "poor", "perfect"),
            "readByAgent": value is True,
            "readByCustomer": value is True,
        }
        if not allowed[what]:
            raise Wrong(400, (name, "This value is not valid."))
        return self._changing(asked, chat, {name: value})

    def _make_customer(self, asked: "Asked") -> Act:
        check(asked.body, CUSTOMER_FIELDS, required=())
        taken = asked.body.get("userId")
        if taken is not None and any(customer["userId"] == taken for customer in self.customers.values()):
            raise Wrong(400, ("invalid_userId_value", "This userId is taken."))

        def make() -> dict[str, Any]:
            number = max(self.customers, default=44) + 1
            self.add_customer({**asked.body, "id": number})
            self.changes.append(("POST", asked.path, asked.body))
            return self.customers[number]

        return make

    def _change_customer(self, asked: "Asked") -> Act:
        check(asked.body, CUSTOMER_FIELDS, required=())
        return self._changing(asked, self._customer(asked.numbers[0]), asked.body)

    def _tags(self, asked: "Asked") -> Act:
        check(asked.body, {"tags": list}, required=("tags",))
        for at, tag in enumerate(asked.body["tags"]):
            if not isinstance(tag, dict) or "name" not in tag or not set(tag) <= {"name", "color"}:
                raise Wrong(400, (f"tags[{at}]", "This value is not valid."))
        return self._changing(asked, self._customer(asked.numbers[0]), {})

    def _event(self, asked: "Asked") -> Act:
        check(asked.body, {"customer": int, "name": str, "data": dict}, required=("customer", "name"))
        return self._changing(asked, self._customer(asked.body["customer"]), {})

    def _changing(self, asked: "Asked", what: dict[str, Any], change: Mapping[str, object]) -> Act:
        def act() -> dict[str, Any]:
            self.changes.append((asked.method, asked.path, asked.body))
            what.update(change)
            return what

        return act


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A request: the numbers in its path, its query and its body."""

    method: str
    path: str
    numbers: list[int]
    query: dict[str, str]
    body: dict[str, Any] = field(default_factory=dict)


_CHAT = "status|assignee|department|snooze|rate|readByAgent|readByCustomer"
ROUTES: tuple[tuple[str, str, Callable[[HelpCrunch, Asked], Act]], ...] = (
    ("POST", "/messages", HelpCrunch._message),
    ("POST", "/chats/search", HelpCrunch._search_chats),
    ("POST", "/chats", HelpCrunch._begin_chat),
    ("GET", "/chats/([0-9]+)", HelpCrunch._show_chat),
    ("GET", "/chats/([0-9]+)/messages", HelpCrunch._show_messages),
    ("PUT", f"/chats/(?:{_CHAT})", HelpCrunch._change_chat),
    ("POST", "/customers/search", HelpCrunch._search_customers),
    ("POST", "/customers", HelpCrunch._make_customer),
    ("PATCH", "/customers/([0-9]+)", HelpCrunch._change_customer),
    ("PUT", "/customers/([0-9]+)/tags", HelpCrunch._tags),
    ("DELETE", "/customers/([0-9]+)/tags", HelpCrunch._tags),
    ("POST", "/events", HelpCrunch._event),
    ("GET", "/agents", HelpCrunch._show_agents),
)
