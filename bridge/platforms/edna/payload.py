"""The body of a Bot Connect webhook -> its fields, checked.

Source: https://docs.edna.io/kb/message-webhook. Numbers are taken as texts of digits too, and ids that are texts as
numbers. Fields that no page names are passed over here; the event's `raw` has them.
"""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from bridge.adapter.body import read_object
from bridge.adapter.number import whole_number
from bridge.errors import Refused
from bridge.platforms.edna.recipient import one_line

MOST_FILES = 20
"""Our own bound: each attachment becomes an event."""
LARGEST_FIELD = 255


def _id(value: object) -> object:
    text = one_line(value, LARGEST_FIELD)
    if value == "" or value is None:
        return None
    if text is None:
        raise ValueError(f"must be one line of at most {LARGEST_FIELD} characters, or a whole number")
    return text


def _number(value: object) -> object:
    if value is None or value == "":
        return None
    number = whole_number(value, least=0)
    if number is None:
        raise ValueError("must be a whole number, 0 or above")
    return number


Id = Annotated[str | None, BeforeValidator(_id)]
Number = Annotated[int | None, BeforeValidator(_number)]


class _Part(BaseModel):
    model_config = ConfigDict(
        defer_build=True, extra="ignore", frozen=True, strict=True, hide_input_in_errors=True, alias_generator=to_camel
    )


class ChannelInfo(_Part):
    channel_type: Id = None
    authorized: bool | None = None


class SentFile(_Part):
    """What is not as documented but for the address is left out: the file is there all the same."""

    url: str = Field(min_length=1, max_length=4000, pattern=r"^[^\x00-\x1f\x7f]+$")
    name: Annotated[str | None, BeforeValidator(lambda value: one_line(value, 1000))] = None
    type: Annotated[str | None, BeforeValidator(lambda value: one_line(value, 256))] = None
    size: Annotated[int | None, BeforeValidator(lambda value: whole_number(value, least=0))] = None


class Payload(_Part):
    """What every action may say; only `action` is required."""

    action: str = Field(min_length=1, max_length=100, pattern=r"^[!-~]+$")
    text: str | None = None
    threads_client_id: Number = None
    client_id: Id = None
    session_id: Id = None
    question_id: Number = None
    question_index: Number = None
    channel_info: ChannelInfo | None = None
    platform: Id = None
    app_marker: Id = None
    device_address: Annotated[str | None, BeforeValidator(lambda value: one_line(value, 1000))] = None
    client_data: dict[str, Any] | None = None
    received_at: Any = None
    attachments: list[SentFile] | None = Field(default=None, max_length=MOST_FILES)


def read_payload(body: bytes, known: frozenset[str]) -> tuple[Payload, dict[str, Any]]:
    """The fields, and the whole body as it came. Raises Refused(400) naming the field.

    An action that is not `known` may have fields of any form: those of a form that is not ours are passed over.
    """
    raw = read_object(body)
    try:
        return Payload.model_validate(raw), raw
    except ValidationError as error:
        problems = {_place(one["loc"]): one["msg"].removeprefix("Value error, ") for one in error.errors()}
    if "action" in problems or raw["action"] in known:
        place, words = next(iter(problems.items()))
        raise Refused(400, f"{place}: {words}")
    sound = {name: value for name, value in raw.items() if not any(p.split(".")[0] == name for p in problems)}
    return Payload.model_validate(sound), raw


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location)
