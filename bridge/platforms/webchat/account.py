"""The options of a web chat account."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from bridge.adapter.account import Account


def _origin(text: str) -> str:
    scheme, mark, host = text.lower().partition("://")
    if scheme not in ("http", "https") or not mark or not host or set(host) & set("/?#@ \t\r\n"):
        raise ValueError(f'"{text}" is not an origin: write scheme and host, for example "https://chat.example.com"')
    return f"{scheme}://{host}"


Origin = Annotated[str, AfterValidator(_origin)]


class WebchatAccount(Account):
    """The built-in web chat. It has no secrets: who holds a session's id reads that conversation.

    `title` heads the page. `max_text` bounds one message, in characters. `allowed_origins` are the origins that may
    post beside the page's own; they are needed only where a proxy changes the `Host` header.
    """

    platform: Literal["webchat"] = "webchat"
    title: str = Field(default="Chat", min_length=1, max_length=80)
    max_text: int = Field(default=4000, ge=1, le=20_000)
    allowed_origins: list[Origin] = Field(default_factory=list)
