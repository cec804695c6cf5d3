"""Waiting for something to come true, with what is known said when it does not."""

import asyncio
import time

POLL_SECONDS = 0.1


async def until(happened, what, *, within=60):
    """The first true answer of the asynchronous `happened`."""
    deadline = time.monotonic() + within
    while True:
        if answer := await happened():
            return answer
        assert time.monotonic() < deadline, f"not within {within} s: {what}"
        await asyncio.sleep(POLL_SECONDS)
