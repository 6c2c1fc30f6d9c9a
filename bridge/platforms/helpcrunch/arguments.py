"""What may be given to HelpCrunch's operations, and how it is written for its API."""

import re
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from bridge.adapter.account import Options
from bridge.adapter.argument import Number
from bridge.adapter.number import as_text
from bridge.platforms.helpcrunch.values import LAST, plain_status

# How the API spells them; "onhold" and "on-hold", which it answers with, are understood too.
STATUSES = ("new", "opened", "pending", "on hold", "no communication", "closed")
# Eight digits are a day: "20260328".
_SECONDS = re.compile(r"[0-9]{9,12}")

Line = Annotated[str, BeforeValidator(as_text), Field(min_length=1, max_length=1000)]


def _status(given: object) -> object:
    spelled = {plain_status(status): status for status in STATUSES}
    return spelled.get(plain_status(given), given) if isinstance(given, str) else given


def _moment(given: object) -> object:
    """ "2026-03-28T09:00+02:00", or seconds since 1970."""
    if isinstance(given, str) and _SECONDS.fullmatch(given.strip()):
        given = int(given)
    try:
        if isinstance(given, int | float) and not isinstance(given, bool):
            given = datetime.fromtimestamp(given, UTC)
        elif isinstance(given, str):
            given = datetime.fromisoformat(given)
    except (ValueError, OverflowError, OSError):
        raise ValueError(f'"{str(given)[:80]}" is not a time: write for example "2026-03-28T09:00+02:00"') from None
    if isinstance(given, datetime):
        if given.tzinfo is None:
            raise ValueError(f'"{given.isoformat()}" names no time zone: write for example "2026-03-28T09:00+02:00"')
        if not 86_400 < given.timestamp() <= LAST:
            raise ValueError(f'"{given.isoformat()}" is no time that a chat can be put aside until')
    return given


class Assign(Options):
    agent: Number


class Department(Options):
    department: Number


class Status(Options):
    status: Annotated[
        Literal["new", "opened", "pending", "on hold", "no communication", "closed"], BeforeValidator(_status)
    ]


class Snooze(Options):
    until: Annotated[datetime, BeforeValidator(_moment)]


class Rate(Options):
    rating: Literal["great", "average", "poor", "perfect"]


class MarkRead(Options):
    by: Literal["agent", "customer"] = "agent"


class Tag(Options):
    name: Line
    color: Line | None = None


class Tags(Options):
    """Tags by their names, or as {name, color}."""

    tags: list[Line | Tag] = Field(min_length=1, max_length=100)

    def written(self) -> list[dict[str, str]]:
        named = [Tag(name=tag) if isinstance(tag, str) else tag for tag in self.tags]
        return [tag.model_dump(exclude_none=True) for tag in named]


class Customer(Options):
    """A customer's facts, by HelpCrunch's names in this project's spelling; `custom` are the organisation's own."""

    name: Line | None = None
    email: Line | None = None
    user_id: Line | None = None
    company: Line | None = None
    phone: Line | None = None
    locale: Annotated[str, Field(pattern=r"^[a-z]{2}$")] | None = None
    notes: Annotated[str, Field(max_length=10_000)] | None = None
    custom: dict[Line, str | int | float | bool | None] = Field(default_factory=dict, max_length=100)

    def written(self) -> dict[str, object]:
        facts: dict[str, object] = self.model_dump(exclude_none=True, exclude={"user_id", "custom"})
        if self.user_id is not None:
            facts["userId"] = self.user_id
        if self.custom:
            facts["customData"] = [{"property": name, "value": value} for name, value in self.custom.items()]
        return facts


class SendEvent(Options):
    name: Line
    data: dict[Line, str | int | float | bool | None] = Field(default_factory=dict, max_length=100)
