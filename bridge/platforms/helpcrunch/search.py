"""What to ask HelpCrunch to find a customer or their chats, and which of those it names are meant.

Sources: https://docs.helpcrunch.com/rest-api-v1/search-chats-v1 and .../search-customers-v1.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from bridge.adapter.number import whole_number
from bridge.model.event import Address
from bridge.platforms.helpcrunch.values import seconds_of

MOST = 5
"""Chats that are asked for: few, since each carries its last message and the door cuts answers at 64 KiB."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """The customer is sought whose `field` is `value`; `key` is the word for it in `to:`."""

    key: str
    field: str
    value: int | str

    def means(self, named: str) -> bool:
        """Whether a customer who is named so is the one. The letters of an e-mail address have no case."""
        value = str(self.value)
        return named.casefold() == value.casefold() if self.field == "email" else named == value

    def for_chats(self) -> dict[str, object]:
        """The newest chats of this customer."""
        field = "chats.customer" if self.field == "id" else f"chats.customer.{self.field}"
        return {**self._filter(field), "sort": "chats.lastMessageAt", "order": "DESC"}

    def for_customers(self) -> dict[str, object]:
        return {**self._filter(f"customers.{self.field}"), "sort": "customers.lastSeen", "order": "DESC"}

    def _filter(self, field: str) -> dict[str, object]:
        filters = [{"field": field, "operator": "=", "value": self.value}]
        return {"comparison": "AND", "filter": filters, "limit": MOST, "offset": 0}


def search_for(to: Address) -> Search | None:
    """The search that `customer`, `user_id` or `email` asks for (the first of these that is there).

    Raises ValueError naming the key whose value cannot be sought; gives None where none is there.
    """
    if (customer := to.get("customer")) is not None:
        number = whole_number(customer)
        if number is None:
            raise ValueError("to.customer: it is the number of a customer in HelpCrunch, 1 or above")
        return Search(key="customer", field="id", value=number)
    for key, field in (("user_id", "userId"), ("email", "email")):
        if (given := to.get(key)) is not None:
            text = str(given).strip() if isinstance(given, str | int) and not isinstance(given, bool) else ""
            if not text or len(text) > 300 or not text.isprintable():
                raise ValueError(f"to.{key}: it is one line of 1 to 300 characters")
            return Search(key=key, field=field, value=text)
    return None


def newest_chat(answer: bytes, search: Search, is_closed: Callable[[str], bool]) -> int | None:
    """The number of the chat to write to: the newest that is not closed, else the newest; None where there is none.

    A chat that names another customer is passed over: were a filter ever not understood, a message must not reach
    a stranger. Raises ValueError for what is not the answer to a search.
    """
    best: tuple[bool, float, int] | None = None
    for chat in _of(search, _found(answer, "chats"), lambda chat: chat.get("customer")):
        number = whole_number(chat.get("id"))
        if number is not None:
            seen = max(seconds_of(chat.get(time)) or 0.0 for time in ("lastMessageAt", "createdAt"))
            rank = (not is_closed(str(chat.get("status"))), seen, number)
            best = max(best or rank, rank)
    return best[2] if best else None


def first_customer(answer: bytes, search: Search) -> int | None:
    """The number of the customer last seen of those sought; None where there is none.

    A customer who does not say to be the one sought is passed over. Raises ValueError as `newest_chat` does.
    """
    for customer in _of(search, _found(answer, "customers"), lambda customer: customer):
        number = whole_number(customer.get("id"))
        if number is not None and customer.get(search.field) is not None:
            return number
    return None


def _found(answer: bytes, what: str) -> list[Any]:
    found = orjson.loads(answer)
    listed = found.get("data") if isinstance(found, dict) else None
    if isinstance(listed, list):
        return listed
    if isinstance(found, dict) and total_in(found) == 0:
        return []
    raise ValueError(f"it has no list of {what}")


def total_in(found: dict[str, Any]) -> object:
    """How many there are: at the top or inside `meta`; both have been seen."""
    meta = found.get("meta")
    return found.get("total", meta.get("total") if isinstance(meta, dict) else None)


def _of(search: Search, listed: list[Any], customer_of: Callable[[dict[str, Any]], object]) -> Iterable[dict[str, Any]]:
    for one in listed:
        if not isinstance(one, dict):
            continue
        customer = customer_of(one)
        named = customer.get(search.field) if isinstance(customer, dict) else None
        if named is None or search.means(str(named)):
            yield one
