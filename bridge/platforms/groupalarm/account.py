"""The options of a GroupAlarm account: whose token, which organization, and where the API's methods are."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from bridge.adapter.account import Account, NumberOption, Options
from bridge.adapter.base_url import a_base_url
from bridge.adapter.secret import SecretOption, one_word

_PATH = re.compile(r"(/([A-Za-z0-9._~-]+|\{[A-Za-z_]*\}))+")


def _path(wanted: str) -> AfterValidator:
    """A path with exactly this placeholder, or with none: another one could send a request to the wrong room."""

    def check(text: str) -> str:
        if len(text) > 300 or not _PATH.fullmatch(text) or {".", ".."} & set(text.split("/")):
            example = f'"/chatroom{"/" if wanted else ""}{wanted}"'
            raise ValueError(f'"{text[:80]}" is not a path: it begins with a slash, for example {example}')
        found = re.findall(r"\{.*?\}", text)
        if found != ([wanted] if wanted else []):
            allowed = f"write {wanted} once, and no other" if wanted else "it has no"
            raise ValueError(f'"{text[:80]}": {allowed} placeholder')
        return text

    return AfterValidator(check)


RoomPath = Annotated[str, _path("{room}")]
OrganizationPath = Annotated[str, _path("{organization}")]
PlainPath = Annotated[str, _path("")]
TokenOption = Annotated[SecretOption, one_word("a token")]


class Paths(Options):
    """Where the methods are, below `base_url`. GroupAlarm's page names none: the defaults are guesses.

    `default_room` has no default, because DELETE on a wrong guess could delete another room.
    """

    event_room: PlainPath = "/chatroom"
    rooms: PlainPath = "/chatrooms"
    room: RoomPath = "/chatroom/{room}"
    default_room: OrganizationPath | None = None
    avatar: RoomPath = "/chatroom/{room}/avatar"
    message: RoomPath = "/chatroom/{room}/message"


class GroupAlarmAccount(Account):
    """An organization in GroupAlarm, or a user of it, as the token says. doc.md describes every option."""

    platform: Literal["groupalarm"] = "groupalarm"
    base_url: Annotated[str, a_base_url("https://app.groupalarm.com/api/v1")] = "https://app.groupalarm.com/api/v1"
    organization: NumberOption | None = None
    api_token: TokenOption | None = None
    personal_access_token: TokenOption | None = None
    paths: Paths = Field(default_factory=Paths)
    max_text: int | None = Field(default=None, ge=1, le=1_000_000)
    avatar_content_type: str = Field(default="application/json", pattern=r"^[a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,60}$")

    @model_validator(mode="after")
    def _one_token(self) -> Self:
        if (self.api_token is None) == (self.personal_access_token is None):
            raise ValueError("write exactly one of api_token and personal_access_token")
        return self

    def token(self) -> dict[str, str]:
        """The header that says who we are."""
        if self.api_token is not None:
            return {"API-TOKEN": self.api_token.reveal()}
        return {"Personal-Access-Token": self.personal_access_token.reveal() if self.personal_access_token else ""}
