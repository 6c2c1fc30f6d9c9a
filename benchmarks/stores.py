"""The stores that are measured: files, or databases of a real PostgreSQL that waits for its disk."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext

from tests.postgres import Databases, GivenServer, PostgresServer

NAMES = "sqlite, postgresql (a server of its own), or the url of a server whose user may create databases"


@contextmanager
def new_stores(name: str) -> Iterator[Callable[[], str]]:
    """What gives the urls of new and empty stores, which are gone afterwards. What `name` may be, `NAMES` says."""
    if name == "sqlite":
        with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
            yield lambda: f"sqlite:///{tempfile.mkdtemp(dir=folder)}/bridge.db"
        return
    a_server = PostgresServer(durable=True) if name == "postgresql" else nullcontext(GivenServer(name))
    with a_server as server, closing(Databases(server)) as databases:
        yield databases.create
