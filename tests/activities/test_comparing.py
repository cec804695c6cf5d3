"""The comparison of answers beside a watch: what it asks, keeps, tells, and when it ends."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from temporalio.testing import ActivityEnvironment

from activities.analysis import AnalysisActivities, WatchOrder, WatchPorts
from activities.comparing import ComparingPorts
from activities.reading import ReadingPorts
from domain.comparison import By, Silence, shuffled
from domain.decision import decide
from domain.errors import Forbidden, NotYet, Unreachable
from domain.evidence.agreement import judge_answers
from domain.progress import Acted, ActState, Cause, Progress, RollBack
from domain.rollout import EventKind
from domain.steps import Reaction
from domain.strategies.shadow import ShadowSpec
from domain.traffic import Ownership
from domain.verdicts import Status
from domain.workloads import Protocol, WorkloadPhase, WorkloadStatus
from tests.activities.simulated import SimulatedCounters
from tests.comparisons import QUICK, a_comparison, a_reply, a_result
from tests.fakes.comparisons import MemoryComparisons, ScriptedAnswers
from tests.fakes.evidence import MemoryEvidence
from tests.fakes.history import ToldHistory
from tests.fakes.metrics import ScriptedMetrics
from tests.fakes.readings import MemoryReadings, ScriptedQueries, ScriptedWeb
from tests.fakes.router import RecordingRouter
from tests.fakes.runtime import ScriptedRuntime
from tests.plans import ERRORS, plan, policies
from tests.workflows.stage import Journal

SOAK = 2
SOON = timedelta(milliseconds=300)
OTHER = a_reply('{"predictions":[2.0]}')
AWAY = Unreachable("no database")


def healthy(store):
    store.candidate.serve(30_000)
    store.stable.serve(30_000)


class Scene:
    """A shadow under watch whose requests go well; both answer alike unless a test says else."""

    def __init__(self, size=20, gates=(ERRORS,), compared=None, **changes):
        asked = a_comparison(size, **(compared or {}))
        # No user may ask so often.
        self.comparison = replace(asked, every=QUICK)
        quick = policies(probe_interval=timedelta(milliseconds=10), **changes)
        spec = ShadowSpec(
            gates=gates,
            policies=quick,
            percent=20,
            at_most=timedelta(minutes=1),
            compare=asked,
        )
        made = plan(spec, protocol=Protocol.V1)
        *before, soak, last = made.steps
        quick_soak = replace(soak, comparison=self.comparison)
        self.plan = replace(made, steps=(*before, quick_soak, last))
        self.stable, self.shadow = self.plan.stable.workload, self.plan.candidate.workload
        self.counters, self.evidence = SimulatedCounters(healthy), MemoryEvidence()
        self.answers, self.store, self.journal = ScriptedAnswers(), MemoryComparisons(), Journal()
        self.runtime, self.router = ScriptedRuntime(), RecordingRouter()
        self.rollout_id, self.started_at = uuid4(), datetime.now(UTC)

    async def set_up(self):
        for workload in (self.stable, self.shadow):
            await self.runtime.deploy(workload)
            await self.router.connect(self.plan.route, workload)
        owner = Ownership(holder="us", ordered_at=self.started_at, run_id="r", sequence=1)
        extras = self.plan.extras_of(self.plan.traffic_at(SOAK))
        await self.router.write(self.plan.route, self.plan.slots_at(0), owner, extras=extras)
        return self

    def progress(self, **changes):
        acted = Acted(state=ActState.DONE, at=self.started_at)
        return replace(Progress(step=SOAK, started_at=self.started_at, acted=acted), **changes)

    async def watch(self, within=timedelta(seconds=20), client=None, **changes):
        order = WatchOrder(
            rollout_id=self.rollout_id,
            plan=self.plan,
            progress=self.progress(**changes),
            report_at=datetime.now(UTC) + within,
        )
        ports = WatchPorts(
            counters=self.counters,
            history=ToldHistory(),
            evidence=self.evidence,
            runtime=self.runtime,
            router=self.router,
            journal=self.journal,
            comparing=ComparingPorts(answers=self.answers, store=self.store),
            reading=ReadingPorts(
                queries=ScriptedQueries(),
                metrics=ScriptedMetrics(),
                web=ScriptedWeb(),
                store=MemoryReadings(),
            ),
        )
        return await ActivityEnvironment(client).run(AnalysisActivities(ports).watch, order)

    @property
    def asked(self):
        """The indexes in the sample of what each was asked, in order."""
        sample = self.comparison.sample
        return {
            workload.name: [
                sample.index(request)
                for name, request in self.answers.asked
                if name == workload.name
            ]
            for workload in (self.stable, self.shadow)
        }


@pytest.fixture
def scene():
    async def made(*args, **changes):
        return await Scene(*args, **changes).set_up()

    return made


def by_name(seen):
    return {verdict.gate: verdict for verdict in seen.verdicts}


async def test_a_shadow_whose_answers_agree_passes_beside_its_gates(scene):
    watched = await scene()

    seen = await watched.watch()

    assert {name: one.status for name, one in by_name(seen).items()} == {
        "errors": Status.PASS,
        "answers": Status.PASS,
    }
    everything = shuffled(watched.rollout_id, watched.comparison.sample)
    assert watched.asked == {
        watched.stable.name: everything,
        watched.shadow.name: everything,
    }, "each request is asked once"


async def test_a_shadow_whose_answers_differ_fails_though_its_metrics_are_fine(scene):
    watched = await scene()
    watched.answers.script(watched.shadow, OTHER)

    seen = await watched.watch()

    verdict = by_name(seen)["answers"]
    assert verdict.status is Status.FAIL
    assert ": predictions.0 is 1.0 and 2.0." in verdict.reason
    decision = decide(watched.plan, watched.progress(seen=seen), datetime.now(UTC))
    assert decision == RollBack(cause=Cause.GATE_FAILED, reason=verdict.reason)
    told = [e.message for e in watched.journal.entries if e.kind is EventKind.VERDICT]
    assert any(message.startswith("answers: fail") for message in told)


async def test_a_shadow_without_gates_is_judged_by_its_answers_alone(scene):
    watched = await scene(gates=())

    seen = await watched.watch()

    assert [(v.gate, v.status) for v in seen.verdicts] == [("answers", Status.PASS)]


async def test_any_verdict_can_be_recomputed_from_the_stored_results(scene):
    watched = await scene(compared={"limit": 0.5})
    replies = [OTHER, a_reply('{"predictions":[1.0]}')] * 10
    watched.answers.script(watched.shadow, *replies)

    seen = await watched.watch()
    kept = await watched.store.compared(watched.rollout_id)

    assert judge_answers(watched.comparison, kept) == by_name(seen)["answers"]


async def test_a_watcher_that_died_goes_on_where_the_stored_results_end(scene):
    watched = await scene(size=3)
    first, *others = shuffled(watched.rollout_id, watched.comparison.sample)
    await watched.store.keep(watched.rollout_id, a_result(0, request=first))

    seen = await watched.watch()

    assert by_name(seen)["answers"].status is Status.PASS
    assert watched.asked[watched.shadow.name] == others


async def test_what_is_decided_is_not_asked_again(scene):
    watched = await scene()
    watched.answers.script(watched.shadow, OTHER)
    await watched.watch()
    asked = len(watched.answers.asked)

    seen = await watched.watch()

    assert by_name(seen)["answers"].status is Status.FAIL
    assert len(watched.answers.asked) == asked == 4


@pytest.mark.parametrize(
    "answer",
    [
        a_reply("overloaded", status=503),
        a_reply("no such input", status=400),
        Silence(why="did not answer within 10 s"),
        Unreachable("nobody takes a connection at stable"),
        NotYet("InferenceService stable has no address yet"),
        Forbidden("the cluster's policy says no"),
    ],
)
async def test_a_stable_that_cannot_answer_says_nothing_about_the_shadow(scene, answer):
    watched = await scene(size=2)
    watched.answers.script(watched.stable, answer)
    watched.answers.script(watched.shadow, OTHER)

    seen = await watched.watch(within=SOON)

    verdict = by_name(seen)["answers"]
    assert verdict.status is Status.UNDECIDED
    assert "says nothing yet: " in verdict.reason
    assert watched.asked[watched.shadow.name] == []


async def test_one_request_that_stable_cannot_answer_does_not_hold_up_the_others(scene):
    watched = await scene(size=3)
    watched.answers.script(
        watched.stable, a_reply("", status=500), a_reply('{"predictions":[1.0]}')
    )

    seen = await watched.watch()

    first, second, third = shuffled(watched.rollout_id, watched.comparison.sample)
    assert by_name(seen)["answers"].status is Status.PASS
    assert watched.asked[watched.stable.name] == [first, second, third, first]


@pytest.mark.parametrize("refusal", [a_reply("", status=400), a_reply("", status=404)])
async def test_the_same_refusal_agrees_where_statuses_are_compared(scene, refusal):
    watched = await scene(compared={"by": By.STATUS})
    for workload in (watched.stable, watched.shadow):
        watched.answers.script(workload, refusal)

    assert by_name(await watched.watch())["answers"].status is Status.PASS


async def test_a_shadow_that_nobody_reaches_has_not_differed(scene):
    watched = await scene()
    watched.answers.script(watched.shadow, Unreachable("nobody takes a connection"))

    seen = await watched.watch(within=SOON)

    assert by_name(seen)["answers"].status is Status.UNDECIDED


async def test_a_shadow_that_fails_over_a_request_differs(scene):
    watched = await scene()
    watched.answers.script(watched.shadow, Silence(why="did not answer within 10 s"))

    verdict = by_name(await watched.watch())["answers"]

    assert verdict.status is Status.FAIL
    assert "the shadow did not answer within 10 s" in verdict.reason


async def test_nobody_is_asked_while_the_shadow_is_not_ready(scene):
    watched = await scene(size=200, on_not_ready=Reaction.HOLD)
    loading = WorkloadStatus(phase=WorkloadPhase.LOADING, reason="loading")
    watched.runtime.script(watched.shadow.name, loading)

    await watched.watch(within=SOON)

    assert watched.answers.asked == []


async def test_nothing_counts_that_is_not_kept(scene):
    watched = await scene(size=2)
    watched.store.trouble = AWAY

    seen = await watched.watch(within=SOON)

    verdict = by_name(seen)["answers"]
    assert verdict.status is Status.UNAVAILABLE
    assert "no database" in verdict.reason
    assert watched.answers.asked == [], "what cannot be kept is not asked"


async def test_a_registry_that_comes_back_lets_the_comparison_go_on(scene):
    watched = await scene(size=5)
    watched.store.trouble = AWAY
    watching = asyncio.ensure_future(watched.watch())
    await asyncio.sleep(0.1)
    watched.store.trouble = None

    assert by_name(await watching)["answers"].status is Status.PASS


async def test_two_watchers_of_one_rollout_compare_each_request_once(scene):
    watched = await scene(size=40)

    for seen in await asyncio.gather(watched.watch(), watched.watch()):
        assert by_name(seen)["answers"].status is Status.PASS

    kept = await watched.store.compared(watched.rollout_id)
    assert sorted(one.request for one in kept) == list(range(40))


async def test_an_outage_of_the_metrics_does_not_hide_the_answers(scene):
    watched = await scene()
    watched.counters.trouble = Unreachable("connection refused")
    watched.answers.script(watched.shadow, OTHER)

    seen = await watched.watch()

    assert by_name(seen)["errors"].status is Status.UNAVAILABLE
    assert by_name(seen)["answers"].status is Status.FAIL


async def test_a_bug_of_ours_ends_the_watch_instead_of_the_comparison_alone(scene):
    watched = await scene()
    watched.answers.ask = None

    with pytest.raises(TypeError):
        await watched.watch()


async def test_a_watch_that_is_cut_off_asks_nobody_any_more(scene):
    watched = await scene(size=200, on_failure=Reaction.HOLD)
    watching = asyncio.ensure_future(watched.watch())
    while not watched.answers.asked:  # noqa: ASYNC110 - nobody sends word
        await asyncio.sleep(0.01)
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching
    asked = len(watched.answers.asked)
    await asyncio.sleep(0.05)

    assert len(watched.answers.asked) == asked
