"""What goes on beside the requests: delivering, timers, broadcasts, reloading, listening to other servers."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

from bridge.observe import log


class Background:
    """Works without an end. What they foresee, they handle; `failed` has the error of the first that died of another.

    A bridge that goes on without one of them would acknowledge what nobody answers. So it stops as a whole, and
    whoever watches the process (systemd, Kubernetes) starts it anew.
    """

    def __init__(self) -> None:
        self.failed: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    @asynccontextmanager
    async def run(self, work: Coroutine[object, object, None]) -> AsyncIterator[None]:
        """Run `work` for as long as the context is open."""
        task = asyncio.create_task(work, name=getattr(work, "__qualname__", None))
        task.add_done_callback(self._ended)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if task.cancelled() or (error := task.exception()) is None:
            return
        log().critical("a part of the bridge has died, so it stops", part=task.get_name(), exc_info=error)
        if not self.failed.done():
            self.failed.set_result(error)
