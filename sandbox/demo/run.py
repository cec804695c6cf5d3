"""Runs the demo: a cluster of its own, live traffic all the time, the trials one after another."""

import asyncio
import math
import shutil
import time
from collections.abc import Coroutine, Sequence
from itertools import pairwise
from typing import Any, TypeVar

from sandbox.caller import CallFailed, calling
from sandbox.cluster import cluster
from sandbox.demo.act import WINDOW, Act, Played
from sandbox.demo.judgement import account, broken_expectations
from sandbox.demo.specs import TRIALS
from sandbox.demo.stage import Stage
from sandbox.demo.summary import Result, conclusion, table
from sandbox.greeting import addresses
from sandbox.interrupts import stoppable
from sandbox.layout import PORT_SETTINGS, Layout
from sandbox.load import Load, Timeline
from sandbox.parts import PARTS
from sandbox.ports import free_ports
from sandbox.record import AlreadyRunning, Say, claim
from sandbox.seed import MODEL, Seeded, SeedFailed, seed
from sandbox.supervisor import Supervisor

REQUESTS_PER_SECOND = 300
# Half of those that are due: a machine that is too slow for more proves nothing.
_LEAST_ANSWERS = round(REQUESTS_PER_SECOND * WINDOW.total_seconds() / 2)
_INTERRUPTED = 130

T = TypeVar("T")


class PartDied(Exception):
    """A part of the cluster ended in the middle of the demo."""


async def main(layout: Layout) -> int:
    """0 if all rollouts ended as they must, as seen from the traffic; 1 if not; 130 on Ctrl-C."""
    stage = Stage()
    own = _own(layout)
    try:
        return await stoppable(
            lambda hurry: _play(own, stage, hurry), say=stage.say, stopped=_INTERRUPTED
        )
    except AlreadyRunning as error:
        stage.say(f"a demo runs already (pid {error.pid})")
        return 1
    except (CallFailed, SeedFailed, PartDied) as error:
        stage.say(f"the demo cannot go on: {error}")
        return 1
    finally:
        stage.say(f"logs and state, kept until the next demo: {own.home}")


def _own(layout: Layout) -> Layout:
    """A home and ports beside those of `make up`, which may be running."""
    ports = dict(zip(PORT_SETTINGS, free_ports(len(PORT_SETTINGS)), strict=True))
    return Layout(home=layout.home / "demo", downloads=layout.downloads, **ports)


async def _play(layout: Layout, stage: Stage, hurry: asyncio.Event) -> int:
    begin = time.monotonic()
    await _forget_last_run(layout, stage.say)
    stage.title("Tidegate: three canaries on live traffic", f"starting {', '.join(PARTS)}")
    async with cluster(layout, say=stage.say, hurry=hurry) as running:
        seeded = await _unless_a_part_dies(running, seed(layout))
        stage.say(addresses(layout, PARTS))
        stage.say(
            f"  ready after {time.monotonic() - begin:.1f} s; {MODEL} {seeded.stable} serves, and "
            f"from now on gets {REQUESTS_PER_SECOND} requests/s through the gateway"
        )
        load = Load(layout.gateway_url, MODEL, REQUESTS_PER_SECOND)
        acts = await _unless_a_part_dies(running, _perform(layout, stage, seeded, load))
        results = _judged(acts, load.timeline)
        stage.title("What came of it")
        stage.show(table(results))
        stage.say(conclusion(results, load))
    stage.say(f"everything is stopped, after {time.monotonic() - begin:.0f} s in all")
    return 0 if len(results) == len(TRIALS) and not any(r.broken for r in results) else 1


async def _perform(layout: Layout, stage: Stage, seeded: Seeded, load: Load) -> list[Played]:
    """The trials in their order; after one that does not end there can be no other."""
    acts: list[Played] = []
    async with calling(layout) as caller, load:
        for i, trial in enumerate(TRIALS, start=1):
            act = Act(caller, load.timeline, stage)
            played = await act.play(trial, seeded, f"{i} of {len(TRIALS)}")
            acts.append(played)
            if not played.ended.after:
                break
    return acts


def _judged(acts: Sequence[Played], timeline: Timeline) -> list[Result]:
    """Every request of the whole time counts in exactly one rollout."""
    outcomes = timeline.outcomes()
    starts = [-math.inf, *(act.begun_at for act in acts[1:]), math.inf]
    results = []
    for act, (start, end) in zip(acts, pairwise(starts), strict=True):
        ended = act.ended
        sent = (one for one in outcomes if start <= one.sent_at < end)
        sums = account(sent, ended.servers, ended.trial)
        broken = broken_expectations(ended, sums, least=_LEAST_ANSWERS)
        results.append(Result(name=act.name, ended=ended, account=sums, broken=broken))
    return results


async def _unless_a_part_dies(running: Supervisor, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`; raises PartDied when the cluster ends before it."""
    task, death = asyncio.ensure_future(work), asyncio.ensure_future(running.failure())
    try:
        await asyncio.wait({task, death}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise PartDied(death.result())
        return task.result()
    finally:
        for one in (task, death):
            one.cancel()
        await asyncio.gather(task, death, return_exceptions=True)


async def _forget_last_run(layout: Layout, say: Say) -> None:
    """Ends what a killed demo has left and deletes its state; raises AlreadyRunning."""
    record = await claim(layout.run_file, say)
    try:
        await asyncio.to_thread(_empty, layout)
    finally:
        record.release()


def _empty(layout: Layout) -> None:
    """Leaves the lock file, so that two demos can never hold different ones."""
    for found in layout.home.iterdir():
        if found.is_dir() and not found.is_symlink():
            shutil.rmtree(found)
        elif found.suffix != ".lock":
            found.unlink()
