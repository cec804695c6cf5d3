"""Backtests at the front door: what is read, what is answered, what is refused."""

import asyncio
import json
import math
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from api.analyses import MOST_WAITING, Analyses
from api.errors import AnalysisNotBegun, AnalysisUnfinished, TooManySamples
from api.outlooks import Outlooks
from api.pasts import Arm, Backtest, Past, Piece
from api.replays import Replays
from domain.errors import Refused, Unreachable
from domain.evidence.counters import Reading, Series, SeriesRole
from domain.evidence.intervals import Counts
from domain.evidence.replaying import Stretch
from domain.gates import AgainstStable, Gate, Metric
from domain.traffic import Place
from tests.api.caller import canary
from tests.api.test_ab_tests import a_test
from tests.api.test_metrics import add_variant
from tests.cluster.builders import route_in
from tests.fakes.counters import ScriptedCounters
from tests.fakes.history import ToldHistory
from tests.fakes.metrics import ScriptedMetrics
from tests.fakes.past import ScriptedHistory
from tests.projects import a_cursor, an_arms_cursor, an_arms_interval, an_interval

BEGAN = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = {"from": "2026-11-20T12:00:00Z", "to": "2026-11-20T13:00:00Z"}
STABLE, CANDIDATE = Place(position=0), Place(position=1)
ERRORS = {"name": "errors", "metric": "error_rate", "against_stable": {}}


def after(seconds):
    return BEGAN + timedelta(seconds=seconds)


def counted(*, rps, bad_each, sick_from=math.inf, seconds=7200, name=""):
    """One bad request of so many, and of two from a second on; scraped each 5 s for two hours."""
    moments = range(-60, seconds + 1, 5)
    requests = [(BEGAN.timestamp() + at, float(rps * (at + 60))) for at in moments]
    errors, total = [], 0.0
    for at in moments:
        total += 5 * rps / (2 if at > sick_from else bad_each)
        errors.append((BEGAN.timestamp() + at, float(int(total))))
    return (
        Series(key=f"{name}requests", role=SeriesRole.REQUESTS, samples=tuple(requests)),
        Series(key=f"{name}errors", role=SeriesRole.ERRORS, samples=tuple(errors)),
    )


@pytest.fixture
async def ids(api):
    return await api.served()


@pytest.fixture
def stored(history):
    """The candidate fails from half past twelve on."""
    history.kept = {
        STABLE: counted(rps=90, bad_each=100),
        CANDIDATE: counted(rps=10, bad_each=100, sick_from=1800),
    }
    return history


@pytest.fixture
def slots(ids):
    return {"traffic_config_id": ids["config"], "candidate_slot": 1, "stable_slot": 0}


@pytest.fixture
def replay(api, slots):
    async def ask(**changes):
        answer = await api.post("/analysis/backtest", {**slots, **HOUR, **changes})
        assert answer.status_code == 200, answer.text
        return answer.json()

    return ask


@pytest.fixture
def refused(api, slots):
    async def ask(body, status=422):
        answer = await api.post("/analysis/backtest", body)
        assert answer.status_code == status, answer.text
        return answer.json()

    return ask


async def test_a_gate_says_when_it_would_have_fired_and_with_what_evidence(replay, stored):
    found = await replay()
    (gate,) = found["replay"]["gates"]
    fired = gate["first_fail"]
    assert after(1800) < datetime.fromisoformat(fired["at"]) <= after(1860)
    assert fired["seconds"] == (datetime.fromisoformat(fired["at"]) - BEGAN).total_seconds()
    assert fired["verdict"]["evidence"]["fail"] >= fired["verdict"]["evidence"]["fail_needed"]
    assert "was required" in fired["verdict"]["reason"]
    assert (gate["status"], fired["weight"]) == ("fail", None)
    assert gate["first_pass"]["at"] < fired["at"]
    assert (found["replay"]["missing"], found["replay"]["fired"]) == ([], True)
    assert (found["replay"]["from"], found["replay"]["to"]) == (HOUR["from"], HOUR["to"])
    assert found["healthy"] is None
    assert {route.namespace for route, _, _ in stored.asked} == {"prod"}


async def test_what_fires_on_a_healthy_range_is_counted_by_gate(replay, stored):
    healthy = [
        {"from": "2026-11-20T12:00:00Z", "to": "2026-11-20T12:25:00Z"},
        {"from": "2026-11-20T12:20:00Z", "to": "2026-11-20T12:40:00Z"},
        {"from": "2026-11-01T12:00:00Z", "to": "2026-11-01T12:40:00Z"},
    ]
    strict = {"name": "strict", "metric": "error_rate", "limit": 0.001}
    found = (await replay(healthy_ranges=healthy, gates=[ERRORS, strict]))["healthy"]
    assert (found["counted"], found["fired"]) == (2, 2)
    assert found["fired_by_gate"] == {"errors": 1, "strict": 2}
    assert [one["fired"] for one in found["ranges"]] == [True, True, False]


