"""Keeps model servers running as a kubelet keeps pods: probes, restarts with back-off, drains."""

import asyncio
import logging
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from sandbox.controllers.cluster import Key
from sandbox.controllers.model_process import Exit, Launch, ModelProcess, Seat

_log = logging.getLogger(__name__)

_LOADING_PROBE_SECONDS = 0.05
_PROBE_SECONDS = 1.0
_FAILED_PROBES = 3
# A kubelet's back-off, ten times faster: a demo has no five minutes.
_FIRST_BACK_OFF_SECONDS = 1.0
_LONGEST_BACK_OFF_SECONDS = 30.0
_STABLE_AFTER_SECONDS = 60.0
_KILL_AFTER = timedelta(seconds=30)
_HURRIED_KILL_AFTER = timedelta(seconds=5)
_NO_TIME = timedelta(0)


class State(StrEnum):
    """CRASHED waits for its next start."""

    LOADING = "loading"
    READY = "ready"
    UNHEALTHY = "unhealthy"
    CRASHED = "crashed"


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How a model server is doing. The port is that of the present process, 0 without one."""

    state: State
    port: int
    restarts: int
    last_exit: Exit | None


class _Life:
    """One launch, over any number of processes."""

    def __init__(
        self,
        launch: Launch,
        state_dir: Path,
        changed: Callable[[Key], None],
        *,
        process: ModelProcess | None = None,
        state: State = State.LOADING,
    ) -> None:
        self.launch = launch
        self._state_dir = state_dir
        self._changed = changed
        self._process = process
        self._state = state
        self._restarts = 0
        self._last_exit: Exit | None = None
        self._task = asyncio.create_task(self._run(), name=f"model server {launch.key}")

    def view(self) -> View:
        return View(
            state=self._state,
            port=self._process.port if self._process else 0,
            restarts=self._restarts,
            last_exit=self._last_exit,
        )

    async def stop(self, *, first_wait: timedelta, kill_after: timedelta) -> None:
        """Waits until nobody sends new requests, asks, and kills only what does not drain."""
        await asyncio.sleep(first_wait.total_seconds())
        await self.let_go()
        process = self._process
        if process is None:
            return
        process.send(signal.SIGTERM)
        process.send(signal.SIGCONT)
        try:
            async with asyncio.timeout(kill_after.total_seconds()):
                await process.exited()
        except TimeoutError:
            _log.warning("%s did not drain in %s, killed", self.launch.key, kill_after)
            process.send(signal.SIGKILL)
            await process.exited()

    async def let_go(self) -> None:
        """No longer watch the process, which runs on."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        back_off = 0.0
        while True:
            if self._process is None:
                self._process = ModelProcess.start(self.launch, self._state_dir)
                self._become(State.LOADING)
            began = time.monotonic()
            self._last_exit = await self._watch(self._process)
            self._process = None
            _log.warning("%s ended: %s", self.launch.key, self._last_exit)
            self._become(State.CRASHED)
            if time.monotonic() - began > _STABLE_AFTER_SECONDS:
                back_off = 0.0
            await asyncio.sleep(back_off)
            back_off = min(max(2 * back_off, _FIRST_BACK_OFF_SECONDS), _LONGEST_BACK_OFF_SECONDS)
            self._restarts += 1

    async def _watch(self, process: ModelProcess) -> Exit:
        probes = asyncio.create_task(self._probe(process))
        try:
            return await process.exited()
        finally:
            probes.cancel()
            await asyncio.gather(probes, return_exceptions=True)

    async def _probe(self, process: ModelProcess) -> None:
        failures = 0
        while True:
            if await process.is_healthy():
                failures = 0
                self._become(State.READY)
            elif self._state is State.READY:
                failures += 1
                if failures >= _FAILED_PROBES:
                    self._become(State.UNHEALTHY)
            is_loading = self._state is State.LOADING
            await asyncio.sleep(_LOADING_PROBE_SECONDS if is_loading else _PROBE_SECONDS)

    def _become(self, state: State) -> None:
        if state is not self._state or state is State.LOADING:
            self._state = state
            self._changed(self.launch.key)


