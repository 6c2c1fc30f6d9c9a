"""A delivery -> one Intercom message to everybody whom `to:` names.

Source: https://github.com/TobitSoftware/chayns-backend/wiki/Reference-Intercom
"""

from bridge.adapter.dialect import to_bbcode
from bridge.adapter.protocol import Steps
from bridge.model.delivery import Delivery, Failed
from bridge.platforms.chayns.account import ChaynsAccount
from bridge.platforms.chayns.calls import outcome, post, sound
from bridge.platforms.chayns.receivers import intercom


def send(delivery: Delivery, account: ChaynsAccount) -> Steps:
    """Send the reply as BB-code, in which no square bracket of a customer is a tag."""
    if delivery.reply.private:
        return never("private: every receiver of a chayns message sees it; leave `private` out")
    if not delivery.reply.text.strip():
        return never("reply: it has no text, and chayns requires one")
    try:
        receivers = intercom(delivery.to)
    except ValueError as error:
        return never(str(error))
    answer = yield post(account, "/Intercom", {"Message": sound(to_bbcode(delivery.reply)), **receivers})
    return outcome(answer)


def never(detail: str) -> Failed:
    return Failed(reason="invalid", detail=detail, permanent=True)
