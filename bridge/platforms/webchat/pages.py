"""The files of the page, as the web server sends them."""

from collections.abc import Mapping
from pathlib import Path

from bridge.adapter.protocol import Answer, Route

_FOLDER = Path(__file__).with_name("page")

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
_HTML: Mapping[str, str] = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
# A new version of the bridge must not meet an old script in the browser's cache.
_PART: Mapping[str, str] = {"x-content-type-options": "nosniff", "cache-control": "no-cache"}

PARTS = (
    "chat.css",
    "chat.js",
    "bubbles.js",
    "beside.js",
    "markdown.js",
    "listen.js",
    "send.js",
    "transcript.js",
    "wait.js",
)
_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}


def page_routes() -> tuple[Route, ...]:
    """GET `/` and each part of the page below `/chat/`."""
    page = Answer(body=_read("index.html"), content_type="text/html; charset=utf-8", headers=_HTML)
    return (
        Route(method="GET", path="/", what="page", page=page),
        *(Route(method="GET", path=f"/chat/{part}", what="page", page=_part(part)) for part in PARTS),
    )


def _part(name: str) -> Answer:
    return Answer(body=_read(name), content_type=_TYPES[name.rpartition(".")[2]], headers=_PART)


def _read(name: str) -> bytes:
    return (_FOLDER / name).read_bytes()
