"""Do clients notice that weights change and that variants are torn down? Counted, not timed."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from bench.canary import Canary
from bench.moments import failures, weight_changes
from bench.report import Goal, Result, Table
from bench.run import Run
from bench.samples import quantile
from bench.world import RouteWatch, World
from sandbox.load import GATEWAY, Load, Outcome, status_class

TITLE = "weight changes and teardowns of healthy variants under 400 requests/s: failed requests"
RATE = 400
_WEIGHTS = (1, 10, 50, 90)
_SHOWN = 20


async def measure(run: Run) -> Result:
    """Promote the candidate, promote the former stable again, abort a last one."""
    world = await run.world()
    stable = world.seeded.versions[world.seeded.stable]
    weights = _WEIGHTS[2:3] if run.quick else _WEIGHTS
    async with world.load(RATE) as load, RouteWatch(world, world.route.name) as watch:
        for version in (world.candidate_id, stable):
            await _promote(world, version, weights)
            run.say(f"lossless: promoted, {len(load.timeline):,} requests answered")
        await _abort(world)
        run.say(f"lossless: aborted, {len(load.timeline):,} requests answered")
        await asyncio.sleep(1)
    return _result(load, weight_changes(watch.changes), teardowns=3)


async def _promote(world: World, version: str, weights: Sequence[int]) -> None:
    """Walk a version through all weights without gates; the former stable is torn down."""
    steps = [{"weight": weight, "soak_seconds": 0} for weight in weights]
    wishes = {"target_version_id": version, "steps": steps, "gates": []}
    async with await Canary.start(world, **wishes) as canary:
        await _end(canary, "promoted")


async def _abort(world: World) -> None:
    async with await Canary.start(world) as canary:
        await canary.soaking()
        await canary.abort()
        await _end(canary, "rolled_back")


async def _end(canary: Canary, phase: str) -> None:
    ended = await canary.ended()
    if ended["phase"] != phase:
        raise RuntimeError(f"the canary was {ended['phase']}: {ended['phase_reason']}")


def _result(load: Load, changes: int, *, teardowns: int) -> Result:
    outcomes = load.timeline.outcomes()
    failed = failures(outcomes)
    notes = [f"{changes} changes of weights, {teardowns} teardowns."]
    if load.skipped:
        notes.append(f"{load.skipped} requests were not sent: too many were under way.")
    return Result(
        goals=(
            Goal(
                promise="no request fails",
                found=f"{len(failed)} of {len(outcomes):,}",
                met=not failed and not load.skipped,
            ),
        ),
        tables=(_table(outcomes),),
        notes=tuple(notes),
        raw={
            "requests": len(outcomes),
            "skipped": load.skipped,
            "changes": changes,
            "teardowns": teardowns,
            "failed": [asdict(each) for each in failed[:_SHOWN]],
        },
    )


def _table(outcomes: Sequence[Outcome]) -> Table:
    counts = Counter((each.variant, status_class(each.status)) for each in outcomes)
    rows = []
    for variant in sorted({each.variant for each in outcomes}):
        seconds = [each.seconds for each in outcomes if each.variant == variant]
        found = [str(counts[variant, kind]) for kind in ("2xx", "4xx", "5xx", "none")]
        times = [f"{quantile(seconds, share) * 1000:.0f}" for share in (0.5, 0.99, 1)]
        name = "no variant" if variant == GATEWAY else variant
        rows.append((name, *found, *times))
    head = ("answered by", "2xx", "4xx", "5xx", "no answer", "median ms", "p99 ms", "most ms")
    return Table(caption="all requests", head=head, rows=tuple(rows))
