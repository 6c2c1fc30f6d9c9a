"""The customers that a search finds, page by page, as the audience of a broadcast.

Source: https://docs.helpcrunch.com/rest-api-v1/search-customers-v1. Pages are asked for by how many customers lie
before them, and the list may change meanwhile: a page begins with a few customers of the one before, and where none of
them is found the list is read from its beginning again. So nobody is left out who was in the list all the time.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import orjson
from msgspec import Struct

from bridge.adapter.answers import is_taken, never
from bridge.adapter.number import whole_number
from bridge.adapter.protocol import HttpAnswer, Pages, People
from bridge.model.broadcast import Batch, HelpCrunchAudience
from bridge.model.delivery import Failed
from bridge.platforms.helpcrunch.account import HelpCrunchAccount
from bridge.platforms.helpcrunch.calls import a_call, refusal, unreadable
from bridge.platforms.helpcrunch.customer import ALWAYS, KNOWS, recipient_of
from bridge.platforms.helpcrunch.filters import is_another, written
from bridge.platforms.helpcrunch.search import total_in

OVERLAP = 10
"""Customers of a page that the next one begins with."""
MOST_AGAIN = 3
"""Times that a run may read the list from its beginning again."""
MOST_IDLE = 3
"""Pages one after another that bring nobody new: then no more of them are asked for."""
LARGEST = 8 * 1024 * 1024
"""Bytes of a page: a hundred customers with notes and data of their own."""
_AGAIN = "; start the broadcast again"


class _Cursor(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How many customers lie before the next page, and the last of them.

    `idle` counts pages that brought nobody new, `lost` how often the list had to be read from its beginning again.
    """

    offset: int = 0
    last: tuple[int, ...] = ()
    idle: int = 0
    lost: int = 0


class _Page(Struct, frozen=True, kw_only=True):
    """What was found from `start` on; `total` is how many there are, where HelpCrunch says it."""

    start: int
    customers: Sequence[Mapping[str, Any]]
    total: int | None

    def ends(self, asked: int) -> bool:
        """Whether nobody comes after."""
        after = self.start + len(self.customers)
        return len(self.customers) < asked if self.total is None else after >= self.total

    def known_until(self, last: Sequence[int]) -> int | None:
        """Where those begin who come after all of `last` that are here; None where none of them is."""
        known = [at for at, one in enumerate(self.customers, 1) if whole_number(one.get("id")) in last]
        return max(known, default=None)


_read_cursor = msgspec.json.Decoder(_Cursor).decode


def page(asked: HelpCrunchAudience, account: HelpCrunchAccount, cursor: str | None) -> Pages:
    """The next of the customers, the first seen first, so that new ones come at the end."""
    try:
        conditions = written(asked.filter)
    except ValueError as error:
        return never(str(error))
    stands = _Cursor() if cursor is None else _read_cursor(cursor)
    size, start = account.customers_per_page, max(0, stands.offset - (OVERLAP if stands.last else 0))
    body = {"comparison": "AND" if asked.match == "all" else "OR", "filter": conditions, "limit": size}
    body |= {"offset": start, "sort": "customers.firstSeen", "order": "ASC"}
    answer = yield a_call(account, "POST", "/customers/search", body, safe=True, most=LARGEST)
    if not is_taken(answer):
        return refusal(answer)
    try:
        found = _page(answer, start)
    except ValueError as error:
        return unreadable("the search for customers", error)
    fresh = found.known_until(stands.last) if stands.last else 0
    return _from_the_beginning(stands) if fresh is None else _batch(asked, found, fresh, stands, size)


def _from_the_beginning(stands: _Cursor) -> Batch | Failed:
    """Nobody, and the list from its beginning next: to name somebody twice does no harm."""
    if stands.lost >= MOST_AGAIN:
        return never(f"the list changed so much between two pages that nobody can say who was left out{_AGAIN}")
    return Batch(people=(), cursor=_kept(_Cursor(lost=stands.lost + 1)))


def _batch(asked: HelpCrunchAudience, found: _Page, fresh: int, stands: _Cursor, size: int) -> Batch | Failed:
    new = found.customers[fresh:]
    people = [recipient_of(each, is_another(asked, each)) for each in new]
    if found.ends(size):
        return Batch(people=people, cursor=None)
    idle = 0 if new else stands.idle + 1
    if idle >= MOST_IDLE:
        return never(f"HelpCrunch gives the same customers again and again{_AGAIN}")
    numbers = (whole_number(one.get("id")) for one in found.customers[-OVERLAP:])
    last = tuple(number for number in numbers if number is not None)
    after = _Cursor(offset=found.start + len(found.customers), last=last, idle=idle, lost=stands.lost)
    return Batch(people=people, cursor=_kept(after))


def _kept(stands: _Cursor) -> str:
    return msgspec.json.encode(stands).decode()


def _page(answer: HttpAnswer, start: int) -> _Page:
    """Raises ValueError for what is not the answer to a search, and where there should be more and none is given."""
    try:
        found = orjson.loads(answer.body)
    except orjson.JSONDecodeError as error:
        much = "; it is too long: ask for fewer customers_per_page" if len(answer.body) >= LARGEST else ""
        raise ValueError(f"it is no JSON: {error.msg}{much}") from None
    listed = found.get("data") if isinstance(found, dict) else None
    if not isinstance(listed, list):
        raise ValueError("it has no list of customers")
    many = whole_number(total_in(found))
    if not listed and start < (many or 0):
        raise ValueError(f"it says that there are {many:,} customers, and gives none after {start:,}")
    return _Page(start=start, customers=[one if isinstance(one, dict) else {} for one in listed], total=many)


PEOPLE: People[HelpCrunchAccount] = People(page=page, knows=KNOWS, always=ALWAYS)
