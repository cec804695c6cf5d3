"""From the call that aborts a healthy canary to the last request that it serves."""

import asyncio
import time
from dataclasses import asdict, dataclass

from bench.canary import Canary, monotonic_at
from bench.moments import failures, last_sent
from bench.report import SPREAD_HEAD, Goal, Result, Table, spread_row
from bench.run import Run
from bench.samples import median
from bench.world import RouteWatch, World

TITLE = "abort call at 10 % weight, 300 requests/s: to the last request served by the candidate"
RATE = 300
GOAL_SECONDS = 1.0
_TRIALS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Seconds since the abort was sent, each; `answered` is when the caller had its answer."""

    decided: float
    written: float
    answered: float
    last: float
    failed: int
    requests: int


async def measure(run: Run) -> Result:
    world, random = await run.world(), run.random("abort")
    trials: list[Trial] = []
    for number in range(count := run.trials(_TRIALS)):
        trials.append(await _trial(world, random.random()))
        run.say(f"abort {number + 1} of {count}: {trials[-1].last * 1000:.0f} ms")
    reaction = median([each.last for each in trials])
    failed, requests = sum(each.failed for each in trials), sum(each.requests for each in trials)
    return Result(
        goals=(
            Goal(
                promise=f"median under {GOAL_SECONDS:g} s",
                found=f"{reaction * 1000:.0f} ms",
                met=reaction < GOAL_SECONDS,
            ),
        ),
        tables=(_table(trials),),
        notes=(f"{failed} of {requests:,} requests failed.",),
        raw={"trials": [asdict(each) for each in trials]},
    )


async def _trial(world: World, pause: float) -> Trial:
    async with (
        world.load(RATE) as load,
        RouteWatch(world, world.route.name) as watch,
        await Canary.start(world) as canary,
    ):
        await canary.soaking()
        await asyncio.sleep(pause)
        sent = time.monotonic()
        await canary.abort()
        answered = time.monotonic()
        started = await canary.told(lambda each: each.kind == "rollback_started")
        await canary.ended()
    outcomes = load.timeline.outcomes()
    last = last_sent(outcomes, canary.candidate)
    if last is None:
        raise LookupError(f"{canary.candidate} served no request")
    return Trial(
        decided=monotonic_at(started.at.timestamp()) - sent,
        written=watch.first_at(canary.candidate, 0, since=sent) - sent,
        answered=answered - sent,
        last=last - sent,
        failed=len(failures(outcomes)) + load.skipped,
        requests=len(outcomes),
    )


def _table(trials: list[Trial]) -> Table:
    stages = {
        "last request served by the candidate": [each.last for each in trials],
        "the rollback has begun": [each.decided for each in trials],
        "the route as written": [each.written for each in trials],
        "the call is answered": [each.answered for each in trials],
    }
    rows = tuple(spread_row(name, moments) for name, moments in stages.items())
    return Table(caption="since the abort was sent", head=SPREAD_HEAD, rows=rows)
