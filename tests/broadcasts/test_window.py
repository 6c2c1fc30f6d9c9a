"""How much of a run is on its way at a time: two seconds' worth, so that a pause is soon felt."""

from pathlib import Path

import pytest

from bridge.broadcasts.plan import Plan
from bridge.broadcasts.runs import WINDOW, window
from bridge.errors import Place
from bridge.line.accounts import Known
from bridge.model.quantity import Rate, parse_rate
from bridge.model.wording import Wording
from bridge.platforms.registry import ADAPTERS
from tests.running import settings_in


@pytest.mark.parametrize(
    ("rate", "budget", "many"),
    [(None, None, WINDOW), ("60/min", None, 16 + 2), ("50/s", "120/min", 16 + 4), ("100000/s", None, WINDOW)],
)
def test_the_window(tmp_path: Path, rate: str | None, budget: str | None, many: int) -> None:
    lines = ['[accounts.web]\nplatform = "webchat"\n', f'budget = "{budget}"\n' if budget else ""]
    account = settings_in(tmp_path, {"bridge.toml": "".join(lines)}).accounts["web"]
    pace: Rate | None = None if rate is None else parse_rate(rate)
    place = Place(file="a", line=1, column=1)
    plan = Plan(broadcast="offer", via="web", wording=Wording(place=place, text="x"), rate=pace)
    assert window(plan, Known(account=account, adapter=ADAPTERS["webchat"])) == many


def test_a_budget_counts_calls_for_several(tmp_path: Path) -> None:
    lines = '[accounts.club]\nplatform = "chayns"\nlocation_id = 378\ntapp_id = 77889\nsecret = "tapp-secret-12"\n'
    lines += 'together = 10\nbudget = "120/min"\n'
    account = settings_in(tmp_path, {"bridge.toml": lines}).accounts["club"]
    plan = Plan(broadcast="offer", via="club", wording=Wording(place=Place(file="a", line=1, column=1), text="x"))
    assert window(plan, Known(account=account, adapter=ADAPTERS["chayns"])) == 10 * 16 + 2 * 20
