"""The bridge stands in for Omnidesk: chat servers call us, and we call their hook with the replies.

The API: https://docs.omnidesk.io/omnidesk/api-specification/chat
The hook: https://docs.omnidesk.io/omnidesk/live-chat/chatbot-integration

    request -> body.py (bytes to fields) -> operations.py (fields checked) -> inbound.py (event) + answers.py
    delivery -> outbound.py
"""

from bridge.adapter.protocol import Adapter, Route
from bridge.platforms.omnidesk.account import OmnideskAccount
from bridge.platforms.omnidesk.answers import refuse
from bridge.platforms.omnidesk.inbound import credential, parse, verify
from bridge.platforms.omnidesk.outbound import send

PATH = "/api/v2/chat/{operation}"

adapter = Adapter(
    name="omnidesk",
    account=OmnideskAccount,
    to_keys=("session", "chat_server"),
    routes=(Route(method="POST", path=PATH, uploads=True), Route(method="GET", path=PATH)),
    credential=credential,
    verify=verify,
    parse=parse,
    send=send,
    refuse=refuse,
)
