"""Values to rows and back. The documents in rows are JSON; only this file knows their form."""

from typing import Any

import msgspec

from bridge.clock import from_ms, to_ms
from bridge.model.conversation import Conversation, Memory
from bridge.model.delivery import NOTHING, URGENCIES, Command, Delivery, Reason, Reply, State
from bridge.model.event import Event

# msgspec reads JSON straight into our values, several times as fast as a parser and then a constructor.
_encode = msgspec.json.Encoder().encode
_event = msgspec.json.Decoder(Event).decode
_conversation = msgspec.json.Decoder(tuple[Conversation, Memory]).decode
_memory = msgspec.json.Decoder(Memory).decode
_reply = msgspec.json.Decoder(Reply).decode
_command = msgspec.json.Decoder(Command).decode
_address = msgspec.json.Decoder(dict[str, object]).decode

Row = tuple[object, ...]
"""The values of a row, in the order of the columns that its statement names."""


def identity(event: Event) -> str:
    """What makes two events the same: the account, the conversation and the platform's own key.

    The conversation stands before the key, so that what belongs together lies together in the index: keys alone are as
    good as random, and every event would change another page of it.
    """
    return f"{event.account}/{event.conversation}/{event.key}"


def conversation_key(account: str, conversation: str) -> str:
    return f"{account}/{conversation}"


def dump(value: object) -> str:
    return _encode(value).decode()


NOTHING_TO_SAY = dump(NOTHING)
"""The document of a reply whose text could not be made."""


def event_row(number: int, mark: str, event: Event, received_at: int, trace: object) -> Row:
    """All columns of the table. `mark` is the event's identity."""
    traced = dump(trace) if trace else _NO_TRACE
    return number, mark, event.account, event.conversation, event.kind, received_at, dump(event), traced


_NO_TRACE = dump(())


def event_from(body: str) -> Event:
    """The event whose row has this body."""
    return _event(body)


def conversation_row(key: str, conversation: Conversation, memory: Memory) -> Row:
    """All columns of the table."""
    return (
        key,
        conversation.account,
        to_ms(conversation.last_at),
        int(conversation.ended),
        int(conversation.waiting),
        wake_at(conversation),
        conversation_document(conversation, memory),
    )


GOES_ON = ("last_at", "waiting", "document", "which")
"""What changes of a conversation that neither ends nor begins, nor waits for anything; `which` is its key."""


def going_on(key: str, conversation: Conversation, memory: Memory) -> Row:
    """The values of `GOES_ON`."""
    return (
        to_ms(conversation.last_at),
        int(conversation.waiting),
        conversation_document(conversation, memory),
        key,
    )


def wake_at(conversation: Conversation) -> int | None:
    """When the first of its timers is due."""
    return min([timer.due for timer in conversation.timers]) if conversation.timers else None


def conversation_document(conversation: Conversation, memory: Memory) -> str:
    return dump((conversation, memory))


def conversation_from(document: str) -> tuple[Conversation, Memory]:
    return _conversation(document)


def memory_from(document: str) -> Memory:
    return _memory(document)


def reply_from(document: str) -> Reply:
    return _reply(document)


def address_from(document: str) -> dict[str, object]:
    return _address(document)


NEW = (
    "id", "event", "rule", "action", "account", "lane", "state", "wake_at", "worker", "attempts", "recipient", "reply",
    "created_at", "expires_at", "urgency",
)  # fmt: skip
"""What every new delivery has."""
SELDOM = ("reason", "detail", "command", "finished_at", "unsure_since", "on_unknown")
"""What few new deliveries have."""


def new_row(delivery: Delivery, state: State, wake_at: int | None, worker: str | None) -> Row:
    """The values of `NEW`."""
    return (
        delivery.id,
        delivery.event,
        delivery.rule,
        delivery.action,
        delivery.account,
        delivery.lane,
        state,
        wake_at,
        worker,
        delivery.attempts,
        dump(delivery.to),
        dump(delivery.reply),
        to_ms(delivery.created_at),
        None if delivery.expires_at is None else to_ms(delivery.expires_at),
        URGENCIES.index(delivery.urgency),
    )


def seldom_row(delivery: Delivery, reason: Reason | None, detail: str | None, finished_at: int | None) -> Row:
    """The values of `SELDOM`."""
    return (
        reason,
        detail,
        None if delivery.command is None else dump(delivery.command),
        finished_at,
        None if delivery.unsure_since is None else to_ms(delivery.unsure_since),
        delivery.on_unknown,
    )


READ = (
    "id", "event", "rule", "action", "account", "lane", "attempts", "recipient", "reply", "command", "created_at",
    "expires_at", "unsure_since", "urgency", "on_unknown",
)  # fmt: skip
"""The columns of which a delivery is made."""


def delivery_from(row: Any) -> Delivery:
    """The delivery in a row of SQLAlchemy: Any, because what decides needs this file and not SQLAlchemy."""
    return Delivery(
        id=row.id,
        event=row.event,
        rule=row.rule,
        action=row.action,
        account=row.account,
        lane=row.lane,
        to=_address(row.recipient),
        reply=_reply(row.reply),
        created_at=from_ms(row.created_at),
        expires_at=None if row.expires_at is None else from_ms(row.expires_at),
        attempts=row.attempts,
        command=None if row.command is None else _command(row.command),
        unsure_since=None if row.unsure_since is None else from_ms(row.unsure_since),
        urgency=URGENCIES[row.urgency],
        on_unknown=row.on_unknown,
    )
