"""Everybody whom the bridge has met: the conversations that are kept, a page at a time."""

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, select

from bridge.model.conversation import EMPTY, Conversation, Memory
from bridge.store.page import contact_key
from bridge.store.plan import memories_of
from bridge.store.rows import conversation_from
from bridge.store.tables import conversations

Met = tuple[str, Conversation, Memory, Memory]
"""The key of a conversation, itself, its memory and that of its contact."""


def met(connection: Connection, after: str, accounts: Collection[str], most: int) -> Sequence[Met]:
    """At most `most` conversations whose keys come after `after`; only of `accounts`, if there are any."""
    wanted = select(conversations.c.key, conversations.c.document).where(conversations.c.key > after)
    if accounts:
        wanted = wanted.where(conversations.c.account.in_(sorted(accounts)))
    rows = connection.execute(wanted.order_by(conversations.c.key).limit(most)).all()
    found = [(row.key, *conversation_from(row.document)) for row in rows]
    keys = [contact_key(one.account, one.id, one.contact) for _, one, _ in found]
    memories = memories_of(connection, keys)
    return [(key, one, memory, memories.get(of, EMPTY)) for (key, one, memory), of in zip(found, keys, strict=True)]
