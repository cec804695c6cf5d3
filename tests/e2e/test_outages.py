"""A whole server is away for a while: the metrics store, the Kubernetes API, the database."""

import asyncio

import pytest

from tests.e2e.served import LONG
from tests.e2e.traffic import failed, served_from_now_on
from tests.e2e.waiting import until

# The worker gives a call 10 s; a refused one it notices at once. The soak takes 4 s.
SILENT_SECONDS = 16
GONE_SECONDS = 8
UNREACHABLE_SECONDS = 20


async def test_without_prometheus_a_soak_holds_and_says_so_and_goes_on_afterwards(alone):
    served = await alone.serve("unmetered")
    soak = {"soak_seconds": 4, "pace": "time"}
    async with served.load(50) as load:
        rollout = await served.start(steps=[{"weight": 20, **soak}, {"weight": 50, **soak}])
        await rollout.soaking(20)
        async with alone.silent("prometheus"):
            await asyncio.sleep(SILENT_SECONDS)
            await _held_without_metrics(rollout, 20)

        await rollout.soaking(50)
        async with alone.without("prometheus"):
            await asyncio.sleep(GONE_SECONDS)
            await _held_without_metrics(rollout, 50)
        await rollout.ended("promoted")

    assert failed(load) == set()
    await served.at_rest(rollout.candidate, "v2")
    kinds = await rollout.kinds()
    told = [kind for kind in kinds if kind.startswith("metrics")]
    assert told == ["metrics_lost", "metrics_back"] * 2
    assert "rollback_started" not in kinds


async def _held_without_metrics(rollout, weight):
    """After the soak's time it has gone neither forth nor back, and says why."""
    last = (await rollout.events())[-1]
    assert last["kind"] == "metrics_lost", await rollout.story()
    assert "unavailable since" in last["message"]
    live = (await rollout.look())["live"]
    assert (live["phase"], live["candidate_weight"]) == ("progressing", weight)
    assert {one["status"] for one in live["verdicts"]} <= {"unavailable", "undecided"}


@pytest.mark.parametrize("mode", ["error", "hang"])
async def test_a_rollback_waits_for_the_kubernetes_api_and_says_since_when(alone, mode):
    served = await alone.serve(f"unreachable-{mode}")
    async with served.load() as load:
        rollout = await served.start(steps=LONG)
        await rollout.soaking()
        await alone.hands.faults(mode, seconds=UNREACHABLE_SECONDS, path_prefix="/api")
        answer = await rollout.command("abort", actor="ana")
        assert answer["message"] == "going back to stable"
        live = (await rollout.look())["live"]
        assert live["phase"] == "rolling_back"
        assert live["rollback_since"] is not None
        assert not await rollout.events("weights_set"), "nobody claims what nobody did"

        await rollout.told("weights_set", "all traffic is sent to stable")
        await rollout.ended("rolled_back")
        assert await served_from_now_on(load) == {rollout.stable}

    assert failed(load) == set()
    await served.at_rest(rollout.stable, "v1")


async def test_traffic_goes_home_without_the_database_which_is_told_later(alone):
    served = await alone.serve("unrecorded")
    async with served.load() as load:
        rollout = await served.start(steps=LONG)
        await rollout.soaking()

        async def home():
            is_written = (await served.weights())[rollout.stable] == 100
            return is_written and await served_from_now_on(load) == {rollout.stable}

        async with alone.without("postgres"):
            # The API needs its registry to know a rollout; Temporal does not.
            said = ("--name", "abort", "--input", '{"actor": "ops", "reason": "no database"}')
            await alone.temporal("signal", "--workflow-id", rollout.workflow_id, *said)
            await until(home, "all traffic at stable")
        ended = await rollout.ended("rolled_back")

    assert ended["phase_reason"] == "aborted by ops: no database"
    assert failed(load) == set()
    await served.at_rest(rollout.stable, "v1")
    kinds = await rollout.kinds()
    assert kinds.index("commanded") < kinds.index("weights_set") < kinds.index("rolled_back")
