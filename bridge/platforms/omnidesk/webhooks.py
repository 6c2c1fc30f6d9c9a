"""Omnidesk's own webhooks -> events. They are signed by Standard Webhooks: https://docs.omnidesk.io/omnidesk/webhooks

Names and fields of their events are not published, so the account's settings say what is what; without them each is
an event of kind "other" that has the whole body in `raw`.
"""

from bridge.adapter.body import read_object
from bridge.adapter.mapping import Document
from bridge.adapter.protocol import Answer, Notice, Webhook
from bridge.adapter.signatures import check_standard
from bridge.errors import Refused
from bridge.model.event import SENDERS, Event, Kind, Sender
from bridge.platforms.omnidesk.account import OmnideskAccount

NO_CONVERSATION = "none"

_TAKEN = Answer(status=202, body=b'{"type":"result","message":"Event noted."}')


def verify_webhook(webhook: Webhook, account: OmnideskAccount) -> None:
    """Raises Refused(401) naming the header, unless one of the account's secrets has signed it lately."""
    if not account.webhook_secrets:
        raise Refused(401, "this account takes no webhooks: its webhook_secrets are not set")
    check_standard(webhook.headers, webhook.body, account.webhook_secrets, webhook.received_at)


def parse_webhook(webhook: Webhook, account: OmnideskAccount) -> Notice:
    """One webhook -> one event, a repeat by its id. Raises Refused(400) naming the path that is not as expected."""
    key = webhook.headers.get("webhook-id")
    if not key:
        raise Refused(400, "webhook-id: missing")
    document = read_object(webhook.body)
    said = Document(document, account.webhook_path)
    event = Event(
        account=account.name,
        platform="omnidesk",
        kind=_kind(said.find("kind")[0], account),
        sender=_sender(said.find("sender")[0], account),
        conversation=said.line("conversation") or NO_CONVERSATION,
        key=key,
        at=said.at(webhook.received_at),
        contact=said.contact(),
        text=said.text("text"),
        url=said.url(),
        state=said.line("state"),
        channel=said.line("channel"),
        attachment=said.attachment(),
        raw=document,
    )
    return Notice(events=(event,), answer=_TAKEN)


def _kind(word: object, account: OmnideskAccount) -> Kind:
    return account.webhook_kinds.get(word, "other") if isinstance(word, str) else "other"


def _sender(word: object, account: OmnideskAccount) -> Sender:
    """Who is not known may be anybody, so no rule hears them unless it asks to."""
    if not isinstance(word, str):
        return "system"
    return account.webhook_senders.get(word) or (word if word in SENDERS else "system")