class ModelServers:
    """The servers of each InferenceService, one a replica, and the successors that take over."""

    def __init__(
        self,
        state_dir: Path,
        changed: Callable[[Key], None],
        *,
        pre_stop: timedelta = timedelta(seconds=1),
    ) -> None:
        self._state_dir = state_dir
        self._changed = changed
        self._pre_stop = pre_stop
        self._lives: dict[Seat, _Life] = {}
        self._successors: dict[Seat, _Life] = {}
        self._endings: dict[_Life, asyncio.Task[None]] = {}

    async def adopt(self) -> None:
        """Take over what an earlier controller has left running, without a gap in its service."""
        found = [ModelProcess.adopt(record) for record in sorted(self._state_dir.glob("*.json"))]
        processes = [process for process in found if process is not None]
        healthy = await asyncio.gather(*(process.is_healthy() for process in processes))
        # All at once: a life tells of itself, and who is not known by then would be started anew.
        for process, is_healthy in zip(processes, healthy, strict=True):
            self._take_over(process, State.READY if is_healthy else State.LOADING)

    def known(self) -> frozenset[Key]:
        return frozenset(key for key, _ in self._lives)

    def ensure(self, launch: Launch) -> View:
        """Have a server of this launch, and say how the one that serves in its seat is doing.

        A changed launch starts a successor beside the present server, which ends when the
        successor is ready; a server of an earlier object of the same name ends at once.
        """
        seat = launch.seat
        life = self._lives.get(seat)
        if life is not None and life.launch.uid != launch.uid:
            self.retire(launch.key)
            life = None
        if life is None:
            life = self._lives[seat] = self._live(launch)
        if life.launch == launch:
            self._drop_successor(seat)
            return life.view()
        return self._succeed(life, launch)

    def retire(self, key: Key, *, keep: int = 0) -> None:
        """End the servers of this key but the first `keep`, in the background, without haste."""
        taken = {*self._lives, *self._successors}
        for seat in [one for one in taken if one[0] == key and one[1] >= keep]:
            self._drop_successor(seat)
            life = self._lives.pop(seat, None)
            if life is not None:
                self._end(life)

    async def stop(self, *, keep_running: bool) -> None:
        """End all servers and no longer patiently, or leave them to the next controller."""
        endings, self._endings = self._endings, {}
        for ending in endings.values():
            ending.cancel()
        await asyncio.gather(*endings.values(), return_exceptions=True)
        lives = [*self._lives.values(), *self._successors.values(), *endings]
        if keep_running:
            await asyncio.gather(*(life.let_go() for life in lives))
            return
        await asyncio.gather(
            *(life.stop(first_wait=_NO_TIME, kill_after=_HURRIED_KILL_AFTER) for life in lives)
        )

    def _take_over(self, process: ModelProcess, state: State) -> None:
        launch = process.launch
        life = _Life(launch, self._state_dir, self._changed, process=process, state=state)
        if self._lives.setdefault(launch.seat, life) is not life:
            self._end(life)

    def _succeed(self, life: _Life, launch: Launch) -> View:
        seat = launch.seat
        successor = self._successors.get(seat)
        if successor is None or successor.launch != launch:
            self._drop_successor(seat)
            successor = self._successors[seat] = self._live(launch)
        if successor.view().state is not State.READY and life.view().state is State.READY:
            return life.view()
        self._lives[seat] = self._successors.pop(seat)
        self._end(life)
        return successor.view()

    def _live(self, launch: Launch) -> _Life:
        return _Life(launch, self._state_dir, self._changed)

    def _drop_successor(self, seat: Seat) -> None:
        successor = self._successors.pop(seat, None)
        if successor is not None:
            self._end(successor)

    def _end(self, life: _Life) -> None:
        ending = asyncio.create_task(life.stop(first_wait=self._pre_stop, kill_after=_KILL_AFTER))
        self._endings[life] = ending
        ending.add_done_callback(lambda _: self._endings.pop(life, None))
