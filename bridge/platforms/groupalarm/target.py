"""Which room or organization is meant by `to:`, and finding the room of an event.

A template makes texts of numbers, so digits are numbers here.
"""

from collections.abc import Generator

from bridge.adapter import address
from bridge.adapter.answers import is_taken, never
from bridge.adapter.number import whole_number
from bridge.adapter.protocol import HttpAnswer, Step
from bridge.model.delivery import Failed
from bridge.model.event import Address
from bridge.platforms.groupalarm.account import GroupAlarmAccount
from bridge.platforms.groupalarm.calls import failed, get, unreadable
from bridge.platforms.groupalarm.rooms import Room, read_room

KEYS = ("room", "event", "organization")


def number(to: Address, key: str) -> int | None:
    """The number that `to` gives by this key; None where it gives none. Raises ValueError for anything else."""
    if to.get(key) is None:
        return None
    found = whole_number(to[key], blanks=True)
    if found is None:
        raise ValueError(f"to.{key}: it is a number in GroupAlarm, 1 or above")
    return found


def organization(to: Address, account: GroupAlarmAccount) -> int | None:
    """The organization that `to` names, else the account's."""
    return number(to, "organization") or account.organization


def needed_organization(to: Address, account: GroupAlarmAccount) -> int:
    """The same. Raises ValueError where there is none."""
    found = organization(to, account)
    if found is None:
        raise ValueError(f"to.organization: missing; write it there or into accounts.{account.name}")
    return found


def only(to: Address, keys: tuple[str, ...] = KEYS) -> None:
    """Raises ValueError for a key of `to` that has no use: silently left out, another room would be meant."""
    address.only(to, keys, "it has no use here")


def room_number(to: Address, account: GroupAlarmAccount) -> Generator[Step, HttpAnswer, int | Failed]:
    """The number of the room that is meant; GroupAlarm is asked only where `to` names an event."""
    try:
        only(to)
        if (given := number(to, "room")) is not None and to.get("event") is None:
            return given
    except ValueError as error:
        return never(str(error))
    found = yield from whole_room(to, account)
    return found if isinstance(found, Failed) else found.id


def whole_room(to: Address, account: GroupAlarmAccount) -> Generator[Step, HttpAnswer, Room | Failed]:
    """The room that is meant, as GroupAlarm describes it now."""
    try:
        only(to)
        given, event = number(to, "room"), number(to, "event")
        if (given is None) == (event is None):
            raise ValueError("to: write one of room, event")
        query = {} if event is None else {"organization_id": needed_organization(to, account), "event_id": event}
    except ValueError as error:
        return never(str(error))
    paths = account.paths
    answer = yield get(account, paths.room.replace("{room}", str(given)) if given else paths.event_room, query)
    if not is_taken(answer):
        return failed(answer)
    try:
        room = read_room(answer.body)
    except ValueError as error:
        return unreadable("the room", error)
    # Were a parameter or a path ever not understood, a message must not reach the people of another alarm.
    if room.id != given if given is not None else room.event not in (None, event):
        return never(f"GroupAlarm names another room (room {room.id}, event {room.event}); see paths in the settings")
    return room
