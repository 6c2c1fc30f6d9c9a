"""Receive: an HTTP request becomes a `Webhook`, bounded in size and time, and goes to the account it is for."""

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from bridge.adapter.network import Network
from bridge.adapter.protocol import Adapter, Answer, Route, Webhook, problem
from bridge.clock import Clock
from bridge.errors import Refused, StoreError
from bridge.line.accounts import Accounts
from bridge.line.bodies import SMALL, Bodies, at_hand
from bridge.line.handle import Line
from bridge.line.refusals import Refusals
from bridge.line.remote import remote_of
from bridge.line.respond import refuse, respond, whole
from bridge.line.routes import Handler, Parts, Way
from bridge.line.stream import Mailboxes
from bridge.observe import Metrics, log
from bridge.store.store import Store

BODY_WITHIN = 20.0
"""Seconds in which a request's body must have come."""
MOST_WAITING = 10_000
"""Events that may wait for their commit; beyond it senders are asked to come again."""


class Receiver:
    def __init__(
        self,
        *,
        line: Line,
        accounts: Accounts,
        mailboxes: Mailboxes,
        store: Store,
        clock: Clock,
        metrics: Metrics,
        max_body: int,
        max_attachment: int,
        trusted_proxies: Sequence[Network] = (),
        body_within: float = BODY_WITHIN,
    ) -> None:
        self._line = line
        self._accounts = accounts
        self._mailboxes = mailboxes
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._refusals = Refusals(clock)
        self._max_body = max_body
        self._max_attachment = max_attachment
        self._trusted_proxies = trusted_proxies
        self._bodies = Bodies(largest=max(max_body, max_attachment), within=body_within)

    def routes(self) -> list[Way]:
        """The web server's routes for the platforms that have an account."""
        shared: dict[tuple[str, str], tuple[Route, list[Adapter[Any]]]] = {}
        for adapter in {known.adapter.name: known.adapter for known in self._accounts}.values():
            for route in adapter.routes:
                shared.setdefault((route.method, route.path), (route, []))[1].append(adapter)
        ways = [Way(route.method, route.path, self._handler(route, owners)) for route, owners in shared.values()]
        posts = {path for method, path in shared if method == "POST"}
        return [*ways, *(Way("OPTIONS", path, _options) for path in sorted(posts))]

    def _handler(self, route: Route, owners: Sequence[Adapter[Any]]) -> Handler:
        """`owners` are the platforms that share the route; then the path names the account, and so the platform."""
        if route.what == "page":

            async def show(request: web.BaseRequest, parts: Parts) -> web.StreamResponse:
                return whole(route.page or Answer(status=404))

            return show
        platforms = [adapter.name for adapter in owners]
        words = owners[0].refuse if len(owners) == 1 else problem
        # A stream lasts for hours, and so would what came with its request.
        most = 0 if route.what == "stream" else self._max_attachment if route.uploads else self._max_body
        small = min(most, SMALL)

        async def take(request: web.BaseRequest, parts: Parts) -> web.StreamResponse:
            began, held = self._clock.monotonic(), 0
            try:
                if self._store.waiting >= MOST_WAITING:
                    raise Refused(429, "too many events are waiting; send it again", retry_after=1)
                body = at_hand(request, small)
                if body is None:
                    # For whom no account knows, nothing is kept.
                    self._accounts.find(platforms, self._webhook(request, parts, b""))
                    body = await self._bodies.read(request, most)
                    held = len(body)
                webhook = self._webhook(request, parts, body)
                known = self._accounts.find(platforms, webhook)
                if route.what == "stream":
                    return await self._mailboxes.stream(request, webhook, known)
                response = respond(request, await self._line.handle(webhook, known), webhook.received_at.timestamp())
                self._metrics.acknowledged(self._clock.monotonic() - began)
            except Refused as refusal:
                self._metrics.refused(refusal.status)
                self._refusals.note(route.path, self._account(parts), refusal.status, refusal.message)
                return refuse(words, refusal)
            except StoreError as error:
                # The path itself may carry the secret of an account.
                log().error("not accepted", route=route.path, error=str(error))
                self._metrics.refused(503)
                return refuse(words, Refused(503, "the event could not be kept; send it again", retry_after=5))
            finally:
                self._bodies.answered(held)
            return response

        return take

    def _webhook(self, request: web.BaseRequest, parts: Parts, body: bytes) -> Webhook:
        return Webhook(
            method=request.method,
            path=request.path,
            operation=parts.get("operation", ""),
            account=parts.get("account"),
            query=_query(request),
            headers=request.headers,
            body=body,
            remote=self._remote(request),
            received_at=self._clock.now(),
        )

    def _account(self, parts: Parts) -> str | None:
        """The account that the path names, if there is one of this name."""
        name = parts.get("account", "")
        return name if self._accounts.get(name) else None

    def _remote(self, request: web.BaseRequest) -> str:
        remote = request.remote or ""
        if not self._trusted_proxies:
            return remote
        return remote_of(remote, request.headers.getall("X-Forwarded-For", ()), self._trusted_proxies)

    def close(self) -> None:
        """Let go of whoever reads for hours, or is still sending: the server stops."""
        self._mailboxes.close()
        self._bodies.close()


def _query(request: web.BaseRequest) -> dict[str, str]:
    if not request.query_string:
        return {}
    query = request.rel_url.query
    if len(query) != len(set(query)):
        twice = next(name for name in query if len(query.getall(name)) > 1)
        raise Refused(400, f"{twice[:40]}: given twice in the query")
    return dict(query)


async def _options(request: web.BaseRequest, parts: Parts) -> web.Response:
    """Some senders ask first whether an address takes webhooks: Omnidesk's webhooks, and CloudEvents' handshake."""
    headers = {"Allow": "POST, OPTIONS"}
    origin = request.headers.get("WebHook-Request-Origin")
    if origin is not None:
        headers["WebHook-Allowed-Origin"] = origin[:200]
    return web.Response(status=204, headers=headers)
