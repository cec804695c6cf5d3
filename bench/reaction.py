"""From the first bad response of a canary that starts to fail to the last request it serves."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from random import Random

from adapters.prometheus.envoy import cluster_name
from adapters.prometheus.promql import quoted
from bench.bare import LIMIT, SameTest, See, Twin, loop, twin
from bench.canary import WEIGHT, Canary, monotonic_at
from bench.moments import failures, first_bad, first_growth, last_sent
from bench.report import SPREAD_HEAD, Goal, Result, Table, milliseconds, spread_row
from bench.run import Run
from bench.samples import median, spaced
from bench.world import RouteWatch, World
from sandbox.caller import Event
from sandbox.load import Load

TITLE = "30 % errors at 10 % weight, 300 requests/s: first bad response to last request served"
RATE = 300
ERROR_RATE = 0.3
GOAL_SECONDS = 2.5
MACHINERY_SECONDS = 0.5
_TRIALS = 10
_HEALTHY_SECONDS = (3.0, 6.0)
_SETTLING_SECONDS = 1.0
_SCRAPE_SECONDS = 1.0
_AFTERMATH_SECONDS = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Seconds since the first bad response at a client; what an arm does not have is None.

    `enough` is the scrape that completed the evidence, `decided` the moment at which it was acted
    on. `bad` counts the requests that users saw fail.
    """

    scraped: float
    enough: float | None
    verdict: float | None
    decided: float
    written: float
    last: float
    bad: int
    strangers: int
    phase: float


async def measure(run: Run) -> Result:
    world, random = await run.world(), run.random("reaction")
    count = run.trials(_TRIALS)
    phases = spaced(count, [random.random() for _ in range(count)])
    random.shuffle(phases)
    ours: list[Trial] = []
    threshold: list[Trial] = []
    same_test: list[Trial] = []
    async with twin(world) as (bare, counters):
        for number, phase in enumerate(phases):
            healthy = random.uniform(*_HEALTHY_SECONDS)
            async with await Canary.start(world) as canary:
                ours.append(await _rollout(world, canary, phase, healthy))
                # The rollout tidies up while the bare loops wait for their candidate to fail.
                threshold.append(await _bare(bare, bare.over_limit, phase, healthy, random))
                see = SameTest(bare, counters).has_failed
                same_test.append(await _bare(bare, see, phase, healthy, random))
                await canary.ended()
            run.say(
                f"reaction {number + 1} of {count}: {ours[-1].last:.2f} s; "
                f"bare {threshold[-1].last:.2f} s, with the same test {same_test[-1].last:.2f} s"
            )
    return _result(ours, threshold, same_test)


async def _rollout(world: World, canary: Canary, phase: float, healthy: float) -> Trial:
    """One trial of the real thing."""
    async with world.load(RATE) as load, RouteWatch(world, world.route.name) as watch:
        await canary.soaking()
        since = await _break(world, canary.candidate, phase, healthy)
        started = await canary.told(lambda each: each.kind == "rollback_started")
        # Without requests nobody could see the traffic back at stable.
        await canary.told(lambda each: each.kind == "settled" and each.id > started.id)
        scraped = await _scraped(world, cluster_name(world.route, canary.slot), since)
        failed = await canary.told(_is_fail)
    decided = monotonic_at(started.at.timestamp())
    return _trial(
        load,
        canary.candidate,
        since=since,
        phase=phase,
        scraped=scraped,
        enough=monotonic_at(_closed_at(failed)),
        verdict=monotonic_at(failed.at.timestamp()),
        decided=decided,
        written=watch.first_at(canary.candidate, 0, since=since),
    )


async def _bare(twin: Twin, see: See, phase: float, healthy: float, random: Random) -> Trial:
    """One trial of a bare loop, on its own route."""
    world = twin.world
    await twin.set_weight(WEIGHT)
    async with world.load(RATE, twin.route.model) as load:
        await asyncio.sleep(_SETTLING_SECONDS + random.random())
        looking = asyncio.create_task(loop(see))
        since = await _break(world, twin.candidate, phase, healthy)
        await looking
        decided = time.monotonic()
        await twin.set_weight(0)
        written = time.monotonic()
        await asyncio.sleep(_AFTERMATH_SECONDS)
        scraped = await _scraped(world, cluster_name(twin.route, 1), since)
    await world.misbehave(twin.candidate, error_rate=0)
    return _trial(
        load,
        twin.candidate,
        since=since,
        phase=phase,
        scraped=scraped,
        enough=None,
        verdict=None,
        decided=decided,
        written=written,
    )


async def _break(world: World, candidate: str, phase: float, healthy: float) -> float:
    """Let the candidate fail after a while of health, at this phase of the second; gives when."""
    await asyncio.sleep(healthy)
    await asyncio.sleep((phase - time.time()) % _SCRAPE_SECONDS)
    since = time.monotonic()
    await world.misbehave(candidate, error_rate=ERROR_RATE)
    return since


