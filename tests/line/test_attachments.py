"""Attachments: kept before they are acknowledged, called what they are, and served to nobody who cannot name them."""

import asyncio
import base64
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from bridge.line.attachments import UNKNOWN_TYPE, sniff
from tests.running import SESSION, TOKEN, Site, a_site

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PDF = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer << /Root 1 0 R >>\n%%EOF\n"
HTML = b"<!DOCTYPE html><html><script>alert(document.domain)</script></html>"
TELL = """
rules:
  - name: tell
    on: attachment
    do:
      - reply:
          text: "{{ attachment.name }} {{ attachment.type | default('') }}
            {{ attachment.size | default(0) }} {{ attachment.url | default('') }}"
"""


async def upload(site: Site, name: str, content: bytes, **fields: str) -> tuple[int, str]:
    """Send a file as a multipart body; gives status and message."""
    form = aiohttp.FormData()
    form.add_field("file", io.BytesIO(content), filename=name, content_type="image/png")
    query = {"chatServer": site.chat_server, "chatSessionID": SESSION, "chatAccountToken": TOKEN, **fields}
    url = f"{site.running.url}/api/v2/chat/addAttachment"
    async with site.client.post(url, data=form, params=query, headers=dict(site.headers)) as answer:
        return answer.status, (await answer.json())["message"]


def told(site: Site) -> tuple[str, str, str, str]:
    """Name, type, size and path of the newest attachment, as its rule saw them."""
    name, kind, size, url = site.deliveries()[-1].delivery.reply.text.rsplit(" ", 3)
    assert url.startswith("https://bridge.example/attachments/")
    return name, kind, size, urlsplit(url).path


@pytest.mark.parametrize(
    ("name", "content", "kind", "how"),
    [
        ("photo.png", PNG, "image/png", "inline"),
        ("offer.pdf", PDF, "application/pdf", "attachment"),
        ("photo.png", HTML, "text/html", "attachment"),
        ("photo.png", b"just words", UNKNOWN_TYPE, "attachment"),
        ("photo.html", PNG, "image/png", "inline"),
        ("nothing.bin", b"", UNKNOWN_TYPE, "attachment"),
    ],
    ids=["PNG", "PDF", "HTML that says PNG", "text that says PNG", "PNG that says HTML", "nothing"],
)
async def test_a_file_is_served_as_what_its_bytes_are(
    tmp_path: Path, name: str, content: bytes, kind: str, how: str
) -> None:
    async with a_site(tmp_path, TELL) as (site, _):
        assert await upload(site, name, content) == (200, "Attachment added.")
        said_name, said_kind, said_size, path = told(site)
        assert (said_name, said_size) == (name, str(len(content)))
        async with site.client.get(site.running.url + path) as answer:
            served_as = answer.headers["Content-Type"]
            assert answer.status == 200
            assert await answer.read() == content
            assert answer.headers["Content-Disposition"] == f"{how}; filename*=UTF-8''{quote(name)}"
            assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Cache-Control"] == "private, max-age=3600"
        assert served_as == said_kind
        # Whatever the sniffer makes of text, it is never shown in place as an image or a page.
        assert (said_kind == kind) or (how == "attachment" and not said_kind.startswith("image/"))


async def test_the_file_is_on_the_disk_before_its_event_is_acknowledged(tmp_path: Path) -> None:
    async with a_site(tmp_path, TELL) as (site, _):
        assert (await upload(site, "a.png", PNG))[0] == 200
        [row] = site.rows("SELECT token, account, name, size FROM attachments")
        [body] = site.rows("SELECT body FROM events")
        kept = tmp_path / "data" / "attachments" / row.token
        assert kept.read_bytes() == PNG
    assert (row.account, row.name, row.size) == ("site", "a.png", len(PNG))
    assert row.token in json.loads(body.body)["attachment"]["url"]
    assert "file" not in json.loads(body.body)["raw"]


