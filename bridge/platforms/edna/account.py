"""The options of an edna account: who may call us, and as whom replies go out."""

import re
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, PrivateAttr, model_validator

from bridge.adapter.account import Account, Duration, Options
from bridge.adapter.base_url import a_base_url
from bridge.adapter.network import NetworkOption, is_among
from bridge.adapter.secret import Secret, SecretOption, one_word
from bridge.platforms.edna.session import Session

LONGEST_TEXT = 2000
"""Characters: https://docs.edna.io/kb/send-outgoing-message-from-myself."""

_IN_A_PATH = re.compile(r"[A-Za-z0-9._~-]{16,200}", re.ASCII)

Way = Literal["bot", "agent", "outgoing", "device"]


def _hook_secret(secret: Secret) -> Secret:
    if not _IN_A_PATH.fullmatch(secret.reveal()):
        raise ValueError(
            "it is a part of a URL: 16 to 200 letters, digits and - . _ ~; make one by `openssl rand -hex 24`"
        )
    return secret


Word = Annotated[str, Field(min_length=1, max_length=255)]
FieldPath = Annotated[str, Field(pattern=r"^[^.\x00-\x1f]{1,60}(\.[^.\x00-\x1f]{1,60}){0,4}$")]


Detail = Literal["name", "email", "phone", "language"]


def _inferred_fields() -> dict[Detail, str]:
    """Of the fields of clientData only `phone` is published."""
    return {"name": "name", "email": "email", "phone": "phone"}


class Training(Options):
    """Where a TRAINING copy says who wrote it: the field (a path with dots), and its values for either side."""

    field: FieldPath
    agent: list[Word] = Field(default_factory=list)
    contact: list[Word] = Field(default_factory=list)


class EdnaAccount(Account):
    """One edna Chat Center. doc.md describes every option."""

    platform: Literal["edna"] = "edna"
    base_url: Annotated[str, a_base_url("https://company.edna.io")]
    hook_secret: Annotated[SecretOption, AfterValidator(_hook_secret)] | None = None
    allowed_ips: list[NetworkOption] = Field(default_factory=list)
    login: Word | None = None
    password: SecretOption | None = None
    locale: Literal["en", "ru"] | None = None
    agent_login: Word | None = None
    agent_status: Literal["READY", "OUTGOING"] = "READY"
    bot_token: Annotated[SecretOption, one_word("a token", "copy it again, without Bearer")] | None = None
    bot_header: str = Field(default="Authorization", pattern=r"^[A-Za-z][A-Za-z0-9-]{0,60}$")
    bot_scheme: str = Field(default="Bearer", pattern=r"^[A-Za-z]{0,20}$")
    send_by: Literal["auto"] | Way = "auto"
    channel_type: str = Field(default="MOBILE", pattern=r"^[A-Z_]{1,40}$")
    app_marker: Word | None = None
    max_text: int = Field(default=LONGEST_TEXT, ge=1, le=LONGEST_TEXT)
    long_text: Literal["split", "refuse"] = "split"
    answer: Literal["async", "sync"] = "async"
    answer_within: Duration = timedelta(seconds=3)
    """How long a webhook may wait for its reply, for `answer = "sync"`: less than the bot's waiting timeout in edna."""
    client_fields: dict[Detail, Word] = Field(default_factory=_inferred_fields)
    training: Training | None = None
    _session: Session = PrivateAttr(default_factory=Session)

    @model_validator(mode="after")
    def _is_guarded(self) -> Self:
        if self.hook_secret is None and not self.allowed_ips:
            raise ValueError(
                "hook_secret and allowed_ips: both are missing, and edna signs nothing, so anybody could send events; "
                'add hook_secret = { env = "EDNA_HOOK_SECRET" }, or the addresses that edna calls from'
            )
        return self

    @model_validator(mode="after")
    def _can_send(self) -> Self:
        if (self.login is None) != (self.password is None):
            raise ValueError("login and password: one is given without the other")
        if self.login is None and self.bot_token is None and self.reply_via is None:
            raise ValueError("login and password, or bot_token: without them nothing can be sent")
        if self.send_by == "bot" and self.bot_token is None:
            raise ValueError('send_by: "bot" needs bot_token')
        if self.send_by not in ("auto", "bot") and self.login is None:
            raise ValueError(f'send_by: "{self.send_by}" needs login and password')
        if self.answer == "sync" and self.send_by not in ("auto", "bot"):
            raise ValueError(f'answer: "sync" is the bot\'s own answer, and send_by is "{self.send_by}"; leave one out')
        if self.send_by == "agent" and self.agent_login is None:
            raise ValueError('send_by: "agent" needs agent_login')
        return self

    @property
    def session(self) -> Session:
        """What this process remembers of the account while it runs."""
        return self._session

    def allows(self, remote: str) -> bool:
        """Whether `allowed_ips` has this address; any address where there is no such list."""
        if not self.allowed_ips:
            return True
        try:
            return is_among(remote, self.allowed_ips)
        except ValueError:
            return False
