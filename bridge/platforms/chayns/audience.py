"""The members of UAC groups, as the audience of a broadcast, and several users in one message.

Source: https://github.com/TobitSoftware/chayns-backend/wiki, its pages on UAC groups, on users and on Intercom. Whether
long lists of members come in pages is not published: `members_query` can ask for them page by page.
"""

from collections.abc import Sequence

import msgspec
import orjson
from msgspec import Struct

from bridge.adapter.answers import is_taken, never
from bridge.adapter.number import whole_number
from bridge.adapter.protocol import Pages, People, Together
from bridge.errors import Place, Problem
from bridge.model.broadcast import Batch, ChaynsAudience, Recipient
from bridge.model.delivery import Failed
from bridge.model.event import Address
from bridge.platforms.chayns.account import OFFSET, ChaynsAccount
from bridge.platforms.chayns.calls import data, failed, get
from bridge.platforms.chayns.receivers import MOST, numbers

ALWAYS = ("id",)
TEXTS = ("name", "firstName", "lastName", "personId", "gender", "picture")
KNOWS = (*ALWAYS, *TEXTS)
LARGEST = 8 * 1024 * 1024
"""Bytes of a list of members."""
LONGEST = 1000


class _Cursor(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The place of a group among those asked for, how many of its members were read, and the last of these."""

    group: int = 0
    offset: int = 0
    last: int = 0


_read_cursor = msgspec.json.Decoder(_Cursor).decode


def page(asked: ChaynsAudience, account: ChaynsAccount, cursor: str | None) -> Pages:
    """The members of the next group, or the next of them; with one call for all, the groups themselves."""
    if not asked.uac_groups or len(asked.uac_groups) > MOST:
        return never(f"uac_groups: 1 to {MOST:,} groups can be asked for")
    if not asked.each:
        everybody = Recipient(key="all", address={"uac_groups": list(asked.uac_groups)})
        return Batch(people=(everybody,), cursor=None)
    stands = _Cursor() if cursor is None else _read_cursor(cursor)
    group = asked.uac_groups[stands.group]
    query = account.members_query.replace(OFFSET, str(stands.offset))
    answer = yield get(account, f"/UAC/{group}/User" + (f"?{query}" if query else ""), most=LARGEST)
    if not is_taken(answer):
        return failed(answer)
    try:
        members = data(answer.body)
    except orjson.JSONDecodeError:
        return _unreadable(group, "it is not JSON, or longer than answers are read; members_query can ask for less")
    except ValueError as error:
        return _unreadable(group, str(error))
    after = _after(members, stands, account)
    if after is not None and after.last == stands.last:
        return _unreadable(group, "the next page ends as the one before: members_query does not ask for pages")
    if after is None and stands.group + 1 < len(asked.uac_groups):
        after = _Cursor(group=stands.group + 1)
    people = [_recipient(member, account.member_field, group) for member in members]
    return Batch(people=people, cursor=None if after is None else msgspec.json.encode(after).decode())


def _after(members: Sequence[object], stands: _Cursor, account: ChaynsAccount) -> _Cursor | None:
    """Where the next page of the same group begins; None where this was all of it."""
    if not members or OFFSET not in account.members_query:
        return None
    last = _number(members[-1], account.member_field) or -1
    return _Cursor(group=stands.group, offset=stands.offset + len(members), last=last)


def _recipient(member: object, field: str, group: int) -> Recipient | Problem:
    number = _number(member, field)
    if number is None or not isinstance(member, dict):
        message = f"a member of UAC group {group} has no number in {field}, which member_field can rename"
        return Problem(place=Place(file="chayns", line=0, column=0), message=message, warning=True)
    said = {name: text.strip()[:LONGEST] for name in TEXTS if isinstance(text := member.get(name), str)}
    variables = {"id": number, **{name: text for name, text in said.items() if text}}
    return Recipient(key=f"users={number}", address={"users": number}, variables=variables)


def _number(member: object, field: str) -> int | None:
    return whole_number(member.get(field), blanks=True) if isinstance(member, dict) else None


def _unreadable(group: int, why: str) -> Failed:
    return never(f"the members of UAC group {group} cannot be read: {why}")


def all_of(some: Sequence[Address], account: ChaynsAccount) -> Address | None:
    """One address of several users, each of whom gets a chat of their own; None where one of them is no plain user."""
    if any(set(to) != {"users"} for to in some):
        return None
    try:
        users = [number for to in some for number in numbers(to, "users")]
    except ValueError:
        return None
    return {"users": list(dict.fromkeys(users)), "group_chat": False} if 0 < len(users) <= MOST else None


def _most(account: ChaynsAccount) -> int:
    return account.together


PEOPLE: People[ChaynsAccount] = People(page=page, knows=KNOWS, always=ALWAYS)
TOGETHER: Together[ChaynsAccount] = Together(most=_most, address=all_of)
