"""Forget and backup: what is deleted is gone from the bytes of the files; what is backed up can be used."""

import sqlite3
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import Connection

from bridge.clock import SystemClock
from bridge.errors import StoreError
from bridge.model.conversation import EMPTY
from bridge.model.delivery import Attempt, Reply, Sent, Settled, Urgency
from bridge.model.event import NOBODY, Attachment, Contact, Event
from bridge.store import look
from bridge.store.ledger import Claim, Ledger
from bridge.store.page import Entry
from bridge.store.settle import Done, settle
from bridge.store.store import Store, open_store
from tests.cli.typed import typed
from tests.conftest import Unwatched
from tests.end_to_end.terminal import fails
from tests.values import a_delivery, an_event

SETTINGS = '[accounts.site]\nplatform = "webchat"\n'
ANN = Contact(id="ann-0815", name="Ann Smith", email="Ann@shop.example", phone="+49 170 5550123")
SECRETS = (b"ann-0815", b"ann smith", b"ann@shop.example", b"5550123", b"my card is 4711", b"sent to ann",
            b"token-of-ann",
           b"private note on ann", b"answered: sent to ann")  # fmt: skip
CLOCK = SystemClock()


def of_ann(number: int, contact: Contact = ANN, **changes: object) -> Event:
    fields = {"text": f"my card is 4711 ({number}) " + "x" * 3000, "conversation": "conv-ann", "key": f"a/{number}"}
    return an_event(contact=contact, raw={"who": "Ann Smith"}, **{**fields, **changes})


async def record(store: Store, *events: Event, claim: bool = True) -> None:
    """These events, each answered, with what is remembered of their contacts."""

    def work(connection: Connection, items: Sequence[None]) -> list[object]:
        ledger = Ledger(connection, events, CLOCK.now())
        for event in events:
            conversation = ledger.facts(event).conversation
            ledger.keep(conversation)
            number = ledger.record(event, [{"rule": "echo", "fired": True}])
            ledger.remember(conversation, {"contact": EMPTY.remember({"note": f"private note on {event.contact.id}"})})
            made = a_delivery(
                id=ledger.next_delivery(),
                event=number,
                lane=f"site/{event.conversation}",
                to={"visitor": event.contact.id or "nobody"},
                reply=Reply(text=f"sent to {event.contact.name}"),
            )
            ledger.enqueue(Entry(delivery=made))
        now = CLOCK.now()
        full: tuple[tuple[str, Urgency], ...] = () if claim else (("site", "live"),)
        under_way = list(ledger.write(Claim(worker="w", until=now, full=full)))
        while under_way:
            delivery = under_way.pop()
            said = f"answered: {delivery.reply.text}"
            one = Attempt(delivery=delivery.id, at=now, took=0, outcome=Sent(reference="r"), answer=said)
            done = Done(delivery=delivery, attempts=(one,), settled=Settled(state="sent"), at=now, worker="w",
                        lease=CLOCK.now() - now)  # fmt: skip
            under_way += [follower for follower in settle(connection, [done]) if follower is not None]
            look.post(connection, [look.Mail(mailbox="m", delivery=delivery.id, body={"to": said}, at=now)])
        return [None]

    await store.write(work, None)


def a_store(directory: Path) -> Store:
    (directory / "bridge.toml").write_text(SETTINGS, encoding="utf-8")
    return open_store(f"sqlite:///{directory}/data/bridge.db", CLOCK, Unwatched())


async def keep_file(store: Store, directory: Path, token: str, content: bytes) -> str:
    kept = look.Kept(token=token, account="site", name=f"{token}.pdf", type="text/plain", size=3, at=CLOCK.now())
    await store.write(look.keep_attachment, kept)
    path = directory / "data/attachments" / token
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return f"https://bridge.example/attachments/{token}/{token}.pdf"


