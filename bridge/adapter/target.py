"""The URL of a call -> where it leads, and what of it the request says."""

from functools import lru_cache

from msgspec import Struct
from pydantic_core import Url, ValidationError

from bridge.adapter.failures import NeverSent

_KEPT = 512
"""URLs whose reading is remembered: most accounts call the same few again and again."""
_PORTS = {"http": 80, "https": 443}


class Target(Struct, frozen=True, kw_only=True):
    """`origin` is the scheme, host and port as "https://chat.example.com:8443", without the port where it is the
    scheme's own; `host` has no brackets; `authority` is what the header `Host` says, and `path` with the query what the
    request's first line does.
    """

    origin: str
    tls: bool
    host: str
    port: int
    authority: str
    path: str


@lru_cache(maxsize=_KEPT)
def target_of(text: str) -> Target:
    """The one reading of a URL, as browsers have it (WHATWG): "http://0x7f.1" and "http://127.0.0.1" are one place.

    Raises NeverSent for what is no URL, another scheme, or a user name or password in it.
    """
    try:
        url = Url(text)
    except ValidationError as error:
        told = error.errors(include_url=False, include_input=False)[0]
        raise NeverSent("invalid", f"not a URL: {told.get('ctx', {}).get('error') or 'not Unicode'}") from None
    host, port = url.host or "", url.port or 0
    if url.scheme not in _PORTS:
        raise NeverSent("invalid", f"a URL begins with http:// or https://, not with {url.scheme}:")
    authority = host if port == _PORTS[url.scheme] else f"{host}:{port}"
    origin = f"{url.scheme}://{authority}"
    if url.username or url.password:
        raise NeverSent("invalid", f"{origin}: a URL with a user name or password is never called")
    path = url.path or "/"
    return Target(
        origin=origin,
        tls=url.scheme == "https",
        host=host.removeprefix("[").removesuffix("]"),
        port=port,
        authority=authority,
        path=path if url.query is None else f"{path}?{url.query}",
    )
