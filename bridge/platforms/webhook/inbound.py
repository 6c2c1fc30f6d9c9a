"""A webhook of any sender -> events, by the account's paths."""

from datetime import datetime

from bridge.adapter.mapping import Document
from bridge.adapter.protocol import Answer, Notice, Webhook
from bridge.adapter.secret import any_is
from bridge.adapter.signatures import check_standard
from bridge.errors import Refused
from bridge.model.event import KINDS, SENDERS, Event, Kind, Sender
from bridge.platforms.webhook.account import WebhookAccount
from bridge.platforms.webhook.envelope import Envelope, open_envelopes

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
    envelopes = open_envelopes(webhook, account)
    return Notice(events=tuple(_event(one, account, webhook.received_at) for one in envelopes), answer=_TAKEN)


def _event(envelope: Envelope, account: WebhookAccount, received_at: datetime) -> Event:
    said = Document(envelope.document, account.path, envelope.place)
    conversation, text = said.line("conversation"), said.text("text")
    if conversation is None:
        place = said.find("conversation")[1]
        option = f"accounts.{account.name}.fields.conversation"
        raise Refused(400, f"{place}: missing; if the conversation's id is elsewhere, say so in {option}")
    return Event(
        account=account.name,
        platform="webhook",
        kind=_kind(said.line("kind"), text, account),
        sender=_sender(said.line("sender")),
        conversation=conversation,
        key=envelope.key,
        repeat_within=envelope.repeat_within,
        at=said.at(received_at),
        address={"conversation": conversation},
        contact=said.contact(),
        text=text,
        url=said.url(),
        state=said.line("state"),
        channel=said.line("channel"),
        attachment=said.attachment(),
        raw=envelope.document,
    )


def _kind(word: str | None, text: str | None, account: WebhookAccount) -> Kind:
    """Unknown kinds are no error; where none is given, a text is a message. A timer is nobody's but ours."""
    if word is None:
        return "other" if text is None else "message"
    if (named := account.kinds.get(word)) is not None:
        return named
    return word if word in KINDS and word not in _OURS else "other"


def _sender(word: str | None) -> Sender:
    """Who is not one of the four may be anything, so no rule hears them unless it asks to."""
    if word is None:
        return "contact"
    return word if word in SENDERS else "system"
