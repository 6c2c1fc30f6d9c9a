"""What runs for every event finds its rows by an index, however many others there are."""

import pytest
from sqlalchemy import Connection

from bridge.store import lanes, learn, ledger, outgoing
from bridge.store.engines import engine_for, parse
from bridge.store.prepared import Prepared
from bridge.store.store import Store
from bridge.store.versions import prepare_tables


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


def test_on_postgresql_too_what_is_due_is_found_in_order(postgres_url: str) -> None:
    engine = engine_for(parse(postgres_url))
    prepare_tables(engine)
    sql, _, fixed = outgoing._CLAIM._compiled(engine.dialect)
    given = {**fixed, "whose": "shop", "rank": 0, "now": 1, "most": 10, "who": "w", "until": 2}
    with engine.begin() as connection:
        # Sorting is what it does only where no index has the order.
        for way in ("seqscan", "bitmapscan", "sort", "incremental_sort"):
            connection.exec_driver_sql(f"SET LOCAL enable_{way} = off")
        steps = [step for (step,) in connection.exec_driver_sql(f"EXPLAIN {sql}", given)]
    engine.dispose()
    assert any("Index Scan using deliveries_due" in step for step in steps)
    assert not [step for step in steps if "Sort" in step]
