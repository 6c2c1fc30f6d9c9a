"""The built-in web chat: a page that the bridge serves itself. Its protocol is described in doc.md.

The streamed replies follow https://html.spec.whatwg.org/multipage/server-sent-events.html, read with fetch() so that
the session travels in a header and never in a URL.
"""

from bridge.adapter.protocol import Adapter, Route
from bridge.platforms.webchat.account import WebchatAccount
from bridge.platforms.webchat.inbound import OPERATIONS, mailbox, parse, verify
from bridge.platforms.webchat.outbound import CAN, send
from bridge.platforms.webchat.pages import page_routes

adapter = Adapter(
    name="webchat",
    account=WebchatAccount,
    to_keys=("visitor",),
    routes=(
        *page_routes(),
        Route(method="GET", path="/chat/stream", what="stream"),
        Route(method="POST", path="/chat/{operation}"),
    ),
    verify=verify,
    parse=parse,
    send=send,
    mailbox=mailbox,
    can=CAN,
    sends=frozenset(body.kind for body in OPERATIONS.values()),
)