async def fill(store: Store, directory: Path) -> None:
    """Ann among many others, in several conversations, the first of them before her e-mail address was known."""
    bob = Contact(id="bob", name="Bob", email="bob@shop.example")
    others = [an_event(conversation=f"conv-{n}", key=f"o/{n}", contact=bob, text="y" * 2000) for n in range(50)]
    url = await keep_file(store, directory, "token-of-ann", b"a secret of ann")
    await keep_file(store, directory, "token-of-bob", b"of bob")
    file = of_ann(50, kind="attachment", attachment=Attachment(name="token-of-ann.pdf", url=url))
    await record(store, *(of_ann(n) for n in range(20)), *others[:25], file)
    await record(
        store, of_ann(60, Contact(id="other-id", email="ann@shop.example"), conversation="conv-of-2", key="b/1")
    )
    await record(store, *others[25:], *(of_ann(n) for n in range(100, 110)))


def bytes_of(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted((directory / "data").glob("bridge.db*"))).lower()


@pytest.mark.parametrize("name", ["ann@SHOP.example", "ann-0815", "+491705550123", "0049 170 555-0123"])
async def test_who_is_forgotten_is_gone_from_the_files_while_a_server_runs(tmp_path: Path, name: str) -> None:
    with a_store(tmp_path) as store:
        await fill(store, tmp_path)
        before = bytes_of(tmp_path)
        assert [secret for secret in SECRETS if secret not in before] == []
        done = typed(tmp_path, "forget", name, given="y\n")
        assert (done.returncode, done.stderr) == (0, "")
        assert "2 conversations, 32 events, 32 deliveries, 2 memories, 1 file" in done.stdout
        assert done.stdout.endswith("the files of the store say none of it any more\n")
        after = bytes_of(tmp_path)
        assert [secret for secret in SECRETS if secret in after] == []
        assert [path.name for path in (tmp_path / "data/attachments").iterdir()] == ["token-of-bob"]
        assert after.count(b"bob@shop.example") >= 50
        # The server goes on, and numbers are not given a second time.
        await record(store, an_event(conversation="conv-new", key="new"))
        [(events, deliveries)] = store.read_now(
            lambda connection: connection.exec_driver_sql(
                "SELECT (SELECT max(id) FROM events), (SELECT max(id) FROM deliveries)"
            ).all()
        )
        assert (events, deliveries) == (83, 83)
        assert typed(tmp_path, "forget", name).stdout == f"nothing is kept of {name}\n"


async def test_a_visitor_who_said_nothing_of_themselves_is_found_by_their_conversation(tmp_path: Path) -> None:
    """A conversation of somebody who is known is not: its number may well be somebody else's id."""
    with a_store(tmp_path) as store:
        await record(store, of_ann(1, NOBODY, conversation="4f2a-visitor", key="v/1"), of_ann(2), of_ann(3))
        done = typed(tmp_path, "forget", "4f2a-visitor", "--yes")
        assert "1 conversation, 1 event, 1 delivery, 1 memory, 0 files" in done.stdout
        assert done.stdout.endswith("the files of the store say none of it any more\n")
        assert typed(tmp_path, "forget", "conv-ann").stdout == "nothing is kept of conv-ann\n"
        kept = store.read_now(
            lambda connection: connection.exec_driver_sql("SELECT count(*) FROM conversations").scalar()
        )
        assert kept == 1


async def test_what_is_queued_for_them_is_never_sent_and_what_is_being_sent_ends_first(tmp_path: Path) -> None:
    with a_store(tmp_path) as store:
        await record(store, of_ann(1), claim=False)

        def mark(connection: Connection, items: Sequence[str]) -> list[None]:
            connection.exec_driver_sql(f"UPDATE deliveries SET state = '{items[0]}', worker = 'w'")
            return [None]

        await store.write(mark, "claimed")
        refused = typed(tmp_path, "forget", "ann-0815", "--yes")
        why = "still on the way to them: 1 delivery; try again in a minute, or stop the server\n"
        assert (refused.returncode, refused.stderr) == (2, why)
        await store.write(mark, "queued")
        assert typed(tmp_path, "forget", "ann-0815", "--yes").returncode == 0
        rows = store.read_now(
            lambda connection: connection.exec_driver_sql("SELECT state, recipient FROM deliveries").all()
        )
        assert [tuple(row) for row in rows] == [("cancelled", "{}")]


