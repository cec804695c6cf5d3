"""Readings beside a watch: what is asked and when, what is kept, and what follows from it."""

import asyncio
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from activities import reading as readings_beside
from activities.reading import MOST_SERIES, ReadingPorts
from domain.decision import decide
from domain.errors import Refused, Unreachable
from domain.metrics import Measurement
from domain.prices import TokenPrice
from domain.progress import Acted, ActState, Advance, Cause, Hold, Progress, RollBack
from domain.reading_gates import CostQuestion, CostUnit, PromQuery, ReadingGate
from domain.readings.rules import Reading, ReadingRules
from domain.readings.stepped import KeptReading, SteppedJudge
from domain.rollout import EventKind
from domain.verdicts import Status
from domain.web_questions import WebQuestion
from tests.activities import test_analysis, test_trial_watch
from tests.fakes.metrics import ScriptedMetrics
from tests.fakes.readings import MemoryReadings, ScriptedQueries, ScriptedWeb

SOAK_10 = 2
QUICK = timedelta(milliseconds=10)
SOON = timedelta(milliseconds=400)
BAD, GOOD, NAN = (0.5,), (0.99,), (math.nan,)
DOWN = Unreachable("the metrics store cannot be reached")


def gate(name="quality", query='q{m="{{candidate.workload}}"}', **given):
    wanted = {"success_condition": "result[0] >= 0.95", "interval": QUICK, **given}
    return ReadingGate(name=name, question=PromQuery(query=query), rules=ReadingRules(**wanted))


class Scene(test_analysis.Scene):
    """A soak at 10 % whose requests go well, watched by these gates beside that of the errors."""

    def __init__(self, *gates, with_errors=False, **changes):
        super().__init__(**changes)
        # No user may ask so often: the plan is compiled without them.
        self.plan = replace(self.plan, reading_gates=gates)
        if not with_errors:
            self.plan = replace(self.plan, gates=())
        self.queries, self.store = ScriptedQueries(), MemoryReadings()
        self.metrics, self.web = ScriptedMetrics(), ScriptedWeb()

    def ports(self):
        asks = ReadingPorts(
            queries=self.queries,
            metrics=self.metrics,
            web=self.web,
            store=self.store,
        )
        return replace(super().ports(), reading=asks)

    def progress(self, **changes):
        acted = Acted(state=ActState.DONE, at=self.started_at)
        return replace(Progress(step=SOAK_10, started_at=self.started_at, acted=acted), **changes)

    def decided(self, seen):
        return decide(self.plan, self.progress(seen=seen), datetime.now(UTC))

    async def kept(self):
        return await self.store.readings(self.rollout_id)


@pytest.fixture
def scene():
    async def made(*gates, **changes):
        return await Scene(*(gates or (gate(),)), **changes).set_up()

    return made


async def test_a_query_is_asked_with_the_names_of_the_rollout(scene):
    watched = await scene(gate(count=1))
    seen = await watched.watch()
    assert [v.status for v in seen.verdicts] == [Status.PASS]
    assert watched.queries.asked == [f'q{{m="{watched.plan.candidate.workload.name}"}}']


async def test_readings_that_fail_end_the_watch_with_their_reason(scene):
    watched = await scene()
    watched.queries.script(NAN, BAD)
    seen = await watched.watch()
    (verdict,) = seen.verdicts
    assert verdict.status is Status.FAIL
    assert "1 failed" in verdict.reason
    decision = watched.decided(seen)
    assert isinstance(decision, RollBack)
    assert (decision.cause, decision.reason) == (Cause.GATE_FAILED, verdict.reason)


async def test_gates_of_both_kinds_stand_side_by_side(scene):
    watched = await scene(gate(count=2), gate("other", count=1), with_errors=True)
    seen = await watched.watch()
    assert [(v.gate, v.status) for v in seen.verdicts] == [
        ("errors", Status.PASS),
        ("quality", Status.PASS),
        ("other", Status.PASS),
    ]
    assert isinstance(watched.decided(seen), Advance)


