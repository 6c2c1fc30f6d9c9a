"""What a platform's adapter must be. Adapters translate; they do no I/O.

A platform's folder gives one `Adapter` value. Inbound: `verify` and `parse` turn a `Webhook` into a `Notice`.
Outbound: `send` is a generator that yields each call it wants made, is sent the answer, and returns the `Outcome`.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Literal, NoReturn, TypeVar

import orjson
from msgspec import Struct

from bridge.adapter.account import Account, Options
from bridge.adapter.dialect import sound
from bridge.errors import Refused
from bridge.model.broadcast import Batch
from bridge.model.delivery import Delivery, Failed, Outcome
from bridge.model.event import Address, Event, Kind


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


class Answer(Struct, frozen=True, kw_only=True):
    """What the sender of a webhook reads."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = {}


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


class Awaited(Struct, frozen=True, kw_only=True):
    """An answer that waits for the outcome of an operation which the rules may order about the webhook's event.

    `answer` is given what the operation found. If it is not ordered, fails, or is not done `within` so many seconds,
    the answer is `otherwise`; the delivery goes on.
    """

    operation: str
    within: float
    answer: Callable[[object], Answer]
    otherwise: Answer


class Carried(Struct, frozen=True, kw_only=True):
    """An answer that carries the first reply to the webhook's own conversation, which then needs no call of its own.

    `answer` words it, or gives None where it cannot be said in an answer. If the rules have no reply `within` so many
    seconds, the answer is `otherwise`.
    """

    within: float
    answer: Callable[[Delivery], Answer | None]
    otherwise: Answer


class Notice(Struct, frozen=True, kw_only=True):
    """What a webhook says: events, and the answer the platform expects.

    `answer` may need the account's standing, or what came of the events. `uploads[i]` belongs to the i-th event of kind
    "attachment".
    """

    events: tuple[Event, ...] = ()
    answer: Answer | Callable[[Standing], Answer] | Awaited | Carried = Answer()
    uploads: tuple[Upload, ...] = ()


class HttpCall(Struct, frozen=True, kw_only=True):
    """A request an adapter wants made. `safe` says that making it twice does no harm (a search, a log-in).

    `guarded` says that it must not lead inside: the door looks its host's name up and refuses an address that is not
    a public one. `most` is how many bytes of the answer are read, where that is not what the door reads of any.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    url: str
    headers: Mapping[str, str] = {}
    body: bytes | None = None
    safe: bool = False
    guarded: bool = False
    most: int | None = None

    def __repr__(self) -> str:
        # Headers carry the keys, and bodies what customers wrote.
        return f"{type(self).__name__}(method={self.method!r}, url={self.url!r})"


class SignedCall(HttpCall, frozen=True, kw_only=True):
    """A request with headers that depend on the moment it is made, as a signature does: `sign` is given that moment."""

    sign: Callable[[datetime], Mapping[str, str]]


class ConfidentialCall(HttpCall, frozen=True, kw_only=True):
    """A request whose answer holds a secret, as a log-in's does: the answer is not kept with the attempt."""


class HttpAnswer(Struct, frozen=True, kw_only=True):
    """What came back; `headers` have lower-case names, `body` is cut at the door's cap."""

    status: int
    headers: Mapping[str, str] = {}
    body: bytes = b""


@dataclass(frozen=True, kw_only=True, slots=True)
class Post:
    """Put `body` (JSON) into a mailbox that somebody reads from us (the web chat's browser).

    The store keeps it durably, once per delivery. The answer sent back is an HttpAnswer of status 200.
    """

    mailbox: str
    body: Mapping[str, object]


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadFile:
    """Read a file that the bridge keeps, by its URL (an attachment's).

    The answer sent back has it as its body, with its content-type; status 404 where it is not kept (any more).
    """

    url: str


A = TypeVar("A", bound=Account)
Step = HttpCall | Post | ReadFile
Steps = Generator[Step, HttpAnswer, Outcome]
Pages = Generator[Step, HttpAnswer, Batch | Failed]


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
    needs: str | None = None
    """The account's option without which nobody need be told of this path; none: it is for every account."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Operation(Generic[A]):
    """Something a platform can do beside sending a reply: assign, tag, close, rename a room.

    `arguments` is the pydantic model of what may be given; `steps` makes the calls for valid arguments, for the
    recipient in the words of the platform's `to:` keys; `about` is one sentence for `doc.md` and for errors.
    `finds` names the facts that its outcome's `found` may have, for rules that remember them; none: it looks nothing
    up. `always` are those of them that no answer lacks which can be read at all, so that templates can rely on them.
    `of_event` gives arguments that come from the event itself, which must be one of the same platform; it raises
    ValueError for an event that has none.
    `of_delivery` takes the place of `steps` where calls are named after the delivery, so that a repeat can be told.
    """

    arguments: type[Options]
    steps: Callable[[Any, Address, A], Steps]
    about: str
    finds: tuple[str, ...] = ()
    always: tuple[str, ...] = ()
    of_event: Callable[[Event], Mapping[str, object]] | None = None
    of_delivery: Callable[[Any, Delivery, A], Steps] | None = None

    def begin(self, arguments: Any, delivery: Delivery, account: A) -> Steps:
        """The calls of an operation that is a delivery's."""
        if self.of_delivery is not None:
            return self.of_delivery(arguments, delivery, account)
        return self.steps(arguments, delivery.to, account)


