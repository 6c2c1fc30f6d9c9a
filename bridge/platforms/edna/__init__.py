"""edna Chat Center (formerly Threads): its bot's webhooks in; replies out as the bot, or in the name of an agent.

The API: https://docs.edna.io/kb/login-request
Messages: https://docs.edna.io/kb/send-outgoing-message-from-myself
The bot: https://docs.edna.io/kb/bot-connect-api-description

    webhook -> payload.py (bytes to fields) -> inbound.py (events)
    delivery -> recipient.py (whom) -> message.py (the requests' bodies) -> outbound.py <- session.py (the log-in)
"""

from bridge.adapter.protocol import Adapter, Route
from bridge.platforms.edna.account import EdnaAccount
from bridge.platforms.edna.inbound import parse, verify
from bridge.platforms.edna.integrator import probe
from bridge.platforms.edna.operations import OPERATIONS
from bridge.platforms.edna.outbound import CAN, send
from bridge.platforms.edna.recipient import TO_KEYS

adapter = Adapter(
    name="edna",
    account=EdnaAccount,
    to_keys=TO_KEYS,
    routes=(
        Route(method="POST", path="/hooks/{account}/{operation}", needs="hook_secret"),
        Route(method="POST", path="/hooks/{account}"),
    ),
    verify=verify,
    parse=parse,
    send=send,
    operations=OPERATIONS,
    can=CAN,
    sends=frozenset({"message", "attachment", "opened", "other"}),
    probe=probe,
)
