"""A delivery -> one message of edna, or several for a long text. Any 2xx means that edna took it."""

from collections.abc import Generator, Sequence

import orjson

from bridge.adapter.ability import unsayable
from bridge.adapter.answers import failure, is_taken, never, object_in
from bridge.adapter.protocol import Ability, HttpAnswer, HttpCall, Step, Steps
from bridge.adapter.repeat import name_of
from bridge.model.delivery import Delivery, Failed, Sent
from bridge.platforms.edna.account import EdnaAccount, Way
from bridge.platforms.edna.integrator import by_integrator, json_headers
from bridge.platforms.edna.message import PATHS, Body, Part, body_of, buttons_of, files_of, parts_of, texts_of
from bridge.platforms.edna.recipient import one_line, read_recipient, way_to

CAN: frozenset[Ability] = frozenset({"attachments", "quick_replies"})


def send(delivery: Delivery, account: EdnaAccount) -> Steps:
    """Send the reply by the way that `send_by` and `to:` lead to; its parts one after the other."""
    try:
        way, bodies = messages_of(delivery, account)
    except ValueError as error:
        return never(str(error))
    return (yield from post_all(way, bodies, account, delivery))


def post_all(way: Way, bodies: Sequence[Body], account: EdnaAccount, delivery: Delivery | None = None) -> Steps:
    """The messages one after the other. Those that edna took in an earlier attempt of this process at the same
    delivery are not sent again.
    """
    session = account.session
    taken = () if delivery is None else session.taken(delivery)
    for body in bodies[len(taken) :]:
        told = yield from post(way, body, account)
        if isinstance(told, Failed):
            return told
        taken = (*taken, told)
        if delivery is not None and len(bodies) > 1:
            session.note(delivery, taken)
    if delivery is not None:
        session.forget(delivery)
    return Sent(reference=named(taken))


def messages_of(delivery: Delivery, account: EdnaAccount) -> tuple[Way, list[Body]]:
    """The way that a reply goes, and the bodies of its requests, at least one. Raises ValueError: it cannot be said."""
    if (why := unsayable(delivery.reply, "edna", CAN)) is not None:
        raise ValueError(why)
    whom = read_recipient(delivery.to)
    way = way_to(whom, account)
    bodies = [body_of(way, part, whom, account) for part in _parts(delivery, account)]
    if not bodies:
        raise ValueError("reply: it has no text, and edna takes no empty message")
    return way, bodies


def _parts(delivery: Delivery, account: EdnaAccount) -> list[Part]:
    """Files and quick replies go with the last part, and each part has the delivery's name with its own number.

    Raises ValueError naming what edna does not take.
    """
    reply = delivery.reply
    files, buttons = files_of(reply), buttons_of(reply)
    texts = texts_of(reply, account) or ((("", None),) if files or buttons else ())
    return parts_of(texts, files, buttons, name_of(delivery, account))


def post(way: Way, body: Body, account: EdnaAccount) -> Generator[Step, HttpAnswer, str | Failed]:
    """One message; gives edna's id of it, "" where its answer has none."""
    if way == "bot":
        answer: HttpAnswer | Failed = yield _bot_call(body, account)
    else:
        answer = yield from by_integrator(account, "POST", PATHS[way], body)
    if isinstance(answer, Failed):
        return answer
    return _id(answer.body) if is_taken(answer) else failure(answer)


def _bot_call(body: Body, account: EdnaAccount) -> HttpCall:
    token = account.bot_token.reveal() if account.bot_token is not None else ""
    return HttpCall(
        method="POST",
        url=account.base_url + PATHS["bot"],
        headers=json_headers(account.bot_header, f"{account.bot_scheme} {token}".lstrip()),
        body=orjson.dumps(body),
    )


def _id(body: bytes) -> str:
    """A message that was taken is taken, whatever can be read of the answer."""
    return one_line(object_in(body).get("id"), 100) or ""


def named(taken: Sequence[str]) -> str | None:
    return ", ".join(filter(None, taken)) or None
