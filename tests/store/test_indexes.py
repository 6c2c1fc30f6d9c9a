"""What runs for every event finds its rows by an index, however many others there are."""

import pytest
from sqlalchemy import Connection

from bridge.store import ledger, outgoing
from bridge.store.prepared import Prepared
from bridge.store.store import Store


@pytest.mark.parametrize(
    "query", [ledger._REPEATS, ledger._CONVERSATIONS, ledger._MEMORIES, ledger._BUSY, outgoing._NEXT]
)
def test_a_list_is_looked_up_in_an_index(store: Store, query: Prepared) -> None:
    def plan(connection: Connection) -> list[str]:
        sql, _, _ = query._compiled(connection.dialect)
        return [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", ("[]",) * sql.count("?"))]

    steps = store.read_now(plan)
    assert any(step.startswith("SEARCH") for step in steps)
    assert not [step for step in steps if step.startswith("SCAN") and "VIRTUAL" not in step]


def test_what_is_due_is_found_in_order_among_many(store: Store) -> None:
    def plan(connection: Connection) -> list[str]:
        due = outgoing._DUE.params(now=1, full=["site"], most=10).compile(
            dialect=connection.dialect, compile_kwargs={"render_postcompile": True}
        )
        steps = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {due}", (1,) * str(due).count("?"))
        return [row[3] for row in steps]

    [step] = store.read_now(plan)
    assert step.startswith("SEARCH deliveries USING INDEX deliveries_wake (")
