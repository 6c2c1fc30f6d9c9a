"""The yardstick: an aiohttp handler on uvloop that reads JSON and answers JSON, and does nothing else."""

import asyncio
import sys

import orjson
import uvloop
from aiohttp import web


async def answer(request: web.Request) -> web.Response:
    notification = orjson.loads(await request.read())
    return web.Response(body=orjson.dumps({"got": len(notification)}), content_type="application/json")


async def main(port: int) -> None:
    application = web.Application()
    application.router.add_post("/{operation}", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
