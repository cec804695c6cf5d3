"""Small HTTP servers that live as long as a test."""

import asyncio
from contextlib import asynccontextmanager

from aiohttp import web

DEADLINE_SECONDS = 20


@asynccontextmanager
async def serving(handler):
    """Serve a handler for every path on a free port; yields the address `host:port`."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def until(condition, what):
    """Wait until an asynchronous condition gives something true, and give that back."""
    found = None
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not (found := await condition()):  # noqa: ASYNC110 - nobody sends word
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"{what} did not come about") from None
    return found
