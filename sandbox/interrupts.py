"""Ctrl-C, SIGTERM and a closed terminal end a command in order; a second one makes it hurry."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any

from sandbox.record import Say

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def stoppable(
    live: Callable[[asyncio.Event], Coroutine[Any, Any, int]], *, say: Say, stopped: int
) -> int:
    """Runs `live` until it ends, or until a signal cancels it: the result is `stopped` then.

    A second signal sets the event that `live` was given.
    """
    hurry = asyncio.Event()
    life = asyncio.create_task(live(hurry))

    def interrupt() -> None:
        if life.cancelling():
            say("hurrying")
            hurry.set()
        else:
            say("stopping; once more to hurry")
            life.cancel()

    for number in _SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, interrupt)
    try:
        return await life
    except asyncio.CancelledError:
        return stopped
