"""chayns Intercom: messages to the users, UAC groups and sites of a chayns location. Sends only.

The API: https://github.com/TobitSoftware/chayns-backend/wiki/Reference-Intercom, v2.0, which its makers have given up.
"""

from bridge.adapter.protocol import Adapter
from bridge.platforms.chayns.account import ChaynsAccount
from bridge.platforms.chayns.audience import PEOPLE, TOGETHER
from bridge.platforms.chayns.inbound import refuse_all
from bridge.platforms.chayns.operations import OPERATIONS
from bridge.platforms.chayns.outbound import CAN, probe, send
from bridge.platforms.chayns.receivers import KEYS

adapter = Adapter(
    name="chayns",
    account=ChaynsAccount,
    to_keys=KEYS,
    verify=refuse_all,
    parse=refuse_all,
    send=send,
    operations=OPERATIONS,
    can=CAN,
    probe=probe,
    audience=PEOPLE,
    together=TOGETHER,
)
