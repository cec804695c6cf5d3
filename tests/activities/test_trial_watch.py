"""The watch over a trial: all arms are counted, judged, compared, and looked after."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from temporalio.testing import ActivityEnvironment

from activities.analysis import AnalysisActivities, WatchOrder, WatchPorts
from activities.comparing import ComparingPorts
from activities.reading import ReadingPorts
from domain import arm_traffic
from domain.errors import Unreachable
from domain.evidence.trial import judge_trial
from domain.evidence.trial_intervals import of_arms
from domain.gates import AgainstStable, Gate, Metric
from domain.progress import Acted, ActState, Progress
from domain.rollout import EventKind
from domain.traffic import Ownership
from domain.trial import Direction, Reward, RewardCounters, RewardMetric, ThompsonRules
from domain.trial_verdicts import Outcome, Standing
from domain.verdicts import Status
from tests.activities.simulated import SimulatedCounters
from tests.fakes.comparisons import MemoryComparisons, ScriptedAnswers
from tests.fakes.evidence import MemoryEvidence
from tests.fakes.history import ToldHistory
from tests.fakes.metrics import ScriptedMetrics
from tests.fakes.readings import MemoryReadings, ScriptedQueries, ScriptedWeb
from tests.fakes.router import RecordingRouter
from tests.fakes.runtime import ScriptedRuntime
from tests.plans import ab_test, policies
from tests.workflows.stage import Journal

SOAK = 2
QUICK = timedelta(milliseconds=10)
ERRORS = Gate(name="errors", metric=Metric.ERROR_RATE, against_stable=AgainstStable(floor=0.2))
SOLD = RewardCounters(tries="offers_total", won="orders_total", label="served_by")


def alike(store):
    for name in ("stable", "b", "c"):
        store.arms[name].serve(300, errors=3)


def c_is_better(store):
    store.arms["stable"].serve(300, errors=30)
    store.arms["b"].serve(300, errors=30)
    store.arms["c"].serve(300, errors=3)


def b_fails(store):
    store.arms["stable"].serve(300)
    store.arms["b"].serve(300, errors=150)
    store.arms["c"].serve(300)


class Scene:
    """A trial between stable, b and c under watch."""

    def __init__(self, between, **changes) -> None:
        given: dict[str, Any] = {
            "gates": (ERRORS,),
            "policies": policies(probe_interval=QUICK),
        }
        self.plan = ab_test(**(given | changes))
        self.counters = SimulatedCounters(between)
        for name in ("stable", "b", "c"):
            self.counters.arm(name)
        self.evidence, self.journal = MemoryEvidence(), Journal()
        self.reading = ReadingPorts(
            queries=ScriptedQueries(),
            metrics=ScriptedMetrics(),
            web=ScriptedWeb(),
            store=MemoryReadings(),
        )
        self.runtime, self.router = ScriptedRuntime(), RecordingRouter()
        self.rollout_id, self.started_at = uuid4(), datetime.now(UTC)

    async def set_up(self) -> "Scene":
        for variant in (self.plan.stable, *self.plan.challengers):
            await self.runtime.deploy(variant.workload)
            await self.router.connect(self.plan.route, variant.workload)
        await self.write(self.plan.traffic_at(SOAK))
        return self

    async def write(self, traffic) -> None:
        owner = Ownership(holder="us", ordered_at=datetime.now(UTC), run_id="r", sequence=1)
        extras = self.plan.extras_of(traffic)
        await self.router.write(
            self.plan.route, self.plan.slots_under(traffic), owner, extras=extras
        )

    async def watch(self, within=timedelta(seconds=20), **changes):
        acted = Acted(state=ActState.DONE, at=self.started_at)
        progress = Progress(step=SOAK, started_at=self.started_at, acted=acted)
        order = WatchOrder(
            rollout_id=self.rollout_id,
            plan=self.plan,
            progress=replace(progress, **changes),
            report_at=datetime.now(UTC) + within,
        )
        ports = WatchPorts(
            counters=self.counters,
            history=ToldHistory(),
            evidence=self.evidence,
            runtime=self.runtime,
            router=self.router,
            journal=self.journal,
            comparing=ComparingPorts(answers=ScriptedAnswers(), store=MemoryComparisons()),
            reading=self.reading,
        )
        return await ActivityEnvironment().run(AnalysisActivities(ports).watch, order)


@pytest.fixture
def scene():
    async def made(between, **changes) -> Scene:
        return await Scene(between, **changes).set_up()

    return made


async def test_who_is_beaten_is_told_at_once(scene):
    watched = await scene(c_is_better)

    seen = await watched.watch()

    assert seen.trial.eliminated
    assert {(v.variant, v.gate) for v in seen.verdicts} == {("b", "errors"), ("c", "errors")}


async def test_an_arm_whose_gate_fails_is_told_with_its_name(scene):
    watched = await scene(b_fails)

    seen = await watched.watch()

    by_arm = {v.variant: v.status for v in seen.verdicts}
    assert by_arm["b"] is Status.FAIL
    assert by_arm["c"] is not Status.FAIL
    told = [entry.message for entry in watched.journal.entries]
    assert any(message.startswith("b errors: fail") for message in told)


async def test_what_a_trial_comes_to_can_be_recomputed_from_the_stored_intervals(scene):
    watched = await scene(c_is_better)

    seen = await watched.watch()

    log = await watched.evidence.load(watched.rollout_id)
    trial = watched.plan.trial
    intervals = [of_arms(interval, trial.reward) for interval in log.intervals]
    assert judge_trial(trial.arms, trial.reward, trial.rules, intervals) == seen.trial
    assert intervals[0].weights == {"stable": 34, "b": 33, "c": 33}
    assert all(counts.started == 300 for counts in intervals[-1].arms)


async def test_who_has_left_is_neither_counted_nor_judged_nor_looked_after(scene):
    watched = await scene(alike)
    trial, traffic = watched.plan.trial, watched.plan.traffic_at(SOAK)
    without_b = arm_traffic.without(trial, traffic.arms, ["b"])
    await watched.write(without_b)
    watched.runtime.lose(watched.plan.candidate.workload)

    seen = await watched.watch(timedelta(seconds=1), traffic=without_b, division=1)

    assert {v.variant for v in seen.verdicts} == {"c"}
    assert seen.unfit == {}
    assert seen.drift == ""
    standings = {arm.arm: arm.standing for arm in seen.trial.arms}
    assert standings["b"] is Standing.LEFT
    log = await watched.evidence.load(watched.rollout_id)
    assert [one.arm for one in log.intervals[-1].arms] == ["stable", "c"]


async def test_evidence_begins_anew_when_the_traffic_is_divided_anew(scene):
    watched = await scene(alike)
    await watched.watch(timedelta(milliseconds=200))
    before = len((await watched.evidence.load(watched.rollout_id)).intervals)
    trial, traffic = watched.plan.trial, watched.plan.traffic_at(SOAK)
    moved = arm_traffic.reallocated(trial, traffic.arms, {"stable": 20, "b": 20, "c": 60})
    await watched.write(moved)
    for name in ("stable", "b", "c"):  # of the division before: it must not count
        watched.counters.arms[name].serve(10_000)

    await watched.watch(timedelta(milliseconds=200), traffic=moved, division=1)

    later = (await watched.evidence.load(watched.rollout_id)).intervals[before:]
    assert later
    assert all(one.started < 10_000 for interval in later for one in interval.arms)
    assert {one.arm: one.weight for one in later[0].arms} == {"stable": 20, "b": 20, "c": 60}


async def test_an_arm_that_dies_is_told_with_the_reason(scene):
    watched = await scene(alike)
    watched.runtime.lose(watched.plan.others[0].workload)

    seen = await watched.watch()

    assert set(seen.unfit) == {"c"}
    assert "missing" in seen.unfit["c"]


async def test_a_header_route_that_somebody_changes_is_drift(scene):
    watched = await scene(alike, sticky_header="x-user-hash")
    watched.router.tamper(
        watched.plan.route, watched.plan.slots_under(watched.plan.traffic_at(SOAK)), "kubectl"
    )
    assert not (await watched.watch(timedelta(milliseconds=50))).drift
    watched.router.tamper(watched.plan.route, watched.plan.slots_at(60), "kubectl")
    assert "kubectl" in (await watched.watch()).drift


async def test_metrics_that_are_away_hold_every_arm(scene):
    watched = await scene(c_is_better)
    watched.counters.trouble = Unreachable("no store")

    seen = await watched.watch(timedelta(milliseconds=100))

    assert {v.status for v in seen.verdicts} == {Status.UNAVAILABLE}
    assert {v.variant for v in seen.verdicts} == {"b", "c"}
    assert seen.trial is None
    assert seen.due is None


def sells(store):
    alike(store)
    for name, won in (("stable", 10), ("b", 10), ("c", 60)):
        store.arms[name].tried += 100
        store.arms[name].won += won


@pytest.mark.parametrize(
    ("direction", "beaten"), [(Direction.HIGHER, {"stable", "b"}), (Direction.LOWER, {"c"})]
)
async def test_arms_are_compared_by_what_their_users_count(scene, direction, beaten):
    reward = Reward(metric=RewardMetric.CONVERSION, direction=direction, counters=SOLD)
    watched = await scene(sells, reward=reward)

    seen = await watched.watch()

    assert seen.trial.eliminated
    assert set(seen.trial.eliminated) <= beaten
    counted = {arm.arm: arm.good / arm.total for arm in seen.trial.arms}
    assert counted == {"stable": 0.1, "b": 0.1, "c": 0.6}


async def test_weights_are_due_that_follow_the_reward(scene):
    allocation = ThompsonRules(
        warm_up=timedelta(0), update_every=timedelta(0, 0, 1), period=timedelta(seconds=1)
    )
    watched = await scene(sells, allocation=allocation)
    watched.plan = replace(
        watched.plan,
        trial=replace(
            watched.plan.trial,
            reward=Reward(metric=RewardMetric.CONVERSION, counters=SOLD),
            rules=replace(watched.plan.trial.rules, alpha=1e-300),
        ),
    )

    seen = await watched.watch()

    assert sum(seen.due.values()) == 100
    assert seen.due["c"] > 33
    assert seen.trial.outcome is Outcome.UNDECIDED


async def test_the_outcome_is_told_once(scene):
    watched = await scene(alike)
    await watched.watch(timedelta(milliseconds=200))
    told = [
        entry
        for entry in watched.journal.entries
        if entry.kind is EventKind.VERDICT and entry.message.startswith("trial:")
    ]
    assert len(told) == 1
