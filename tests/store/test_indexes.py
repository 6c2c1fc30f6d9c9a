"""What runs for every event finds its rows by an index, however many others there are."""

import pytest
from sqlalchemy import Connection

from bridge.store import lanes, learn, ledger, outgoing
from bridge.store.prepared import Prepared
from bridge.store.store import Store


@pytest.mark.parametrize(
    "query",
    [
        ledger._REPEATS,
        ledger._CONVERSATIONS,
        ledger._MEMORIES,
        ledger._BUSY,
        lanes._NEXT,
        outgoing._OURS,
        learn._FIND,
    ],
)
def test_a_list_is_looked_up_in_an_index(file_store: Store, query: Prepared) -> None:
    def plan(connection: Connection) -> list[str]:
        sql, _, _ = query._compiled(connection.dialect)
        return [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", ("[]",) * sql.count("?"))]

    steps = file_store.read_now(plan)
    assert any(step.startswith("SEARCH") for step in steps)
    assert not [step for step in steps if step.startswith("SCAN") and "VIRTUAL" not in step]


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (outgoing._DUE, "INDEX deliveries_due (account=? AND urgency=? AND wake_at>? AND wake_at<?)"),
        (outgoing._NEXT_URGENCY, "INDEX deliveries_due (account=? AND urgency>?)"),
        (outgoing._NEXT_ACCOUNT, "INDEX deliveries_due (account>?)"),
        (outgoing._FIRST_LEASE, "INDEX deliveries_lease"),
    ],
)
def test_what_is_due_is_found_in_order_among_many(file_store: Store, query: Prepared, index: str) -> None:
    def plan(connection: Connection) -> list[str]:
        sql, _, _ = query._compiled(connection.dialect)
        return [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", (1,) * sql.count("?"))]

    [step] = file_store.read_now(plan)
    assert step == f"SEARCH deliveries USING {index}"
