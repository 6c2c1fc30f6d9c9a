"""A delivery -> one POST to the chat server's hook `messageForCustomer`.

Source: https://docs.omnidesk.io/omnidesk/live-chat/chatbot-integration. It names the hook and its answer `ok`; the
fields, content type and authentication of the request are not published, so they are options of the account.
"""

from urllib.parse import urlencode

import orjson

from bridge.adapter.ability import unsayable
from bridge.adapter.answers import failure, is_taken, never
from bridge.adapter.dialect import sound, to_plain
from bridge.adapter.number import as_text
from bridge.adapter.protocol import Ability, HttpCall, Steps
from bridge.model.delivery import Delivery, Sent
from bridge.platforms.omnidesk.account import OmnideskAccount
from bridge.platforms.omnidesk.fields import shorten

CAN: frozenset[Ability] = frozenset()
"""The chat server shows the customer all that it is told, and its hook is only known to take a text."""


def send(delivery: Delivery, account: OmnideskAccount) -> Steps:
    """Send the reply as plain text to `to: {session, chat_server}`. Any 2xx means that the chat server took it."""
    session, chat_server = as_text(delivery.to.get("session")), delivery.to.get("chat_server")
    if session is None or session == "":
        return never("to.session: missing; it is the chatSessionID of the conversation")
    if not isinstance(session, str):
        return never("to.session: must be one text; it is the chatSessionID of the conversation")
    if not isinstance(chat_server, str) or not chat_server:
        return never("to.chat_server: missing; it is the base URL of the chat server")
    base = account.callback(chat_server)
    if base is None:
        allow = f"add it to accounts.{account.name}.chat_servers, then replay"
        return never(f"to.chat_server: {shorten(chat_server)} is not allowed; if it should be, {allow}", "refused")
    if (why := unsayable(delivery.reply, "omnidesk", CAN)) is not None:
        return never(why)
    answer = yield HttpCall(
        method="POST",
        url=base + account.message_path,
        headers=_headers(account),
        body=_body(delivery, session, account),
    )
    return Sent() if is_taken(answer) else failure(answer)


def _headers(account: OmnideskAccount) -> dict[str, str]:
    content_type = "application/json" if account.message_format == "json" else "application/x-www-form-urlencoded"
    headers = {"content-type": content_type}
    if account.message_api_key is not None:
        headers["apiKey"] = account.message_api_key.reveal()
    return headers


def _body(delivery: Delivery, session: str, account: OmnideskAccount) -> bytes:
    values = {
        "session": session,
        "message": to_plain(delivery.reply),
        "id": str(delivery.id),
        "account_token": next(iter(account.chat_account_tokens), ""),
    }
    fields = {field: sound(values[word]) for word, field in account.message_fields.items()}
    return orjson.dumps(fields) if account.message_format == "json" else urlencode(fields).encode()
