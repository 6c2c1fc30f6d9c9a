"""Prepared statements: what the values of rows without names are for, on both engines."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from sqlalchemy import Connection, bindparam, insert, select, update

from bridge.errors import StoreError
from bridge.store.prepared import Prepared
from bridge.store.store import Store
from bridge.store.tables import memories

NAMES = ("key", "document", "changed_at")
NEW = Prepared(insert(memories), NAMES)
# It asks for its values in another order than they are given in, and has two of its own among them.
CHANGE = Prepared(
    update(memories)
    .where(memories.c.changed_at > 0, memories.c.key == bindparam("which"))
    .values(document=memories.c.document + "+" + bindparam("more"), changed_at=memories.c.changed_at + bindparam("by")),
    ("which", "by", "more"),
)
ALL = select(*(memories.c[name] for name in NAMES)).order_by(memories.c.key)


async def done(store: Store, work: Callable[[Connection], object]) -> Any:
    def alone(connection: Connection, items: Sequence[None]) -> list[object]:
        return [work(connection)]

    return await store.write(alone, None)


async def kept(store: Store) -> list[tuple[Any, ...]]:
    return await store.read(lambda connection: [tuple(row) for row in connection.execute(ALL)])


@pytest.mark.parametrize("many", [1, 2, 40])
async def test_rows_are_inserted_in_the_order_of_their_columns(store: Store, many: int) -> None:
    rows = [(f"{number:02}", f"é {number}", number) for number in range(many)]
    assert await done(store, lambda connection: NEW.write(connection, rows)) == many
    assert await kept(store) == rows


@pytest.mark.parametrize("many", [1, 3])
async def test_parameters_may_stand_in_another_order_than_their_statement_has_them(store: Store, many: int) -> None:
    rows = [("a", "x", 1), ("b", "y", 2), ("c", "z", 0)]
    changes = [("a", 10, "1"), ("b", 20, "2"), ("c", 30, "3")][:many]

    def work(connection: Connection) -> None:
        NEW.write(connection, rows)
        CHANGE.write(connection, changes)

    await done(store, work)
    expected = [("a", "x+1", 11), ("b", "y+2", 22), ("c", "z", 0)]
    assert await kept(store) == [*expected[:many], *rows[many:]], "the third is not changed: 0 is not above 0"


async def test_each_tells_which_rows_it_has_changed(file_store: Store) -> None:
    def work(connection: Connection) -> list[int]:
        NEW.write(connection, [("a", "x", 1), ("b", "y", 0)])
        return CHANGE.each(connection, [("b", 1, "-"), ("a", 1, "!"), ("none", 1, "-")])

    assert await done(file_store, work) == [0, 1, 0]
    assert await kept(file_store) == [("a", "x+!", 2), ("b", "y", 0)]


@pytest.mark.parametrize("write", [NEW.write, NEW.each])
async def test_what_the_database_refuses_is_an_error_of_the_store(
    file_store: Store, write: Callable[[Connection, Sequence[tuple[Any, ...]]], object]
) -> None:
    with pytest.raises(StoreError, match="could not write"):
        await done(file_store, lambda connection: write(connection, [("a", None, 1)]))
    assert await kept(file_store) == []
