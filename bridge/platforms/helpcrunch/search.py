"""Finding a customer's chat: what to ask HelpCrunch, and which of the chats it names to write to.

Source: https://docs.helpcrunch.com/rest-api-v1/search-chats-v1. A chat's fields are documented, their types are not
kept to: numbers come as texts, times with fractions, statuses in several spellings.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from bridge.model.event import Address

MOST = 5
"""Chats that are asked for: few, since each carries its last message and the door cuts answers at 64 KiB."""

_LARGEST = 2**63 - 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """The customer is sought whose `field` is `value`; `key` is the word for it in `to:`, `inside` in the answer."""

    key: str
    field: str
    inside: str
    value: int | str

    def means(self, named: str) -> bool:
        """Whether a customer who is named so is the one. The letters of an e-mail address have no case."""
        value = str(self.value)
        return named.casefold() == value.casefold() if self.inside == "email" else named == value

    def body(self) -> bytes:
        """The newest chats of this customer."""
        return orjson.dumps(
            {
                "comparison": "AND",
                "filter": [{"field": self.field, "operator": "=", "value": self.value}],
                "limit": MOST,
                "offset": 0,
                "sort": "chats.lastMessageAt",
                "order": "DESC",
            }
        )


def search_for(to: Address) -> Search | None:
    """The search that `customer`, `user_id` or `email` asks for (the first of these that is there).

    Raises ValueError naming the key whose value cannot be sought; gives None where none is there.
    """
    if (customer := to.get("customer")) is not None:
        number = whole_number(customer)
        if number is None:
            raise ValueError("to.customer: it is the number of a customer in HelpCrunch, 1 or above")
        return Search(key="customer", field="chats.customer", inside="id", value=number)
    for key, inside in (("user_id", "userId"), ("email", "email")):
        if (given := to.get(key)) is not None:
            text = str(given).strip() if isinstance(given, str | int) and not isinstance(given, bool) else ""
            if not text or len(text) > 300 or not text.isprintable():
                raise ValueError(f"to.{key}: it is one line of 1 to 300 characters")
            return Search(key=key, field=f"chats.customer.{inside}", inside=inside, value=text)
    return None


def newest_chat(answer: bytes, search: Search, is_closed: Callable[[str], bool]) -> int | None:
    """The number of the chat to write to: the newest that is not closed, else the newest; None where there is none.

    A chat that names another customer is passed over: were a filter ever not understood, a message must not reach
    a stranger. Raises ValueError for what is not the answer to a search.
    """
    found = orjson.loads(answer)
    chats = found.get("data") if isinstance(found, dict) else None
    if not isinstance(chats, list):
        if isinstance(found, dict) and _total(found) == 0:
            return None
        raise ValueError("it has no list of chats")
    best: tuple[bool, float, int] | None = None
    for chat in _of(search, chats):
        number = whole_number(chat.get("id"))
        if number is not None:
            seen = max(_seconds(chat.get("lastMessageAt")), _seconds(chat.get("createdAt")))
            rank = (not is_closed(str(chat.get("status"))), seen, number)
            best = max(best or rank, rank)
    return best[2] if best else None


def _total(found: dict[str, Any]) -> object:
    """How many chats there are: at the top or inside `meta`; both have been seen."""
    meta = found.get("meta")
    return found.get("total", meta.get("total") if isinstance(meta, dict) else None)


def _of(search: Search, chats: list[Any]) -> Iterable[dict[str, Any]]:
    for chat in chats:
        if not isinstance(chat, dict):
            continue
        customer = chat.get("customer")
        named = customer.get(search.inside) if isinstance(customer, dict) else None
        if named is None or search.means(str(named)):
            yield chat


def whole_number(given: object) -> int | None:
    """An id: a whole number from 1, as a number or in ASCII digits."""
    if isinstance(given, str) and given.isascii() and given.isdigit() and len(given) < 20:
        given = int(given)
    return given if isinstance(given, int) and not isinstance(given, bool) and 1 <= given <= _LARGEST else None


def _seconds(given: object) -> float:
    """A time as HelpCrunch writes it, seconds since 1970: 1594139170, "1594139170" or "1594139170.913"; else 0."""
    if not isinstance(given, str | int | float) or len(str(given)) > 30:
        return 0.0
    try:
        seconds = float(given)
    except ValueError:
        return 0.0
    return seconds if math.isfinite(seconds) else 0.0
