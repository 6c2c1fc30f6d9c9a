"""A delivery -> a message in a HelpCrunch chat; where the chat is not known, a search for it first.

Source: https://docs.helpcrunch.com/rest-api-v1/create-message-v1.
"""

from bridge.adapter.ability import unsayable
from bridge.adapter.answers import is_taken, never
from bridge.adapter.dialect import sound, to_markdown, to_plain
from bridge.adapter.protocol import Ability, Steps
from bridge.model.delivery import Delivery, Failed, Reply, Sent
from bridge.platforms.helpcrunch.account import HelpCrunchAccount
from bridge.platforms.helpcrunch.calls import a_call, number_in, refusal
from bridge.platforms.helpcrunch.recipient import find_chat

CAN: frozenset[Ability] = frozenset({"private"})


def send(delivery: Delivery, account: HelpCrunchAccount) -> Steps:
    """Send the reply to the chat that `to:` names, or to the newest chat of the customer whom it names.

    A customer without a chat gets one where the account names an `application`; a private note begins none.
    """
    if (why := unsayable(delivery.reply, "helpcrunch", CAN)) is not None:
        return never(why)
    if not delivery.reply.text.strip():
        return never("reply: it has no text, and HelpCrunch takes no empty message")
    chat = yield from find_chat(delivery.to, account, begin=not delivery.reply.private)
    if isinstance(chat, Failed):
        return chat
    answer = yield a_call(account, "POST", "/messages", _message(chat, delivery.reply, account.agent))
    if not is_taken(answer):
        return refusal(answer)
    # A message whose id cannot be read was taken all the same.
    number = number_in(answer.body)
    return Sent(reference=None if number is None else str(number))


def probe(account: HelpCrunchAccount) -> Steps:
    """Read the list of agents, one of them. Source: https://docs.helpcrunch.com/rest-api-v1, the page on agents."""
    answer = yield a_call(account, "GET", "/agents?limit=1", safe=True)
    return Sent() if is_taken(answer) else refusal(answer)


def _message(chat: int, reply: Reply, agent: int) -> dict[str, object]:
    formatted = {"markdownText": sound(to_markdown(reply))} if reply.format == "markdown" else {}
    return {
        "chat": chat,
        "text": sound(to_plain(reply)),
        **formatted,
        "agent": agent,
        "type": "private" if reply.private else "message",
    }
