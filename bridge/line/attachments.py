"""Attachments: files that customers send, kept on disk and served by an address that nobody can guess."""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from pkgutil import resolve_name
from urllib.parse import quote

from aiohttp import web

from bridge.adapter.protocol import HttpAnswer, ReadFile, Upload
from bridge.chance import Chance
from bridge.clock import Clock
from bridge.errors import StoreError
from bridge.line.routes import Parts, Way
from bridge.model.event import Attachment
from bridge.observe import log
from bridge.store.look import Kept, attachment_by_token
from bridge.store.store import Store

UNKNOWN_TYPE = "application/octet-stream"
_SHOWN_IN_PLACE = ("image/png", "image/jpeg", "image/gif", "image/webp")
_PATH = "/attachments/{token}/{name}"


class Attachments:
    """`directory` holds one file a token; `public_url` is where other platforms reach this server.

    A file of more than `most` bytes is not read to be passed on.
    """

    def __init__(
        self, directory: Path, public_url: str, store: Store, clock: Clock, chance: Chance, *, most: int
    ) -> None:
        self._directory = directory
        self._public_url = public_url.rstrip("/")
        self._most = most
        self._store = store
        self._clock = clock
        self._chance = chance

    def routes(self) -> list[Way]:
        return [Way("GET", _PATH, self.serve)]

    async def keep(self, account: str, upload: Upload) -> tuple[Attachment, Kept]:
        """Write the file, durable when this returns; its row is written with the event that it belongs to.

        The type is what the bytes say it is. Raises StoreError: there is no room, or no right to write.
        """
        token = self._chance.token()
        kind = await asyncio.to_thread(self._write, token, upload.content)
        kept = Kept(
            token=token, account=account, name=upload.name, type=kind, size=len(upload.content), at=self._clock.now()
        )
        url = f"{self._public_url}/attachments/{token}/{quote(upload.name, safe='')}"
        return Attachment(name=upload.name, type=kind, size=len(upload.content), url=url), kept

    async def discard(self, kept: Kept) -> None:
        """Delete a file whose event was not recorded, unless it was after all, when nobody could say. What cannot be
        found out now, housekeeping does later."""
        with suppress(StoreError, OSError):
            if await self._store.read(lambda connection: attachment_by_token(connection, kept.token)) is None:
                (self._directory / kept.token).unlink(missing_ok=True)

    def _write(self, token: str, content: bytes) -> str:
        path = self._directory / token
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            _sync_names(self._directory)
        except OSError as error:
            with suppress(OSError):
                path.unlink(missing_ok=True)
            raise StoreError(f"the attachment could not be kept: {error.strerror or error}") from None
        return sniff(content)

    async def read(self, step: ReadFile) -> HttpAnswer:
        """A kept file as an answer; 404 where it is not kept (any more), 413 where it is too large to be passed on.

        Only our own addresses are looked at, and they cannot be guessed. Raises StoreError.
        """
        token = self._token(step.url)
        kept = None
        if token is not None:
            kept = await self._store.read(lambda connection: attachment_by_token(connection, token))
        if kept is None:
            return HttpAnswer(status=404)
        if kept.size > self._most:
            return HttpAnswer(status=413)
        try:
            content = await asyncio.to_thread((self._directory / kept.token).read_bytes)
        except FileNotFoundError:
            return HttpAnswer(status=404)
        except OSError as error:
            raise StoreError(f"the attachment could not be read: {error.strerror or error}") from None
        return HttpAnswer(status=200, headers={"content-type": kept.type}, body=content)

    def _token(self, url: str) -> str | None:
        path = url.removeprefix(f"{self._public_url}/attachments/")
        return None if path == url else path.partition("/")[0]

    async def serve(self, request: web.BaseRequest, parts: Parts) -> web.StreamResponse:
        token = parts["token"]
        try:
            kept = await self._store.read(lambda connection: attachment_by_token(connection, token))
        except StoreError as error:
            log().error("an attachment cannot be looked up", error=str(error))
            raise web.HTTPServiceUnavailable(headers={"Retry-After": "5"}) from None
        path = self._directory / token
        if kept is None or not path.is_file():
            raise web.HTTPNotFound(text="there is no such attachment")
        response = web.FileResponse(path)
        response.content_type = kept.type
        how = "inline" if kept.type in _SHOWN_IN_PLACE else "attachment"
        response.headers.update(
            {
                "Content-Disposition": f"{how}; filename*=UTF-8''{quote(kept.name, safe='')}",
                "Content-Security-Policy": "default-src 'none'; sandbox",
                "X-Content-Type-Options": "nosniff",
                "Cache-Control": "private, max-age=3600",
            }
        )
        return response


def sniff(content: bytes) -> str:
    """The MIME type that the first bytes tell; what the sender claims is not asked."""
    try:
        return _type_of()(content, mime=True) or UNKNOWN_TYPE
    except (LookupError, ValueError):
        # A LookupError is what it raises for bytes that it does not know.
        return UNKNOWN_TYPE


@cache
def _type_of() -> Callable[..., str]:
    """Loaded for the first file: its table of types takes a megabyte, and many a bridge never sees a file."""
    found: Callable[..., str] = resolve_name("puremagic:from_string")
    return found


def _sync_names(directory: Path) -> None:
    """Put the names in a folder on the disk: a file that is there but has no name is lost after a power cut."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
