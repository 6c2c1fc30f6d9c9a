"""One event in by each platform that pushes, replies and operations out by all, and the process killed in between."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.end_to_end import senders
from tests.end_to_end.company import SECRETS, SITE_KEY, Platforms, all_platforms
from tests.end_to_end.senders import BROWSER, DAY, SESSION, Request
from tests.end_to_end.server import Server

PICTURE = b"\x89PNG\r\n\x1a\n" + b"\0" * 40


async def until(condition: Callable[[], object], what: str) -> None:
    for _ in range(1200):
        if condition():
            return
        await asyncio.sleep(0.05)
    pytest.fail(f"it never came to this: {what}")


def first_events(chat: str) -> list[tuple[Request, int]]:
    """Each with the status of its answer."""
    return [
        (senders.chat_server("notifyUserNewChatMessage", chat, "one"), 200),
        (senders.omnidesk("ten euro"), 202),
        (senders.helpcrunch("how much is it"), 200),
        (senders.edna("hello"), 202),
        (senders.crm("where is it"), 202),
        (senders.events("closed"), 202),
        (senders.form("a quote"), 202),
        (senders.browser("hi"), 202),
    ]


async def upload(server: Server, client: aiohttp.ClientSession, chat: str) -> None:
    query = {"chatServer": chat, "chatSessionID": SESSION, "chatAccountToken": "tok1234567890"}
    file = aiohttp.FormData()
    file.add_field("file", PICTURE, filename="photo.png", content_type="image/png")
    headers = {"apiKey": SITE_KEY}
    url = f"{server.url}/api/v2/chat/addAttachment"
    async with client.post(url, params=query, data=file, headers=headers) as answer:
        assert answer.status == 200, await answer.text()


async def in_the_web_chat(server: Server, client: aiohttp.ClientSession) -> str:
    """The first reply in the visitor's mailbox."""
    async with (
        asyncio.timeout(60),
        client.get(f"{server.url}/chat/stream", headers={"x-chat-session": BROWSER}) as stream,
    ):
        while not (entry := (await stream.content.readuntil(b"\n\n")).decode()).startswith("id"):
            continue
        return str(json.loads(entry.partition("data: ")[2])["text"])


async def listed(server: Server, *options: str) -> list[dict[str, Any]]:
    done = await asyncio.to_thread(server.command, "deliveries", "list", "--json", *options)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


async def begun_and_killed(server: Server, platforms: Platforms, client: aiohttp.ClientSession) -> None:
    """All events are acknowledged, all platforms have a request in their hands, and the process dies."""
    held = (platforms.chat, platforms.helpcrunch, platforms.edna, platforms.chayns, platforms.groupalarm, platforms.crm)
    for fake in held:
        fake.answers.append("hang")
    for request, status in first_events(platforms.chat.url):
        answer = await request.send(server.url, client)
        assert answer[0] == status, (request.path, answer)
    await until(lambda: not any(fake.answers for fake in held), "every platform was called")
    server.kill()


async def afterwards(server: Server, platforms: Platforms, client: aiohttp.ClientSession) -> None:
    """Repeats of all that was acknowledged, and what is new."""
    for request, status in first_events(platforms.chat.url):
        assert (await request.send(server.url, client))[0] == status
    two = senders.chat_server("notifyUserNewChatMessage", platforms.chat.url, "two", 2, emailAddress="ben@shop.example")
    status, told = await two.send(server.url, client)
    assert (status, json.loads(told)["ticketID"]) == (200, platforms.omnidesk.tickets[SESSION])
    await upload(server, client, platforms.chat.url)
    status, told = await senders.edna("now", "quick", "").send(server.url, client)
    assert (status, json.loads(told)["text"]) == (200, "quick: now")


