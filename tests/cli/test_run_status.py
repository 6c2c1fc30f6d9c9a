"""What `replybridge broadcasts status` says of a run that goes on."""

from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from bridge.broadcasts.plan import Plan, write_plan
from bridge.cli.runs import status_of
from bridge.errors import Place
from bridge.line.accounts import Accounts
from bridge.model.broadcast import Asked
from bridge.model.wording import Wording
from bridge.platforms.registry import ADAPTERS
from bridge.store import runs
from bridge.store.plan import plan
from bridge.store.store import Store
from tests.running import settings_in
from tests.store.test_plan import CHUNK, somebody
from tests.values import NOON

CLUB = """
[accounts.club]
platform = "chayns"
location_id = 378
tapp_id = 77889
secret = "tapp-secret-12"
budget = "60/min"
"""


@pytest.mark.parametrize(("together", "minutes"), [(1, 20), (10, 2)])
async def test_the_finish_counts_how_many_go_in_one_call(
    store: Store, tmp_path: Path, together: int, minutes: int
) -> None:
    settings = settings_in(tmp_path, {"bridge.toml": CLUB + f"together = {together}\n"})
    wording = Wording(place=Place(file="a", line=1, column=1), text="x")
    written = write_plan(Plan(broadcast="offer", via="club", wording=wording))
    await store.write(runs.ask, Asked(broadcast="offer", moment="1", at=NOON))
    await store.write(runs.change, runs.Change(run=1, come_from=("asked",), to="planning", at=NOON, plan=written))
    people = tuple(somebody(f"p{number}") for number in range(1200))
    assert await store.write(plan, replace(CHUNK, account="club", people=people, cursor=None, last=True))
    accounts = Accounts(settings.accounts.values(), ADAPTERS)
    status = store.read_now(lambda connection: status_of(connection, 1, NOON, accounts))
    assert status.done_at == NOON + timedelta(minutes=minutes)
    # Whose account is gone may be sent at any pace.
    assert store.read_now(lambda connection: status_of(connection, 1, NOON, Accounts((), ADAPTERS))).done_at is None
