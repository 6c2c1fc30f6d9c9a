"""The commands about the store itself, and what others say of a store that is not a file."""

from pathlib import Path

import pytest
from sqlalchemy import func, select

from bridge.clock import SystemClock
from bridge.store.engines import engine_for, parse
from bridge.store.migrate import migrate
from bridge.store.store import open_store
from bridge.store.tables import HEAD, events, metadata
from tests.cli.test_forget import fill
from tests.cli.typed import typed
from tests.conftest import Unwatched
from tests.end_to_end.terminal import fails

WEB = '[accounts.site]\nplatform = "webchat"\n'


def at(directory: Path, url: str) -> Path:
    (directory / "bridge.toml").write_text(f'[store]\nurl = "{url}"\n{WEB}', encoding="utf-8")
    return directory


def with_password(url: str) -> str:
    """Whom PostgreSQL trusts need not say one, and may."""
    return url.replace("bridge@", "bridge:hunter2@")


def test_migrate_says_what_it_did(tmp_path: Path) -> None:
    made = "data/bridge.db: "
    at(tmp_path, "sqlite:///data/bridge.db")
    done = typed(tmp_path, "migrate")
    assert (done.returncode, done.stdout) == (0, f"sqlite:///{made}made, with version {HEAD}\n")
    done = typed(tmp_path, "migrate")
    assert done.stdout == f"sqlite:///{made}has version {HEAD} already; nothing was changed\n"
    with open_store(f"sqlite:///{tmp_path}/data/bridge.db", SystemClock(), Unwatched()):
        [told] = fails(typed(tmp_path, "migrate"))
        assert told == f"{made}another replybridge is serving from this file; stop it first"


def test_migrate_brings_an_older_postgresql_up(tmp_path: Path, postgres_url: str) -> None:
    engine = engine_for(parse(postgres_url))
    with engine.begin() as connection:
        migrate(connection, "0003")
    engine.dispose()
    done = typed(at(tmp_path, with_password(postgres_url)), "migrate")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"brought from version 0003 to {HEAD}" in done.stdout
    assert "hunter2" not in done.stdout


async def test_a_store_is_copied(tmp_path: Path, postgres_url: str) -> None:
    file = f"sqlite:///{tmp_path}/data/bridge.db"
    with open_store(file, SystemClock(), Unwatched()) as store:
        (tmp_path / "data/attachments").mkdir()
        await fill(store, tmp_path)
    done = typed(tmp_path, "store", "copy", file, with_password(postgres_url))
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert "82 rows  events" in lines
    assert "0 rows  runs" in lines
    assert lines[-2].endswith("rows, all read again and the same")
    assert "data/attachments has them, and must be where the new servers look" in lines[-1]
    assert "hunter2" not in done.stdout
    engine = engine_for(parse(postgres_url))
    with engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(events)) == 82
    engine.dispose()
    [told] = fails(typed(tmp_path, "store", "copy", file, with_password(postgres_url)))
    assert "rows already; copy into a new database" in told
    assert "hunter2" not in told


@pytest.mark.parametrize(
    ("source", "target", "told"),
    [
        ("bridge.db", "postgresql://x/y", 'FROM: must be "sqlite:///data/bridge.db" or "postgresql://user@host/db"'),
        (
            "sqlite:///nowhere.db",
            "hunter2://y",
            'TO: must be "sqlite:///data/bridge.db" or "postgresql://user@host/db"',
        ),
        ("sqlite:///nowhere.db", "postgresql://ann:hunter2@x/y", "nowhere.db: there is no store"),
    ],
)
def test_what_cannot_be_copied_is_told(tmp_path: Path, source: str, target: str, told: str) -> None:
    [said] = fails(typed(tmp_path, "store", "copy", source, target))
    assert told in said
    assert "hunter2" not in said


def test_a_store_that_cannot_be_reached_is_told_without_its_password(tmp_path: Path) -> None:
    at(tmp_path, f"postgresql://ann:hunter2@/bridge?host={tmp_path}/nowhere&password=hunter2")
    for command in (["migrate"], ["deliveries", "list"], ["forget", "ann"], ["explain"], ["serve"]):
        done = typed(tmp_path, *command)
        assert done.returncode == 2
        assert "No such file or directory" in done.stderr
        assert "hunter2" not in done.stderr


def test_a_database_that_is_not_there_is_told_with_what_to_do(tmp_path: Path, postgres_url: str) -> None:
    address, _, query = postgres_url.partition("?")
    [told] = fails(typed(at(tmp_path, f"{address}_nowhere?{query}"), "migrate"))
    assert told.endswith('_nowhere" does not exist; make it (createdb), or mend the address')


def test_a_postgresql_is_backed_up_by_its_own_tools(tmp_path: Path, postgres_url: str) -> None:
    at(tmp_path, with_password(postgres_url))
    [told] = fails(typed(tmp_path, "backup", "backup.dump"))
    assert "pg_dump --format=custom --file=backup.dump" in told
    assert "hunter2" not in told


def test_a_postgresql_without_tables_is_told(tmp_path: Path, postgres_url: str) -> None:
    [told] = fails(typed(at(tmp_path, postgres_url), "deliveries", "list"))
    assert told.endswith("there is no store yet; `replybridge serve` makes one")


async def test_who_is_forgotten_is_gone_from_a_postgresql_while_a_server_runs(
    tmp_path: Path, postgres_url: str
) -> None:
    at(tmp_path, postgres_url)
    (tmp_path / "data/attachments").mkdir(parents=True)
    with open_store(postgres_url, SystemClock(), Unwatched()) as store:
        await fill(store, tmp_path)
        done = typed(tmp_path, "forget", "ann@SHOP.example", "--yes")
        assert (done.returncode, done.stderr) == (0, "")
        assert "2 conversations, 32 events, 32 deliveries, 2 memories, 1 file" in done.stdout
        assert "the rows of the store say none of it any more\n" in done.stdout
        assert "PostgreSQL's files, its log of changes and its backups may say it" in done.stdout
        everything = store.read_now(
            lambda connection: str([connection.execute(select(table)).all() for table in metadata.sorted_tables])
        )
        assert "ann" not in everything.lower().replace("channel", "")
        assert everything.count("bob@shop.example") >= 50
        assert [path.name for path in (tmp_path / "data/attachments").iterdir()] == ["token-of-bob"]
