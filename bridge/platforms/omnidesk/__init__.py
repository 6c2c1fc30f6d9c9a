"""The bridge stands in for Omnidesk, calls a real one, or stands between a chat server and Omnidesk.

The API: https://docs.omnidesk.io/omnidesk/api-specification/chat
The hook: https://docs.omnidesk.io/omnidesk/live-chat/chatbot-integration
The webhooks: https://docs.omnidesk.io/omnidesk/webhooks

    request of a chat server -> body.py (bytes to fields) -> operations.py (fields checked) -> inbound.py + answers.py
    webhook of Omnidesk      -> webhooks.py
    reply                    -> outbound.py (the chat server's hook)
    omnidesk.forward, ...    -> client.py, forward.py -> calls.py (a real Omnidesk)
"""

from bridge.adapter.protocol import Adapter, Route
from bridge.platforms.omnidesk.account import OmnideskAccount
from bridge.platforms.omnidesk.answers import refuse
from bridge.platforms.omnidesk.client import OPERATIONS, probe
from bridge.platforms.omnidesk.inbound import credential, parse, verify
from bridge.platforms.omnidesk.outbound import CAN, send

PATH = "/api/v2/chat/{operation}"

adapter = Adapter(
    name="omnidesk",
    account=OmnideskAccount,
    to_keys=("session", "chat_server"),
    routes=(
        Route(method="POST", path=PATH, uploads=True, needs="api_keys"),
        Route(method="GET", path=PATH),
        Route(method="POST", path="/hooks/{account}", needs="webhook_secrets"),
    ),
    credential=credential,
    credential_in="apiKey",
    verify=verify,
    parse=parse,
    send=send,
    refuse=refuse,
    operations=OPERATIONS,
    can=CAN,
    probe=probe,
)
