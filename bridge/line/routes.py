"""Routes: which handler takes a request, found by its path and then its method.

aiohttp's application finds it too, with its middlewares, sub-applications and signals, of which we have none; asking
it costs a tenth of what a whole small request does (measured).
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import lru_cache

from aiohttp import HttpVersion11, web
from msgspec import Struct

from bridge.adapter.answers import excerpt
from bridge.adapter.protocol import problem
from bridge.line.respond import whole

Parts = Mapping[str, str]
"""The parts of a path that a route names, decoded."""
Handler = Callable[[web.BaseRequest, Parts], Awaitable[web.StreamResponse]]

_NAMED = re.compile(r"\{(\w+)\}")
_GO_ON = b"HTTP/1.1 100 Continue\r\n\r\n"


class Way(Struct, frozen=True):
    """A path in aiohttp's notation, `/hooks/{account}`, of which each named part is what stands between two slashes."""

    method: str
    path: str
    handler: Handler


class _Place(Struct, frozen=True):
    """A path with its handlers by method."""

    pattern: re.Pattern[str]
    handlers: dict[str, Handler]


class Routes:
    """`answer` is what a web server calls. A request that no route takes is told so, with 404 or 405."""

    def __init__(self, ways: Iterable[Way]) -> None:
        places: dict[str, _Place] = {}
        for way in ways:
            place = places.setdefault(way.path, _Place(_pattern(way.path), {}))
            place.handlers.setdefault(way.method, way.handler)
            if way.method == "GET":
                place.handlers.setdefault("HEAD", way.handler)
        # What has no named part goes first, because it says more.
        self._places = sorted(places.values(), key=lambda place: place.pattern.groups)
        # The same few paths come again and again.
        self._find = lru_cache(maxsize=512)(self._look_for)

    def _look_for(self, path: str) -> Mapping[str, tuple[Handler, Parts]]:
        """By method, who takes a path (in which only slashes and percent signs are encoded) and what its parts are."""
        takers: dict[str, tuple[Handler, Parts]] = {}
        for place in self._places:
            if (found := place.pattern.fullmatch(path)) is not None:
                parts = {name: _decoded(part) for name, part in found.groupdict().items()}
                for method, handler in place.handlers.items():
                    takers.setdefault(method, (handler, parts))
        return takers

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        takers = self._find(request.rel_url.path_safe)
        taker = takers.get(request.method)
        if taker is None:
            return _astray(request, sorted(takers))
        if (expected := request.headers.get("Expect")) is not None and request.version == HttpVersion11:
            if expected.lower() != "100-continue":
                shown = excerpt(expected.encode(errors="replace"), 80)
                return whole(problem(417, f"Expect: {shown} is not known, only 100-continue"))
            if request.transport is not None:
                request.transport.write(_GO_ON)
        handler, parts = taker
        return await handler(request, parts)


def _pattern(path: str) -> re.Pattern[str]:
    literals = _NAMED.split(path)
    return re.compile(
        "".join(f"(?P<{part}>[^{{}}/]+)" if number % 2 else re.escape(part) for number, part in enumerate(literals))
    )


def _decoded(part: str) -> str:
    return part.replace("%2F", "/").replace("%25", "%") if "%" in part else part


def _astray(request: web.BaseRequest, allowed: Sequence[str]) -> web.Response:
    """The answer where no route takes the request."""
    if not allowed:
        return whole(problem(404, f"there is nothing at {excerpt(request.path.encode(errors='replace'), 80)}"))
    listed = ", ".join(allowed)
    response = whole(problem(405, f"{request.method[:20]} is not taken here, only {listed}"))
    response.headers["Allow"] = listed
    return response
