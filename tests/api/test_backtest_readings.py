"""Gates without statistics in a backtest: asked as of then, within bounds, or left out."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from api.errors import TooManyQueries
from api.past_readings import AT_ONCE, PastReadings
from api.pasts import Arm, Past, Piece
from domain.errors import Refused, Unreachable
from domain.evidence.replaying import Stretch
from domain.prices import TokenPrice
from domain.reading_gates import CostQuestion, CostUnit, PromQuery, ReadingGate
from domain.readings.rules import Reading, ReadingRules
from domain.readings.stepped import KeptReading
from tests.api.backtesting import ALIKE, TWO_STEPS, Backtests
from tests.api.test_analysis import BEGAN, CANDIDATE, ERRORS, STABLE, after
from tests.cluster.builders import route_in
from tests.fakes.metrics import ScriptedMetrics
from tests.fakes.past import ScriptedHistory

QUALITY = {
    "name": "quality",
    "query": 'slow{workload="{{candidate.workload}}"}',
    "success_condition": "result[0] < 0.5",
    "interval_seconds": 60,
}
PLAIN = {**QUALITY, "query": "slow"}
WEB = {
    "name": "web",
    "web": {"url": "https://hooks.example.com/score", "json_path": "$.score"},
    "success_condition": "result[0] > 0.9",
}
COST = {"name": "cost", "cost": {"per": "thousand_tokens", "limit": 0.005}, "interval_seconds": 60}


@pytest.fixture
async def ids(api):
    return await api.served()


@pytest.fixture
def past(api, ids, evidence):
    return Backtests(api, ids, evidence)


@pytest.fixture
def store(history):
    """Both arms are alike at the gateway; what is queried is bad from half past twelve on."""
    history.kept = dict(ALIKE)
    history.says = lambda _, at: (0.9 if at > after(1800) else 0.1,)
    return history


async def test_a_query_is_asked_as_of_each_moment_that_was_due_and_says_when_it_would_have_failed(
    past, store
):
    found = await past.of_slots(gates=[PLAIN, ERRORS])
    assert [gate["name"] for gate in found["gates"]] == ["errors", "quality"]
    errors, quality = found["replay"]["gates"]
    assert (quality["first_pass"]["seconds"], quality["first_fail"]["seconds"]) == (0, 1860)
    assert quality["first_fail"]["at"] == "2026-11-20T12:31:00Z"
    assert "failure_limit is 0" in quality["verdict"]["reason"]
    assert (found["replay"]["readings"], found["replay"]["fired"]) == (32, True)
    assert (errors["first_fail"], found["replay"]["missing"]) == (None, [])
    assert store.queries[0] == ("slow", BEGAN)
    assert found["left_out"] == []


async def test_gates_on_readings_alone_need_no_counters(past, store):
    found = (await past.of_slots(gates=[PLAIN]))["replay"]
    assert (found["samples"], found["intervals"], found["missing"]) == (0, 0, [])
    assert (store.asked, found["fired"]) == ([], True)


async def test_a_healthy_range_without_a_conclusive_reading_does_not_count(past, store):
    minutes = ("05", "15")
    ranges = [{"from": BEGAN.isoformat(), "to": f"2026-11-20T12:{to}:00Z"} for to in minutes]
    delayed = {**PLAIN, "initial_delay_seconds": 600}
    found = (await past.of_slots(gates=[delayed], healthy_ranges=ranges))["healthy"]
    assert [(one["judged"], one["readings"]) for one in found["ranges"]] == [(False, 0), (True, 6)]
    assert found["counted"] == 1


async def test_a_rollout_s_query_names_what_it_named_then(past, store):
    weighted = {**QUALITY, "query": 'slow{workload="{{candidate.workload}}"} * {{weight}}'}
    rollout = await past.started(ERRORS, weighted)
    found = await past.of_rollout(rollout, *TWO_STEPS)
    workload = rollout["plan"]["candidate"]["workload"]
    asked = [query for query, _ in store.queries]
    assert asked[0] == f'slow{{workload="{workload}"}} * 10'
    assert asked[-1] == f'slow{{workload="{workload}"}} * 50'
    _, quality = found["replay"]["gates"]
    assert (quality["first_fail"]["step"], quality["first_fail"]["weight"]) == (4, 50)


async def keep_readings(readings, rollout, *moments, gate="quality"):
    """Readings of one gate: (step, seconds)."""
    for i, (step, at) in enumerate(moments):
        taken = Reading(at=after(at), series=(0.1,))
        about = {"gate": gate, "variant": rollout["plan"]["candidate"]["name"]}
        kept = KeptReading(**about, sequence=i, step=step, reading=taken)
        await readings.keep(UUID(rollout["id"]), kept)


async def test_a_rollout_for_whose_gates_nothing_is_counted_has_the_range_of_its_readings(
    past, readings, store
):
    rollout = await past.started(PLAIN)
    await keep_readings(readings, rollout, (2, 0), (2, 600), (4, 700), (4, 2000))
    found = (await past.of_rollout(rollout))["replay"]
    assert (found["from"], found["to"]) == ("2026-11-20T12:00:00Z", "2026-11-20T12:33:20Z")
    (quality,) = found["gates"]
    assert (quality["first_fail"]["step"], quality["first_fail"]["weight"]) == (4, 50)
    assert quality["first_fail"]["seconds"] == 1840
    assert found["readings"] == 11 + 20


async def test_a_delay_is_waited_for_once_though_readings_alone_tell_when_a_step_began(
    past, readings, store
):
    thrice = {**PLAIN, "count": 3}
    rollout = await past.started(
        {**thrice, "initial_delay_seconds": 300},
        {**thrice, "name": "sooner", "initial_delay_seconds": 120},
    )
    await keep_readings(readings, rollout, (2, 120), (2, 180), (2, 240), gate="sooner")
    await keep_readings(readings, rollout, (2, 300), (2, 360), (2, 420))
    found = (await past.of_rollout(rollout))["replay"]
    assert (found["from"], found["to"]) == ("2026-11-20T12:00:00Z", "2026-11-20T12:07:00Z")
    seconds = {gate["gate"]: gate["first_pass"]["seconds"] for gate in found["gates"]}
    assert seconds == {"sooner": 240, "quality": 420}
    assert found["readings"] == 6


async def test_a_web_gate_of_a_rollout_is_left_out_and_the_answer_says_why(past, store):
    found = await past.of_rollout(await past.started(ERRORS, WEB), *TWO_STEPS)
    assert [gate["name"] for gate in found["gates"]] == ["errors"]
    reason = "cannot be replayed: what a URL has answered then is not known any more"
    assert found["left_out"] == [{"gate": "web", "reason": reason}]


@pytest.mark.parametrize(
    ("gate", "field", "rule"),
    [
        (WEB, "gates.1", "cannot be replayed: what a URL has answered then"),
        (QUALITY, "gates.1.query", "names candidate.workload, which is not known of every range"),
        ({**PLAIN, "query": "slow * {{weight}}"}, "gates.1.query", "names weight"),
        ({**PLAIN, "query": "slow * {{nobody}}"}, "gates.1.query", "nobody"),
        (COST, "gates.1.cost", "needs candidate and stable to be named"),
        ({**PLAIN, "success_condition": "result["}, "gates.1.success_condition", ""),
        ({**PLAIN, "metric": "error_rate"}, "gates.1", "exactly one of"),
        (
            {**PLAIN, "interval_seconds": 1},
            "gates",
            "their readings take 7,202 queries in all, and 5,000 is the most",
        ),
    ],
)
async def test_a_gate_that_cannot_be_replayed_is_refused_by_name(past, gate, field, rule):
    told, *_ = (await past.refused(gates=[ERRORS, gate]))["errors"]
    assert told["field"] == field
    assert rule in told["rule"]


async def test_readings_of_all_ranges_count_together(past, store):
    often = {**PLAIN, "interval_seconds": 2}
    ranges = [{"from": "2026-11-20T12:00:00Z", "to": "2026-11-20T13:00:00Z"}]
    await past.of_slots(gates=[often])
    (told,) = (await past.refused(gates=[often], healthy_ranges=ranges))["errors"]
    assert (told["field"], "7,204 queries" in told["rule"]) == ("gates", True)


async def test_a_rollout_s_query_that_names_the_weight_is_refused_of_a_range_without_one(
    past, store
):
    weighted = {**PLAIN, "query": "slow * {{weight}}"}
    rollout = await past.started(ERRORS, weighted)
    ranges = [{"from": "2026-11-20T12:00:00Z", "to": "2026-11-20T12:10:00Z"}]
    found = await past.of_rollout(rollout, *TWO_STEPS, healthy_ranges=ranges)
    (told,) = found["left_out"]
    assert (told["gate"], told["reason"][:12]) == ("quality", "names weight")


# What is not known any more


async def test_what_is_not_kept_any_more_is_no_pass_though_a_query_makes_something_of_nothing(
    past, store
):
    store.says = lambda query, at: (0.0,)
    store.knows = lambda at: at >= after(7200)
    found = (await past.of_slots(gates=[PLAIN]))["replay"]
    (gate,) = found["gates"]
    assert (gate["status"], gate["first_pass"], found["readings"]) == ("unavailable", None, 0)
    told = "Nothing is kept any more of what could be read from 2026-11-20 12:00:00 UTC"
    assert found["missing"][0].startswith(told)


async def test_readings_begin_where_the_store_s_memory_does(past, store):
    store.knows = lambda at: at >= after(600)
    found = (await past.of_slots(gates=[PLAIN]))["replay"]
    assert timedelta(0) <= store.queries[0][1] - after(600) <= timedelta(seconds=15)
    (told,) = found["missing"]
    assert told.startswith("Nothing is kept any more of what could be read before 2026-11-20 12:10")


async def test_a_moment_in_a_hole_is_an_error_as_it_was_then(past, store):
    store.knows = lambda at: not after(100) < at < after(1000)
    (gate,) = (await past.of_slots(gates=[PLAIN]))["replay"]["gates"]
    assert (gate["status"], gate["first_fail"]["at"]) == ("fail", "2026-11-20T12:31:00Z")
    assert "Of 32 readings, 16 succeeded, 1 failed, 15 were errors" in gate["verdict"]["reason"]


async def test_a_query_that_the_store_refuses_is_unavailable_as_in_a_watch(past, store):
    def refuse(query, at):
        raise Refused("a label is missing")

    store.says = refuse
    (gate,) = (await past.of_slots(gates=[PLAIN]))["replay"]["gates"]
    assert (gate["status"], gate["first_fail"]) == ("unavailable", None)
    assert "a label is missing" in gate["verdict"]["reason"]


async def test_a_store_that_is_away_is_told_and_not_taken_for_an_answer_of_the_past(past, store):
    store.outage(Unreachable("away"))
    problem = await past.refused(503, gates=[PLAIN])
    assert problem["type"] == "urn:tidegate:problem:metrics-unreachable"


# What it costs


def a_past(seconds):
    stretch = Stretch(step=0, weight=0, since=BEGAN, until=after(seconds))
    piece = Piece(stretch=stretch, candidate=(CANDIDATE,), stable=(STABLE,))
    return Past(
        rollout_id=None,
        route=route_in("a"),
        candidate=Arm(slot=1),
        stable=Arm(slot=0),
        pieces=(piece,),
    )


def a_gate(name, interval=1):
    pause = None if interval is None else timedelta(seconds=interval)
    rules = ReadingRules(success_condition="result[0] < 0.5", interval=pause)
    return ReadingGate(name=name, question=PromQuery(query=name), rules=rules)


class Counting(ScriptedHistory):
    """`most` is how many questions were open at once."""

    def __init__(self):
        super().__init__()
        self.open = self.most = self.asked_so_far = 0

    async def answer(self, query, at):
        self.asked_so_far += 1
        self.open += 1
        self.most = max(self.most, self.open)
        await asyncio.sleep(0)
        self.open -= 1
        return (0.1,)


async def test_a_few_questions_are_asked_at_once_of_however_many_gates():
    history = Counting()
    readings = PastReadings(history, ScriptedMetrics())
    gates = [a_gate(f"g{i}") for i in range(6)]
    found = await readings.replayed(gates, a_past(20))
    assert [one.readings for one in found] == [21] * 6
    assert history.most == AT_ONCE


class Measuring(ScriptedMetrics):
    """`most` is how many arms were measured at once."""

    def __init__(self):
        super().__init__()
        self.open = self.most = 0

    async def measure(self, variant, *, at, window):
        self.open += 1
        self.most = max(self.most, self.open)
        await asyncio.sleep(0)
        self.open -= 1
        return await super().measure(variant, at=at, window=window)


async def test_one_cost_is_measured_after_the_other_as_each_is_many_queries():
    metrics = Measuring()
    cost = CostQuestion(per=CostUnit.REQUEST, limit=1, price=TokenPrice(input=1, output=1))
    gates = [replace(a_gate(f"g{i}"), question=cost) for i in range(3)]
    found = await PastReadings(Counting(), metrics).replayed(gates, a_past(10))
    assert [one.readings for one in found] == [11] * 3
    assert metrics.most == len(("candidate", "stable"))


async def test_where_one_gate_s_readings_end_in_an_error_the_others_end_too():
    class Away(Counting):
        async def answer(self, query, at):
            if query == "bad" and at > after(10):
                raise Unreachable
            return await super().answer(query, at)

    history = Away()
    readings = PastReadings(history, ScriptedMetrics(), most=100_000)
    with pytest.raises(Unreachable):
        await readings.replayed([a_gate("good"), a_gate("bad")], a_past(5000))
    await asyncio.sleep(0)
    asked = history.asked_so_far
    for _ in range(50):
        await asyncio.sleep(0)
    assert (history.asked_so_far, asked < 100) == (asked, True)


async def test_as_many_readings_as_were_foreseen_are_within_the_bound():
    readings = PastReadings(Counting(), ScriptedMetrics(), most=6)
    gate = a_gate("g")
    three = replace(gate, rules=replace(gate.rules, count=3))
    (found,) = await readings.replayed([three], a_past(100))
    assert found.readings == 3


async def test_readings_that_find_nothing_for_too_long_are_a_conflict():
    readings = PastReadings(ScriptedHistory(), ScriptedMetrics(), most=20)
    with pytest.raises(TooManyQueries):
        await readings.replayed([a_gate("g", interval=None)], a_past(1000))
