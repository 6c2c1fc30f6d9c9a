"""Enqueue: note an event, what it changed and what has to be delivered, in the open ledger."""

from collections.abc import Sequence

from bridge.line.accounts import Accounts
from bridge.line.match import Matched
from bridge.line.render import Rendered
from bridge.model.delivery import Delivery
from bridge.model.facts import Facts
from bridge.store.ledger import Ledger


def enqueue(
    ledger: Ledger, before: Facts, after: Facts, matched: Matched, replies: Sequence[Rendered], accounts: Accounts
) -> int:
    """Write it all down; gives the event's number.

    `before` and `after` are the facts as the event found them and as the rules left them.
    """
    number = ledger.record(before.event, before.conversation, matched.trace)
    if after is not before:
        changed = {s: memory for s, memory in after.memories.items() if memory is not before.memories.get(s)}
        ledger.remember(before.conversation, changed)
    for reply in replies:
        known = accounts.get(reply.account)
        delivery = Delivery(
            id=ledger.next_delivery(),
            event=number,
            rule=reply.rule,
            action=reply.action,
            account=reply.account,
            lane=reply.lane,
            to=reply.to,
            reply=reply.reply,
            created_at=before.now,
            expires_at=None if known is None else before.now + known.account.expires,
        )
        reason, detail = reply.fault or (None, None)
        ledger.enqueue(delivery, dead=reason, detail=detail)
    return number
