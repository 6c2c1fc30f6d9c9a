"""The whole program in one process: what it serves, how it refuses to begin, and how it ends."""

import asyncio
import json
import threading
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
from sqlalchemy import Connection

from bridge.app.bridge import _scheduled, bridge
from bridge.chance import SeededChance
from bridge.clock import SetClock, SystemClock
from bridge.errors import BridgeError, RulebookError, SettingsError, StoreError
from bridge.line.duty import Duty
from bridge.line.housekeeping import Housekeeping
from bridge.settings import Settings, load_settings
from tests.fakes.chat_server import ChatServer
from tests.running import ECHO, KEY, PATIENCE, SESSION, Site, a_bridge, a_site, settings_in, site, until
from tests.values import NOON

WEBCHAT = '[accounts.web]\nplatform = "webchat"\n'


async def test_it_tells_that_it_is_alive_and_ready(tmp_path: Path) -> None:
    async with a_bridge(tmp_path, WEBCHAT) as site:
        for path, said in (("/healthz", {"alive": True}), ("/readyz", {"ready": True, "rulebook": "current"})):
            async with site.client.get(site.running.url + path) as answer:
                assert (answer.status, await answer.json()) == (200, said)


async def test_its_metrics_are_prometheus_text(tmp_path: Path) -> None:
    async with a_site(tmp_path) as (site, fake):
        await site.say("x")
        await fake.wait_for(1)
        await site.settle()
        async with site.client.get(f"{site.running.url}/metrics") as answer:
            assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            lines = (await answer.text()).splitlines()
    assert 'replybridge_events_total{account="site",kind="message"} 1.0' in lines
    assert 'replybridge_queue_depth{queue="store"} 0.0' in lines
    assert [line for line in lines if line.startswith("replybridge_rulebook_info")]
    assert not [line for line in lines if KEY in line or SESSION in line]


async def test_the_web_chats_page_is_served_where_it_has_an_account(tmp_path: Path) -> None:
    (tmp_path / "with").mkdir()
    (tmp_path / "without").mkdir()
    async with a_bridge(tmp_path / "with", WEBCHAT) as it, it.client.get(it.running.url) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/html")
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    without = site("https://chat.example.com")
    async with a_bridge(tmp_path / "without", without) as it, it.client.get(it.running.url) as answer:
        assert answer.status == 404
        assert await answer.json(content_type=None) == {"title": "there is nothing at /", "status": 404}


async def test_without_any_file_the_web_chat_answers_by_the_rules_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "echo.yaml").write_text(ECHO)
    read = load_settings(None, {"REPLYBRIDGE_SERVER__LISTEN": "127.0.0.1:0"}, working_directory=tmp_path)
    headers = {"x-chat-session": "0123456789abcdef" * 2}
    async with bridge(read) as running, aiohttp.ClientSession(headers=headers) as client, asyncio.timeout(PATIENCE):
        body = {"id": "message-1", "text": "hello"}
        async with client.post(f"{running.url}/chat/message", json=body) as answer:
            assert answer.status == 202
        async with client.get(f"{running.url}/chat/stream") as stream:
            entry = await stream.content.readuntil(b"\n\n")
    data = next(line for line in entry.decode().splitlines() if line.startswith("data: "))
    assert json.loads(data.removeprefix("data: "))["text"] == "you said hello"


async def refused(settings: Settings) -> BridgeError:
    with pytest.raises(BridgeError) as caught:
        async with bridge(settings, SetClock(NOON)):
            pytest.fail("it began all the same")
    return caught.value


async def test_a_rulebook_with_errors_is_not_served(tmp_path: Path) -> None:
    broken = ECHO.replace("on: message", "on: mesage").replace("reply:", "reply_:")
    error = await refused(settings_in(tmp_path, {"bridge.toml": WEBCHAT, "rules/rules.yaml": broken}))
    assert isinstance(error, RulebookError)
    assert len(error.problems) == 2
    assert all("rules/rules.yaml:" in str(problem) for problem in error.problems)
    assert not (tmp_path / "data").exists()