@pytest.mark.parametrize("answer", [(), NAN, (math.inf,)])
async def test_an_answer_that_says_nothing_neither_passes_nor_fails(scene, answer):
    watched = await scene()
    watched.queries.script(answer)
    seen = await watched.watch(within=SOON)
    (verdict,) = seen.verdicts
    assert verdict.status is Status.UNDECIDED
    assert isinstance(watched.decided(seen), Hold)
    assert len(watched.queries.asked) > 1


@pytest.mark.parametrize("trouble", [DOWN, Refused("the metrics store refuses the query: bad")])
async def test_a_store_that_does_not_answer_is_unavailable_and_never_a_fail(scene, trouble):
    watched = await scene(gate(consecutive_error_limit=2))
    watched.queries.script(trouble)
    seen = await watched.watch(within=SOON)
    (verdict,) = seen.verdicts
    assert verdict.status is Status.UNAVAILABLE
    assert str(trouble) in verdict.reason
    assert isinstance(watched.decided(seen), Hold)
    assert {kept.reading.error for kept in await watched.kept()} == {str(trouble)}


async def test_errors_are_over_when_there_is_an_answer(scene):
    watched = await scene(gate(consecutive_error_limit=0))
    watched.queries.script(DOWN, DOWN, GOOD)
    seen = await watched.watch()
    assert [v.status for v in seen.verdicts] == [Status.PASS]


async def test_each_change_of_a_verdict_is_told_though_no_interval_closes_and_none_twice(scene):
    seldom = timedelta(milliseconds=50)
    watched = await scene(gate(count=3, interval=seldom, consecutive_error_limit=0))
    watched.queries.script(GOOD, DOWN, GOOD, DOWN, GOOD)
    await watched.watch()
    told = [entry.data["verdict"].status for entry in watched.journal.entries]
    said = [Status.UNDECIDED, Status.UNAVAILABLE]
    assert told == [*said, *said, Status.PASS]
    assert not (await watched.evidence.load(watched.rollout_id)).intervals

    await watched.watch()  # as a retry has it: what was told it does not know
    assert len(watched.journal.entries) == len(told)


async def test_an_answer_with_too_many_series_is_an_error(scene):
    watched = await scene()
    watched.queries.script((1.0,) * (MOST_SERIES + 1))
    await watched.watch(within=SOON)
    assert "1,001 series" in (await watched.kept())[0].reading.error


async def test_what_is_kept_gives_the_same_verdict(scene):
    watched = await scene(gate(failure_limit=2))
    watched.queries.script(GOOD, BAD, NAN, BAD, (), DOWN, BAD)
    seen = await watched.watch()
    kept = await watched.kept()
    assert [one.sequence for one in kept] == list(range(len(kept)))
    judge = SteppedJudge("quality", watched.plan.reading_gates[0].rules)
    for one in kept:
        judge.add(one.step, one.reading)
    assert (judge.verdict(SOAK_10),) == seen.verdicts


async def test_a_watch_that_begins_anew_takes_no_reading_before_it_is_due(scene):
    watched = await scene(gate(interval=timedelta(hours=1), count=3))
    for _ in range(3):
        await watched.watch(within=timedelta(milliseconds=50))
    assert len(watched.queries.asked) == 1


async def test_failures_before_and_after_a_new_watch_add_up(scene):
    watched = await scene(gate(failure_limit=2))
    before = Reading(at=datetime.now(UTC) - timedelta(minutes=1), series=BAD)
    for sequence in range(2):
        at = before.at + timedelta(seconds=sequence)
        await watched.store.keep(
            watched.rollout_id,
            KeptReading(
                gate="quality",
                variant="canary",
                sequence=sequence,
                step=SOAK_10,
                reading=replace(before, at=at),
            ),
        )
    watched.queries.script(BAD)
    seen = await watched.watch()
    assert [v.status for v in seen.verdicts] == [Status.FAIL]
    assert len(watched.queries.asked) == 1


