"""A webhook of Bot Connect -> events.

Source: https://docs.edna.io/kb/bot-connect-api-description. edna signs nothing, so who calls is known by the secret
at the end of the address, by the sender's IP address, or both.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bridge.adapter.protocol import Answer, Carried, Notice, Webhook
from bridge.adapter.repeat import REPEAT_WITHIN, digest
from bridge.errors import Refused
from bridge.model.event import Address, Attachment, Contact, Event, Kind, Sender
from bridge.platforms.edna.account import EdnaAccount
from bridge.platforms.edna.payload import Payload, read_payload
from bridge.platforms.edna.recipient import one_line
from bridge.platforms.edna.sync import answer_with

MOST_FACTS = 32
LONGEST_FACT = 1000
_TAKEN = Answer(status=202)
_UNNAMED = "attachment"
_NOBODY = "nobody"


def verify(webhook: Webhook, account: EdnaAccount) -> None:
    """Raises Refused(401) unless the address ends with `hook_secret` and the sender is one of `allowed_ips`."""
    secret = account.hook_secret
    knows_secret = secret.is_(webhook.operation) if secret is not None else not webhook.operation
    if not knows_secret:
        raise Refused(401, "the last part of the address is missing or wrong: it is the account's hook_secret")
    if not account.allows(webhook.remote):
        raise Refused(401, "your IP address is not one of the account's allowed_ips")


def parse(webhook: Webhook, account: EdnaAccount) -> Notice:
    """One webhook -> its events, and 202: the bot's answer is a request of its own. Raises Refused(400).

    Where the account says so, what the client is to be answered is in the answer itself.
    """
    said, raw = read_payload(webhook.body, _KNOWN)
    call = Call(webhook=webhook, account=account, said=said, raw=raw)
    answer: Answer | Carried = _TAKEN
    if account.answer == "sync" and said.action in _ANSWERED:
        within = account.answer_within.total_seconds()
        answer = Carried(within=within, answer=lambda reply: answer_with(reply, account), otherwise=_TAKEN)
    return Notice(events=_MEANINGS.get(said.action, _other)(call), answer=answer)


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One checked call: `said` are the fields that we know, `raw` is all that was sent."""

    webhook: Webhook
    account: EdnaAccount
    said: Payload
    raw: dict[str, Any]

    def event(self, kind: Kind, sender: Sender, *, key: str | None = None, **more: Any) -> Event:
        """Without a `key`, the whole body makes one, and counts as a repeat for a short time only."""
        said, more_key = self.said, more.pop("part", "")
        return Event(
            account=self.account.name,
            platform="edna",
            kind=kind,
            sender=sender,
            conversation=_conversation(said),
            key=f"{said.action}:{key or digest(self.webhook.body)}{more_key}",
            at=_at(said.received_at, self.webhook.received_at),
            repeat_within=None if key else REPEAT_WITHIN,
            contact=_contact(said, self.account.client_fields),
            channel=said.channel_info.channel_type if said.channel_info else None,
            raw=self.raw,
            **more,
        )

    def messages(self, sender: Sender, address: Address, key: str | None = None) -> tuple[Event, ...]:
        """The text as a message, where there is one, and each file as an attachment."""
        text, files = self.said.text, self.said.attachments or []
        written = text or (text is not None and not files)
        events = [self.event("message", sender, key=key, address=address, text=text)] if written else []
        for number, file in enumerate(files, start=1):
            attachment = Attachment(name=file.name or _UNNAMED, type=file.type, size=file.size, url=file.url)
            part = f":file{number}"
            events.append(self.event("attachment", sender, key=key, part=part, address=address, attachment=attachment))
        return tuple(events)


def _message(call: Call) -> tuple[Event, ...]:
    said = call.said
    _check_somebody(said)
    if said.text is None and not said.attachments:
        raise Refused(400, "text: missing, and there are no attachments")
    key = None if said.question_id is None else f"{said.session_id or ''}:{said.question_id}"
    return call.messages("contact", _to_bot(said), key)


def _init_chat(call: Call) -> tuple[Event, ...]:
    _check_somebody(call.said)
    return (call.event("opened", "contact", address=_to_bot(call.said)),)