async def test_events_in_by_all_platforms_and_replies_out_by_all(tmp_path: Path) -> None:
    async with all_platforms() as platforms, aiohttp.ClientSession() as client:
        server = Server(tmp_path, platforms.files())
        try:
            await asyncio.to_thread(server.start)
            await begun_and_killed(server, platforms, client)
            await asyncio.to_thread(server.start)
            await afterwards(server, platforms, client)
            assert await in_the_web_chat(server, client) == "web: hi"
            await until(lambda: _is_all_there(platforms), "all was said and done")
            states = "SELECT DISTINCT state FROM deliveries"
            await until(lambda: server.rows(states) == [("sent",)], "all is known to be sent")
            await _is_kept_secret(server)
            assert await _fetched(server, client, platforms) == PICTURE
        finally:
            server.kill()
        assert platforms.refused() == []
        _replies_are_right(platforms)
        _operations_are_right(platforms)


def _is_all_there(platforms: Platforms) -> bool:
    """The last of what each platform is to be told."""
    helpcrunch = {path for _, path, _ in platforms.helpcrunch.changes}
    return (
        any(one["message"] == "site: two" for one in platforms.chat.received)
        and len(platforms.omnidesk.files) == 1
        and len(platforms.helpcrunch.messages) == 2
        and {"/chats/assignee", "/customers/45/tags", "/chats/status"} <= helpcrunch
        and len(platforms.edna.sent) >= 2
        and platforms.edna.threads[902]["currentAgentLogin"] == "olha"
        and {path for path, _ in platforms.chayns.sent} == {"/Intercom", "/User/1001/Push"}
        and len({text for _, text in platforms.groupalarm.messages}) == 2
        and len(platforms.crm.taken) == 2
    )


async def _fetched(server: Server, client: aiohttp.ClientSession, platforms: Platforms) -> bytes:
    """The file that edna was told of, fetched where it was told."""
    (file,) = (one for _, body in platforms.edna.sent for one in body.get("attachments", ()))
    public, _, path = str(file["url"]).partition("/attachments/")
    assert public == "https://bridge.example"
    async with client.get(f"{server.url}/attachments/{path}") as answer:
        return await answer.read()


def _replies_are_right(platforms: Platforms) -> None:
    # What was on its way when the process died may come twice, and nothing else may.
    assert sorted(str(one["message"]) for one in platforms.chat.received) in (
        ["site: one", "site: one", "site: two"],
        ["site: one", "site: two"],
    )
    # HelpCrunch can be asked what came of a message, so it never has it twice.
    by_chat = {one["chat"]: one["plain"] for one in platforms.helpcrunch.messages}
    assert by_chat == {5215261: "shop: how much is it", 5215262: "shop: two"}
    by_bot = [body for path, body in platforms.edna.sent if path == "chatbot"]
    assert [(body["text"], body["threadsClientId"]) for body in by_bot] == [("support: hello, +10000000000", 17)]
    assert [button["text"] for button in by_bot[0]["quickReplies"]] == ["yes", "no"]
    as_agent = [body for path, body in platforms.edna.sent if path == "outgoing-from-myself"]
    assert [(body["text"], body["clientId"]) for body in as_agent] == [("support: a file", "c-17")]
    club = [body for path, body in platforms.chayns.sent if path == "/Intercom"]
    assert {(body["Message"], tuple(body["UserIds"])) for body in club} == {("club: closed", (1001,))}
    # A room was made for the ticket; where its making was cut off, it was made again.
    (room,) = {room for room, _ in platforms.groupalarm.messages} - {5}
    told = {(5, "duty: a quote (cleo@shop.example)"), (room, "duty: ten euro")}
    assert set(platforms.groupalarm.messages) == told
    # A receiver of Standard Webhooks knows a repeat by its id.
    assert sorted(one["data"]["text"] for one in platforms.crm.taken.values()) == [
        "crm: order A-17",
        "crm: where is it",
    ]


