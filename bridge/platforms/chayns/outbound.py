"""A delivery -> one Intercom message to everybody whom `to:` names.

Source: https://github.com/TobitSoftware/chayns-backend/wiki/Reference-Intercom
"""

from bridge.adapter.ability import unsayable
from bridge.adapter.answers import is_taken, never
from bridge.adapter.dialect import sound, to_bbcode
from bridge.adapter.protocol import Ability, Steps
from bridge.model.delivery import Delivery, Sent
from bridge.platforms.chayns.account import ChaynsAccount
from bridge.platforms.chayns.calls import failed, get, outcome, post
from bridge.platforms.chayns.receivers import intercom, pictures

CAN: frozenset[Ability] = frozenset({"attachments"})


def send(delivery: Delivery, account: ChaynsAccount) -> Steps:
    """Send the reply as BB-code, in which no square bracket of a customer is a tag."""
    if (why := unsayable(delivery.reply, "chayns", CAN)) is not None:
        return never(why)
    if not delivery.reply.text.strip():
        return never("reply: it has no text, and chayns requires one")
    try:
        fields = pictures(intercom(delivery.to), delivery.reply.attachments)
    except ValueError as error:
        return never(str(error))
    answer = yield post(account, "/Intercom", {"Message": sound(to_bbcode(delivery.reply)), **fields})
    return outcome(answer)


def probe(account: ChaynsAccount) -> Steps:
    """Read the list of UAC groups, which needs the permission SeeUAC as sending does.

    Source: https://github.com/TobitSoftware/chayns-backend/wiki, the page on UAC groups.
    """
    answer = yield get(account, "/UAC")
    return Sent() if is_taken(answer) else failed(answer)