def _training(call: Call) -> tuple[Event, ...]:
    """A copy of what client or agent wrote, where the account says how to tell them apart; else only a note of it."""
    training = call.account.training
    author = _at_path(call.raw, training.field) if training is not None else None
    word = one_line(author)
    if training is not None and word is not None:
        to_client = _address(call.said)
        if word in training.agent:
            return call.messages("agent", to_client) or _other(call)
        if word in training.contact:
            return call.messages("contact", to_client) or _other(call)
    return _other(call)


def _webview_closed(call: Call) -> tuple[Event, ...]:
    """The client closed a page that a button of the bot had opened; the chat goes on."""
    return (call.event("other", "contact", address=_to_bot(call.said) if _has_somebody(call.said) else {}),)


def _other(call: Call) -> tuple[Event, ...]:
    """Without an address: replies go on to where they went before."""
    return (call.event("other", "system"),)


_MEANINGS: Mapping[str, Callable[[Call], tuple[Event, ...]]] = {
    "MESSAGE": _message,
    "INIT_CHAT": _init_chat,
    "TRAINING": _training,
    "WEBVIEW_CLOSED": _webview_closed,
}
_KNOWN = frozenset(_MEANINGS)
_ANSWERED = ("MESSAGE", "INIT_CHAT")
"""What edna waits for the bot's answer to."""


def _has_somebody(said: Payload) -> bool:
    return said.threads_client_id is not None or said.client_id is not None or said.session_id is not None


def _check_somebody(said: Payload) -> None:
    if not _has_somebody(said):
        raise Refused(400, "threadsClientId: missing, and so are clientId and sessionId")


def _conversation(said: Payload) -> str:
    """The client, not the thread: edna's threads come and go, and the client's chat with the company stays the same.

    Only where the client's own id is missing do the others take its place, marked so that they are never mixed up.
    """
    if said.threads_client_id is not None:
        return str(said.threads_client_id)
    if said.client_id is not None:
        return f"client:{said.client_id}"
    return f"thread:{said.session_id}" if said.session_id is not None else _NOBODY


def _to_bot(said: Payload) -> Address:
    """Where the bot's answer goes: `bot` says that edna waits for one."""
    answering = {"bot": True, "question": said.question_id, "question_index": said.question_index}
    return {**_address(said), **{key: value for key, value in answering.items() if value is not None}}


def _address(said: Payload) -> Address:
    address = {
        "threads_client_id": said.threads_client_id,
        "client_id": said.client_id,
        "thread": said.session_id,
        "channel": said.channel_info.channel_type if said.channel_info else None,
        "device": said.device_address,
        "app_marker": said.app_marker,
    }
    return {key: value for key, value in address.items() if value is not None}


def _contact(said: Payload, fields: Mapping[Any, str]) -> Contact:
    data = said.client_data or {}
    named = {word: one_line(data.get(field), LONGEST_FACT) for word, field in fields.items()}
    known: dict[str, object] = {"client_id": said.client_id, "device_platform": said.platform}
    if said.channel_info is not None:
        known["authorized"] = said.channel_info.authorized
    return Contact(
        id=str(said.threads_client_id) if said.threads_client_id is not None else said.client_id,
        **named,
        extra={
            **_facts(data, frozenset(fields.values())),
            **{key: value for key, value in known.items() if value is not None},
        },
    )


def _facts(data: Mapping[str, Any], told: frozenset[str]) -> dict[str, object]:
    """The plain values of clientData that are not told otherwise: not too many, and none too long."""
    plain = (
        (key, value)
        for key, value in data.items()
        if key not in told
        and one_line(key, 100)
        and isinstance(value, str | int | float)
        and len(str(value)) <= LONGEST_FACT
    )
    return dict(item for item, _ in zip(plain, range(MOST_FACTS), strict=False))


def _at(given: object, received_at: datetime) -> datetime:
    """`receivedAt` where it can be read. A clock of edna's that runs ahead must not put events into the future."""
    if not isinstance(given, str) or len(given) > 40:
        return received_at
    try:
        moment = datetime.fromisoformat(given)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return received_at
    return min(moment, received_at)


def _at_path(raw: Mapping[str, Any], path: str) -> object:
    here: object = raw
    for part in path.split("."):
        here = here.get(part) if isinstance(here, dict) else None
    return here
