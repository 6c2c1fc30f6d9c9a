"""The routes for those who run the bridge: alive, ready, metrics."""

import asyncio
from functools import partial

from aiohttp import web

from bridge.errors import StoreError
from bridge.line.deliver import Deliverer
from bridge.observe import METRICS_CONTENT_TYPE, Metrics
from bridge.reload.reloader import Reloader
from bridge.store import history
from bridge.store.store import Store, healthy


def operations(store: Store, metrics: Metrics, deliverer: Deliverer, reloader: Reloader) -> list[web.RouteDef]:
    """/healthz: the process lives. /readyz: it can take events, else 503 and why. /metrics: Prometheus text."""
    metrics.watch_deliveries(partial(store.read_now, history.count_states))

    async def alive(_: web.Request) -> web.Response:
        return web.json_response({"alive": True})

    async def ready(_: web.Request) -> web.Response:
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

    async def expose(_: web.Request) -> web.Response:
        metrics.queue("store", store.waiting)
        metrics.queue("deliveries", deliverer.waiting)
        text = await asyncio.to_thread(metrics.expose)
        return web.Response(body=text, headers={"Content-Type": METRICS_CONTENT_TYPE})

    return [web.get("/healthz", alive), web.get("/readyz", ready), web.get("/metrics", expose)]
