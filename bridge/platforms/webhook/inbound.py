"""A webhook of any sender -> events, by the account's paths."""

import math
from datetime import UTC, datetime

from bridge.adapter.protocol import Answer, Notice, Webhook
from bridge.adapter.secret import any_is
from bridge.adapter.signatures import check_standard
from bridge.errors import Refused
from bridge.model.event import KINDS, SENDERS, Attachment, Contact, Event, Kind, Sender
from bridge.platforms.webhook.account import WebhookAccount
from bridge.platforms.webhook.envelope import Envelope, open_envelopes
from bridge.platforms.webhook.fields import Field, find, line_of, text_of

MOST = 200
"""Characters of a conversation's id and of the words that name a kind, a sender, a state or a channel."""

_LINE = 1000
_TAKEN = Answer(status=202, body=b'{"ok":true}')
_OURS: tuple[Kind, ...] = ("timer",)


def verify(webhook: Webhook, account: WebhookAccount) -> None:
    """Raises Refused(401) naming the header, unless the sender has one of the account's secrets."""
    if account.scheme == "standard":
        check_standard(webhook.headers, webhook.body, account.secrets, webhook.received_at)
        return
    given = webhook.headers.get(account.header, "")
    if account.header == "authorization":
        kind, _, rest = given.partition(" ")
        given = rest.strip() if kind.lower() == "bearer" else ""
    if not given and account.scheme == "cloudevents":
        given = webhook.query.get("access_token", "")
    if not given:
        form = "Bearer and a secret are expected" if account.header == "authorization" else "a secret is expected"
        raise Refused(401, f"{account.header}: {form}")
    if not any_is(account.secrets, given):
        raise Refused(401, f"{account.header}: wrong; it is none of the account's secrets")


def parse(webhook: Webhook, account: WebhookAccount) -> Notice:
    """One webhook -> one event, or those of a batch. Raises Refused: 400 naming the path, 413, 415."""
    said = [_Said(envelope, account) for envelope in open_envelopes(webhook, account)]
    return Notice(events=tuple(one.event(webhook.received_at) for one in said), answer=_TAKEN)


class _Said:
    """One document, asked for its fields."""

    __slots__ = ("_account", "_envelope")

    def __init__(self, envelope: Envelope, account: WebhookAccount) -> None:
        self._envelope = envelope
        self._account = account

    def _find(self, field: Field) -> tuple[object, str]:
        """What stands there, and the place for a person."""
        path = self._account.path(field)
        return find(self._envelope.document, path), f"{self._envelope.place}{path}"

    def _text(self, field: Field) -> str | None:
        return text_of(*self._find(field))

    def _line(self, field: Field, most: int = _LINE) -> str | None:
        return line_of(*self._find(field), most)

    def event(self, received_at: datetime) -> Event:
        conversation, text = self._line("conversation", MOST), self._text("text")
        if conversation is None:
            place = self._find("conversation")[1]
            option = f"accounts.{self._account.name}.fields.conversation"
            raise Refused(400, f"{place}: missing; if the conversation's id is elsewhere, say so in {option}")
        return Event(
            account=self._account.name,
            platform="webhook",
            kind=self._kind(text),
            sender=self._sender(),
            conversation=conversation,
            key=self._envelope.key,
            repeat_within=self._envelope.repeat_within,
            at=self._at(received_at),
            address={"conversation": conversation},
            contact=self._contact(),
            text=text,
            url=self._line("url", 2048),
            state=self._line("state", MOST),
            channel=self._line("channel", MOST),
            attachment=self._attachment(),
            raw=self._envelope.document,
        )

    def _kind(self, text: str | None) -> Kind:
        """Unknown kinds are no error; where none is given, a text is a message. A timer is nobody's but ours."""
        word = self._line("kind", MOST)
        if word is None:
            return "other" if text is None else "message"
        if (named := self._account.kinds.get(word)) is not None:
            return named
        return word if word in KINDS and word not in _OURS else "other"

    def _sender(self) -> Sender:
        """Who is not one of the four may be anything, so no rule hears them unless it asks to."""
        word = self._line("sender", MOST)
        if word is None:
            return "contact"
        return word if word in SENDERS else "system"

    def _contact(self) -> Contact:
        return Contact(
            id=self._line("contact.id", MOST),
            name=self._line("contact.name"),
            email=self._line("contact.email"),
            phone=self._line("contact.phone"),
            language=self._line("contact.language", MOST),
        )

    def _attachment(self) -> Attachment | None:
        url = self._line("attachment.url", 2048)
        if url is None:
            return None
        return Attachment(name=self._line("attachment.name") or "file", type=self._line("attachment.type"), url=url)

    def _at(self, received_at: datetime) -> datetime:
        """When it happened: never later than now, for no later event could follow a time in the future."""
        given, _ = self._find("at")
        return min(_moment(given) or received_at, received_at)


def _moment(given: object) -> datetime | None:
    """ISO 8601 (in UTC where it names no zone), or seconds since 1970; None for anything else."""
    try:
        if isinstance(given, str) and len(given) <= 60:
            at = datetime.fromisoformat(given)
            return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
        if isinstance(given, int | float) and not isinstance(given, bool) and math.isfinite(given) and given >= 0:
            return datetime.fromtimestamp(given, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None
