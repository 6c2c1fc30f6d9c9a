"""What a platform's adapter must be. Adapters translate; they do no I/O.

A platform's folder gives one `Adapter` value. Inbound: `verify` and `parse` turn a `Webhook` into a `Notice`.
Outbound: `send` is a generator that yields each call it wants made, is sent the answer, and returns the `Outcome`.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

import orjson
from msgspec import Struct

from bridge.adapter.account import Account, Options
from bridge.errors import Refused
from bridge.model.delivery import Delivery, Outcome
from bridge.model.event import Address, Event


class Webhook(Struct, frozen=True, kw_only=True):
    """A request as it was received.

    `headers` is asked with lower-case names; `operation` and `account` are the parts of the path so named by the
    route; `remote` is the sender's IP address.
    """

    method: str
    path: str
    operation: str = ""
    account: str | None = None
    query: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    body: bytes = b""
    remote: str = ""
    received_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What the sender of a webhook reads."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """What the bridge knows of an account at this moment, for platforms that ask.

    `online` is None where the account names no calendar; `open` counts conversations that have not ended,
    `waiting` those of them whose last word is the contact's.
    """

    online: bool | None
    open: int
    waiting: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Upload:
    """A file that came with a webhook; the line keeps it and puts its address into the event's attachment."""

    name: str
    content: bytes


class Notice(Struct, frozen=True, kw_only=True):
    """What a webhook says: events, and the answer the platform expects.

    `answer` may need the account's standing. `uploads[i]` belongs to the i-th event of kind "attachment".
    """

    events: tuple[Event, ...] = ()
    answer: Answer | Callable[[Standing], Answer] = Answer()
    uploads: tuple[Upload, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpCall:
    """A request an adapter wants made. `safe` says that making it twice does no harm (a search, a log-in)."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)
    safe: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedCall(HttpCall):
    """A request with headers that depend on the moment it is made, as a signature does: `sign` is given that moment."""

    sign: Callable[[datetime], Mapping[str, str]] = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class ConfidentialCall(HttpCall):
    """A request whose answer holds a secret, as a log-in's does: the answer is not kept with the attempt."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpAnswer:
    """What came back; `headers` have lower-case names, `body` is cut at the door's cap."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, kw_only=True, slots=True)
class Post:
    """Put `body` (JSON) into a mailbox that somebody reads from us (the web chat's browser).

    The store keeps it durably, once per delivery. The answer sent back is an HttpAnswer of status 200.
    """

    mailbox: str
    body: Mapping[str, object]


A = TypeVar("A", bound=Account)
Step = HttpCall | Post
Steps = Generator[Step, HttpAnswer, Outcome]


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """A path of the web server that belongs to a platform, in aiohttp's notation: `{operation}`, `{account}`.

    What it is: "webhook" is parsed into events; "stream" sends a mailbox as Server-Sent Events; "page" is a file.
    """

    method: Literal["GET", "POST", "OPTIONS"]
    path: str
    what: Literal["webhook", "stream", "page"] = "webhook"
    page: Answer | None = None
    uploads: bool = False
    """Whether the body may be as large as an attachment (setting `server.max_attachment`)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Operation(Generic[A]):
    """Something a platform can do beside sending a reply: assign, tag, close, rename a room.

    `arguments` is the pydantic model of what may be given; `steps` makes the calls for valid arguments, for the
    recipient in the words of the platform's `to:` keys; `about` is one sentence for `doc.md` and for errors.
    """

    arguments: type[Options]
    steps: Callable[[Any, Address, A], Steps]
    about: str


def problem(status: int, message: str) -> Answer:
    """A refusal as RFC 9457 problem details, for platforms with no error shape of their own.

    The message may quote the sender, whose headers reach us with lone surrogates where they are not UTF-8.
    """
    body = orjson.dumps({"title": message.encode(errors="replace").decode(), "status": status})
    return Answer(status=status, body=body, content_type="application/problem+json")


def no_credential(webhook: Webhook) -> str | None:
    return None


def no_mailbox(webhook: Webhook, account: Account) -> str:
    raise Refused(404, "this platform has no mailbox")


@dataclass(frozen=True, kw_only=True, slots=True)
class Adapter(Generic[A]):
    """One platform.

    `account` is the pydantic model of its options. `to_keys` are the words of its `to:` addresses; none: any word.
    `credential` finds, in a request whose path names no account, the secret that does.
    `verify` raises Refused(401) unless the sender is who the account knows; it sees the raw bytes.
    `parse` raises Refused(400) naming the field; it is given the account whose request this is.
    `send` makes one delivery. `refuse` words a refusal in the platform's own shape.
    `mailbox` names the mailbox a stream request may read, or raises Refused.
    `operations` are by name, without the platform's: "assign", not "helpcrunch.assign".
    """

    name: str
    account: type[A]
    to_keys: tuple[str, ...]
    routes: tuple[Route, ...] = ()
    credential: Callable[[Webhook], str | None] = no_credential
    verify: Callable[[Webhook, A], None]
    parse: Callable[[Webhook, A], Notice]
    send: Callable[[Delivery, A], Steps]
    refuse: Callable[[int, str], Answer] = problem
    mailbox: Callable[[Webhook, A], str] = no_mailbox
    operations: Mapping[str, Operation[A]] = field(default_factory=dict)
