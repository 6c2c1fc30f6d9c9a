"""`replybridge broadcasts preview` of an audience that a platform is asked for."""

import asyncio
from pathlib import Path

from tests.broadcasts.test_asked import OFFER, fill, table
from tests.cli.typed import typed
from tests.fakes.chat_server import Say
from tests.fakes.helpcrunch import KEY, HelpCrunch
from tests.running import settings_in


def place(directory: Path, fake: HelpCrunch) -> Path:
    options = {"platform": "helpcrunch", "base_url": fake.url, "api_key": KEY, "agent": 4188}
    fast = {"customers_per_page": 20, "budget": "6000/min"}
    settings_in(directory, {"bridge.toml": table("shop", options | fast), "rules/rules.yaml": OFFER})
    return directory


async def test_it_counts_with_real_requests_and_sends_nothing(tmp_path: Path) -> None:
    async with HelpCrunch() as fake:
        fill(fake, 25)
        fake.customers[3]["blocked"] = True
        done = await asyncio.to_thread(typed, place(tmp_path, fake), "broadcasts", "preview", "offer", "--few", "0")
        assert done.returncode == 0, done.stderr
        assert "Hello Customer 1\n" in done.stdout
        assert done.stdout.endswith("24 would get it\n1 would not: blocked in HelpCrunch\n")
        assert [(one["offset"], one["filter"][0]["value"]) for one in fake.searches] == [(0, "Berlin"), (10, "Berlin")]
        assert (fake.messages, fake.refused) == ([], [])


async def test_what_the_platform_refuses_is_said(tmp_path: Path) -> None:
    async with HelpCrunch() as fake:
        fake.answers.append(Say(status=401, body='{"errors":[{"code":"unauthorized","message":"Unauthorized"}]}'))
        done = await asyncio.to_thread(typed, place(tmp_path, fake), "broadcasts", "preview", "offer")
        said = "accounts.shop: the audience cannot be asked for: 401: unauthorized: Unauthorized"
        assert (done.returncode, done.stderr.strip()) == (2, said)
