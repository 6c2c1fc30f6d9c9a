"""Whom a call is for: the words of `to:`, checked, and which of edna's ways reaches them."""

import re
from dataclasses import dataclass

from bridge.adapter.number import whole_number
from bridge.model.event import Address
from bridge.platforms.edna.account import EdnaAccount, Way

TO_KEYS = (
    "threads_client_id",
    "client_id",
    "thread",
    "bot",
    "question",
    "question_index",
    "channel",
    "device",
    "unauthorized_client_id",
    "app_marker",
)
E_MAIL = "EMAIL"
_CHANNEL = re.compile(r"[A-Z_]{1,40}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipient:
    """`to:` with its values checked; what it leaves out is None."""

    threads_client_id: int | None = None
    client_id: str | None = None
    thread: str | None = None
    bot: bool = False
    question: int | None = None
    question_index: int | None = None
    channel: str | None = None
    device: str | None = None
    unauthorized_client_id: str | None = None
    app_marker: str | None = None

    @property
    def thread_id(self) -> int | str | None:
        """The thread as a number where it looks like one: webhooks write it as a text, look-ups as a number."""
        number = whole_number(self.thread, least=0)
        return self.thread if number is None else number

    @property
    def is_asking_the_bot(self) -> bool:
        """Whether the bot was asked something here, so that its answer is what edna waits for."""
        return self.bot or self.question is not None or (self.thread is not None and self.question_index is not None)


def read_recipient(to: Address) -> Recipient:
    """Raises ValueError naming the key whose value cannot be used. Keys of other platforms are passed over."""
    channel, bot = _text(to, "channel"), to.get("bot")
    if channel is not None and not _CHANNEL.fullmatch(channel):
        raise ValueError("to.channel: it is a channel type in capitals, for example MOBILE or TELEGRAM")
    if bot is not None and not isinstance(bot, bool):
        raise ValueError("to.bot: it is true or false")
    return Recipient(
        threads_client_id=_number(to, "threads_client_id"),
        client_id=_text(to, "client_id"),
        thread=_text(to, "thread"),
        bot=bot or False,
        question=_number(to, "question"),
        question_index=_number(to, "question_index"),
        channel=channel,
        device=_text(to, "device"),
        unauthorized_client_id=_text(to, "unauthorized_client_id"),
        app_marker=_text(to, "app_marker"),
    )


def way_to(whom: Recipient, account: EdnaAccount) -> Way:
    """The way of the account's `send_by`; for "auto" the first that is open.

    These are: the bot's, where it was asked; an agent's own; the one to a device; the plain outgoing one. A bot without
    an integrator's log-in beside it has no other way than its own.
    """
    if account.send_by != "auto":
        return account.send_by
    if account.bot_token is not None and (whom.is_asking_the_bot or account.login is None):
        return "bot"
    is_client = whom.threads_client_id is not None or whom.client_id is not None
    if is_client and account.agent_login is not None:
        return "agent"
    if whom.device is not None and not is_client:
        return "device"
    return "outgoing"


def one_line(given: object, most: int = 255) -> str | None:
    """A text that edna may have made: printable, of 1 to `most` characters; a whole number is taken as its digits."""
    if isinstance(given, int):
        number = whole_number(given, least=0)
        return None if number is None else str(number)
    is_good = isinstance(given, str) and 0 < len(given) <= most and given.isprintable()
    return given if is_good and isinstance(given, str) else None


def _number(to: Address, key: str) -> int | None:
    if to.get(key) is None:
        return None
    number = whole_number(to[key], least=0)
    if number is None:
        raise ValueError(f"to.{key}: it is a whole number, 0 or above")
    return number


def _text(to: Address, key: str) -> str | None:
    if to.get(key) is None:
        return None
    text = one_line(to[key], 1000 if key == "device" else 255)
    if text is None or not text.strip():
        raise ValueError(f"to.{key}: it is one line of 1 to 255 characters")
    return text