IDLE = counted(rps=0, bad_each=100)


@pytest.mark.parametrize(
    ("kept", "counts"), [(IDLE, False), (counted(rps=10, bad_each=100, seconds=1800), True)]
)
async def test_a_healthy_range_counts_only_where_the_candidate_had_requests(
    replay, stored, kept, counts
):
    stored.kept[CANDIDATE] = kept
    found = (await replay(healthy_ranges=[HOUR]))["healthy"]
    assert (found["counted"], found["ranges"][0]["judged"]) == (counts, counts)
    assert not found["fired"]


async def test_what_is_not_kept_any_more_is_no_pass(replay, stored):
    lost = {"from": "2026-11-01T12:00:00Z", "to": "2026-11-01T12:40:00Z"}
    found = (await replay(**lost))["replay"]
    (gate,) = found["gates"]
    assert (gate["status"], gate["first_pass"], found["intervals"]) == ("unavailable", None, 0)
    assert found["missing"][0].startswith("No samples of the candidate from 2026-11-01 12:00:00")
    early = {"from": "2026-11-20T11:30:00Z", "to": "2026-11-20T12:20:00Z"}
    (told, _) = (await replay(**early))["replay"]["missing"]
    assert told == "No samples of the candidate before 2026-11-20 11:59:00 UTC."


async def test_other_gates_and_phi_can_be_tried(replay, stored):
    patient = {**ERRORS, "against_stable": {"floor": 0.6}}
    assert not (await replay(gates=[patient]))["replay"]["fired"]
    at = [(await replay(phi=phi))["replay"]["gates"][0]["first_fail"]["seconds"] for phi in (1, 20)]
    assert at[0] < at[1]


async def test_gates_left_out_are_those_of_the_config(api, ids, replay, stored):
    limit = {"name": "own", "metric": "error_rate", "limit": 0.05}
    await api.patch(f"/traffic_configs/{ids['config']}", {"default_gates": [limit]})
    assert [gate["name"] for gate in (await replay())["gates"]] == ["own"]


async def test_gates_left_out_are_those_of_the_config_s_templates_too(api, ids, replay, stored):
    gate = {"name": "templated", "metric": "error_rate", "limit": "{{args.limit}}"}
    limit = {"name": "limit", "type": "number", "default": 0.05}
    await api.made("/gate_templates", {"name": "slo", "arguments": [limit], "gates": [gate]})
    defaults = {"default_gate_templates": [{"name": "slo"}]}
    await api.patch(f"/traffic_configs/{ids['config']}", defaults)
    assert [gate["name"] for gate in (await replay())["gates"]] == ["templated"]


async def test_variants_may_be_named_as_long_as_they_held_their_slots(
    api, registry, ids, refused, stored
):
    add_variant(registry, ids, "canary", "v2", slot=1, since=BEGAN)
    named = {"traffic_config_id": ids["config"], "candidate": "canary", "stable_slot": 0}
    answer = await api.post("/analysis/backtest", {**named, **HOUR})
    assert answer.status_code == 200, answer.text
    early = {"from": "2026-11-20T11:00:00Z", "to": HOUR["to"]}
    problem = await refused({**named, **early})
    (told,) = problem["errors"]
    assert (told["field"], told["rule"][:44]) == (
        "from",
        "must not lie before 2026-11-20T12:00:00Z, wh",
    )
    problem = await refused({**named, **HOUR, "healthy_ranges": [early]})
    assert problem["errors"][0]["field"] == "healthy_ranges.0.from"
    problem = await refused({**named, **HOUR, "candidate": "nobody"})
    assert problem["errors"][0]["field"] == "candidate"


