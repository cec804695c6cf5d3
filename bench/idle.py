"""What a waiting rollout costs its worker: processor seconds per minute, with probes and without.

All rollouts soak for a week. They share two InferenceServices, but each has a route, a config, a
row and a workflow of its own, so that only the far side is cheaper than in real life.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID

import psutil
from temporalio.client import Client

from adapters.postgres.pool import open_pool
from adapters.postgres.registry import PostgresRegistry
from api.control import Control
from bench.bare import GATE
from bench.pairs import Pair, pair
from bench.report import Goal, Result, Table
from bench.run import Run
from bench.world import World
from bootstrap.converting import DATA_CONVERTER
from domain.plan import Plan, Policies, Strategy, Variant
from domain.registry import TrafficConfig
from domain.rollout import Rollout
from domain.steps import Deploy, Promote, Retire, SetWeights, Soak
from domain.workloads import Workload
from sandbox.caller import PROJECT_ID
from tests.projects import a_config, a_model, a_rollout, a_service, a_version, an_environment

TITLE = "processor seconds that the worker uses per minute for waiting rollouts"
GOAL_SHARE = 0.0005
"""A thousand that wait would take half a processor; `no CPU` cannot be told from noise."""

_WEEK = timedelta(days=7)
_PROBE = timedelta(seconds=15)
_SELDOM = timedelta(hours=1)
_MANY, _FEW = 50, 10
_WINDOW_SECONDS = 30.0
_SETTLING_SECONDS, _POLL_SECONDS = 3.0, 0.2
_RATE_EACH = 2.0
_WEIGHT = 50
# They share what they deploy, but each has to see its own requests obey.
_SOAKING_WITHIN_SECONDS = 180


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Processor seconds of the worker per minute, while so many rollouts were waiting."""

    seldom: int
    probing: int
    seconds: float


class Stage:
    """Starts waiting rollouts, each with traffic of its own. They end with the cluster."""

    def __init__(
        self,
        world: World,
        both: Pair,
        registry: PostgresRegistry,
        control: Control,
        traffic: AsyncExitStack,
    ) -> None:
        self._world, self._both = world, both
        self._registry, self._control, self._traffic = registry, control, traffic
        self._numbers = count(1)
        self.seldom = 0
        self.probing = 0

    async def open(self) -> None:
        """Register what all of them share."""
        model = a_model(UUID(PROJECT_ID), name="idle")
        self._versions = {
            workload.name: a_version(model, name=workload.name)
            for workload in (self._both.stable, self._both.candidate)
        }
        self._environment = an_environment(
            UUID(PROJECT_ID), name="idle", external_id=self._world.namespace
        )
        await self._registry.create_model(model)
        for version in self._versions.values():
            await self._registry.create_version(version)
        await self._registry.create_environment(self._environment)

    async def start(self, number: int, *, probe: timedelta) -> None:
        begun = [await self._start(f"idle-{next(self._numbers)}", probe) for _ in range(number)]
        until = time.monotonic() + _SOAKING_WITHIN_SECONDS
        for rollout in begun:
            await self._soaking(rollout, until)
        if probe == _PROBE:
            self.probing += number
        else:
            self.seldom += number

    async def _start(self, name: str, probe: timedelta) -> Rollout:
        now = datetime.now(UTC)
        version = self._versions[self._both.stable.name]
        service = a_service(self._environment, version, name=name)
        config = self._served(a_config(self._environment, service, version))
        await self._registry.create_service(service)
        await self._registry.create_config(config)
        route = config.route
        await self._both.publish(route, candidate=0)
        plan = Plan(
            strategy=Strategy.CANARY,
            route=route,
            stable=self._variant("stable", 0, self._both.stable),
            candidate=self._variant("candidate", 1, self._both.candidate),
            steps=(
                Deploy(),
                SetWeights(candidate=_WEIGHT),
                Soak(weight=_WEIGHT, at_least=_WEEK, at_most=_WEEK),
                SetWeights(candidate=100),
                Promote(),
                Retire(delay=timedelta(0)),
            ),
            gates=(GATE,),
            policies=Policies(probe_interval=probe, deadline=2 * _WEEK),
        )
        rollout = a_rollout(plan, created_at=now, updated_at=now)
        await self._registry.create_rollout(rollout, idempotency_key=None, request_hash="")
        await self._traffic.enter_async_context(self._world.load(_RATE_EACH, name))
        await self._control.start_rollout(rollout)
        return rollout

    async def _soaking(self, begun: Rollout, until: float) -> None:
        """Until the rollout is where it waits, and is watched."""
        while True:
            rollout = await self._registry.rollout(begun.project_id, begun.id)
            if isinstance(rollout.plan.steps[rollout.step], Soak):
                return
            if time.monotonic() > until:
                where = f"{rollout.phase} at step {rollout.step}: {rollout.phase_reason}"
                raise TimeoutError(f"{rollout.plan.route.model} does not soak, but is {where}")
            await asyncio.sleep(_POLL_SECONDS)

    def _served(self, config: TrafficConfig) -> TrafficConfig:
        """The config, with the one stable that all of them share."""
        (stable,) = config.variants
        return replace(config, variants=(replace(stable, workload=self._both.stable.name),))

    def _variant(self, name: str, slot: int, workload: Workload) -> Variant:
        version = self._versions[workload.name]
        return Variant(
            name=name,
            version_id=version.id,
            version_name=version.name,
            slot=slot,
            workload=workload,
        )


