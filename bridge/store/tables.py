"""The tables. Times are whole milliseconds since 1970 in UTC; documents are JSON text written by us.

Keys are wide enough to be made without asking another table: "account/conversation".
"""

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, Table, Text, text

HEAD = "0001"
"""The newest of the migrations, which make just these tables."""

metadata = MetaData()


def _index(name: str, *columns: str, only: str) -> Index:
    """An index of the few rows that `only` holds for, so that it stays small however large the table grows."""
    return Index(name, *columns, sqlite_where=text(only), postgresql_where=text(only))


# The few rows that a query is after. Index and query must say it in the same words, without parameters: only then does
# the database see that the one serves the other.
UNFINISHED = "state IN ('queued', 'claimed')"
WAKING = "state IN ('queued', 'claimed') AND wake_at IS NOT NULL"
TROUBLE = "state IN ('dead', 'unknown')"
OPEN = "ended = 0"


# The numbers are handed out by the store, so that a row's number is known before it is written.
_Number = BigInteger().with_variant(Integer(), "sqlite")

events = Table(
    "events",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=False),
    Column("identity", Text, nullable=False, unique=True),
    Column("account", Text, nullable=False),
    Column("conversation", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Column("trace", Text, nullable=False),
)

conversations = Table(
    "conversations",
    metadata,
    Column("key", Text, primary_key=True),
    Column("account", Text, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("ended", Integer, nullable=False),
    Column("waiting", Integer, nullable=False),
    # The conversation and its memory, whole; the columns above are what is searched.
    Column("document", Text, nullable=False),
    _index("conversations_open", "account", only=OPEN),
    sqlite_with_rowid=False,
)

memories = Table(
    "memories",
    metadata,
    Column("key", Text, primary_key=True),
    Column("document", Text, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)


deliveries = Table(
    "deliveries",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=False),
    Column("event", BigInteger),
    Column("rule", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("lane", Text, nullable=False),
    Column("state", Text, nullable=False),
    # Queued: when it is due; claimed: when the worker's lease ends. Null while it waits behind another of its lane.
    Column("wake_at", BigInteger),
    Column("worker", Text),
    Column("attempts", Integer, nullable=False),
    Column("reason", Text),
    Column("detail", Text),
    Column("recipient", Text, nullable=False),
    Column("reply", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("finished_at", BigInteger),
    Index("deliveries_origin", "event", "rule", "action", unique=True),
    _index("deliveries_wake", "wake_at", only=WAKING),
    _index("deliveries_lane", "lane", "id", only=UNFINISHED),
    _index("deliveries_trouble", "state", "id", only=TROUBLE),
)

attempts = Table(
    "attempts",
    metadata,
    Column("delivery", _Number, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("took", Integer, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("reason", Text),
    Column("detail", Text),
    Column("status", Integer),
    Column("answer", Text),
    sqlite_with_rowid=False,
)

mailbox = Table(
    "mailbox",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("name", Text, nullable=False),
    Column("delivery", BigInteger, nullable=False, unique=True),
    Column("body", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("mailbox_name", "name", "id"),
    # A browser remembers the last number it saw, so a number is never used twice.
    sqlite_autoincrement=True,
)

attachments = Table(
    "attachments",
    metadata,
    Column("token", Text, primary_key=True),
    Column("account", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
)