@pytest.mark.parametrize(
    ("changes", "field", "rule"),
    [
        ({"from": None}, "body", "both from and to"),
        ({"to": "2026-11-20T12:00:00Z"}, "body", "must lie after from"),
        ({"to": "2026-11-28T12:00:00Z"}, "body", "at most 7 days apart"),
        ({"to": "2026-11-20 13:00"}, "to", "with its offset"),
        ({"rollout_id": str(uuid4())}, "body", "either rollout_id"),
        ({"candidate_slot": None}, "body", "candidate or candidate_slot"),
        ({"candidate": "canary"}, "body", "must not both be given"),
        ({"traffic_config_id": None}, "body", "traffic_config_id"),
        ({"candidate_slot": 0}, "candidate", "must not be the same"),
        ({"gates": []}, "gates", "at least 1"),
        ({"gates": [{**ERRORS, "limit": 2}]}, "gates.0.limit", "between 0 and 1"),
        (
            {"gates": [{**ERRORS, "source": "vllm"}]},
            "gates.0.source",
            "must be envoy where a slot alone is named: vllm counts by workload",
        ),
        (
            {"gates": [{**ERRORS, "metric": "latency", "limit": 0.1}]},
            "gates.0.slow_over_ms",
            "is needed with a limit",
        ),
        ({"phi": 0.5}, "phi", "greater than or equal to 1"),
        ({"from": "2999-01-01T00:00:00Z", "to": "2999-01-02T00:00:00Z"}, "to", "in the future"),
        ({"healthy_ranges": [{"from": HOUR["from"]}]}, "healthy_ranges.0", "both from and to"),
        ({"healthy_ranges": [HOUR] * 21}, "healthy_ranges", "at most 20"),
    ],
)
async def test_a_wish_that_makes_no_sense_is_refused_with_its_rule(
    refused, slots, changes, field, rule
):
    body = {k: v for k, v in {**slots, **HOUR, **changes}.items() if v is not None}
    problem = await refused(body)
    assert problem["errors"][0]["field"] == field
    assert rule in problem["errors"][0]["rule"]


async def test_more_looks_than_are_taken_are_refused(refused, slots):
    week = {"from": "2026-11-20T12:00:00Z", "to": "2026-11-27T12:00:00Z"}
    problem = await refused({**slots, **week, "probe_interval_seconds": 1})
    (told,) = problem["errors"]
    assert told["field"] == "probe_interval_seconds"
    assert "604,802 looks" in told["rule"]


# A past rollout


async def keep(evidence, rollout, *stretches):
    """Intervals of 15 s: (step, weight, from, to) in seconds."""
    k = 0
    for step, weight, begin, end in stretches:
        for at in range(begin, end, 15):
            interval = an_interval(
                k,
                step=step,
                weight=weight,
                opened_at=after(at),
                closed_at=after(at + 15),
                candidate=Counts(requests=150, errors=1),
                stable=Counts(requests=1350, errors=13),
            )
            await evidence.append(UUID(rollout["id"]), interval=interval, cursor=a_cursor(None))
            k += 1


@pytest.fixture
async def rollout(api, ids, evidence):
    path = f"/traffic_configs/{ids['config']}/rollouts"
    policies = {"probe_interval_seconds": 5}
    started = await api.made(path, canary(ids["v2"], gates=[ERRORS], policies=policies))
    await keep(evidence, started, (2, 10, 0, 900), (4, 50, 960, 2100))
    return started


async def test_a_past_rollout_gives_its_gates_places_weights_and_times(
    api, rollout, stored, history
):
    answer = await api.post("/analysis/backtest", {"rollout_id": rollout["id"]})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["probe_interval_seconds"] == 5
    assert (found["replay"]["from"], found["replay"]["to"]) == (
        "2026-11-20T12:00:00Z",
        "2026-11-20T12:35:00Z",
    )
    (gate,) = found["replay"]["gates"]
    assert (gate["first_pass"]["step"], gate["first_pass"]["weight"]) == (2, 10)
    assert (gate["first_fail"]["step"], gate["first_fail"]["weight"]) == (4, 50)
    assert found["replay"]["rollout_id"] == rollout["id"]


async def test_a_past_rollout_may_be_called_healthy(api, rollout, replay, stored):
    found = (await replay(healthy_ranges=[{"rollout_id": rollout["id"]}]))["healthy"]
    assert (found["counted"], found["fired"]) == (1, 1)
    assert found["ranges"][0]["rollout_id"] == rollout["id"]


async def test_a_rollout_without_evidence_has_no_range(api, ids, refused):
    path = f"/traffic_configs/{ids['config']}/rollouts"
    started = await api.made(path, canary(ids["v2"], gates=[]))
    problem = await refused({"rollout_id": started["id"]})
    assert problem["errors"][0]["field"] == "rollout_id"
    assert "nothing was counted or read" in problem["errors"][0]["rule"]