@dataclass(frozen=True, kw_only=True, slots=True)
class People(Generic[A]):
    """The people a platform can be asked for, as the audience of a broadcast.

    `page` makes the calls for the next of them, each of which is safe: it is given what the rule file asks (an audience
    of bridge.model.broadcast), the account, and the cursor of the page before (None: from the beginning). The cursor is
    stored, so it holds all there is to know to go on after a crash; to name somebody twice does no harm. What can never
    be asked fails before the first call.
    `knows` are the variables that people may have, `always` those of them that everybody has.
    """

    page: Callable[[Any, A, str | None], Pages]
    knows: tuple[str, ...]
    always: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Together(Generic[A]):
    """Several recipients of the same text in one call.

    `most` is how many of them an account may put into one. `address` makes one address of theirs, by which each is
    written to as if alone; None for those who cannot be.
    """

    most: Callable[[A], int]
    address: Callable[[Sequence[Address], A], Address | None]


Ability = Literal["private", "attachments", "quick_replies"]
"""What a reply may have beside its text."""


def problem(status: int, message: str) -> Answer:
    """A refusal as RFC 9457 problem details, for platforms with no error shape of their own.

    The message may quote the sender, whose headers reach us with lone surrogates where they are not UTF-8.
    """
    body = orjson.dumps({"title": sound(message), "status": status})
    return Answer(status=status, body=body, content_type="application/problem+json")


def no_credential(webhook: Webhook) -> str | None:
    return None


def no_webhooks(name: str) -> Callable[[Webhook, Account], NoReturn]:
    """`verify` and `parse` of a platform that only sends: no route leads to it, and whoever calls is refused."""

    def refuse(webhook: Webhook, account: Account) -> NoReturn:
        raise Refused(404, f"{name} sends no webhooks; this platform only sends")

    return refuse


def no_mailbox(webhook: Webhook, account: Account) -> str:
    raise Refused(404, "this platform has no mailbox")


@dataclass(frozen=True, kw_only=True, slots=True)
class Adapter(Generic[A]):
    """One platform.

    `account` is the pydantic model of its options. `to_keys` are the words of its `to:` addresses; none: any word.
    `credential` finds, in a request whose path names no account, the secret that does; `credential_in` tells a person
    where it should be.
    `verify` raises Refused(401) unless the sender is who the account knows; it sees the raw bytes.
    `parse` raises Refused(400) naming the field; it is given the account whose request this is.
    `send` makes one delivery. `refuse` words a refusal in the platform's own shape.
    `mailbox` names the mailbox a stream request may read, or raises Refused.
    `operations` are by name, without the platform's: "assign", not "helpcrunch.assign".
    `can` says what replies may have beside text. `sends` are the kinds of events that it tells of; None: any.
    `probe` makes a call that changes nothing and needs the account's credentials. `reconcile` finds out what came of
    an attempt that began at a moment and got no answer: Sent, Failed (certainly not sent) or Unknown; each of its
    calls is safe.
    `audience` tells who is in the platform's own lists. `together` is for platforms that take several recipients in one
    call, and answer for all of them at once.
    """

    name: str
    account: type[A]
    to_keys: tuple[str, ...]
    routes: tuple[Route, ...] = ()
    credential: Callable[[Webhook], str | None] = no_credential
    credential_in: str = "the key"
    verify: Callable[[Webhook, A], None]
    parse: Callable[[Webhook, A], Notice]
    send: Callable[[Delivery, A], Steps]
    refuse: Callable[[int, str], Answer] = problem
    mailbox: Callable[[Webhook, A], str] = no_mailbox
    operations: Mapping[str, Operation[A]] = field(default_factory=dict)
    can: frozenset[Ability] = frozenset()
    sends: frozenset[Kind] | None = None
    probe: Callable[[A], Steps] | None = None
    reconcile: Callable[[Delivery, A, datetime], Steps] | None = None
    audience: People[A] | None = None
    together: Together[A] | None = None
