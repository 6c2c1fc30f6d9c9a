"""A delivery -> a message in a HelpCrunch chat; where the chat is not known, a search for it first.

Source: https://docs.helpcrunch.com/rest-api-v1/create-message-v1. Any 2xx means that HelpCrunch took the message.
"""

from collections.abc import Generator

import orjson

from bridge.adapter.answers import excerpt, failure
from bridge.adapter.dialect import to_markdown, to_plain
from bridge.adapter.protocol import HttpAnswer, HttpCall, Step, Steps
from bridge.model.delivery import Delivery, Failed, Reply, Sent
from bridge.model.event import Address
from bridge.platforms.helpcrunch.account import HelpCrunchAccount
from bridge.platforms.helpcrunch.search import newest_chat, search_for, whole_number


def send(delivery: Delivery, account: HelpCrunchAccount) -> Steps:
    """Send the reply to the chat that `to:` names, or to the newest chat of the customer whom it names."""
    if not delivery.reply.text.strip():
        return _never("reply: it has no text, and HelpCrunch takes no empty message")
    try:
        chat = yield from _chat(delivery.to, account)
    except ValueError as error:
        return _never(str(error))
    if isinstance(chat, Failed):
        return chat
    answer = yield _post(account, "/messages", _message(chat, delivery.reply, account.agent))
    return Sent(reference=_reference(answer.body)) if _is_taken(answer) else _failure(answer)


def _chat(to: Address, account: HelpCrunchAccount) -> Generator[Step, HttpAnswer, int | Failed]:
    """The number of the chat that is meant. Raises ValueError for an address that means none."""
    if to.get("chat") is not None:
        number = whole_number(to["chat"])
        if number is None:
            raise ValueError("to.chat: it is the number of a chat in HelpCrunch, 1 or above")
        return number
    search = search_for(to)
    if search is None:
        raise ValueError("to: write one of chat, customer, email, user_id")
    answer = yield _post(account, "/chats/search", search.body(), safe=True)
    if not _is_taken(answer):
        return _failure(answer)
    try:
        found = newest_chat(answer.body, search, account.is_closed)
    except ValueError as error:
        return Failed(reason="unavailable", detail=f"the answer to the search for a chat cannot be read: {error}")
    if found is None:
        # Which customer it was is not said, because details are logged and an e-mail address is personal.
        return Failed(reason="not_found", detail=f"to.{search.key}: no chat of such a customer", permanent=True)
    return found


def _message(chat: int, reply: Reply, agent: int) -> bytes:
    message = {
        "chat": chat,
        "text": _sound(to_plain(reply)),
        "agent": agent,
        "type": "private" if reply.private else "message",
    }
    if reply.format == "markdown":
        message["markdownText"] = _sound(to_markdown(reply))
    return orjson.dumps(message)


def _sound(text: str) -> str:
    """`text` as UTF-8 can say it: half a surrogate pair, which no rule should lose a reply for, becomes `?`."""
    return text.encode(errors="replace").decode()


def _post(account: HelpCrunchAccount, path: str, body: bytes, *, safe: bool = False) -> HttpCall:
    headers = {
        "authorization": f"Bearer {account.api_key.reveal()}",
        "content-type": "application/json",
        "accept": "application/json",
    }
    return HttpCall(method="POST", url=account.base_url + path, headers=headers, body=body, safe=safe)


def _is_taken(answer: HttpAnswer) -> bool:
    return 200 <= answer.status < 300


def _reference(body: bytes) -> str | None:
    """The message's id; None where the body cannot be read, for the message was taken all the same."""
    try:
        message = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    number = whole_number(message.get("id")) if isinstance(message, dict) else None
    return None if number is None else str(number)


def _failure(answer: HttpAnswer) -> Failed:
    return failure(answer, explanation(answer.body))


def explanation(body: bytes) -> str | None:
    """HelpCrunch's own words: "unauthorized: Unauthorized"; None where the body has none.

    The newer of its two generations of errors begins with a general `invalid_request`, which says nothing where
    more follows; a code may be the path of a field.
    """
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    errors = answer.get("errors") if isinstance(answer, dict) else None
    told = [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
    special = [error for error in told if error.get("code") != "invalid_request"]
    words = (": ".join(str(error[key]) for key in ("code", "message") if error.get(key)) for error in special or told)
    return excerpt("; ".join(word for word in words if word).encode(errors="replace")) or None


def _never(detail: str) -> Failed:
    return Failed(reason="invalid", detail=detail, permanent=True)
