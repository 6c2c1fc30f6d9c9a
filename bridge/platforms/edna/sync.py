"""A reply in the answer to the webhook that it answers (`answer = "sync"`), in place of a request of its own.

Source: https://docs.edna.io/kb/bot-connect-api-description: 200 with the answer as its body. The form of that body is
taken to be that of `POST /api/v1/chatbot`.
"""

import orjson

from bridge.adapter.protocol import Answer
from bridge.model.delivery import Delivery
from bridge.platforms.edna.account import EdnaAccount
from bridge.platforms.edna.outbound import messages_of


def answer_with(delivery: Delivery, account: EdnaAccount) -> Answer | None:
    """The bot's answer; None for what is no answer of the bot's, or more than one message."""
    try:
        way, bodies = messages_of(delivery, account)
    except ValueError:
        # The ordinary way says what is wrong with it.
        return None
    if way != "bot" or len(bodies) != 1:
        return None
    return Answer(status=200, body=orjson.dumps(bodies[0]))
