"""One process of the sandbox: what it is (`ProcessSpec`) and one life of it (`Process`).

Order between processes and what a death means for the others is the supervisor's business.
"""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Self
from uuid import uuid4

import psutil

from sandbox.family import MARK_VARIABLE, descendants, end, marked

_POLL_SECONDS = 0.02
_TAIL_LINES = 20
_TAIL_BYTES = 16_384
_ORPHAN_GRACE = timedelta(seconds=2)


class OnDeath(StrEnum):
    """What an unexpected death of the process means; it is reported in any case."""

    STOP_ALL = "stop_all"
    RESTART = "restart"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The system user a server runs as when we are root."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSpec:
    """`prepare` runs before each start; `complete` once ready, before those that come `after`."""

    name: str
    argv: tuple[str, ...]
    ready: Callable[[], Awaitable[bool]]
    environment: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    account: Account | None = None
    after: frozenset[str] = frozenset()
    prepare: Callable[[], Awaitable[None]] | None = None
    complete: Callable[[], Awaitable[None]] | None = None
    ready_timeout: timedelta = timedelta(seconds=30)
    stop_signal: signal.Signals = signal.SIGTERM
    stop_grace: timedelta = timedelta(seconds=10)
    on_death: OnDeath = OnDeath.STOP_ALL
    # As pods go on when their controller dies: its children end with the cluster, not with it.
    children_outlive: bool = False


class StartFailed(Exception):
    """A part did not come up; the message ends with the last lines of its log."""

    def __init__(self, name: str, reason: str, log: Path | None = None) -> None:
        message = f"{name} {reason}"
        if log is not None:
            message += f"; the end of {log}:\n{tail(log)}"
        super().__init__(message)
        self.name = name


class Process:
    """One life of a spec, in a session of its own so that a terminal's Ctrl-C is ours to handle."""

    def __init__(
        self, spec: ProcessSpec, child: asyncio.subprocess.Process, *, log: Path, mark: str
    ) -> None:
        self.spec = spec
        self.log = log
        self.pid = child.pid
        self._child = child
        self._signalled: psutil.Process | None = None
        with suppress(psutil.NoSuchProcess):
            self._signalled = psutil.Process(child.pid)
        self._mark = mark

    @classmethod
    async def start(cls, spec: ProcessSpec, *, log: Path, mark: str) -> Self:
        """Prepares and spawns; `mark` will name the whole family of this process."""
        if spec.prepare is not None:
            await spec.prepare()
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            output.write(f"--- {datetime.now(UTC):%F %T} {' '.join(spec.argv)}\n".encode())
            output.flush()
            child = await asyncio.create_subprocess_exec(
                *spec.argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=spec.cwd,
                env={**os.environ, **spec.environment, MARK_VARIABLE: mark},
                start_new_session=True,
                user=spec.account.uid if spec.account else None,
                group=spec.account.gid if spec.account else None,
                extra_groups=[] if spec.account else None,
            )
        return cls(spec, child, log=log, mark=mark)

    @property
    def exit_code(self) -> int | None:
        """None while it runs; minus the signal's number when a signal ended it."""
        return self._child.returncode

    async def exited(self) -> int:
        return await self._child.wait()

    async def until_ready(self) -> None:
        """Returns when the process serves; raises StartFailed when it ends or takes too long."""
        deadline = time.monotonic() + self.spec.ready_timeout.total_seconds()
        while not await self.spec.ready():
            if self.exit_code is not None:
                raise StartFailed(self.spec.name, ended(self.exit_code), self.log)
            if time.monotonic() > deadline:
                limit = self.spec.ready_timeout.total_seconds()
                raise StartFailed(self.spec.name, f"was not ready after {limit:g} s", self.log)
            await asyncio.sleep(_POLL_SECONDS)
        if self.spec.complete is not None:
            await self.spec.complete()

    def signal(self, number: signal.Signals) -> None:
        """Sends `number` to the process alone (not to its children), if it still runs."""
        # Not by the child's own send_signal: that may reap it behind the back of asyncio, which
        # then cannot tell the exit code.
        if self._signalled is not None:
            with suppress(psutil.NoSuchProcess):
                self._signalled.send_signal(number)

    async def stop(self, hurry: asyncio.Event | None = None, *, with_family: bool = True) -> None:
        """Asks, waits the grace (not at all once `hurry` is set), kills."""
        family = descendants(self.pid) if self.exit_code is None else []
        self.signal(self.spec.stop_signal)
        # A stopped process (SIGSTOP) would take no notice of the request before it is continued.
        self.signal(signal.SIGCONT)
        await self._wait_for_exit(self.spec.stop_grace, hurry or asyncio.Event())
        self.signal(signal.SIGKILL)
        await self.exited()
        if with_family:
            await self.end_family(family, hurry=hurry)

    async def end_family(
        self, known: Iterable[psutil.Process] = (), *, hurry: asyncio.Event | None = None
    ) -> None:
        """Ends what the process has left behind: its children and theirs, orphaned or not."""
        await end([*known, *marked(self._mark)], grace=_ORPHAN_GRACE, hurry=hurry)

    async def _wait_for_exit(self, grace: timedelta, hurry: asyncio.Event) -> None:
        waits = {asyncio.ensure_future(self.exited()), asyncio.ensure_future(hurry.wait())}
        try:
            await asyncio.wait(
                waits, timeout=grace.total_seconds(), return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for wait in waits:
                wait.cancel()


@asynccontextmanager
async def running(spec: ProcessSpec, *, log: Path) -> AsyncIterator[Process]:
    """A single server for the length of the block, ready at its start and gone at its end."""
    process = await Process.start(spec, log=log, mark=f"{uuid4().hex}/{spec.name}")
    try:
        await process.until_ready()
        yield process
    finally:
        await process.stop()


def ended(exit_code: int) -> str:
    """In words: "ended with exit code 3", "was killed by SIGKILL"."""
    if exit_code < 0:
        return f"was killed by {signal.Signals(-exit_code).name}"
    return f"ended with exit code {exit_code}"


def tail(log: Path) -> str:
    """The last lines of `log`, indented for a message."""
    try:
        with log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError as error:
        return f"  (no log: {error})"
    return "\n".join(f"  {line}" for line in lines[-_TAIL_LINES:])