async def measure(run: Run) -> Result:
    world = await run.world()
    many, few = (_MANY // 5, _FEW // 5) if run.quick else (_MANY, _FEW)
    readings = []
    async with _stage(world) as stage:
        for number, probe in ((0, _SELDOM), (many, _SELDOM), (few, _PROBE), (many - few, _PROBE)):
            await stage.start(number, probe=probe)
            await asyncio.sleep(_SETTLING_SECONDS)
            seconds = await _per_minute(world, run.seconds(_WINDOW_SECONDS))
            readings.append(Reading(seldom=stage.seldom, probing=stage.probing, seconds=seconds))
            run.say(f"idle: {stage.seldom} and {stage.probing} waiting, {seconds:.2f} s a minute")
    return _result(readings)


async def _per_minute(world: World, window: float) -> float:
    worker = psutil.Process(world.supervisor.process("worker").pid)
    before = worker.cpu_times()
    await asyncio.sleep(window)
    after = worker.cpu_times()
    return (after.user + after.system - before.user - before.system) * 60 / window


def _result(readings: list[Reading]) -> Result:
    none, waiting, _, most = readings
    between = (waiting.seconds - none.seconds) / waiting.seldom
    probing = (most.seconds - waiting.seconds) / most.probing
    return Result(
        goals=(
            Goal(
                promise="between its probes a rollout costs its worker at most "
                f"{GOAL_SHARE:.2%} of a processor",
                found=f"{between / 60:.3%}, {between * 1000:.0f} ms a minute",
                met=between / 60 <= GOAL_SHARE,
            ),
        ),
        tables=(_table(readings),),
        notes=(
            f"With probes 15 s apart a rollout costs {probing * 1000:.0f} ms a minute.",
            "These are minutes old, and report to their workflows at each probe; old ones do not.",
            "Between probes its watch looks at the cluster each 8 s, and beats, to be known alive.",
        ),
        raw={"readings": [asdict(each) for each in readings]},
    )


def _table(readings: list[Reading]) -> Table:
    rows = []
    for each in readings:
        name = f"{each.seldom} between probes, {each.probing} with probes 15 s apart"
        rows.append((name, f"{each.seconds:.2f}", f"{each.seconds / 60:.2%}"))
    head = ("waiting rollouts", "processor seconds a minute", "of one processor")
    return Table(caption="the worker's processor time", head=head, rows=tuple(rows))


@asynccontextmanager
async def _stage(world: World) -> AsyncIterator[Stage]:
    pool = await open_pool(world.layout.database_url())
    try:
        temporal = await Client.connect(
            world.layout.temporal_address, data_converter=DATA_CONVERTER
        )
        async with pair(world, "idle") as both, AsyncExitStack() as traffic:
            stage = Stage(world, both, PostgresRegistry(pool), Control(temporal), traffic)
            await stage.open()
            yield stage
    finally:
        await pool.close()
