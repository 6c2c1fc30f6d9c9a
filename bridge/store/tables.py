"""The tables. Times are whole milliseconds since 1970 in UTC; documents are JSON text written by us.

Keys are wide enough to be made without asking another table: "account/conversation".
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, Sequence, Table, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateIndex

HEAD = "0006"
"""The newest of the migrations, which make just these tables."""

metadata = MetaData()


def _index(name: str, *columns: str, only: str, unique: bool = False) -> Index:
    """An index of the few rows that `only` holds for, so that it stays small however large the table grows."""
    return Index(name, *columns, unique=unique, info={"only": only})


@compiles(CreateIndex)
def _create(element: CreateIndex, compiler: Any, **options: Any) -> str:
    """Both engines read the same words; of those that SQLAlchemy has for each, it would load all (see insert.py)."""
    made: str = compiler.visit_create_index(element, **options)
    only = element.element.info.get("only")
    return f"{made} WHERE {only}" if only else made


# The few rows that a query is after. Index and query must say it in the same words, without parameters: only then does
# the database see that the one serves the other.
# Queued or claimed. Were it said by the state, claiming would change the index of lanes for nothing, at random places.
UNFINISHED = "finished_at IS NULL"
DUE = "state = 'queued' AND wake_at IS NOT NULL"
CLAIMED = "state = 'claimed'"
TROUBLE = "state IN ('dead', 'unknown')"
OPEN = "ended = 0"
TIMED = "wake_at IS NOT NULL"
REFERRED = "reference IS NOT NULL"
OF_AN_EVENT = "event IS NOT NULL"
OF_A_RUN = "run IS NOT NULL"
ACTIVE = "state IN ('asked', 'planning', 'running')"


# The numbers are handed out by the store, so that a row's number is known before it is written.
_Number = BigInteger().with_variant(Integer(), "sqlite")
# Texts are in the order of their bytes, whatever language a database was made for: keys are read by "from" and "to".
_Text = Text().with_variant(Text(collation="C"), "postgresql")

events = Table(
    "events",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=False),
    Column("identity", _Text, nullable=False, unique=True),
    Column("account", _Text, nullable=False),
    Column("conversation", _Text, nullable=False),
    Column("kind", _Text, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("body", _Text, nullable=False),
    Column("trace", _Text, nullable=False),
)

conversations = Table(
    "conversations",
    metadata,
    Column("key", _Text, primary_key=True),
    Column("account", _Text, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("ended", Integer, nullable=False),
    Column("waiting", Integer, nullable=False),
    # When the first of its timers is due.
    Column("wake_at", BigInteger),
    # The conversation with its timers and its memory, whole; the columns above are what is searched.
    Column("document", _Text, nullable=False),
    _index("conversations_open", "account", only=OPEN),
    _index("conversations_wake", "wake_at", only=TIMED),
    sqlite_with_rowid=False,
)

memories = Table(
    "memories",
    metadata,
    Column("key", _Text, primary_key=True),
    Column("document", _Text, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)


deliveries = Table(
    "deliveries",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=False),
    Column("event", BigInteger),
    Column("rule", _Text, nullable=False),
    Column("action", _Text, nullable=False),
    Column("account", _Text, nullable=False),
    Column("lane", _Text, nullable=False),
    Column("state", _Text, nullable=False),
    # Queued: when it is due; claimed: when the worker's lease ends. Null while it waits behind another of its lane.
    Column("wake_at", BigInteger),
    Column("worker", _Text),
    Column("attempts", Integer, nullable=False),
    Column("reason", _Text),
    Column("detail", _Text),
    Column("recipient", _Text, nullable=False),
    Column("reply", _Text, nullable=False),
    Column("command", _Text),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("finished_at", BigInteger),
    # When an attempt began of which nobody knows whether it arrived.
    Column("unsure_since", BigInteger),
    # The platform's id of what was sent.
    Column("reference", _Text),
    # The place of its urgency in `URGENCIES`: 0 is the most urgent.
    Column("urgency", Integer, nullable=False, server_default="0"),
    # Of a broadcast: the run, who it is for, their time zone, and the line of the file that names them.
    Column("run", BigInteger),
    Column("person", _Text),
    Column("zone", _Text),
    Column("line", Integer),
    # Planned and not let go yet: it waits for its turn until then at least. Null once it was let go.
    Column("not_before", BigInteger),
    # What happens where nobody can say whether it arrived; null: what the account says.
    Column("on_unknown", _Text),
    _index("deliveries_origin", "event", "rule", "action", only=OF_AN_EVENT, unique=True),
    # Claims look at one account and urgency at a time, so that a backlog of one is no way to any other. A run lets many
    # go at the same moment; with their numbers the index has them in order, else all of them were sorted every time.
    _index("deliveries_due", "account", "urgency", "wake_at", "id", only=DUE),
    _index("deliveries_lease", "wake_at", only=CLAIMED),
    _index("deliveries_lane", "lane", "id", only=UNFINISHED),
    _index("deliveries_trouble", "state", "id", only=TROUBLE),
    _index("deliveries_reference", "account", "reference", only=REFERRED),
    _index("deliveries_run", "run", "state", "not_before", only=OF_A_RUN),
    _index("deliveries_person", "run", "person", only=OF_A_RUN, unique=True),
)

attempts = Table(
    "attempts",
    metadata,
    Column("delivery", _Number, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("took", Integer, nullable=False),
    Column("outcome", _Text, nullable=False),
    Column("reason", _Text),
    Column("detail", _Text),
    Column("status", Integer),
    Column("answer", _Text),
    sqlite_with_rowid=False,
)

mailbox = Table(
    "mailbox",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("name", _Text, nullable=False),
    Column("delivery", BigInteger, nullable=False, unique=True),
    Column("body", _Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("mailbox_name", "name", "id"),
    # A browser remembers the last number it saw, so a number is never used twice.
    sqlite_autoincrement=True,
)

attachments = Table(
    "attachments",
    metadata,
    Column("token", _Text, primary_key=True),
    Column("account", _Text, nullable=False),
    Column("name", _Text, nullable=False),
    Column("type", _Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
)

# Accounts whose platforms do not answer, so that their deliveries wait: since when, when it is tried again, and why.
circuits = Table(
    "circuits",
    metadata,
    Column("account", _Text, primary_key=True),
    Column("since", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("detail", _Text, nullable=False),
)

# One firing of a broadcast each.
runs = Table(
    "runs",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=False),
    Column("broadcast", _Text, nullable=False),
    # Which firing: a local time of the schedule, or whatever names a start by a person or a rule.
    Column("moment", _Text, nullable=False),
    Column("state", _Text, nullable=False),
    Column("asked_by", _Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    # What whoever started it has said besides: variables, and another recipient.
    Column("asked", _Text, nullable=False),
    # The broadcast as it was when the run began.
    Column("plan", _Text),
    # How far the audience has been planned.
    Column("cursor", _Text),
    Column("planned_at", BigInteger),
    Column("started_at", BigInteger),
    Column("finished_at", BigInteger),
    # When the next recipient's turn is, by the rate.
    Column("next_turn", BigInteger, nullable=False),
    Column("duplicates", Integer, nullable=False),
    # How many failures a person has seen who let it go on.
    Column("forgiven", Integer, nullable=False),
    Column("detail", _Text),
    Index("runs_moment", "broadcast", "moment", unique=True),
    _index("runs_active", "id", only=ACTIVE),
)

# Up to when a broadcast's schedule was looked at: what was due by then has its run.
schedules = Table(
    "schedules",
    metadata,
    Column("broadcast", _Text, primary_key=True),
    Column("schedule", _Text, nullable=False),
    Column("looked_at", BigInteger, nullable=False),
)

# Where the memory of a contact is who is known by other names too: "email:ann@shop.example".
aliases = Table(
    "aliases",
    metadata,
    Column("name", _Text, primary_key=True),
    Column("key", _Text, primary_key=True),
    sqlite_with_rowid=False,
)

# How much of the budget of an account its servers have used, where several share a store.
budgets = Table(
    "budgets",
    metadata,
    Column("account", _Text, primary_key=True),
    Column("document", _Text, nullable=False),
)

# Which server does what only one of them does at a time, and until when it has said so.
duties = Table(
    "duties",
    metadata,
    Column("name", _Text, primary_key=True),
    Column("worker", _Text, nullable=False),
    Column("until", BigInteger, nullable=False),
)

NUMBERED: Mapping[Table, Sequence] = {
    table: Sequence(f"{table.name}_number", metadata=metadata) for table in (events, deliveries, runs)
}
"""Where PostgreSQL takes the numbers of rows from; SQLite counts on from the largest."""