async def test_an_initial_delay_holds_the_first_reading_and_the_soak(scene):
    watched = await scene(gate(initial_delay=timedelta(hours=1)))
    seen = await watched.watch(within=SOON)
    assert (watched.queries.asked, [v.status for v in seen.verdicts]) == ([], [Status.UNDECIDED])


async def test_a_registry_that_is_away_lets_nothing_pass_but_lets_it_fail(scene):
    watched = await scene()
    watched.store.trouble = Unreachable("no database")
    seen = await watched.watch(within=SOON)
    (verdict,) = seen.verdicts
    assert verdict.status is Status.UNAVAILABLE
    assert "nothing advances on what is not kept" in verdict.reason
    assert verdict.is_unkept
    watched.queries.script(BAD)
    seen = await watched.watch()
    assert [v.status for v in seen.verdicts] == [Status.FAIL]


@pytest.mark.parametrize("rules", [{"count": 1}, {"interval": timedelta(hours=1)}])
async def test_a_registry_that_comes_back_is_written_to_at_once(scene, monkeypatch, rules):
    monkeypatch.setattr(readings_beside, "REOPEN_AFTER", QUICK)
    watched = await scene(gate(**rules))
    watched.store.trouble = Unreachable("no database")

    seen = await watched.watch(within=timedelta(milliseconds=50))
    assert [v.status for v in seen.verdicts] == [Status.UNAVAILABLE]

    watching = asyncio.create_task(watched.watch())
    await asyncio.sleep(0.05)
    watched.store.trouble = None
    seen = await watching
    assert [v.status for v in seen.verdicts] == [Status.PASS]
    assert [one.sequence for one in await watched.kept()] == [0]


async def test_of_two_watchers_the_first_one_s_reading_stands(scene):
    watched = await scene(gate(count=2))
    (first, second) = await asyncio.gather(watched.watch(), watched.watch())
    assert first.verdicts[0].status is second.verdicts[0].status is Status.PASS
    assert [one.sequence for one in await watched.kept()] == [0, 1]


async def test_a_reading_that_another_gate_found_kept_counts_once(scene, monkeypatch):
    """It was kept, and the answer was still on its way when the registry was read again."""
    watched = await scene(gate("early"), gate("late"))
    keep, readings = watched.store.keep, watched.store.readings
    is_kept, is_read_again = asyncio.Event(), asyncio.Event()

    async def keeping(rollout_id, kept):
        if kept.gate == "late" and not is_read_again.is_set():
            await is_kept.wait()
            raise Unreachable("a connection broke")
        await keep(rollout_id, kept)
        is_kept.set()
        await is_read_again.wait()

    async def reading(rollout_id):
        found = await readings(rollout_id)
        if is_kept.is_set():
            asyncio.get_running_loop().call_later(QUICK.total_seconds(), is_read_again.set)
        return found

    monkeypatch.setattr(watched.store, "keep", keeping)
    monkeypatch.setattr(watched.store, "readings", reading)
    seen = await watched.watch()
    assert [v.status for v in seen.verdicts] == [Status.PASS, Status.PASS]


async def test_verdicts_on_readings_are_told_as_events(scene):
    watched = await scene()
    watched.queries.script(NAN, BAD)
    await watched.watch()
    told = [
        e.data["verdict"].status for e in watched.journal.entries if e.kind is EventKind.VERDICT
    ]
    assert told[-1] is Status.FAIL


async def test_a_dry_run_is_judged_and_told_and_decides_nothing(scene):
    tried = replace(gate("tried", success_condition="result[0] > 2"), dry_run=True)
    watched = await scene(tried, gate(count=3))
    seen = await watched.watch()
    found = {v.gate: v.status for v in seen.verdicts}
    assert found == {"tried": Status.FAIL, "quality": Status.PASS}
    assert isinstance(watched.decided(seen), Advance)


