"""The worker is killed as a crash would, at every moment of a rollout's life."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest

from adapters.kubernetes.resources import AI_GATEWAY_ROUTE
from sandbox.load import Load
from sandbox.seed import ENVIRONMENT as NAMESPACE
from tests.e2e.followed import Followed
from tests.e2e.served import LONG, Served
from tests.e2e.traffic import failed
from tests.e2e.waiting import until

ROUTES = AI_GATEWAY_ROUTE.path(NAMESPACE)
TEN_SECONDS = [{"weight": 20, "soak_seconds": 10, "pace": "time"}]
ONE_SECOND = [{"weight": 20, "soak_seconds": 1, "pace": "time"}]
PHASES = {
    "deploying": "progressing",
    "shifting": "progressing",
    "settling": "progressing",
    "soaking": "progressing",
    "rolling_back": "rolling_back",
    "retiring": "promoting",
}
ENDS = {**dict.fromkeys(PHASES, "promoted"), "rolling_back": "rolled_back"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    served: Served
    load: Load
    rollout: Followed


class Cast:
    """One rollout for each moment, to be at that moment when the worker dies."""

    def __init__(self, scene, loads):
        self._scene, self._loads = scene, loads
        self.cases = {}

    async def begin(self, moment, *, rps=40, candidate="latency_ms=20", **wish):
        served = await self._scene.serve(moment.replace("_", "-"), candidate=candidate)
        load = await self._loads.enter_async_context(served.load(rps))
        rollout = await served.start(**wish)
        self.cases[moment] = Case(served=served, rollout=rollout, load=load)
        return rollout

    async def deploying(self):
        candidate = "latency_ms=20&load_seconds=15"
        rollout = await self.begin("deploying", candidate=candidate, steps=ONE_SECOND, gates=[])
        await rollout.told("step_started", "deploy")

    async def before_shifting(self):
        steps = [*LONG, {"weight": 50, "soak_seconds": 1, "pace": "time"}]
        await (await self.begin("shifting", steps=steps, gates=[])).soaking()

    async def settling(self):
        # So few requests take some time to show that they obey.
        rollout = await self.begin("settling", rps=3, steps=ONE_SECOND, gates=[])
        served = self.cases["settling"].served

        async def written():
            return (await served.weights()).get(rollout.candidate) == 20

        await until(written, "20 % written")

    async def soaking(self):
        await (await self.begin("soaking", steps=TEN_SECONDS)).soaking()

    async def before_rolling_back(self):
        await (await self.begin("rolling_back", steps=LONG)).soaking()

    async def retiring(self):
        rollout = await self.begin("retiring", policies={"scale_down_delay_seconds": 15})
        await rollout.soaking()
        await rollout.command("promote")
        await rollout.told("promoted")

    async def phases(self):
        return {
            moment: (await case.rollout.look(live=False))["phase"]
            for moment, case in self.cases.items()
        }


@pytest.fixture(scope="module")
async def cases(alone):
    """One case for each moment; all have ended, well or not, when a test looks."""
    async with AsyncExitStack() as loads:
        cast = Cast(alone, loads)
        # The moments that last come first, the short ones last.
        await asyncio.gather(cast.retiring(), cast.before_shifting(), cast.before_rolling_back())
        await asyncio.gather(cast.deploying(), cast.settling(), cast.soaking())
        # From here on no route can be read or written: what has to be shifted waits.
        await alone.hands.faults("error", seconds=90, path_prefix=ROUTES)
        shifting, rolling_back = (cast.cases[m].rollout for m in ("shifting", "rolling_back"))
        await shifting.command("promote", scope="step")
        await rolling_back.command("abort")
        await shifting.told("step_started", "send 50 %")
        await rolling_back.told("rollback_started")

        phases = await cast.phases()
        await alone.running.kill_part("worker")
        await alone.hands.faults("none")
        await alone.running.start_part("worker")
        assert phases == PHASES
        ends = (case.rollout.ended(ENDS[moment]) for moment, case in cast.cases.items())
        await asyncio.gather(*ends, return_exceptions=True)
        yield cast.cases


@pytest.mark.parametrize("moment", PHASES)
async def test_a_rollout_survives_the_death_of_its_worker_while(cases, moment):
    case = cases[moment]
    await case.rollout.ended(ENDS[moment], within=1)

    assert failed(case.load) == set()
    if ENDS[moment] == "promoted":
        await case.served.at_rest(case.rollout.candidate, "v2")
    else:
        await case.served.at_rest(case.rollout.stable, "v1")
    kinds = await case.rollout.kinds()
    assert kinds.count("started") == 1
    assert "failed" not in kinds
