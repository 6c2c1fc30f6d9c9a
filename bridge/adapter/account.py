"""The options that every account has, whatever its platform."""

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from bridge.adapter.number import LARGEST
from bridge.adapter.secret import Secret
from bridge.model.delivery import OnUnknown
from bridge.model.quantity import Rate, parse_duration, parse_rate, parse_size


def _text_as(parse: Callable[[str], object]) -> BeforeValidator:
    return BeforeValidator(lambda value: parse(value) if isinstance(value, str) else value)


Duration = Annotated[timedelta, _text_as(parse_duration)]
Size = Annotated[int, _text_as(parse_size)]
RateOption = Annotated[Rate, _text_as(parse_rate)]
NumberOption = Annotated[int, Field(ge=1, le=LARGEST)]
"""The number of something on a platform: a location, an organization."""


class Options(BaseModel):
    """Strict and frozen: an unknown key is an error, a text is not taken for a number."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        arbitrary_types_allowed=True,
        hide_input_in_errors=True,
        # Most platforms and operations are in no use here: what checks their options is made when it is first needed.
        defer_build=True,
    )


def first_problem(error: ValidationError, *around: str) -> str:
    """Which of what was given is wrong, below the places `around` it, and why: "email: String should match ...".

    Never its value, which may be private.
    """
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join([*around, *(str(part)[:40] for part in first["loc"])]) or "body"
    return f"{where}: {first['msg'].removeprefix('Value error, ')}"[:300]


_Quiet = Annotated[timedelta, Field(gt=timedelta(0), le=timedelta(seconds=10)), _text_as(parse_duration)]
"""The bounds come first: of those behind the reading of a text, pydantic tells in the words of Python."""


class Account(Options):
    """One configured identity on a platform. A platform's own account adds its options to these.

    `timeout` bounds one request. `budget` bounds the requests of the whole account. A delivery older than
    `expires` is given up. `on_unknown` says what happens when nobody can say whether a reply arrived.
    `identity` says how a contact of another account is found here: `to:` key -> field, {"email": "contact.email"}.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")
    platform: str
    base_url: str | None = None
    timeout: Duration = Field(default=timedelta(seconds=15), gt=timedelta(0))
    budget: RateOption | None = None
    expires: Duration = Field(default=timedelta(hours=1), gt=timedelta(0))
    on_unknown: OnUnknown = "resend"
    max_in_flight: int = Field(default=16, ge=1, le=1000)
    burst: _Quiet | None = None
    """How long a contact must be quiet before their messages are answered, all as one; none: each at once."""
    identity: dict[str, str] = Field(default_factory=dict)
    reply_via: str | None = None
    """The account by which replies to this account's events go; itself, unless said otherwise."""
    calendar: str | None = None
    """The rulebook's calendar that says when this account is online; none: always."""

    def credentials(self) -> tuple[Secret, ...]:
        """Secrets that name this account in a request whose path does not; none by default."""
        return ()