async def test_each_arm_of_a_trial_is_read_by_itself():
    watched = await test_trial_watch.Scene(lambda _: None).set_up()
    watched.plan = replace(watched.plan, gates=(), reading_gates=(gate(),))
    queries, store = ScriptedQueries(), MemoryReadings()
    watched.reading = ReadingPorts(
        queries=queries,
        metrics=ScriptedMetrics(),
        web=ScriptedWeb(),
        store=store,
    )
    seen = await watched.watch(within=SOON)
    assert [(v.variant, v.gate) for v in seen.verdicts] == [("b", "quality"), ("c", "quality")]
    kept = await store.readings(watched.rollout_id)
    assert {one.variant for one in kept} == {"b", "c"}
    names = {arm.workload.name for arm in watched.plan.challengers}
    assert set(queries.asked) == {f'q{{m="{name}"}}' for name in names}


PRICED = CostQuestion(
    per=CostUnit.REQUEST, times_stable=1.5, price=TokenPrice(input=1000, output=1000)
)


async def test_a_cost_is_measured_for_both_since_the_weight_was_seen(scene):
    asked = replace(gate(success_condition=PRICED.condition), question=PRICED)
    watched = await scene(asked)
    for slot, tokens in ((0, 100.0), (1, 200.0)):
        watched.metrics.measured[slot] = Measurement(requests=10, input_tokens=tokens)
    seen = await watched.watch()
    assert [v.status for v in seen.verdicts] == [Status.FAIL]
    assert (await watched.kept())[-1].reading.series == (2.0,)
    plan = watched.plan
    assert {one.workload for one, _ in watched.metrics.asked} == {
        plan.stable.workload.name,
        plan.candidate.workload.name,
    }
    assert all(window <= timedelta(seconds=20) for _, window in watched.metrics.asked)


async def test_a_cost_without_tokens_is_an_error_that_says_so(scene):
    asked = replace(gate(success_condition=PRICED.condition), question=PRICED)
    watched = await scene(asked)
    watched.metrics.measured[1] = Measurement(requests=10)
    seen = await watched.watch(within=SOON)
    (verdict,) = seen.verdicts
    assert verdict.status is Status.UNAVAILABLE
    assert "no tokens of the candidate are counted" in verdict.reason


WEB = WebQuestion(url="https://eval.example.com/{{candidate.name}}", json_path="$.rows[*].score")


async def test_the_worst_of_the_numbers_that_a_path_leads_to_counts(scene):
    watched = await scene(replace(gate(), question=WEB))
    watched.web.script((200, '{"rows": [{"score": 0.99}, {"score": 0.5}]}'))
    seen = await watched.watch()
    assert [v.status for v in seen.verdicts] == [Status.FAIL]
    assert {call.url for call in watched.web.asked} == {"https://eval.example.com/canary"}
    assert (await watched.kept())[0].reading.series == (0.99, 0.5)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((503, ""), "answered 503"),
        ((200, "<html>"), "no JSON"),
        ((200, '{"rows": [{"score": "fine"}]}'), "no number"),
        ((200, '{"rows": [{"score": "\\ud800\\u0000"}]}'), 'leads to " \\u0000", which'),
    ],
)
async def test_a_url_that_gives_no_numbers_is_unavailable_and_never_a_fail(scene, answer, why):
    watched = await scene(replace(gate(consecutive_error_limit=0), question=WEB))
    watched.web.script(answer)
    seen = await watched.watch(within=SOON)
    (verdict,) = seen.verdicts
    assert verdict.status is Status.UNAVAILABLE
    assert why in verdict.reason


async def test_a_path_that_leads_nowhere_is_inconclusive(scene):
    watched = await scene(replace(gate(), question=WEB))
    seen = await watched.watch(within=SOON)
    assert [v.status for v in seen.verdicts] == [Status.UNDECIDED]
