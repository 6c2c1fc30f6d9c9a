"""Chat rooms as GroupAlarm describes them, and lists of them.

Source: https://developer.groupalarm.com/api/chat.html names the fields. Rooms of later versions of the API, which have
a `matrixRoomID` in place of the numeric `id`, cannot be read.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

import orjson

from bridge.adapter.answers import is_taken
from bridge.adapter.protocol import HttpCall, Steps
from bridge.model.delivery import Sent
from bridge.platforms.groupalarm.account import GroupAlarmAccount
from bridge.platforms.groupalarm.calls import failed, get, unreadable

PAGE = 50
"""Rooms in the largest page that GroupAlarm gives."""
MOST_PAGES = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Room:
    """One chat room. `users` is None where GroupAlarm does not name them by their numbers."""

    id: int
    name: str
    type: str | None = None
    organization: int | None = None
    event: int | None = None
    users: tuple[int, ...] | None = None
    avatar_url: str | None = None
    scheduled_deletion: str | None = None

    def facts(self) -> dict[str, object]:
        """What is known of it, as plain values."""
        known = asdict(self)
        return {**known, "users": None if self.users is None else list(self.users)}


FACTS = tuple(field.name for field in fields(Room))


@dataclass(frozen=True, kw_only=True, slots=True)
class Rooms(Sent):
    """A list of rooms, and how many there are in all where GroupAlarm says it. Operations give it as `found`."""

    rooms: tuple[Room, ...] = ()
    total: int | None = None


def one(room: Room) -> Sent:
    """The outcome of what was asked, made or changed about one room."""
    return Sent(reference=str(room.id), found=room.facts())


def read_room(body: bytes) -> Room:
    """Raises ValueError for what is not a room."""
    return _room(orjson.loads(body))


def read_page(body: bytes) -> Rooms:
    """The rooms of one page, and how many there are in all if it says so. Raises ValueError for anything else."""
    page = orjson.loads(body)
    entries = page.get("entries") if isinstance(page, dict) else None
    # Go writes an empty list as null.
    if not isinstance(page, dict) or not (isinstance(entries, list) or ("entries" in page and entries is None)):
        raise ValueError("it has no list of entries")
    return Rooms(rooms=tuple(map(_room, entries or [])), total=_number(page.get("total"), least=0))


def _room(given: object) -> Room:
    number = _number(given.get("id")) if isinstance(given, dict) else None
    if not isinstance(given, dict) or number is None:
        raise ValueError("a room has no numeric id")
    return Room(
        id=number,
        name=_text(given, "name") or "",
        type=_text(given, "type"),
        organization=_number(given.get("organizationID")),
        event=_number(given.get("eventID")),
        users=_users(given["assignedUsers"]) if "assignedUsers" in given else None,
        avatar_url=_text(given, "avatarURL"),
        scheduled_deletion=_text(given, "scheduledDeletion"),
    )


def _text(given: Mapping[str, object], field: str) -> str | None:
    value = given.get(field)
    return value if isinstance(value, str) and value else None


def _number(given: object, least: int = 1) -> int | None:
    return given if isinstance(given, int) and not isinstance(given, bool) and given >= least else None


def _users(given: object) -> tuple[int, ...] | None:
    """Go writes an empty list as null."""
    if given is None:
        return ()
    users = [_number(user) for user in given] if isinstance(given, list) else [None]
    return None if None in users else tuple(user for user in users if user is not None)


def rooms(account: GroupAlarmAccount, organization: int | None = None) -> Steps:
    """Ask for all rooms of the organization (else the account's), page by page; comes to `Rooms`, each room once.

    A page that is longer than answers are read is asked for again in halves. Where GroupAlarm gives fewer rooms than
    it says there are, `total` tells.
    """
    found: dict[int, Room] = {}
    offset, limit = 0, PAGE
    for _ in range(MOST_PAGES):
        answer = yield list_call(account, organization, limit=limit, offset=offset)
        if not is_taken(answer):
            return failed(answer)
        try:
            page = read_page(answer.body)
        except ValueError as error:
            if isinstance(error, orjson.JSONDecodeError) and limit > 1:
                limit //= 2
                continue
            return unreadable("the list of rooms", error)
        known = len(found)
        found.update((room.id, room) for room in page.rooms)
        offset += len(page.rooms)
        # A page that brings nothing new means that the offset is not heeded: more pages would bring nothing either.
        last = len(page.rooms) < limit if page.total is None else offset >= page.total
        if last or len(found) == known:
            return Rooms(rooms=tuple(found.values()), total=page.total)
    return unreadable("the list of rooms", f"it does not end after {MOST_PAGES} pages")


def list_call(account: GroupAlarmAccount, organization: int | None, **query: object) -> HttpCall:
    asked = organization or account.organization
    return get(account, account.paths.rooms, {**({"organization_id": asked} if asked else {}), **query})
