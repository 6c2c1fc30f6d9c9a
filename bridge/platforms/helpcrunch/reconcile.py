"""Did a message whose answer never came arrive? The chat's last messages tell.

Source: https://docs.helpcrunch.com/rest-api-v1/get-chat-messages-v1: the newest are first.
"""

import html
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import orjson

from bridge.adapter.answers import is_taken
from bridge.adapter.dialect import to_markdown, to_plain
from bridge.adapter.number import whole_number
from bridge.adapter.protocol import Steps
from bridge.model.delivery import Delivery, Failed, Reply, Sent, Unknown
from bridge.platforms.helpcrunch.account import HelpCrunchAccount
from bridge.platforms.helpcrunch.calls import a_call, refusal, unreadable
from bridge.platforms.helpcrunch.recipient import find_chat
from bridge.platforms.helpcrunch.values import moment_of, seconds_of

PAGE = 20
"""Messages that are asked for at a time: few, because the door cuts answers at 64 KiB."""
MOST_PAGES = 5

SKEW = timedelta(seconds=30)
"""How far HelpCrunch's clock may be behind ours. The line does not send one text twice within a minute."""

_TAG = re.compile(r"<[^<>]{0,1000}>")


def reconcile(delivery: Delivery, account: HelpCrunchAccount, since: datetime) -> Steps:
    """What came of the attempt at `delivery` that began at `since` and got no answer.

    Sent: a message with its text, by our agent, is in the chat. Failed, to be tried again: none is. Unknown: messages
    of our agent are there that may be it, or the chat has too many newer ones. What fails here is only the look-up,
    so it is Unknown too; where there is no chat at all, nothing was sent. Every call is safe.
    """
    chat = yield from find_chat(delivery.to, account)
    if isinstance(chat, Failed):
        return _not_there(False) if chat.reason == "not_found" else _unknown(chat)
    maybe = False
    for page in range(MOST_PAGES):
        path = f"/chats/{chat}/messages?limit={PAGE}&offset={page * PAGE}"
        answer = yield a_call(account, "GET", path, safe=True)
        if not is_taken(answer):
            return _unknown(refusal(answer))
        try:
            messages = _messages(answer.body)
        except ValueError as error:
            return _unknown(unreadable("the look-up of the messages", error))
        for message in messages:
            at = moment_of(message.get("createdAt"))
            if at is None or at < since - SKEW or not _is_ours(message, delivery.reply, account):
                continue
            if _is_said(delivery.reply, str(message.get("text"))):
                number = whole_number(message.get("id"))
                return Sent(reference=None if number is None else str(number))
            # Nobody knows what HelpCrunch makes of Markdown, so another text of ours at that time may be this one.
            maybe = maybe or delivery.reply.format == "markdown"
        if len(messages) < PAGE or _reaches(messages, since - SKEW):
            return _not_there(maybe)
    return Unknown(reason="unknown", detail=f"it is not among the chat's last {MOST_PAGES * PAGE} messages")


def _unknown(why: Failed) -> Unknown:
    return Unknown(reason=why.reason, detail=f"whether it arrived cannot be looked up: {why.detail}")


def _not_there(maybe: bool) -> Failed | Unknown:
    if maybe:
        return Unknown(reason="unknown", detail="the agent wrote in that chat at that time, but not in these words")
    return Failed(reason="network", detail="it is not in the chat, so it was not sent")


def _messages(body: bytes) -> list[Mapping[str, Any]]:
    found = orjson.loads(body)
    listed = found.get("data") if isinstance(found, dict) else None
    if not isinstance(listed, list):
        raise ValueError("it has no list of messages")
    return [message if isinstance(message, dict) else {} for message in listed]


def _is_ours(message: Mapping[str, Any], reply: Reply, account: HelpCrunchAccount) -> bool:
    agent = message.get("agent")
    by = whole_number(agent.get("id")) if isinstance(agent, dict) else None
    return by == account.agent and message.get("type") == ("private" if reply.private else "message")


def _reaches(messages: list[Mapping[str, Any]], since: datetime) -> bool:
    """Whether the list goes back beyond `since`."""
    times = [seconds for message in messages if (seconds := seconds_of(message.get("createdAt"))) is not None]
    return bool(times) and min(times) < since.timestamp()


def _is_said(reply: Reply, text: str) -> bool:
    """Whether `text` is the reply as HelpCrunch shows it: word for word, or of Markdown its letters and digits."""
    if reply.format == "plain":
        return html.unescape(text).split() == html.unescape(to_plain(reply)).split()
    return _letters(text) in (_letters(to_plain(reply)), _letters(to_markdown(reply)))


def _letters(text: str) -> str:
    """The letters and digits of a text, its tags left out; of a text that has none (a smile), all of it."""
    bare = html.unescape(_TAG.sub("", text))
    return "".join(letter for letter in bare.casefold() if letter.isalnum()) or bare.strip()