async def test_a_second_server_on_the_same_store_does_not_begin(tmp_path: Path) -> None:
    files = {"bridge.toml": WEBCHAT}
    async with bridge(settings_in(tmp_path, files), SetClock(NOON)):
        error = await refused(settings_in(tmp_path, files))
    assert isinstance(error, StoreError)
    assert "another replybridge is serving from this file; stop it first" in str(error)
    async with bridge(settings_in(tmp_path, files), SetClock(NOON)):
        pass


async def test_a_port_in_use_is_told_with_its_setting_and_leaves_nothing_open(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    async with bridge(settings_in(tmp_path / "one", {"bridge.toml": WEBCHAT}), SetClock(NOON)) as running:
        taken = running.url.removeprefix("http://")
        second = settings_in(tmp_path / "two", {"bridge.toml": WEBCHAT}, {"REPLYBRIDGE_SERVER__LISTEN": taken})
        error = await refused(second)
    assert isinstance(error, SettingsError)
    assert str(error).startswith(f"server.listen: cannot listen on {taken}: ")
    async with bridge(second, SetClock(NOON)) as running:
        assert running.url == f"http://{taken}"


async def test_it_listens_on_ipv6_too(tmp_path: Path) -> None:
    environ = {"REPLYBRIDGE_SERVER__LISTEN": "[::1]:0"}
    async with bridge(settings_in(tmp_path, {"bridge.toml": WEBCHAT}, environ), SetClock(NOON)) as running:
        assert running.url.startswith("http://[::1]:")
        async with aiohttp.ClientSession() as client, client.get(f"{running.url}/healthz") as answer:
            assert answer.status == 200


async def test_a_request_under_way_is_answered_before_the_end(tmp_path: Path) -> None:
    """The end is asked for while an event waits for its commit."""
    begun, go_on = threading.Event(), threading.Event()

    def hold_the_writer(_: Connection, items: Sequence[None]) -> list[None]:
        begun.set()
        assert go_on.wait(PATIENCE)
        return [None] * len(items)

    async with ChatServer() as fake, aiohttp.ClientSession() as client:
        read = settings_in(tmp_path, {"bridge.toml": site(fake), "rules/rules.yaml": ECHO})
        async with bridge(read, SetClock(NOON), SeededChance()) as running:
            caller = Site(running=running, clock=SetClock(NOON), client=client, chat_server=fake.url)
            blocked = running.store.write(hold_the_writer, None)
            await until(begun.is_set)
            saying = asyncio.create_task(caller.say("late"))
            await until(lambda: running.store.waiting == 1)
            asyncio.get_running_loop().call_later(0.1, go_on.set)
        await asyncio.gather(blocked, saying)
        # What it said was decided while the bridge was closing: it is sent now or by the next one.
        async with a_bridge(tmp_path, site(fake), chat_server=fake.url) as again:
            assert [one.state for one in await again.settle()] == ["sent"]
        assert [one["message"] for one in fake.received] == ["you said late"]


async def test_nothing_is_left_running_after_the_end(tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    async with a_site(tmp_path) as (running, fake):
        await running.say("x")
        await fake.wait_for(1)
    await until(lambda: asyncio.all_tasks() <= before)
    assert asyncio.all_tasks() <= before


async def test_what_is_old_goes_soon_after_the_start_and_then_every_hour(tmp_path: Path) -> None:
    async with a_bridge(tmp_path, WEBCHAT) as site:
        store, clock = site.running.store, SystemClock()
        duty = Duty("old rows", store=store, worker="w", clock=clock)
        async with _scheduled(Housekeeping(store, tmp_path, timedelta(days=90), clock, duty)) as scheduler:
            [job] = scheduler.get_jobs()
            assert job.next_run_time <= clock.now() + timedelta(minutes=1)
            assert job.trigger.interval == timedelta(hours=1)