@pytest.mark.parametrize(
    "name",
    [
        'qu"ote.png',
        "new\r\nline: x.png",
        "Angebot für Zoë – Ключ.png",
        "semi;colon'.png",
        "%41%00.png",
        "../../etc/passwd",
    ],
)
async def test_any_file_name_is_safe_in_the_header(tmp_path: Path, name: str) -> None:
    async with a_site(tmp_path, TELL) as (site, _):
        disposition = f"form-data; name=\"file\"; filename*=UTF-8''{quote(name, safe='')}"
        form = f"--b\r\nContent-Disposition: {disposition}\r\n\r\nx\r\n--b--"
        query = {"chatServer": site.chat_server, "chatSessionID": SESSION, "chatAccountToken": TOKEN}
        headers = {**site.headers, "Content-Type": "multipart/form-data; boundary=b"}
        url = f"{site.running.url}/api/v2/chat/addAttachment"
        async with site.client.post(url, data=form.encode(), params=query, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
        [row] = site.rows("SELECT token, name FROM attachments")
        path = f"/attachments/{row.token}/anything"
        async with site.client.get(site.running.url + path) as answer:
            disposition = answer.headers["Content-Disposition"]
            assert "line" not in answer.headers
    assert disposition == f"attachment; filename*=UTF-8''{quote(row.name, safe='')}"
    assert "/" not in row.name
    assert row.name.isprintable()
    assert unquote(disposition.partition("''")[2]) == row.name


@pytest.mark.parametrize("path", ["0" * 64, "%2e%2e", "..%2f..%2fbridge.db", "%00", "%ff", "x" * 2000, "*"])
async def test_nobody_finds_a_file_without_its_token(tmp_path: Path, path: str) -> None:
    async with a_site(tmp_path, TELL) as (site, _):
        assert (await upload(site, "a.png", PNG))[0] == 200
        async with site.client.get(f"{site.running.url}/attachments/{path}/a.png") as answer:
            assert answer.status == 404
            assert len(await answer.text()) < 200
        [row] = site.rows("SELECT token FROM attachments")
        async with site.client.get(f"{site.running.url}/attachments/{row.token[:-1]}/a.png") as answer:
            assert answer.status == 404
        (tmp_path / "data" / "attachments" / row.token).unlink()
        async with site.client.get(f"{site.running.url}/attachments/{row.token}/a.png") as answer:
            assert answer.status == 404


async def test_a_file_may_be_as_large_as_the_setting_says(tmp_path: Path) -> None:
    more = '\n[server]\nmax_attachment = "300 KiB"\n'
    async with a_site(tmp_path, TELL, more=more) as (site, _):
        assert (await upload(site, "a.bin", b"\0" * 299_000))[0] == 200
        status, said = await upload(site, "b.bin", b"\0" * 310_000)
        assert status == 413
        assert "at most 307200" in said
        assert len(site.rows("SELECT token FROM attachments")) == 1
        assert len(list((tmp_path / "data" / "attachments").iterdir())) == 1


async def test_the_same_file_sent_again_at_once_is_a_repeat(tmp_path: Path) -> None:
    async with a_site(tmp_path, TELL) as (site, fake):
        for content in (PNG, PNG, PDF):
            assert (await upload(site, "a.png", content, messageNumber="1"))[0] == 200
        await site.settle()
        assert len(fake.received) == 2
        # Who asks to be forgotten is so: no copy is left that no event tells of.
        tokens = {row.token for row in site.rows("SELECT token FROM attachments")}
        assert {file.name for file in (tmp_path / "data" / "attachments").iterdir()} == tokens
        assert {told(site)[3].split("/")[2]} < tokens
        assert len(tokens) == 2


async def test_files_that_come_together_are_kept_apart(tmp_path: Path) -> None:
    async with a_site(tmp_path, TELL) as (site, _):
        sent = [f"file {number}".encode() * (number + 1) for number in range(20)]
        await asyncio.gather(*(upload(site, f"{n}.bin", content) for n, content in enumerate(sent)))
        for row in site.rows("SELECT token, name FROM attachments"):
            kept = tmp_path / "data" / "attachments" / row.token
            assert kept.read_bytes() == sent[int(row.name.removesuffix(".bin"))]
        assert len(site.rows("SELECT DISTINCT token FROM attachments")) == 20


@given(content=st.binary(max_size=300))
def test_any_bytes_have_a_type_that_a_header_can_carry(content: bytes) -> None:
    kind = sniff(content)
    main, slash, sub = kind.partition("/")
    assert main
    assert slash
    assert sub
    assert kind.isascii()
    assert kind.isprintable()
    assert " " not in kind


async def test_a_file_that_cannot_be_kept_is_asked_for_again(tmp_path: Path) -> None:
    async with a_site(tmp_path, TELL) as (site, _):
        [(_, _, database)] = site.rows("PRAGMA database_list")
        folder = Path(database).parent / "attachments"
        folder.write_text("a file stands where the folder should be")
        assert await upload(site, "photo.png", PNG) == (503, "the event could not be kept; send it again")
        assert site.deliveries() == []
        folder.unlink()
        assert await upload(site, "photo.png", PNG) == (200, "Attachment added.")
        assert [one.name for one in folder.iterdir()] == [told(site)[3].split("/")[2]]


async def test_while_the_store_cannot_be_read_a_file_is_to_be_asked_for_again(tmp_path: Path) -> None:
    def lose(connection: Connection, items: Sequence[None]) -> list[None]:
        connection.exec_driver_sql("ALTER TABLE attachments RENAME TO lost")
        return [None]

    async with a_site(tmp_path, TELL) as (site, fake):
        await upload(site, "photo.png", PNG)
        await fake.wait_for(1)
        *_, path = told(site)
        await site.running.store.write(lose, None)
        async with site.client.get(site.running.url + path) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (503, "5")


async def test_of_a_file_whose_event_could_not_be_kept_nothing_is_left(tmp_path: Path) -> None:
    def rename(before: str, after: str) -> Callable[[Connection, Sequence[None]], list[None]]:
        def work(connection: Connection, items: Sequence[None]) -> list[None]:
            connection.exec_driver_sql(f"ALTER TABLE {before} RENAME TO {after}")
            return [None]

        return work

    async with a_site(tmp_path, TELL) as (site, _):
        [(_, _, database)] = site.rows("PRAGMA database_list")
        folder = Path(database).parent / "attachments"
        await site.running.store.write(rename("events", "lost"), None)
        assert await upload(site, "photo.png", PNG) == (503, "the event could not be kept; send it again")
        assert list(folder.iterdir()) == []
        assert site.rows("SELECT token FROM attachments") == []
        await site.running.store.write(rename("lost", "events"), None)
        assert await upload(site, "photo.png", PNG) == (200, "Attachment added.")
        assert [one.name for one in folder.iterdir()] == [told(site)[3].split("/")[2]]
