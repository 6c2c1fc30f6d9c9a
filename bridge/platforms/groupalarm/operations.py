"""The care of chat rooms: all methods of GroupAlarm's chat API beside sending a text.

Source: https://developer.groupalarm.com/api/chat.html names the fields; the paths are guesses (account.py).
"""

import re
from base64 import b64decode
from binascii import Error
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from bridge.adapter.account import Options
from bridge.adapter.answers import is_taken, never
from bridge.adapter.argument import Nothing, Number, Whole
from bridge.adapter.dialect import sound
from bridge.adapter.number import LARGEST
from bridge.adapter.protocol import HttpAnswer, Operation, Steps
from bridge.model.delivery import Failed, Outcome, Sent
from bridge.model.event import Address
from bridge.platforms.groupalarm import rooms
from bridge.platforms.groupalarm.account import GroupAlarmAccount
from bridge.platforms.groupalarm.calls import ask, failed, json, unreadable
from bridge.platforms.groupalarm.target import needed_organization, only, organization, room_number, whole_room

_BLANKS = re.compile(r"[ \t\r\n]+")


def _name(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("is one line with a text")
    return sound(text.strip())


def _base64(text: str) -> str:
    try:
        content = b64decode(_BLANKS.sub("", text), validate=True)
    except (Error, ValueError):
        raise ValueError("is the picture's bytes in Base64") from None
    if not content:
        raise ValueError("is empty, which would remove the avatar; there is an operation for that")
    return text


Name = Annotated[str, AfterValidator(_name), Field(max_length=300)]
Users = Annotated[list[Number], Field(max_length=1000)]


class Page(Options):
    """Either all, or a page; GroupAlarm's own default is the first 10."""

    all: bool = False
    limit: Annotated[Whole, Field(ge=1, le=50)] | None = None
    offset: Annotated[Whole, Field(ge=0, le=LARGEST)] | None = None

    @model_validator(mode="after")
    def _all_or_some(self) -> Self:
        if self.all and (self.limit is not None or self.offset is not None):
            raise ValueError("with all, GroupAlarm ignores limit and offset: leave them out")
        return self


class NewRoom(Options):
    name: Name
    users: Users = Field(default_factory=list)


class Rename(Options):
    name: Name


class Change(Options):
    """What is not given stays as it is."""

    name: Name | None = None
    users: Users | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.name is None and self.users is None:
            raise ValueError("nothing changes: write name, users or both")
        return self


class Avatar(Options):
    content: Annotated[str, AfterValidator(_base64), Field(max_length=4_000_000)]


def room(arguments: Nothing, to: Address, account: GroupAlarmAccount) -> Steps:
    found = yield from whole_room(to, account)
    return found if isinstance(found, Failed) else rooms.one(found)


def list_rooms(arguments: Page, to: Address, account: GroupAlarmAccount) -> Steps:
    """One request, as GroupAlarm offers it. `rooms.rooms` asks for as many pages as there are."""
    try:
        only(to, ("organization",))
        asked = organization(to, account)
    except ValueError as error:
        return never(str(error))
    page = {"all": "true"} if arguments.all else {"limit": arguments.limit, "offset": arguments.offset}
    answer = yield rooms.list_call(account, asked, **{k: v for k, v in page.items() if v is not None})
    if not is_taken(answer):
        return failed(answer)
    try:
        found = rooms.read_page(answer.body)
    except ValueError as error:
        return unreadable("the list of rooms", error)
    return Sent(found={"rooms": [room.facts() for room in found.rooms], "total": found.total})


def create_room(arguments: NewRoom, to: Address, account: GroupAlarmAccount) -> Steps:
    try:
        only(to, ("organization",))
        owner = needed_organization(to, account)
    except ValueError as error:
        return never(str(error))
    body = json(assignedUsers=arguments.users, name=arguments.name, organizationID=owner)
    answer = yield ask("POST", account, account.paths.rooms, body)
    return _made(answer)


def create_default_room(arguments: Nothing, to: Address, account: GroupAlarmAccount) -> Steps:
    try:
        path = _default_room(to, account)
    except ValueError as error:
        return never(str(error))
    answer = yield ask("POST", account, path)
    return _made(answer)


def remove_default_room(arguments: Nothing, to: Address, account: GroupAlarmAccount) -> Steps:
    try:
        path = _default_room(to, account)
    except ValueError as error:
        return never(str(error))
    answer = yield ask("DELETE", account, path)
    return _done(answer)


def change_room(arguments: Rename | Change, to: Address, account: GroupAlarmAccount) -> Steps:
    """Read the room, then write it whole: what PUT does to fields that are left out is not published."""
    old = yield from whole_room(to, account)
    if isinstance(old, Failed):
        return old
    users = arguments.users if isinstance(arguments, Change) else None
    new = replace(old, name=arguments.name or old.name, users=old.users if users is None else tuple(users))
    if new.users is None:
        return never(f"room {new.id}: GroupAlarm does not name its users by number; say them all, by update_room")
    owner = new.organization or account.organization
    body = json(assignedUsers=new.users, name=new.name, **({"organizationID": owner} if owner else {}))
    answer = yield ask("PUT", account, _at(account.paths.room, new.id), body)
    return rooms.one(new) if is_taken(answer) else failed(answer)


def delete_room(arguments: Nothing, to: Address, account: GroupAlarmAccount) -> Steps:
    number = yield from room_number(to, account)
    if isinstance(number, Failed):
        return number
    answer = yield ask("DELETE", account, _at(account.paths.room, number))
    return _done(answer, number)


def set_avatar(arguments: Avatar | Nothing, to: Address, account: GroupAlarmAccount) -> Steps:
    """A picture, or none: an empty body removes it. GroupAlarm declares the body as JSON, though it is bytes."""
    content = b64decode(_BLANKS.sub("", arguments.content)) if isinstance(arguments, Avatar) else b""
    number = yield from room_number(to, account)
    if isinstance(number, Failed):
        return number
    answer = yield ask("PUT", account, _at(account.paths.avatar, number), content, account.avatar_content_type)
    return _done(answer, number)


def _default_room(to: Address, account: GroupAlarmAccount) -> str:
    """Raises ValueError where it is not known of which organization, or where the method is."""
    only(to, ("organization",))
    owner = needed_organization(to, account)
    if account.paths.default_room is None:
        where = f"accounts.{account.name}.paths.default_room"
        raise ValueError(
            f"{where}: missing; GroupAlarm's page does not say where default rooms are, and none is guessed"
        )
    return account.paths.default_room.replace("{organization}", str(owner))


def _at(path: str, number: int) -> str:
    return path.replace("{room}", str(number))


def _done(answer: HttpAnswer, number: int | None = None) -> Outcome:
    return Sent(reference=None if number is None else str(number)) if is_taken(answer) else failed(answer)


def _made(answer: HttpAnswer) -> Outcome:
    """A room was made even where it cannot be read; to make it again would make two."""
    if not is_taken(answer):
        return failed(answer)
    try:
        return rooms.one(rooms.read_room(answer.body))
    except ValueError:
        return Sent()


OPERATIONS: Mapping[str, Operation[GroupAlarmAccount]] = {
    "room": Operation(
        arguments=Nothing, steps=room, about="Read a room, or the room of an event.", finds=rooms.FACTS, always=("id",)
    ),
    "rooms": Operation(
        arguments=Page,
        steps=list_rooms,
        about="List the rooms of an organization, or one's own.",
        finds=("rooms", "total"),
        always=("rooms", "total"),
    ),
    "create_room": Operation(
        arguments=NewRoom, steps=create_room, about="Create a custom room.", finds=rooms.FACTS, always=("id",)
    ),
    "rename_room": Operation(
        arguments=Rename, steps=change_room, about="Give a custom room another name.", finds=rooms.FACTS, always=("id",)
    ),
    "update_room": Operation(
        arguments=Change,
        steps=change_room,
        about="Change a custom room's name, users or both.",
        finds=rooms.FACTS,
        always=("id",),
    ),
    "delete_room": Operation(arguments=Nothing, steps=delete_room, about="Delete a custom room."),
    "avatar": Operation(arguments=Avatar, steps=set_avatar, about="Set a custom room's picture."),
    "remove_avatar": Operation(arguments=Nothing, steps=set_avatar, about="Remove a custom room's picture."),
    "create_default_room": Operation(
        arguments=Nothing,
        steps=create_default_room,
        about="Create the organization's default room.",
        finds=rooms.FACTS,
        always=("id",),
    ),
    "remove_default_room": Operation(
        arguments=Nothing, steps=remove_default_room, about="Remove the organization's default room."
    ),
}