async def test_what_stops_halfway_can_be_done_again(tmp_path: Path) -> None:
    """The rows that tell of a file are there until the file is gone."""
    with a_store(tmp_path) as store:
        await fill(store, tmp_path)
    file = tmp_path / "data/attachments/token-of-ann"
    file.unlink()
    file.mkdir()
    stopped = typed(tmp_path, "forget", "ann-0815", "--yes")
    assert (stopped.returncode, stopped.stderr.partition(":")[0]) == (2, "data/attachments/token-of-ann")
    file.rmdir()
    file.write_bytes(b"a secret of ann")
    again = typed(tmp_path, "forget", "ann-0815", "--yes")
    assert (again.returncode, "1 file" in again.stdout, file.exists()) == (0, True, False)


async def test_who_is_only_named_by_others_is_said(tmp_path: Path) -> None:
    with a_store(tmp_path) as store:
        await record(store, of_ann(1), an_event(contact=Contact(id="bob"), text="ask ann@shop.example"))
    done = typed(tmp_path, "forget", "ann@shop.example", "--yes")
    assert "ann@shop.example is still named in rows that are not about them: events.body (1)" in done.stdout.lower()


async def test_nothing_is_deleted_without_a_yes_and_nobody_is_nobody(tmp_path: Path) -> None:
    with a_store(tmp_path) as store:
        await record(store, of_ann(1))
    assert typed(tmp_path, "forget", "ann-0815", given="n\n").returncode == 1
    assert b"ann-0815" in bytes_of(tmp_path)
    assert typed(tmp_path, "forget", "%").stdout == "nothing is kept of %\n"
    assert fails(typed(tmp_path, "forget", " ")) == ["say whom: an id, an e-mail address or a phone number"]


async def test_a_backup_is_made_while_the_server_writes_and_can_be_restored(tmp_path: Path) -> None:
    target = tmp_path / "backup.tar"
    with a_store(tmp_path) as store:
        await fill(store, tmp_path)
        done = typed(tmp_path, "backup", str(target))
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.endswith("with 2 files of customers\n")
        await record(store, an_event(conversation="after", key="after"))
    assert fails(typed(tmp_path, "backup", str(target))) == [
        "backup.tar: there is a file already; choose another name, or say --overwrite"
    ]
    assert target.stat().st_mode & 0o777 == 0o600
    restored = tmp_path / "elsewhere/data"
    restored.mkdir(parents=True)
    subprocess.run(["tar", "-xf", target, "-C", restored], check=True)
    assert (restored / "attachments/token-of-ann").read_bytes() == b"a secret of ann"
    with a_store(tmp_path / "elsewhere") as again:
        count = again.read_now(lambda c: c.exec_driver_sql("SELECT count(*) FROM events").scalar())
    assert count == 82
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup.tar", "bridge.toml", "data", "elsewhere"]


async def test_a_backup_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    assert "there is no store yet" in fails(typed(_set_up(tmp_path), "backup", str(tmp_path / "x.tar")))[0]
    with a_store(tmp_path):
        pass
    [said] = fails(typed(tmp_path, "backup", str(tmp_path / "nowhere/x.tar")))
    assert said == "nowhere/x.tar: the backup could not be written: No such file or directory"


def _set_up(directory: Path) -> Path:
    (directory / "bridge.toml").write_text(SETTINGS, encoding="utf-8")
    return directory


@pytest.mark.parametrize("begin", [0, 4096 + 8])
async def test_a_damaged_store_is_told_and_what_to_do(tmp_path: Path, begin: int) -> None:
    with a_store(tmp_path) as store:
        await fill(store, tmp_path)
    with sqlite3.connect(tmp_path / "data/bridge.db") as closing:
        closing.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    closing.close()
    with (tmp_path / "data/bridge.db").open("r+b") as file:
        file.seek(begin)
        file.write(b"\xff" * 20_000)
    with pytest.raises(StoreError, match=r"the file is damaged: put a backup in its place \(README, Operations\)"):
        a_store(tmp_path)
