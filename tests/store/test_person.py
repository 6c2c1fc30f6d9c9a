"""A person is found however much there is of them: drivers take no endless statements."""

from collections.abc import Sequence

from sqlalchemy import Connection, insert

from bridge.model.conversation import EMPTY, Conversation
from bridge.model.event import Contact
from bridge.store.forget import erase
from bridge.store.person import AT_ONCE, find_person
from bridge.store.rows import dump
from bridge.store.store import Store
from bridge.store.tables import conversations, deliveries
from tests.values import NOON

MANY = 2 * AT_ONCE + 1
ANN = Contact(email="ann@shop.example")


def fill(connection: Connection, items: Sequence[None]) -> list[None]:
    """A conversation for each of many visits of Ann's, and in each a delivery that says its name only."""
    talks = [f"visit-{number:05}" for number in range(MANY)]
    connection.execute(
        insert(conversations),
        [
            {
                "key": f"site/{talk}", "account": "site", "last_at": 0, "ended": 0, "waiting": 0,
                "document": dump((
                    Conversation(account="site", id=talk, contact=ANN, opened_at=NOON, last_at=NOON), EMPTY
                )),
            }
            for talk in talks
        ],
    )  # fmt: skip
    connection.execute(
        insert(deliveries),
        [
            {
                "id": number, "event": None, "rule": "r", "action": "0", "account": "site",
                "lane": f"elsewhere/{number}",
                "state": "sent", "attempts": 1, "recipient": dump({"session": talk}), "reply": dump({"text": "hello"}),
                "created_at": 0, "finished_at": 0,
            }
            for number, talk in enumerate([*talks, "visit-of-bob"], 1)
        ],
    )  # fmt: skip
    return [None]


async def test_somebody_with_very_many_conversations_is_found_whole(store: Store) -> None:
    await store.write(fill, None)
    person = await store.read(lambda connection: find_person(connection, "ann@shop.example"))
    assert (len(person.conversations), person.deliveries) == (MANY, set(range(1, MANY + 1)))

    def forget(connection: Connection, items: Sequence[None]) -> list[None]:
        erase(connection, person, 0)
        return [None]

    await store.write(forget, None)
    assert not await store.read(lambda connection: find_person(connection, "ann@shop.example"))
    assert await store.read(lambda connection: find_person(connection, "visit-of-bob").deliveries) == {MANY + 1}