async def _scraped(world: World, cluster: str, since: float) -> float:
    """The time of the first scrape that shows an error of the cluster."""
    back = f"{time.monotonic() - since + 3:.0f}s"
    labels = f'envoy_cluster_name={quoted(cluster)},envoy_response_code_class="5"'
    found = await world.prometheus(f"envoy_cluster_upstream_rq_xx{{{labels}}}[{back}]")
    listed = found[0]["values"] if found else []
    samples = [(monotonic_at(float(at)), float(value)) for at, value in listed]
    grown = first_growth(samples, since=since)
    if grown is None:
        raise LookupError(f"no scrape shows an error of {cluster}")
    return grown


def _trial(
    load: Load,
    candidate: str,
    *,
    since: float,
    phase: float,
    scraped: float,
    enough: float | None,
    verdict: float | None,
    decided: float,
    written: float,
) -> Trial:
    """Moments on the clock of the load, as seconds since the first bad response."""
    outcomes = load.timeline.outcomes()
    first = first_bad(outcomes, candidate, since=since - 1)
    last = last_sent(outcomes, candidate)
    if first is None or last is None:
        raise LookupError(f"no client saw {candidate} fail")
    bad = [each for each in failures(outcomes) if each.variant == candidate]
    return Trial(
        scraped=scraped - first,
        enough=None if enough is None else enough - first,
        verdict=None if verdict is None else verdict - first,
        decided=decided - first,
        written=written - first,
        last=last - first,
        bad=len(bad),
        strangers=len(failures(outcomes, but_of=candidate)),
        phase=phase,
    )


def _is_fail(event: Event) -> bool:
    return event.kind == "verdict" and event.data["verdict"]["status"] == "fail"


def _closed_at(event: Event) -> float:
    """When the interval ended that completed the evidence: its newest scrape (unix seconds)."""
    text: str = event.data["verdict"]["samples"]["closed_at"]
    return datetime.fromisoformat(text).timestamp()


def _result(ours: list[Trial], threshold: list[Trial], same_test: list[Trial]) -> Result:
    arms = {
        "Tidegate": ours,
        f"bare loop, more than {LIMIT:.0%} in 5 s": threshold,
        "bare loop, same test": same_test,
    }
    reaction = median([each.last for each in ours])
    compared = median([each.last for each in same_test])
    handling, alone = (
        milliseconds(median([each.written - each.decided for each in arm]))
        for arm in (ours, same_test)
    )
    strangers = sum(each.strangers for arm in arms.values() for each in arm)
    goals = (
        Goal(
            promise=f"median under {GOAL_SECONDS:g} s",
            found=f"{reaction:.2f} s",
            met=reaction < GOAL_SECONDS,
        ),
        Goal(
            promise=f"the machinery adds at most {MACHINERY_SECONDS:g} s to a bare loop "
            "with the same test",
            found=f"{reaction - compared:+.2f} s ({reaction / compared:.2f} times)",
            met=reaction - compared <= MACHINERY_SECONDS,
        ),
    )
    return Result(
        goals=goals,
        tables=(_comparison(arms), _breakdown(ours)),
        notes=(
            "A bare loop looks each second, whenever that is; the watcher right behind a scrape.",
            f"From the decision to the written route: {handling} ms, in a bare loop {alone} ms.",
            f"{strangers} requests failed that were not of a failing candidate.",
        ),
        raw={name: [asdict(each) for each in arm] for name, arm in arms.items()},
    )


def _comparison(arms: Mapping[str, list[Trial]]) -> Table:
    rows = [
        (*spread_row(name, [each.last for each in arm]), f"{median([t.bad for t in arm]):g}")
        for name, arm in arms.items()
    ]
    return Table(
        caption="first bad response at a client to the last request served by the candidate",
        head=(*SPREAD_HEAD, "500s"),
        rows=tuple(rows),
    )


def _breakdown(trials: list[Trial]) -> Table:
    """Where the time goes, stage by stage; the medians need not add up."""
    stages: dict[str, Callable[[Trial], float]] = {
        "first bad response to the scrape that shows one": lambda t: t.scraped,
        "to the scrape that completes the evidence": lambda t: _of(t.enough) - t.scraped,
        "to the watcher's verdict (its probe)": lambda t: _of(t.verdict) - _of(t.enough),
        "to the workflow's decision": lambda t: t.decided - _of(t.verdict),
        "to the route as written": lambda t: t.written - t.decided,
        "to the last request served": lambda t: t.last - t.written,
    }
    rows = tuple(spread_row(name, [of(t) for t in trials]) for name, of in stages.items())
    return Table(caption="Tidegate, stage by stage", head=SPREAD_HEAD, rows=rows)


def _of(moment: float | None) -> float:
    if moment is None:
        raise ValueError("a bare loop has no such stage")
    return moment
