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
TWENTY_SECONDS = [{"weight": 20, "soak_seconds": 20, "pace": "time"}]
ONE_SECOND = [{"weight": 20, "soak_seconds": 1, "pace": "time"}]
# What each has told last when the worker dies.
LAST = {
    "deploying": "step 1: deploy the candidate",
    "shifting": "step 4: send 50 %",
    "settling": "step 2: send 20 %",
    "soaking": "step 3: soak at 20 %",
    "rolling_back": "aborted by ana",
    "retiring": "step 6: retire",
}
ENDS = {**dict.fromkeys(LAST, "promoted"), "rolling_back": "rolled_back"}


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

    async def begin(self, moment, *, is_quiet=False, candidate="latency_ms=20", **wish):
        """A rollout with calls, which are not made before `make_calls` where it `is_quiet`."""
        served = await self._scene.serve(moment.replace("_", "-"), candidate=candidate)
        load = served.load()
        if not is_quiet:
            await self._loads.enter_async_context(load)
        rollout = await served.start(**wish)
        self.cases[moment] = Case(served=served, rollout=rollout, load=load)
        return rollout

    async def make_calls(self, moment):
        await self._loads.enter_async_context(self.cases[moment].load)

    async def deploying(self):
        candidate = "latency_ms=20&load_seconds=20"
        rollout = await self.begin("deploying", candidate=candidate, steps=ONE_SECOND, gates=[])
        await rollout.told("step_started", "deploy")

    async def before_shifting(self):
        steps = [*LONG, {"weight": 50, "soak_seconds": 1, "pace": "time"}]
        await (await self.begin("shifting", steps=steps, gates=[])).soaking()

    async def settling(self):
        # It cannot be seen to obey before somebody calls.
        rollout = await self.begin("settling", is_quiet=True, steps=ONE_SECOND, gates=[])
        served = self.cases["settling"].served

        async def written():
            return (await served.weights()).get(rollout.candidate) == 20

        await until(written, "20 % written")

    async def soaking(self):
        await (await self.begin("soaking", steps=TWENTY_SECONDS)).soaking()

    async def before_rolling_back(self):
        await (await self.begin("rolling_back", steps=LONG)).soaking()

    async def before_retiring(self):
        policies = {"scale_down_delay_seconds": 20}
        await (await self.begin("retiring", policies=policies, steps=LONG)).soaking()

    async def retiring(self):
        rollout = self.cases["retiring"].rollout
        await rollout.command("promote")
        await rollout.told("step_started", "retire")

    async def last(self, moment):
        """What a rollout has told last, verdicts aside."""
        events = await self.cases[moment].rollout.events()
        return [one["message"] for one in events if one["kind"] != "verdict"][-1]


@pytest.fixture(scope="module")
async def cases(alone):
    """One case for each moment; all have ended, well or not, when a test looks."""
    async with AsyncExitStack() as loads:
        cast = Cast(alone, loads)
        # The moments that last come first, the short ones last.
        await asyncio.gather(
            cast.before_retiring(), cast.before_shifting(), cast.before_rolling_back()
        )
        await asyncio.gather(cast.deploying(), cast.settling(), cast.soaking(), cast.retiring())
        # From here on no route can be read or written: what has to be shifted waits.
        await alone.hands.faults("error", seconds=90, path_prefix=ROUTES)
        shifting, rolling_back = (cast.cases[m].rollout for m in ("shifting", "rolling_back"))
        await shifting.command("promote", scope="step")
        await rolling_back.command("abort", actor="ana")
        await shifting.told("step_started", "send 50 %")
        await rolling_back.told("rollback_started")

        last = {moment: await cast.last(moment) for moment in LAST}
        await alone.running.kill_part("worker")
        await alone.hands.faults("none")
        await alone.running.start_part("worker")
        await cast.make_calls("settling")
        assert [m for m, said in LAST.items() if not last[m].startswith(said)] == [], last
        ends = (case.rollout.ended(ENDS[moment]) for moment, case in cast.cases.items())
        await asyncio.gather(*ends, return_exceptions=True)
        yield cast.cases


@pytest.mark.parametrize("moment", LAST)
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
