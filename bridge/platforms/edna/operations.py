"""What edna can do beside replies. What a look-up finds is plain values of bounded number and size."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Self
from urllib.parse import quote

import orjson
from pydantic import Field, model_validator

from bridge.adapter.account import Options
from bridge.adapter.answers import excerpt, failure, is_taken, never
from bridge.adapter.argument import Nothing, Number
from bridge.adapter.protocol import HttpAnswer, Operation, Steps
from bridge.adapter.repeat import name_of
from bridge.model.delivery import Delivery, Failed, Reply, Sent
from bridge.model.event import Address
from bridge.platforms.edna.account import EdnaAccount
from bridge.platforms.edna.integrator import by_integrator
from bridge.platforms.edna.message import MOST_BUTTONS, MOST_FILES, Body, File, QuickReply, body_of, parts_of, texts_of
from bridge.platforms.edna.outbound import post_all
from bridge.platforms.edna.recipient import Recipient, read_recipient, way_to

THREAD_FIELDS = (
    "id", "status", "startTime", "stateChangeTime", "unread", "unanswered", "lastAgent", "lastAgentLogin",
    "currentAgent", "currentAgentLogin", "channel", "clientId", "clientExternalId", "clientName", "threadUrl",
)  # fmt: skip
CLIENT_FIELDS = ("id", "externalId", "phone", "hasActiveThread")
MOST_FACTS = 50
MOST_CLIENTS = 20
LONGEST_FACT = 300

Line = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]+$")]


class Message(Options):
    """`text` is plain; `files` and `quick_replies` go with its last part."""

    text: Annotated[str, Field(max_length=100_000)] = ""
    files: Annotated[list[File], Field(max_length=MOST_FILES)] = Field(default_factory=list)
    quick_replies: Annotated[list[QuickReply], Field(max_length=MOST_BUTTONS)] = Field(default_factory=list)

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.text.strip() and not self.files:
            raise ValueError("text and files: one of them is needed")
        return self


class Assign(Options):
    """The agent, by number or by log-in."""

    user_id: Number | None = None
    login: Line | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.user_id is None) == (self.login is None):
            raise ValueError("user_id and login: write one of them")
        return self


class Block(Options):
    reason: Annotated[str, Field(min_length=1, max_length=1000)]


class Client(Options):
    """Whom to look for beside the `client_id` of `to:`."""

    phones: Annotated[list[Line], Field(max_length=MOST_CLIENTS)] = Field(default_factory=list)
    client_ids: Annotated[list[Line], Field(max_length=MOST_CLIENTS)] = Field(default_factory=list)


Make = Callable[[Any, Recipient, EdnaAccount], Steps]


def _steps(make: Make) -> Callable[[Any, Address, EdnaAccount], Steps]:
    """With `to:` read, and what cannot be done refused by name."""

    def steps(arguments: Any, to: Address, account: EdnaAccount) -> Steps:
        try:
            return (yield from make(arguments, read_recipient(to), account))
        except ValueError as error:
            return never(str(error))

    return steps


def _message_of(arguments: Message, delivery: Delivery, account: EdnaAccount) -> Steps:
    def for_it(arguments: Message, whom: Recipient, account: EdnaAccount) -> Steps:
        return _message(arguments, whom, account, delivery)

    return _steps(for_it)(arguments, delivery.to, account)


def _message(arguments: Message, whom: Recipient, account: EdnaAccount, delivery: Delivery | None = None) -> Steps:
    way = way_to(whom, account)
    texts = texts_of(Reply(text=arguments.text), account) or (("", None),)
    name = None if delivery is None else name_of(delivery, account)
    parts = parts_of(texts, tuple(arguments.files), tuple(arguments.quick_replies), name)
    return post_all(way, [body_of(way, part, whom, account) for part in parts], account, delivery)


def _assign(arguments: Assign, whom: Recipient, account: EdnaAccount) -> Steps:
    agent: Body = {"login": arguments.login} if arguments.user_id is None else {"userId": arguments.user_id}
    answer = yield from by_integrator(account, "PUT", f"{_thread_path(whom)}/assign", agent, safe=True)
    return _done(answer)


def _block(arguments: Block, whom: Recipient, account: EdnaAccount) -> Steps:
    if whom.client_id is not None:
        client: Body = {"externalClientId": whom.client_id}
    elif whom.thread is not None:
        client = {"threadId": whom.thread_id}
    else:
        raise ValueError("to: write client_id or thread")
    body = {**client, "reason": arguments.reason}
    answer = yield from by_integrator(account, "PUT", "/api/v1/clients/block", body, safe=True)
    return _done(answer)


def _thread(arguments: Nothing, whom: Recipient, account: EdnaAccount) -> Steps:
    answer = yield from by_integrator(account, "GET", _thread_path(whom), safe=True)
    return _found(answer, lambda body: plain_facts(body, THREAD_FIELDS))


def _profile(arguments: Nothing, whom: Recipient, account: EdnaAccount) -> Steps:
    if whom.threads_client_id is None:
        raise ValueError("to.threads_client_id: missing; a profile is found by it")
    path = f"/api/v1/clients/internal/{whom.threads_client_id}/profile"
    answer = yield from by_integrator(account, "GET", path, safe=True)
    return _found(answer, lambda body: {"profile": plain_facts(body)})


def _client(arguments: Client, whom: Recipient, account: EdnaAccount) -> Steps:
    ids = [*([whom.client_id] if whom.client_id is not None else []), *arguments.client_ids]
    if not ids and not arguments.phones:
        raise ValueError("to.client_id, client_ids or phones: one of them is needed")
    body: Body = {"phones": arguments.phones, "externalIds": ids}
    answer = yield from by_integrator(account, "POST", "/api/v1/clients/short-info", body, safe=True)
    return _found(answer, _clients)


def _thread_path(whom: Recipient) -> str:
    if whom.thread is None:
        raise ValueError("to.thread: missing; it is the id of a thread (the sessionId of the bot's webhooks)")
    if whom.thread in (".", ".."):
        raise ValueError("to.thread: it is not the id of a thread")
    return f"/api/v1/threads/{quote(whom.thread, safe='')}"


def _done(answer: HttpAnswer | Failed) -> Sent | Failed:
    if isinstance(answer, Failed):
        return answer
    return Sent() if is_taken(answer) else failure(answer)


def _found(answer: HttpAnswer | Failed, read: Callable[[Any], object]) -> Sent | Failed:
    """What `read` makes of the answer; it raises ValueError for what is not the answer to this question."""
    if isinstance(answer, Failed):
        return answer
    if not is_taken(answer):
        return failure(answer)
    try:
        facts = read(orjson.loads(answer.body))
    except ValueError as error:
        detail = f"the answer cannot be read: {excerpt(str(error), 100)}"
        return Failed(reason="unavailable", detail=detail)
    return Sent(found=facts)


def plain_facts(body: Any, fields: tuple[str, ...] = ()) -> dict[str, object]:
    """The plain values among `fields` of an object, all fields where none is named; long texts shortened."""
    if not isinstance(body, dict):
        raise ValueError("it is not an object")
    plain = {
        key[:100]: excerpt(value, LONGEST_FACT) if isinstance(value, str) else value
        for key, value in body.items()
        if (not fields or key in fields) and isinstance(value, str | int | float)
    }
    return dict(list(plain.items())[:MOST_FACTS])


def _clients(body: Any) -> dict[str, object]:
    """All of them, and the facts of the first beside them, since one is what is mostly looked for."""
    if not isinstance(body, list):
        raise ValueError("it is not a list of clients")
    clients = [plain_facts(client, CLIENT_FIELDS) for client in body[:MOST_CLIENTS]]
    return {**(clients[0] if clients else {}), "clients": clients}


OPERATIONS: Mapping[str, Operation[EdnaAccount]] = {
    "message": Operation(
        arguments=Message,
        steps=_steps(_message),
        of_delivery=_message_of,
        about="Write to a client, with files or the bot's quick replies.",
    ),
    "assign": Operation(arguments=Assign, steps=_steps(_assign), about="Give the thread to an agent."),
    "block": Operation(arguments=Block, steps=_steps(_block), about="Block the client, with a reason."),
    "thread": Operation(
        arguments=Nothing,
        steps=_steps(_thread),
        about="Look up a thread: its status, agents and client.",
        finds=THREAD_FIELDS,
    ),
    "client": Operation(
        arguments=Client,
        steps=_steps(_client),
        about="Look up clients in short: who they are, and whether a thread is open.",
        finds=(*CLIENT_FIELDS, "clients"),
        always=("clients",),
    ),
    "profile": Operation(
        arguments=Nothing, steps=_steps(_profile), about="Look up a client's profile.", finds=("profile",)
    ),
}
