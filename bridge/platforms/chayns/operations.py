"""What chayns can do beside Intercom: push notifications, e-mails, and telling who is in a UAC group.

Source: the method and field names of https://github.com/TobitSoftware/chayns-backend/wiki. What the answers to these
calls hold is not published; any 2xx is taken for a yes.
"""

from collections.abc import Generator, Mapping
from typing import Annotated

import orjson
from pydantic import AfterValidator, Field

from bridge.adapter.account import Options
from bridge.adapter.address import only
from bridge.adapter.answers import is_taken, never
from bridge.adapter.argument import Nothing
from bridge.adapter.dialect import sound
from bridge.adapter.number import whole_number
from bridge.adapter.protocol import HttpAnswer, Operation, Step, Steps
from bridge.model.delivery import Failed, Sent
from bridge.model.event import Address
from bridge.platforms.chayns.account import OFFSET, ChaynsAccount
from bridge.platforms.chayns.calls import data, failed, get, outcome, post
from bridge.platforms.chayns.receivers import lists, numbers

MOST_MEMBERS = 10_000
"""Users that one look-up may find; our own bound."""


def _words(text: str) -> str:
    if not text.strip():
        raise ValueError("has no text")
    return sound(text)


def _line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("is one line")
    return _words(text)


Words = Annotated[str, AfterValidator(_words), Field(max_length=20_000)]
Line = Annotated[str, AfterValidator(_line), Field(max_length=300)]


class Push(Options):
    alert: Words


class Email(Options):
    subject: Line
    text: Words
    headline: Line | None = None
    greeting: Line | None = None


def push(arguments: Push, to: Address, account: ChaynsAccount) -> Steps:
    """A push notification to the devices of one user or one UAC group, because chayns takes one in a call."""
    try:
        only(to, ("users", "uac_groups"), "a push has no such receiver")
        users, groups = numbers(to, "users"), numbers(to, "uac_groups")
    except ValueError as error:
        return never(str(error))
    if len(users) + len(groups) != 1:
        return never("to: a push goes to one user or to one UAC group; write users or uac_groups with one number")
    path = f"/User/{users[0]}/Push" if users else f"/UAC/{groups[0]}/Push"
    answer = yield post(account, path, {"alert": arguments.alert})
    return outcome(answer)


def email(arguments: Email, to: Address, account: ChaynsAccount) -> Steps:
    """One e-mail to all users and UAC groups of `to`."""
    keys = ("users", "uac_groups")
    try:
        only(to, keys, "an e-mail has no such receiver")
        receivers = lists(to, keys)
    except ValueError as error:
        return never(str(error))
    if not receivers:
        return never("to: nobody is named; write one of users, uac_groups")
    fields = {
        "Subject": arguments.subject,
        "Headline": arguments.headline,
        "Text": arguments.text,
        "Greeting": arguments.greeting,
    }
    given = {name: value for name, value in fields.items() if value is not None}
    answer = yield post(account, "/Email", {**receivers, **given})
    return outcome(answer)


def members(arguments: Nothing, to: Address, account: ChaynsAccount) -> Steps:
    """Who is in the UAC groups of `to`, each once, in the order in which chayns names them. One request a group."""
    try:
        only(to, ("uac_groups",), "a list of members has no such receiver")
        groups = numbers(to, "uac_groups")
    except ValueError as error:
        return never(str(error))
    if not groups:
        return never("to: no group is named; write uac_groups")
    users: dict[int, None] = {}
    for group in groups:
        found = yield from _members_of(group, account)
        if isinstance(found, Failed):
            return found
        users.update(dict.fromkeys(found))
        if len(users) > MOST_MEMBERS:
            return never(f"to.uac_groups: more than {MOST_MEMBERS} users; ask for fewer groups at once")
    return Sent(found={"users": list(users), "count": len(users)})


def _members_of(group: int, account: ChaynsAccount) -> Generator[Step, HttpAnswer, list[int] | Failed]:
    read, found = 0, dict[int, None]()
    try:
        while len(found) <= MOST_MEMBERS:
            query = account.members_query.replace(OFFSET, str(read))
            answer = yield get(account, f"/UAC/{group}/User" + (f"?{query}" if query else ""))
            if not is_taken(answer):
                return failed(answer)
            page = [_user(entry, account.member_field) for entry in data(answer.body)]
            fresh = dict.fromkeys(one for one in page if one not in found)
            read += len(page)
            found.update(fresh)
            if OFFSET not in account.members_query or not fresh:
                break
        return list(found)
    except orjson.JSONDecodeError:
        why = "it is not JSON, or it is longer than answers are read; members_query can ask for fewer fields"
    except ValueError as error:
        why = str(error)
    return never(f"the members of UAC group {group} cannot be read: {why}")


def _user(entry: object, field: str) -> int:
    number = whole_number(entry.get(field), blanks=True) if isinstance(entry, dict) else None
    if number is None:
        raise ValueError(f"an entry has no number in {field}, which member_field can rename")
    return number


OPERATIONS: Mapping[str, Operation[ChaynsAccount]] = {
    "push": Operation(
        arguments=Push, steps=push, about="A push notification to the devices of one user or one UAC group."
    ),
    "email": Operation(arguments=Email, steps=email, about="One e-mail to users and UAC groups."),
    "members": Operation(
        arguments=Nothing,
        steps=members,
        about="The numbers of the users in UAC groups.",
        finds=("users", "count"),
        always=("users", "count"),
    ),
}
