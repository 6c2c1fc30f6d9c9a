"""The routes for those who run the bridge: alive, ready, metrics."""

import asyncio

from aiohttp import web

from bridge.clock import Clock
from bridge.errors import StoreError
from bridge.line.deliver import Deliverer
from bridge.line.routes import Parts, Way
from bridge.observe import METRICS_CONTENT_TYPE, Metrics
from bridge.reload.reloader import Reloader
from bridge.store import tally
from bridge.store.census import Census, count_states
from bridge.store.store import Store, healthy


def operations(store: Store, metrics: Metrics, deliverer: Deliverer, reloader: Reloader, clock: Clock) -> list[Way]:
    """/healthz: the process lives. /readyz: it can take events, else 503 and why. /metrics: Prometheus text."""
    metrics.watch_deliveries(Census(store, clock.monotonic, count_states))
    metrics.watch_runs(Census(store, clock.monotonic, tally.going), Census(store, clock.monotonic, tally.recipients))

    async def alive(_: web.BaseRequest, __: Parts) -> web.Response:
        return web.json_response({"alive": True})

    async def ready(_: web.BaseRequest, __: Parts) -> web.Response:
        try:
            is_ready = store.writes and await store.read(healthy)
            if store.trouble is not None:
                # Whoever sends nothing here because of this answer would never learn that there is room again.
                await store.try_to_write()
        except StoreError as error:
            return web.json_response({"ready": False, "why": str(error)}, status=503)
        # A broken edit is a person's to mend; it must not take a server out of service that answers as before.
        rulebook = "last good" if reloader.broken else "current"
        return web.json_response({"ready": is_ready, "rulebook": rulebook}, status=200 if is_ready else 503)

    async def expose(_: web.BaseRequest, __: Parts) -> web.Response:
        metrics.queue("store", store.waiting)
        metrics.queue("deliveries", deliverer.waiting)
        text = await asyncio.to_thread(metrics.expose)
        return web.Response(body=text, headers={"Content-Type": METRICS_CONTENT_TYPE})

    return [Way("GET", "/healthz", alive), Way("GET", "/readyz", ready), Way("GET", "/metrics", expose)]
