"""PostgreSQL: many rows as one parameter, and texts with what it cannot hold."""

import json

import orjson
from hypothesis import given
from hypothesis import strategies as st

from bridge.clock import SetClock
from bridge.store import look
from bridge.store.look import Kept, Mail
from bridge.store.postgres import as_rows, without_nul
from bridge.store.prepared import as_list
from bridge.store.store import Store
from tests.values import NOON

TEXTS = st.text(alphabet=st.sampled_from('\0\\u0"/aß€😀'), max_size=20)
VALUES = (
    st.none() | st.integers(-(2**53), 2**53) | TEXTS | TEXTS.map(lambda text: orjson.dumps({"said": text}).decode())
)


def clean(value: object) -> object:
    return value.replace("\0", "�") if isinstance(value, str) else value


@given(st.lists(st.dictionaries(st.sampled_from("abc"), VALUES), max_size=4))
def test_rows_lose_nothing_but_what_a_text_cannot_hold(rows: list[dict[str, object]]) -> None:
    written = as_rows(rows)
    assert json.loads(written) == [{name: clean(value) for name, value in row.items()} for row in rows]


@given(st.lists(TEXTS, max_size=4))
def test_a_list_is_looked_up_as_it_is_written(texts: list[str]) -> None:
    assert json.loads(without_nul({"list": as_list(texts)}, {"list"})["list"]) == [clean(text) for text in texts]


@given(TEXTS)
def test_a_text_is_looked_up_as_it_is_written(text: str) -> None:
    assert without_nul({"text": text, "number": 1}) == {"text": clean(text), "number": 1}


async def test_names_that_hold_anything_are_found_again(store: Store, clock: SetClock) -> None:
    name = "talk \0 \\u0000 ' % %s :x 😀"
    await store.write(look.post, Mail(mailbox=name, delivery=1, body={"text": name}, at=NOON))
    [(_, body)] = store.read_now(lambda c: look.mail_after(c, name, 0))
    assert json.loads(body) == {"text": name}
    kept = Kept(token="t\0", account="site", name=name, type="text/plain", size=1, at=NOON)
    await store.write(look.keep_attachment, kept)
    found = store.read_now(lambda c: look.attachment_by_token(c, "t\0"))
    assert found is not None
    assert found.name.replace("�", "\0") == name