async def test_an_ab_test_is_replayed_by_arm(api, ids, evidence, history, refused):
    path = f"/traffic_configs/{ids['config']}/rollouts"
    started = await api.made(path, {**a_test(ids), "gates": [ERRORS]})
    one = an_arms_interval(0)
    arms = tuple(replace(one.arms[0], arm=name, weight=33) for name in ("stable", "b", "c"))
    interval = replace(one, arms=arms, opened_at=BEGAN, closed_at=after(1800))
    await evidence.append(UUID(started["id"]), interval=interval, cursor=an_arms_cursor(BEGAN))
    plan = started["plan"]
    slots = [plan["stable"]["slot"], plan["candidate"]["slot"]]
    history.kept = {Place(position=slot): counted(rps=30, bad_each=100) for slot in slots}
    problem = await refused({"rollout_id": started["id"]})
    assert problem["errors"] == [
        {
            "field": "candidate",
            "rule": "must name who challenged stable in the rollout: b, c",
        }
    ]
    answer = await api.post("/analysis/backtest", {"rollout_id": started["id"], "candidate": "b"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["replay"]["intervals"] > 100


async def test_of_another_project_nothing_can_be_replayed(stranger, slots, rollout):
    theirs = await stranger.served()
    own = {"traffic_config_id": theirs["config"], "candidate_slot": 1, **HOUR}
    for body in (
        {**slots, **HOUR},
        {"rollout_id": rollout["id"]},
        {**own, "stable_slot": 0, "healthy_ranges": [{"rollout_id": rollout["id"]}]},
    ):
        answer = await stranger.post("/analysis/backtest", body)
        assert answer.status_code == 404, answer.text


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Unreachable("away"), (503, "urn:tidegate:problem:metrics-unreachable")),
        (Refused("no"), (502, "urn:tidegate:problem:metrics-refused")),
    ],
)
async def test_a_metrics_store_that_does_not_answer_a_backtest_is_told(
    api, slots, history, error, told
):
    history.outage(error)
    answer = await api.post("/analysis/backtest", {**slots, **HOUR})
    assert (answer.status_code, answer.json()["type"]) == told


# What it costs


def nobody_asks():
    """Outlooks, of a store that holds nothing."""
    counters = ScriptedCounters(lambda _: Reading(candidate=(), stable=()))
    return Outlooks(ScriptedMetrics(), counters, ToldHistory())


def a_backtest(seconds=3600):
    stretch = Stretch(step=0, weight=0, since=BEGAN, until=after(seconds))
    piece = Piece(stretch=stretch, candidate=(CANDIDATE,), stable=(STABLE,))
    past = Past(
        rollout_id=None,
        route=route_in("a"),
        candidate=Arm(slot=1),
        stable=Arm(slot=0),
        pieces=(piece,),
    )
    return Backtest(
        gates=(Gate(name="errors", metric=Metric.ERROR_RATE, against_stable=AgainstStable()),),
        phi=1.0,
        warm_up=timedelta(0),
        probe=timedelta(seconds=15),
        past=past,
        healthy=(),
    )


def analyses_of(history, patience_seconds=20, **bounds):
    replays = Replays(history, ScriptedMetrics(), **bounds)
    return Analyses(replays, nobody_asks(), patience_seconds=patience_seconds)


class Slow(ScriptedHistory):
    """Holds its answers back until `open` is set."""

    def __init__(self):
        super().__init__()
        self.open = asyncio.Event()

    async def read(self, *args, **options):
        await self.open.wait()
        return await super().read(*args, **options)


async def test_a_long_range_is_read_in_pieces_that_meet(stored):
    analyses = analyses_of(stored, chunk=timedelta(minutes=7))
    await analyses.backtest(uuid4(), a_backtest())
    ranges = [(since, until) for _, since, until in stored.asked]
    assert [b for _, b in ranges][:-1] == [a for a, _ in ranges][1:]
    assert ranges[0][0] < BEGAN
    assert ranges[-1][1] == after(3600)
    assert len(ranges) > 8


async def test_more_samples_than_are_replayed_is_a_conflict(stored):
    with pytest.raises(TooManySamples):
        await analyses_of(stored, most_samples=100).backtest(uuid4(), a_backtest())


async def test_who_asks_for_what_takes_long_is_told_to_come_back_and_then_has_it():
    slow, project = Slow(), uuid4()
    analyses = analyses_of(slow, patience_seconds=0.01)
    with pytest.raises(AnalysisUnfinished):
        await analyses.backtest(project, a_backtest())
    slow.open.set()
    answer = b""
    while not answer:  # each time it is waited for a little
        with suppress(AnalysisUnfinished):
            answer = await analyses.backtest(project, a_backtest())
    assert json.loads(answer)["replay"]["intervals"] == 0
    assert len(slow.asked) == 3  # all of it once: half an hour at a time, and a little before


async def test_who_comes_when_many_wait_is_told_at_once():
    slow = Slow()
    analyses = analyses_of(slow)
    waiting = [
        asyncio.create_task(analyses.backtest(uuid4(), a_backtest())) for _ in range(MOST_WAITING)
    ]
    for _ in range(10):
        await asyncio.sleep(0)
    with pytest.raises(AnalysisNotBegun):
        await analyses.backtest(uuid4(), a_backtest())
    slow.open.set()
    assert len(await asyncio.gather(*waiting)) == MOST_WAITING