def _operations_are_right(platforms: Platforms) -> None:
    changes = {(method, path): body for method, path, body in platforms.helpcrunch.changes}
    assert changes == {
        ("PUT", "/chats/assignee"): {"id": 5215261, "assignee": 4188},
        ("PUT", "/customers/45/tags"): {"tags": [{"name": "vip"}]},
        ("PUT", "/chats/status"): {"id": 5215261, "status": "closed"},
    }
    pushes = [body for path, body in platforms.chayns.sent if path == "/User/1001/Push"]
    assert {body["alert"] for body in pushes} == {"push: closed"}
    names = {room["name"] for room in platforms.groupalarm.rooms.values()}
    assert "ticket 7001" in names
    assert [(one.method, one.body) for one in platforms.crm.called.values()] == [("POST", {"asked": "where is it"})]
    forwarded = [fields.get("message", name) for name, fields in platforms.omnidesk.received]
    assert forwarded == ["one", "two", "addAttachment"]
    assert platforms.omnidesk.files == [("photo.png", PICTURE)]


async def _is_kept_secret(server: Server) -> None:
    """No key, token or password is in the log, the store, or what `deliveries` shows."""
    numbers = {one["delivery"]["account"]: str(one["delivery"]["id"]) for one in await listed(server)}
    shown = [await asyncio.to_thread(server.command, "deliveries", "show", number) for number in numbers.values()]
    assert all(done.returncode == 0 for done in shown), shown
    assert {"site", "desk", "shop", "support", "club", "duty", "crm", "web"} <= set(numbers)
    read = {"the log": server.log, "the screen": "".join(done.stdout + done.stderr for done in shown)}
    for file in (server.directory / "data").glob("bridge.db*"):
        read[file.name] = file.read_bytes().decode("latin-1")
    assert [(where, secret) for where, text in read.items() for secret in SECRETS if secret in text] == []


def wrong(chat: str) -> list[tuple[Request, str]]:
    """Requests with one thing wrong, and the word in the answer by which an operator finds it."""
    message = senders.chat_server("notifyUserNewChatMessage", chat, "how much")
    return [
        (message.but(apikey=None), "apiKey"),
        (message.but(apikey="key-of-the-chat-serveR"), "apiKey"),
        (senders.omnidesk("how much").with_a_byte_changed(), "webhook-signature"),
        (senders.omnidesk("how much", late=600), "webhook-timestamp"),
        (senders.omnidesk("how much").but(webhook_id=None), "webhook-id"),
        (senders.helpcrunch("how much").with_a_byte_changed(), "x-helpcrunch-signature"),
        (senders.helpcrunch("how much").but(x_helpcrunch_signature=None), "x-helpcrunch-signature"),
        (senders.helpcrunch("how much", late=2 * DAY), "lastAttemptAt"),
        (senders.edna("how much", secret="/0123456789abcdef0124"), "secret"),
        (senders.edna("how much", secret=""), "secret"),
        (senders.crm("how much").with_a_byte_changed(), "webhook-signature"),
        (senders.crm("how much", late=600), "webhook-timestamp"),
        (senders.crm("how much").but(webhook_timestamp=None), "webhook-timestamp"),
        (senders.crm("how much").but(webhook_signature=None), "webhook-signature"),
        (senders.events("how much").but(authorization=None), "authorization"),
        (senders.events("how much").but(authorization="Bearer token-of-the-event-buS"), "authorization"),
        (senders.form("how much").but(authorization="Basic key-of-the-form"), "authorization"),
        (senders.browser("how much").but(x_chat_session=None), "x-chat-session"),
    ]


async def test_what_is_not_genuine_is_refused_with_a_reason_that_leaks_nothing(tmp_path: Path) -> None:
    async with all_platforms() as platforms, aiohttp.ClientSession() as client:
        server = Server(tmp_path, platforms.files())
        try:
            await asyncio.to_thread(server.start)
            for request, word in wrong(platforms.chat.url):
                status, told = await request.send(server.url, client)
                assert (status, word in told) == (401, True), (request, status, told)
                assert not any(secret in told for secret in SECRETS), told
            assert await listed(server) == []
            assert server.stop() == 0
        finally:
            server.kill()
        assert not any(secret in server.log for secret in SECRETS), server.log
        lines = [json.loads(line) for line in server.log.splitlines() if '"refused"' in line]
        assert {line.get("account") for line in lines} == {None, "tickets", "shop", "support", "crm", "events", "form"}
