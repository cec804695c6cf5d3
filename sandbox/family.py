"""Which processes belong to one start, however deep, and how they are ended; never anyone else's.

A start marks its process's environment, children inherit the mark, and so a process is found again
even when its parents are dead. A recycled pid is never signalled: psutil compares start times.
"""

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

import psutil

MARK_VARIABLE = "TIDEGATE_SANDBOX_MARK"
_CLOCK_SLACK_SECONDS = 2.0
_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A process beyond doubt: the pid may be recycled, its start time and command are not."""

    pid: int
    started: float
    command: tuple[str, ...]

    @classmethod
    def of(cls, process: psutil.Process) -> Self:
        return cls(pid=process.pid, started=process.create_time(), command=tuple(process.cmdline()))

    def find(self) -> psutil.Process | None:
        """The process if it still runs and is the same one."""
        with suppress(psutil.Error):
            process = psutil.Process(self.pid)
            # The system's idea of its boot time may be corrected by a little in between.
            drift = abs(process.create_time() - self.started)
            if drift < _CLOCK_SLACK_SECONDS and tuple(process.cmdline()) == self.command:
                return process
        return None


def marked(mark: str) -> list[psutil.Process]:
    """Every live process with `mark`, or a mark below it ("run" finds "run/envoy")."""
    return [process for process in psutil.process_iter() if _carries(process, mark)]


def descendants(pid: int) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).children(recursive=True)
    return []


async def end(
    processes: Iterable[psutil.Process], *, grace: timedelta, hurry: asyncio.Event | None = None
) -> None:
    """Asks each to stop, kills those that are there after `grace`, returns when all are gone."""
    members = [process for process in processes if is_alive(process)]
    _signal(members, kill=False)
    deadline = time.monotonic() + grace.total_seconds()
    while members and time.monotonic() < deadline and not (hurry and hurry.is_set()):
        await asyncio.sleep(_POLL_SECONDS)
        members = [process for process in members if is_alive(process)]
    _signal(members, kill=True)
    while members := [p for p in members if is_alive(p)]:  # noqa: ASYNC110 - nobody signals it
        await asyncio.sleep(_POLL_SECONDS)


def is_alive(process: psutil.Process) -> bool:
    """Whether it can still do anything: a zombie that nobody has reaped cannot."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _carries(process: psutil.Process, mark: str) -> bool:
    try:
        found = process.environ().get(MARK_VARIABLE, "")
    except (psutil.Error, OSError):  # gone, or another user's: not ours
        return False
    return found == mark or found.startswith(mark + "/")


def _signal(processes: Iterable[psutil.Process], *, kill: bool) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill() if kill else process.terminate()
