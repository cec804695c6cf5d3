"""The sandbox's own fault switch, at `/sandbox/faults`: no real API server has one.

`PUT {"mode": "error", "seconds": 20, "path_prefix": "/apis/aigateway"}` makes each matching call
answer 500 for that long; with `"hang"` it gets no answer at all, and what was sent is never carried
out. Watches under way end, or fall silent. `"none"` or DELETE ends it at once, GET shows it.
"""

import asyncio
import math
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from sandbox.kube.documents import Document
from sandbox.kube.status import ApiError, Reason, bad_request


class Mode(StrEnum):
    NONE = "none"
    ERROR = "error"
    HANG = "hang"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    mode: Mode
    until: float
    """In the time of the event loop."""
    path_prefix: str


class Disconnected(Exception):
    """The connection is to be closed without an answer."""


_NO_FAULT = Fault(mode=Mode.NONE, until=-math.inf, path_prefix="/")


class Faults:
    """The fault in force, of which there is one at most."""

    def __init__(self) -> None:
        self._fault = _NO_FAULT
        self._replaced = asyncio.Event()

    def set(self, wanted: Any) -> Document:
        """Put a fault in the place of the present one. Raises a 400 that says what is wrong."""
        self._fault = _parsed(wanted)
        self._replaced.set()
        self._replaced = asyncio.Event()
        return self.shown()

    def clear(self) -> Document:
        return self.set({"mode": Mode.NONE})

    def shown(self) -> Document:
        left = self._fault.until - _now()
        if self._fault.mode is Mode.NONE or left <= 0:
            return {"mode": Mode.NONE}
        prefix = self._fault.path_prefix
        return {"mode": self._fault.mode, "seconds": round(left, 3), "path_prefix": prefix}

    def mode_for(self, path: str) -> Mode:
        fault = self._fault
        is_on = _now() < fault.until and path.startswith(fault.path_prefix)
        return fault.mode if is_on else Mode.NONE

    async def pass_through(self, path: str) -> None:
        """Return at once when the path is well. Raises the 500, or Disconnected once it is over."""
        mode = self.mode_for(path)
        if mode is Mode.ERROR:
            raise ApiError(
                HTTPStatus.INTERNAL_SERVER_ERROR,
                Reason.INTERNAL_ERROR,
                "Internal error occurred: the sandbox was told to fail",
            )
        if mode is Mode.HANG:
            await self.silence(path)
            raise Disconnected

    async def silence(self, path: str) -> None:
        """Wait while calls under this path hang."""
        while self.mode_for(path) is Mode.HANG:
            left = self._fault.until - _now()
            try:
                async with asyncio.timeout(max(left, 0)):
                    await self._replaced.wait()
            except TimeoutError:
                continue


def _parsed(wanted: Any) -> Fault:
    try:
        mode = Mode(wanted["mode"])
    except (KeyError, TypeError, ValueError) as failure:
        raise bad_request(f"mode must be one of {', '.join(Mode)}") from failure
    if mode is Mode.NONE:
        return _NO_FAULT
    seconds, prefix = wanted.get("seconds"), wanted.get("path_prefix", "/")
    if not isinstance(seconds, int | float) or not 0 < seconds < math.inf:
        raise bad_request("seconds must be a number above 0")
    if not isinstance(prefix, str) or not prefix.startswith("/"):
        raise bad_request("path_prefix must begin with /")
    return Fault(mode=mode, until=_now() + seconds, path_prefix=prefix)


def _now() -> float:
    return asyncio.get_running_loop().time()
