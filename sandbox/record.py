"""The record of what runs in one home: a lock for its one supervisor, the list of its processes.

The lock says whether a supervisor lives, whatever the list says. A list without a living supervisor
names leftovers: they are ended if they are, beyond doubt, still the processes that were noted.
"""

import asyncio
import fcntl
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil

from sandbox.family import Identity, end, marked

Say = Callable[[str], None]

_LEFTOVER_GRACE = timedelta(seconds=5)
_POLL_SECONDS = 0.05


class AlreadyRunning(Exception):
    """A supervisor lives in this home already."""

    def __init__(self, file: Path, pid: int | None) -> None:
        who = f"pid {pid}" if pid else "pid unknown"
        super().__init__(f"a sandbox already runs in {file.parent} ({who}); `make down` stops it")
        self.pid = pid


class RunRecord:
    """Held by the supervisor for as long as it lives; the system drops the lock when it dies."""

    def __init__(self, file: Path, lock: int) -> None:
        self.run = uuid4().hex
        self._file = file
        self._lock = lock
        self._processes: dict[str, Identity] = {}
        self._write()

    def mark(self, name: str) -> str:
        """What the process `name` and all its descendants carry in their environment."""
        return f"{self.run}/{name}"

    def note(self, name: str, pid: int) -> None:
        with suppress(psutil.Error):  # it may have ended already
            self._processes[name] = Identity.of(psutil.Process(pid))
        self._write()

    def forget(self, name: str) -> None:
        self._processes.pop(name, None)
        self._write()

    def release(self) -> None:
        """Says that nothing runs any more; call it only then."""
        _forget(self._file)
        os.close(self._lock)

    def _write(self) -> None:
        document = {
            "run": self.run,
            "supervisor": asdict(Identity.of(psutil.Process())),
            "processes": {name: asdict(one) for name, one in self._processes.items()},
        }
        partial = self._file.with_suffix(".partial")
        partial.write_text(json.dumps(document, indent=2) + "\n")
        partial.replace(self._file)


async def claim(file: Path, say: Say) -> RunRecord:
    """Takes the home for this process and ends what a killed supervisor has left in it.

    Raises AlreadyRunning.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = _lock(file)
    if lock is None:
        supervisor = _identity(_read(file).get("supervisor"))
        raise AlreadyRunning(file, supervisor.pid if supervisor else None)
    try:
        count = await _end_noted(file)
        if count:
            say(f"stopped {count} processes that a killed sandbox had left behind")
        return RunRecord(file, lock)
    except BaseException:
        os.close(lock)
        raise


async def stop_from_elsewhere(file: Path, *, patience: timedelta) -> str:
    """Stops what runs in the home of `file`, with or without a living supervisor; says what it did.

    Returns when nothing is left. A supervisor that outlives `patience` is killed.
    """
    supervisor = _identity(_read(file).get("supervisor"))
    if supervisor is None:
        return "no sandbox is running"
    lock = _lock(file)
    was_alive = lock is None
    if lock is None:
        lock = await _end_supervisor(file, supervisor, patience)
    try:
        count = await _end_noted(file)
    finally:
        os.close(lock)
    if count:
        return f"stopped {count} processes that a killed sandbox had left behind"
    return "stopped" if was_alive else "no sandbox is running"


async def _end_supervisor(file: Path, supervisor: Identity, patience: timedelta) -> int:
    """Asks, then kills; returns the lock that it has left."""
    for send in (psutil.Process.terminate, psutil.Process.kill):
        process = supervisor.find()
        if process is not None:
            send(process)
        lock = await _wait_for_lock(file, patience)
        if lock is not None:
            return lock
    raise AlreadyRunning(file, supervisor.pid)


async def _end_noted(file: Path) -> int:
    """Ends every noted process that is still the same one, then forgets them; tells how many."""
    leftovers = _noted(file)
    await end(leftovers, grace=_LEFTOVER_GRACE)
    _forget(file)
    return len(leftovers)


async def _wait_for_lock(file: Path, patience: timedelta) -> int | None:
    deadline = time.monotonic() + patience.total_seconds()
    while time.monotonic() < deadline:
        lock = _lock(file)
        if lock is not None:
            return lock
        await asyncio.sleep(_POLL_SECONDS)
    return None


def _forget(file: Path) -> None:
    file.unlink(missing_ok=True)


def _lock(file: Path) -> int | None:
    """The lock's descriptor, not inherited by children; None while another one holds it."""
    descriptor = os.open(file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _noted(file: Path) -> list[psutil.Process]:
    """The noted processes and all that carry the run's mark, each only if it is still the same."""
    document = _read(file)
    found: dict[int, psutil.Process] = {}
    for noted in document.get("processes", {}).values():
        identity = _identity(noted)
        process = identity.find() if identity else None
        if process is not None:
            found[process.pid] = process
    if document.get("run"):
        found |= {process.pid: process for process in marked(document["run"])}
    return list(found.values())


def _read(file: Path) -> dict[str, Any]:
    """The record; empty when there is none or it cannot be understood."""
    with suppress(OSError, ValueError):
        document = json.loads(file.read_text())
        if isinstance(document, dict):
            return document
    return {}


def _identity(noted: Any) -> Identity | None:
    with suppress(KeyError, TypeError, ValueError):
        return Identity(
            pid=int(noted["pid"]), started=float(noted["started"]), command=tuple(noted["command"])
        )
    return None
