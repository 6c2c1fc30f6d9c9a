"""Learn: what an operation found becomes facts of its conversation, and what comes after it is due."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, bindparam, select, update

from bridge.model.conversation import Conversation, Memory
from bridge.model.delivery import Delivery, Settled
from bridge.model.finding import facts_in
from bridge.observe import log
from bridge.store.prepared import Prepared, among, as_list
from bridge.store.rows import conversation_document, conversation_from, wake_at
from bridge.store.tables import conversations

LONGEST_FACT = 2000
"""Characters of a remembered value, written as JSON."""

_FIND = Prepared(select(conversations.c.key, conversations.c.document).where(among(conversations.c.key, "keys")))
_KEEP = Prepared(
    update(conversations)
    .where(conversations.c.key == bindparam("which"))
    .values(wake_at=bindparam("wakes"), document=bindparam("whole")),
    ("wakes", "whole", "which"),
)


class Lesson(Struct, frozen=True, kw_only=True):
    """An operation that was done, and what it found."""

    delivery: Delivery
    found: object
    at: datetime


def teaches(delivery: Delivery, settled: Settled) -> bool:
    """Whether something follows in its conversation from what became of the delivery."""
    command = delivery.command
    return settled.state == "sent" and command is not None and bool(command.keep or command.then)


def learn(connection: Connection, lessons: Sequence[Lesson]) -> None:
    """Remember what was found, and arm the timers of what comes after.

    Where a conversation is kept no more (retention), there is nobody left to remember it for.
    """
    keys = {lesson.delivery.command.conversation for lesson in lessons if lesson.delivery.command is not None}
    found = _FIND.fetch(connection, keys=as_list(keys))
    known = {key: conversation_from(document) for key, document in found}
    for lesson in lessons:
        command = lesson.delivery.command
        if command is not None and command.conversation in known:
            known[command.conversation] = _learned(*known[command.conversation], lesson)
    rows = [(wake_at(one), conversation_document(one, memory), key) for key, (one, memory) in known.items()]
    _KEEP.write(connection, rows)


def _learned(conversation: Conversation, memory: Memory, lesson: Lesson) -> tuple[Conversation, Memory]:
    command = lesson.delivery.command
    if command is None:
        return conversation, memory
    facts = facts_in(lesson.found, command.keep)
    for name in [name for name, value in facts.items() if len(msgspec.json.encode(value)) > LONGEST_FACT]:
        log(delivery=lesson.delivery.id).warning("found too much to remember", fact=name, most=LONGEST_FACT)
        del facts[name]
    return conversation if command.then is None else conversation.arm(command.then), memory.remember(facts)
