"""chayns Intercom: messages to the users, UAC groups and sites of a chayns location. Sends only.

The API: https://github.com/TobitSoftware/chayns-backend/wiki/Reference-Intercom, v2.0, which its makers have given up.
"""

from bridge.adapter.protocol import Adapter, no_webhooks
from bridge.platforms.chayns.account import ChaynsAccount
from bridge.platforms.chayns.audience import PEOPLE, TOGETHER
from bridge.platforms.chayns.operations import OPERATIONS
from bridge.platforms.chayns.outbound import CAN, probe, send
from bridge.platforms.chayns.receivers import KEYS

adapter = Adapter(
    name="chayns",
    account=ChaynsAccount,
    to_keys=KEYS,
    verify=no_webhooks("chayns"),
    parse=no_webhooks("chayns"),
    send=send,
    operations=OPERATIONS,
    can=CAN,
    probe=probe,
    audience=PEOPLE,
    together=TOGETHER,
)
