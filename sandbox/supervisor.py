"""Starts parts in the order of their dependencies, watches them, stops them in reverse.

Nothing is restarted in silence and nothing that it did not start is ever touched. What the parts
are stands in `parts.py`; one process's life in `process.py`.
"""

import asyncio
import signal
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sandbox.family import end, marked
from sandbox.process import OnDeath, Process, ProcessSpec, StartFailed, ended, tail
from sandbox.record import RunRecord, Say

_RESTARTS = 3
_RESTART_WINDOW = timedelta(minutes=1)
_SWEEP_GRACE = timedelta(seconds=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something that is done once between processes, such as migrations; it leaves none behind."""

    name: str
    run: Callable[[], Awaitable[None]]
    after: frozenset[str] = frozenset()


Part = ProcessSpec | Step


class Supervisor:
    """One life of a set of parts. A dependency that is not in the set is taken as given."""

    def __init__(
        self,
        parts: Iterable[Part],
        *,
        record: RunRecord,
        logs: Path,
        say: Say,
        hurry: asyncio.Event | None = None,
    ) -> None:
        self._parts = {part.name: part for part in parts}
        self._record = record
        self._logs = logs
        self._say = say
        self._hurry = hurry or asyncio.Event()
        self._processes: dict[str, Process] = {}
        self._watchers: dict[str, asyncio.Task[None]] = {}
        self._deaths: defaultdict[str, deque[float]] = defaultdict(deque)
        self._failure: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def start(self) -> None:
        """Starts every part as soon as those it comes `after` are ready; raises StartFailed."""
        done = {name: asyncio.Event() for name in self._parts}
        try:
            async with asyncio.TaskGroup() as group:
                for part in self._parts.values():
                    group.create_task(self._start_in_turn(part, done))
        except BaseExceptionGroup as failures:
            # The others were cancelled because of the first one: that is the one to tell.
            raise failures.exceptions[0] from None

    async def stop(self) -> None:
        """Stops all in reverse order, and whatever they started; returns when all are gone."""
        await self._stop_watching(*self._watchers)
        gone = {name: asyncio.Event() for name in self._parts}
        stops = [self._stop_in_turn(name, gone) for name in self._parts]
        results = await asyncio.gather(*stops, return_exceptions=True)
        await end(marked(self._record.run), grace=_SWEEP_GRACE, hurry=self._hurry)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def failure(self) -> str:
        """Waits until a death means the end of all, and tells which; the caller then stops."""
        return await asyncio.shield(self._failure)

    def process(self, name: str) -> Process:
        """The present life of the part `name`."""
        return self._processes[name]

    async def start_part(self, name: str) -> None:
        """Starts a part that was stopped or killed by `stop_part` or `kill_part`."""
        await self._start(self._parts[name])

    async def stop_part(self, name: str) -> None:
        """Stops one part, in order; nothing restarts it before `start_part`."""
        await self._stop_watching(name)
        process = self._processes[name]
        await process.stop(self._hurry, with_family=not process.spec.children_outlive)
        self._record.forget(name)

    async def kill_part(self, name: str) -> None:
        """Kills one process as a crash would; nothing restarts it before `start_part`."""
        await self._stop_watching(name)
        process = self._processes[name]
        process.signal(signal.SIGKILL)
        await process.exited()
        await self._end_orphans(process)
        self._record.forget(name)

    async def _start_in_turn(self, part: Part, done: dict[str, asyncio.Event]) -> None:
        for name in part.after & done.keys():
            await done[name].wait()
        await self._start(part)
        done[part.name].set()

    async def _start(self, part: Part) -> None:
        if isinstance(part, Step):
            await part.run()
            return
        process = await Process.start(
            part, log=self._logs / f"{part.name}.log", mark=self._record.mark(part.name)
        )
        self._processes[part.name] = process
        self._record.note(part.name, process.pid)
        await process.until_ready()
        # Noted again: a program that replaces itself has another command line only now.
        self._record.note(part.name, process.pid)
        watcher = asyncio.create_task(self._watch(process), name=f"watch {part.name}")
        watcher.add_done_callback(self._fail_with)
        self._watchers[part.name] = watcher

    async def _stop_in_turn(self, name: str, gone: dict[str, asyncio.Event]) -> None:
        for dependent in self._parts.values():
            if name in dependent.after:
                await gone[dependent.name].wait()
        try:
            if name in self._processes:
                await self._processes[name].stop(self._hurry)
                self._record.forget(name)
        finally:
            gone[name].set()

    async def _stop_watching(self, *names: str) -> None:
        watchers = [self._watchers.pop(name) for name in names if name in self._watchers]
        for watcher in watchers:
            watcher.cancel()
        await asyncio.gather(*watchers, return_exceptions=True)

    async def _watch(self, process: Process) -> None:
        """Reports the death of `process`; restarts it or fails, as its spec says."""
        exit_code = await process.exited()
        spec = process.spec
        self._say(f"{spec.name} {ended(exit_code)}; the end of {process.log}:\n{tail(process.log)}")
        await self._end_orphans(process)
        if spec.on_death is OnDeath.STOP_ALL:
            self._fail(f"{spec.name} died")
        else:
            await self._restart(spec)

    async def _end_orphans(self, process: Process) -> None:
        if not process.spec.children_outlive:
            await process.end_family(hurry=self._hurry)

    async def _restart(self, spec: ProcessSpec) -> None:
        """Starts it again, and again when it dies before it is ready, up to the limit."""
        while not self._died_too_often(spec.name):
            self._say(f"restarting {spec.name} ({len(self._deaths[spec.name])} of {_RESTARTS})")
            try:
                await self._start(spec)
            except StartFailed as error:
                self._say(str(error))
                await self._processes[spec.name].stop(
                    self._hurry, with_family=not spec.children_outlive
                )
            else:
                return
        seconds = _RESTART_WINDOW.total_seconds()
        self._fail(f"{spec.name} died more than {_RESTARTS} times in {seconds:g} s")

    def _died_too_often(self, name: str) -> bool:
        deaths, now = self._deaths[name], time.monotonic()
        deaths.append(now)
        while now - deaths[0] > _RESTART_WINDOW.total_seconds():
            deaths.popleft()
        return len(deaths) > _RESTARTS

    def _fail_with(self, watcher: asyncio.Task[None]) -> None:
        """A restart that cannot even be tried (a full disk, say) must not go unseen."""
        error = None if watcher.cancelled() else watcher.exception()
        if error is not None:
            self._fail(f"{watcher.get_name()}: {error!r}")

    def _fail(self, reason: str) -> None:
        if not self._failure.done():
            self._failure.set_result(reason)
