"""The watch over a soak: what it sees, stores, tells, and when it returns."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Self
from uuid import uuid4

import pytest
from temporalio.testing import ActivityEnvironment

from activities.analysis import AnalysisActivities, Watcher, WatchOrder, WatchPorts
from activities.comparing import ComparingPorts
from activities.reading import ReadingPorts
from domain.errors import Forbidden, InvalidTraffic, Refused, Unreachable, Violation
from domain.evidence.judge import judge
from domain.gates import AgainstStable, Gate, Metric
from domain.progress import Acted, ActState, Progress
from domain.rollout import EventKind
from domain.steps import Reaction
from domain.traffic import Ownership
from domain.verdicts import Status
from tests.activities.simulated import SimulatedCounters
from tests.fakes.comparisons import MemoryComparisons, ScriptedAnswers
from tests.fakes.evidence import MemoryEvidence
from tests.fakes.history import ToldHistory
from tests.fakes.metrics import ScriptedMetrics
from tests.fakes.readings import MemoryReadings, ScriptedQueries, ScriptedWeb
from tests.fakes.router import RecordingRouter
from tests.fakes.runtime import ScriptedRuntime
from tests.plans import canary_spec, plan, policies
from tests.workflows.stage import Journal

SOAK_10, SOAK_50 = 2, 4
QUICK = timedelta(milliseconds=10)
ERRORS = Gate(name="errors", metric=Metric.ERROR_RATE, against_stable=AgainstStable(floor=0.01))


def healthy(store):
    store.candidate.serve(300)
    store.stable.serve(2700)


def failing(store):
    store.candidate.serve(30, errors=9)
    store.stable.serve(270)


def silent(store):
    store.stable.serve(300)


class Scene:
    """A soak at 10 % under watch, everything around it healthy unless a test says otherwise."""

    def __init__(self, between=healthy, **changes) -> None:
        spec = canary_spec(
            10, 50, gates=(ERRORS,), policies=policies(probe_interval=QUICK, **changes)
        )
        self.plan = plan(spec)
        self.counters = SimulatedCounters(between)
        self.history = ToldHistory()
        self.evidence, self.journal = MemoryEvidence(), Journal()
        self.answers, self.comparisons = ScriptedAnswers(), MemoryComparisons()
        self.runtime, self.router = ScriptedRuntime(), RecordingRouter()
        self.rollout_id = uuid4()
        self.started_at = datetime.now(UTC)

    async def set_up(self) -> Self:
        for variant in (self.plan.stable, self.plan.candidate):
            await self.runtime.deploy(variant.workload)
            await self.router.connect(self.plan.route, variant.workload)
        owner = Ownership(holder="us", ordered_at=self.started_at, run_id="r", sequence=1)
        await self.router.write(self.plan.route, self.plan.slots_at(10), owner)
        return self

    async def watch(self, within=timedelta(seconds=20), client=None, engine=None, **changes):
        acted = Acted(state=ActState.DONE, at=self.started_at)
        progress = Progress(step=SOAK_10, started_at=self.started_at, acted=acted)
        order = WatchOrder(
            rollout_id=self.rollout_id,
            plan=self.plan,
            progress=replace(progress, **changes),
            report_at=datetime.now(UTC) + within,
        )
        activities = AnalysisActivities(self.ports())
        return await (engine or ActivityEnvironment(client)).run(activities.watch, order)

    def ports(self) -> WatchPorts:
        return WatchPorts(
            counters=self.counters,
            history=self.history,
            evidence=self.evidence,
            runtime=self.runtime,
            router=self.router,
            journal=self.journal,
            comparing=ComparingPorts(answers=self.answers, store=self.comparisons),
            reading=ReadingPorts(
                queries=ScriptedQueries(),
                metrics=ScriptedMetrics(),
                web=ScriptedWeb(),
                store=MemoryReadings(),
            ),
        )


@pytest.fixture
def scene():
    async def made(between=healthy, **changes) -> Scene:
        return await Scene(between, **changes).set_up()

    return made


async def test_a_healthy_candidate_is_proven_by_its_requests(scene):
    watched = await scene()

    seen = await watched.watch()

    assert [v.status for v in seen.verdicts] == [Status.PASS]
    assert seen.verdicts[0].samples.candidate_requests >= 400


async def test_a_watch_says_when_it_looked_by_the_clock_of_the_engine(scene):
    watched = await scene(failing)
    engine = ActivityEnvironment()
    engine.info = replace(engine.info, started_time=datetime(2100, 1, 1, tzinfo=UTC))

    seen = await watched.watch(engine=engine)

    assert timedelta(0) <= seen.at - engine.info.started_time < timedelta(days=1)


async def test_a_failing_candidate_is_told_with_its_counts(scene):
    watched = await scene(failing)

    seen = await watched.watch()

    assert seen.verdicts[0].status is Status.FAIL
    assert "stable requests" in seen.verdicts[0].reason
    assert watched.journal.kinds[-1] is EventKind.VERDICT


async def test_any_verdict_can_be_recomputed_from_the_stored_intervals(scene):
    watched = await scene(failing)

    seen = await watched.watch()
    log = await watched.evidence.load(watched.rollout_id)

    found = judge(watched.plan.gates, log.intervals, step=SOAK_10, baseline=log.baseline)
    assert found == seen.verdicts


async def test_a_watcher_that_died_goes_on_where_the_stored_intervals_end(scene):
    watched = await scene(lambda store: (store.candidate.serve(20), store.stable.serve(180)))
    await watched.watch(within=timedelta(milliseconds=60))
    before = await watched.evidence.load(watched.rollout_id)
    healthy(watched.counters)

    seen = await watched.watch(within=timedelta(milliseconds=60))
    after = await watched.evidence.load(watched.rollout_id)

    assert after.intervals[: len(before.intervals)] == before.intervals
    missed = after.intervals[len(before.intervals)]
    assert missed.candidate.requests == 320, "what went by in between is not lost"
    assert seen.verdicts[0].samples.intervals == len(after.intervals)


async def test_a_candidate_without_requests_is_undecided_and_never_passes(scene):
    watched = await scene(silent)

    seen = await watched.watch(within=timedelta(milliseconds=100))

    assert seen.verdicts[0].status is Status.UNDECIDED
    assert "No request has reached the candidate" in seen.verdicts[0].reason


@pytest.mark.parametrize(
    "error",
    [Unreachable("connection refused"), Refused("parse error"), Forbidden("the token has expired")],
)
async def test_a_store_that_does_not_answer_is_unavailable_not_bad(scene, error):
    watched = await scene()
    watched.counters.trouble = error

    seen = await watched.watch(within=timedelta(milliseconds=100))

    assert seen.verdicts[0].status is Status.UNAVAILABLE
    assert str(error) in seen.verdicts[0].reason
    assert watched.journal.kinds == [EventKind.METRICS_LOST]


async def test_metrics_that_come_back_are_told_and_believed_again(scene):
    watched = await scene()
    watched.counters.trouble = Unreachable("connection refused")
    watching = asyncio.ensure_future(watched.watch())
    await asyncio.sleep(0.1)
    watched.counters.trouble = None

    seen = await watching

    assert seen.verdicts[0].status is Status.PASS
    assert seen.unavailable_since is None
    assert watched.journal.kinds[:2] == [EventKind.METRICS_LOST, EventKind.METRICS_BACK]


async def test_a_store_that_answers_without_a_fresh_sample_is_not_back_yet(scene):
    watched = await scene(silent)
    watched.counters.trouble = Unreachable("connection refused")
    watching = asyncio.ensure_future(watched.watch(within=timedelta(milliseconds=400)))
    await asyncio.sleep(0.1)
    watched.counters.trouble, watched.counters.frozen = None, True

    seen = await watching

    assert watched.counters.readings > 2
    assert seen.verdicts[0].status is Status.UNAVAILABLE
    assert watched.journal.kinds == [EventKind.METRICS_LOST]


async def test_a_new_watcher_does_not_pass_on_what_was_stored_long_ago(scene):
    watched = await scene()
    watched.counters.lag(timedelta(hours=1))
    assert (await watched.watch()).verdicts[0].status is Status.PASS
    watched.counters.frozen = True

    seen = await watched.watch(within=timedelta(milliseconds=100))

    assert seen.verdicts[0].status is Status.UNAVAILABLE
    assert "no fresh sample of both variants since" in seen.verdicts[0].reason
    assert seen.unavailable_since is not None


HOUR = timedelta(hours=1)


@pytest.fixture
async def long_away(scene, monkeypatch):
    """The metrics were heard an hour ago for the last time; no watch has told since when."""
    monkeypatch.setattr("domain.silence.STALE_AT_LEAST", timedelta(milliseconds=100))
    watched = await scene(metrics_stall=HOUR, on_metrics_unavailable=Reaction.ROLL_BACK)
    watched.counters.lag(HOUR + timedelta(minutes=1))
    await watched.watch()
    watched.counters.trouble = Unreachable("connection refused")
    return watched


async def test_a_watch_that_was_cut_off_does_not_put_off_what_follows_a_long_outage(long_away):
    heard_at = (await long_away.evidence.load(long_away.rollout_id)).cursor.opened_at
    long_away.started_at -= HOUR * 2

    seen = await long_away.watch()

    assert seen.unavailable_since == datetime.fromtimestamp(heard_at, UTC)
    assert long_away.journal.kinds.count(EventKind.METRICS_LOST) == 1


async def test_one_look_in_vain_makes_no_long_outage_of_one_that_nobody_watched(long_away):
    long_away.started_at -= HOUR * 2

    seen = await long_away.watch(within=timedelta(0))

    assert datetime.now(UTC) - seen.unavailable_since < HOUR


async def test_metrics_are_away_since_the_soak_began_at_the_earliest(long_away):
    seen = await long_away.watch(within=timedelta(milliseconds=400))

    assert seen.unavailable_since == long_away.started_at


@pytest.mark.parametrize("step", [SOAK_10, SOAK_50])
async def test_a_new_watcher_that_hears_the_gateway_loses_no_metrics_over_old_intervals(
    scene, step
):
    watched = await scene()
    watched.counters.lag(timedelta(hours=1))
    await watched.watch()

    seen = await watched.watch(step=step)

    assert seen.verdicts[0].status is not Status.UNAVAILABLE
    assert seen.unavailable_since is None
    assert EventKind.METRICS_LOST not in watched.journal.kinds


async def test_a_failure_found_before_the_store_went_away_still_stands(scene):
    watched = await scene(failing, on_failure=Reaction.HOLD)
    await watched.watch(within=timedelta(milliseconds=100))
    watched.counters.trouble = Unreachable("connection refused")
    seen = await watched.watch(within=timedelta(milliseconds=100))

    assert seen.verdicts[0].status is Status.FAIL


class AbsentEvidence(MemoryEvidence):
    """A store that answers only while `is_away` is false."""

    is_away = True

    async def load(self, rollout_id):
        self._require()
        return await super().load(rollout_id)

    async def keep_baseline(self, rollout_id, baseline):
        self._require()
        return await super().keep_baseline(rollout_id, baseline)

    async def append(self, rollout_id, *, interval, cursor, meter=""):
        self._require()
        await super().append(rollout_id, interval=interval, cursor=cursor, meter=meter)

    def _require(self):
        if self.is_away:
            raise Unreachable("no database")


async def test_a_failure_counts_though_the_registry_is_away(scene):
    watched = await scene(failing)
    watched.journal.trouble = Unreachable("no database")
    watched.evidence = AbsentEvidence()

    seen = await watched.watch()

    assert seen.verdicts[0].status is Status.FAIL


async def test_a_pass_does_not_count_while_the_registry_is_away(scene):
    watched = await scene()
    watched.evidence = AbsentEvidence()

    seen = await watched.watch(within=timedelta(milliseconds=200))

    assert seen.verdicts[0].status is Status.UNAVAILABLE
    assert "the registry that keeps the evidence is away" in seen.verdicts[0].reason
    assert seen.verdicts[0].is_unkept


async def test_what_went_by_while_the_registry_was_away_joins_the_evidence(scene):
    watched = await scene(lambda store: (store.candidate.serve(2), store.stable.serve(18)))
    watched.evidence = AbsentEvidence()
    watched.evidence.is_away = False
    watching = asyncio.ensure_future(watched.watch(within=timedelta(milliseconds=600)))
    for is_away in (True, False):
        await asyncio.sleep(0.15)
        watched.evidence.is_away = is_away
    seen = await watching
    log = await watched.evidence.load(watched.rollout_id)

    kept = sum(interval.candidate.requests for interval in log.intervals)
    assert kept == watched.counters.candidate.requests - 2, "all but the reading that opened"
    assert seen.verdicts[0].samples.candidate_requests == kept


def shifted(store):
    store.candidate.serve(100)
    store.stable.serve(2900)


async def test_requests_that_do_not_arrive_as_weighted_hold_a_pass_and_are_told_once(scene):
    watched = await scene(shifted)

    seen = await watched.watch(within=timedelta(seconds=1))

    assert seen.verdicts[0].status is Status.UNDECIDED
    assert "do not arrive as weighted" in seen.verdicts[0].reason
    told = [entry.message for entry in watched.journal.entries if "as weighted" in entry.message]
    assert len(told) == 1


async def test_nothing_passes_while_it_warms_up(scene):
    watched = await scene(warm_up=timedelta(hours=1))

    seen = await watched.watch(within=timedelta(seconds=1))

    assert seen.verdicts[0].status is Status.UNDECIDED
    assert "Warming up until" in seen.verdicts[0].reason


async def test_a_catastrophe_is_told_at_once_though_it_warms_up(scene):
    watched = await scene(
        lambda store: (store.candidate.serve(30, errors=30), store.stable.serve(270)),
        warm_up=timedelta(hours=1),
    )

    seen = await watched.watch()

    assert seen.verdicts[0].status is Status.FAIL
    assert seen.verdicts[0].reason.startswith("A catastrophe, even for a warm-up")


async def test_a_candidate_that_is_gone_is_noticed_without_any_request(scene):
    watched = await scene(silent)
    watched.runtime.lose(watched.plan.candidate.workload)

    seen = await watched.watch()

    assert watched.plan.candidate.workload.name in seen.candidate_not_ready


async def test_a_stable_that_is_gone_is_told_and_brought_up_again(scene):
    watched = await scene(silent)
    watched.runtime.lose(watched.plan.stable.workload)

    await watched.watch(within=timedelta(milliseconds=100))

    stable = watched.plan.stable.workload
    assert (stable.namespace, stable.name) in watched.runtime.deployed
    assert any(stable.name in entry.message for entry in watched.journal.entries)


async def test_weights_that_somebody_else_changed_are_noticed_and_told(scene):
    watched = await scene(silent)
    watched.router.tamper(watched.plan.route, watched.plan.slots_at(60), "kubectl-edit")

    seen = await watched.watch()

    assert "kubectl-edit" in seen.drift
    assert watched.journal.kinds[-1] is EventKind.DRIFTED


async def test_weights_that_an_earlier_run_wrote_are_no_drift_of_somebody_else(scene):
    watched = await scene(silent)
    watched.router.tamper(watched.plan.route, watched.plan.slots_at(60), "")

    seen = await watched.watch()

    assert "by an earlier run" in seen.displaced
    assert seen.drift == ""


@pytest.mark.parametrize("error", [Unreachable("500"), Forbidden("403"), Refused("a proxy's 418")])
async def test_a_cluster_that_does_not_answer_changes_nothing_that_is_seen(scene, error):
    watched = await scene(silent)
    watched.runtime.outage("status", error)
    watched.router.outage("drift", error)

    seen = await watched.watch(within=timedelta(milliseconds=100))

    assert seen.candidate_not_ready == ""
    assert seen.drift == ""


async def test_a_cluster_that_does_not_answer_is_told_beside_the_verdicts(scene):
    watched = await scene(silent)
    watched.runtime.outage("status", Forbidden("status of v1: no"))
    now = datetime.now(UTC)
    progress = Progress(step=SOAK_10, started_at=now, acted=Acted(state=ActState.DONE, at=now))
    order = WatchOrder(rollout_id=uuid4(), plan=watched.plan, progress=progress, report_at=now)
    watcher = Watcher(order, watched.ports())
    await watcher.look()

    assert watcher.headline.startswith("the cluster cannot be looked at: status of v1: no · errors")


async def test_a_bug_of_ours_ends_a_watch_for_all_to_see(scene):
    watched = await scene(silent)
    watched.router.outage("drift", InvalidTraffic(Violation("weights", "sum to 90")))

    with pytest.raises(InvalidTraffic):
        await watched.watch(within=timedelta(milliseconds=100))


async def test_a_stable_that_may_not_be_brought_up_again_holds_and_is_told_why(scene):
    watched = await scene()
    watched.runtime.lose(watched.plan.stable.workload)
    watched.runtime.outage("deploy", Refused("the quota is used up"))

    seen = await watched.watch(within=timedelta(milliseconds=100))

    assert "is missing" in seen.stable_not_ready
    assert "the quota is used up" in seen.stable_not_ready


async def held(watched, within=timedelta(seconds=20), **changes):
    """What a watch sees once the fleet is to be asked, and how long it looked."""
    watched.plan = replace(watched.plan, asks_the_fleet=True)
    before = watched.counters.readings
    seen = await watched.watch(within=within, **changes)
    return seen.verdicts[0].status, watched.counters.readings - before


async def test_the_fleet_is_asked_as_soon_as_there_is_something_to_go_on_for(scene):
    status, looks = await held(await scene())
    assert status is Status.PASS
    assert looks < 100


async def test_evidence_that_is_lost_while_the_fleet_is_asked_is_told_with_the_next_report(scene):
    status, looks = await held(
        await scene(silent), within=timedelta(milliseconds=300), asking=SOAK_50 - 1
    )
    assert status is Status.UNDECIDED
    assert looks > 3


async def test_leave_for_which_there_is_no_evidence_any_more_goes_back_at_once(scene):
    at_50 = SOAK_50 - 1
    status, looks = await held(await scene(silent), asking=at_50, cleared=at_50)
    assert status is Status.UNDECIDED
    assert looks == 1


async def test_two_watchers_of_one_rollout_do_not_double_the_evidence(scene):
    watched = await scene(lambda store: (store.candidate.serve(2), store.stable.serve(18)))

    await asyncio.gather(*(watched.watch(within=timedelta(milliseconds=300)) for _ in range(2)))
    log = await watched.evidence.load(watched.rollout_id)

    counted = sum(interval.candidate.requests for interval in log.intervals)
    assert counted <= watched.counters.candidate.requests
    assert [interval.sequence for interval in log.intervals] == list(range(len(log.intervals)))


async def test_the_cluster_is_looked_at_within_ten_seconds_however_seldom_the_probes_are(scene):
    watched = await scene()
    seldom = replace(watched.plan, policies=policies(probe_interval=timedelta(minutes=5)))
    now = datetime.now(UTC)
    progress = Progress(step=SOAK_10, started_at=now, acted=Acted(state=ActState.DONE, at=now))
    order = WatchOrder(rollout_id=uuid4(), plan=seldom, progress=progress, report_at=now)
    watcher = Watcher(order, watched.ports())
    await watcher.look()

    assert watcher.nap(datetime.now(UTC)) <= timedelta(seconds=10)
    await watcher.look()
    assert watched.counters.readings == 1, "a look at the cluster is no probe"
