"""Reading, comparing and writing anew: what is changed is what was read, or it is tried again."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from domain.errors import Outdated

T = TypeVar("T")
_TRIES = 5


async def until_written(attempt: Callable[[], Awaitable[T]]) -> T:
    """Make the attempt, and again where somebody else wrote in between, but not for ever."""
    for _ in range(_TRIES):
        with suppress(Outdated):
            return await attempt()
    return await attempt()
