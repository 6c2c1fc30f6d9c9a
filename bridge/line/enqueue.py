"""Enqueue: what a decision comes to, as deliveries on the open page."""

from collections.abc import Iterable

from bridge.line.accounts import Accounts
from bridge.line.render import Rendered
from bridge.model.delivery import Delivery, Urgency
from bridge.store.page import Entry, Page


def enqueue(
    page: Page, event: int, rendered: Iterable[Rendered], accounts: Accounts, urgency: Urgency = "live"
) -> None:
    """Note the deliveries that follow from the event of this number; what cannot be made begins dead or cancelled."""
    for one in rendered:
        known = accounts.get(one.account)
        delivery = Delivery(
            id=page.next_delivery(),
            event=event,
            rule=one.rule,
            action=one.action,
            account=one.account,
            lane=one.lane,
            to=one.to,
            reply=one.reply,
            command=one.command,
            urgency=urgency,
            created_at=page.now,
            expires_at=None if known is None else page.now + known.account.expires,
        )
        if one.fault is not None:
            reason, detail = one.fault
            page.enqueue(Entry(delivery=delivery, state="dead", reason=reason, detail=detail))
        elif one.held is not None:
            page.enqueue(Entry(delivery=delivery, state="cancelled", detail=one.held))
        else:
            page.enqueue(Entry(delivery=delivery))
