"""What the page in the browser posts -> events.

The page is ours (`page/`), so this is our own protocol: JSON bodies, the session in the header `x-chat-session`.
"""

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from hashlib import sha256
from typing import Annotated, ClassVar, Literal

import orjson
from pydantic import AfterValidator, Field, ValidationError

from bridge.adapter.account import Options, first_problem
from bridge.adapter.body import media_type
from bridge.adapter.protocol import Answer, Notice, Standing, Webhook
from bridge.errors import Refused, did_you_mean
from bridge.model.event import Contact, Event, Kind
from bridge.platforms.webchat.account import WebchatAccount

SESSION_HEADER = "x-chat-session"
NO_STORE: Mapping[str, str] = {"cache-control": "no-store", "x-content-type-options": "nosniff"}

_SESSION = re.compile(r"[0-9a-f]{32,128}")


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("the character U+0000 cannot be stored")
    return text


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("is blank")
    return text


OneLine = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]+$")]
Language = Annotated[str, Field(max_length=35, pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$")]


class Body(Options):
    """What every operation carries. `id` is made by the page: a second request with it is a repeat, for ever."""

    kind: ClassVar[Kind]
    id: str = Field(pattern=r"^[A-Za-z0-9_-]{8,64}$")


class Message(Body):
    kind: ClassVar[Kind] = "message"
    text: Annotated[str, AfterValidator(_storable), AfterValidator(_not_blank)]
    name: Annotated[OneLine, Field(max_length=100)] | None = None
    email: Annotated[OneLine, Field(max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")] | None = None
    language: Language | None = None


class Typing(Body):
    kind: ClassVar[Kind] = "typing"
    state: Literal["started", "stopped"]


class Visited(Body):
    kind: ClassVar[Kind] = "visited"
    url: Annotated[OneLine, Field(max_length=2048, pattern=r"^https?://[^/]")]
    language: Language | None = None


class End(Body):
    kind: ClassVar[Kind] = "ended"


OPERATIONS: Mapping[str, type[Body]] = {"message": Message, "typing": Typing, "visited": Visited, "end": End}


def verify(webhook: Webhook, account: WebchatAccount) -> None:
    """Refuse what cannot come from our page: another origin (403), no or a malformed session (401, 400).

    A foreign page can neither send JSON nor read our stream without a preflight request, and none is answered.
    """
    media = media_type(webhook.headers.get("content-type", ""))
    if webhook.method == "POST" and media != "application/json":
        raise Refused(415, f'content-type: "{media[:80]}" is not application/json')
    _check_origin(webhook, account)
    _session(webhook)


def parse(webhook: Webhook, account: WebchatAccount) -> Notice:
    """One operation -> one event. Raises Refused: 404 for an unknown operation, 400 naming the field."""
    schema = OPERATIONS.get(webhook.operation)
    if schema is None:
        raise Refused(404, f'operation: "{webhook.operation[:80]}" is unknown{_near(webhook.operation)}')
    try:
        body = schema.model_validate_json(webhook.body)
    except ValidationError as error:
        raise Refused(400, first_problem(error)) from None
    if isinstance(body, Message) and len(body.text) > account.max_text:
        raise Refused(400, f"text: {len(body.text)} characters, at most {account.max_text} are taken")
    event = _event(body, webhook, account)
    return Notice(events=(event,), answer=_face(account) if isinstance(body, Visited) else _TAKEN)


def mailbox(webhook: Webhook, account: WebchatAccount) -> str:
    """The mailbox that the session of this request may read. Raises Refused as `verify` does."""
    _check_origin(webhook, account)
    return conversation(_session(webhook))


def conversation(session: str) -> str:
    """The conversation's id: it names the session without giving it away, since who knows a session reads its chat."""
    return sha256(session.encode()).hexdigest()[:32]


def _session(webhook: Webhook) -> str:
    session = webhook.headers.get(SESSION_HEADER, "")
    if not session:
        raise Refused(401, f"the header {SESSION_HEADER} is missing")
    if not _SESSION.fullmatch(session):
        raise Refused(400, f"the header {SESSION_HEADER} is not 32 to 128 lower-case hexadecimal digits")
    return session


def _check_origin(webhook: Webhook, account: WebchatAccount) -> None:
    origin = webhook.headers.get("origin", "").lower()
    if not origin or origin in account.allowed_origins:
        return
    scheme, _, host = origin.partition("://")
    if scheme not in ("http", "https") or not host or host != webhook.headers.get("host", "").lower():
        raise Refused(403, f'origin: "{origin[:200]}" may not use this chat; if it should, add it to allowed_origins')


def _event(body: Body, webhook: Webhook, account: WebchatAccount) -> Event:
    where = conversation(_session(webhook))
    said = body.model_dump(exclude_none=True)
    return Event(
        account=account.name,
        platform="webchat",
        kind=body.kind,
        sender="contact",
        conversation=where,
        key=f"{webhook.operation}:{where}:{body.id}",
        at=webhook.received_at,
        # A typing signal is worth nothing once it is old; its key need not be remembered for ever.
        repeat_within=timedelta(seconds=10) if body.kind == "typing" else None,
        address={"visitor": where},
        contact=Contact(id=where, name=said.get("name"), email=said.get("email"), language=said.get("language")),
        text=said.get("text"),
        url=said.get("url"),
        state=said.get("state"),
        channel="webchat",
        raw=said,
    )


_TAKEN = Answer(status=202, body=b'{"ok":true}', headers=NO_STORE)


def _face(account: WebchatAccount) -> Callable[[Standing], Answer]:
    """What the page shows of its account: answered to a visit, so that the page itself can be one fixed file."""

    def answer(standing: Standing) -> Answer:
        face = {"ok": True, "title": account.title, "max_text": account.max_text, "online": standing.online}
        return Answer(status=202, body=orjson.dumps(face), headers=NO_STORE)

    return answer


def _near(operation: str) -> str:
    return did_you_mean(operation, tuple(OPERATIONS)) or f"; known are {', '.join(OPERATIONS)}"
