"""The chart of a rollout's evidence at the front door, and what it costs the others."""

import asyncio
import json
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from math import inf, nan
from uuid import UUID, uuid4

import pytest

from api.charts import MOST_INTERVALS, MOST_WAITING, Charts
from api.errors import ChartUnfinished
from api.schemas.verdicts import EffectOut, EvidenceOut
from domain.errors import Unreachable
from domain.evidence.intervals import ArmsInterval, Counts, Interval
from domain.evidence.judge import judge
from domain.evidence_port import EvidenceLog
from domain.readings.rules import Reading
from domain.readings.stepped import KeptReading
from domain.rollout import Rollout
from tests.api.caller import PREFIX, canary
from tests.api.test_ab_tests import a_test
from tests.fakes.evidence import MemoryEvidence
from tests.fakes.readings import MemoryReadings
from tests.projects import (
    NOW,
    a_cursor,
    a_project,
    an_arms_cursor,
    an_arms_interval,
    an_interval,
)

GATES = [
    {"name": "errors", "metric": "error_rate", "against_stable": {}, "limit": 0.05},
    {"name": "slow", "metric": "latency", "slow_over_ms": 2500, "limit": 0.1},
]


def seen(sequence, *, errors=0, **changes):
    """One interval of 15 s of a candidate that is asked 1,000 times."""
    return an_interval(
        sequence,
        opened_at=NOW + timedelta(seconds=15 * sequence),
        closed_at=NOW + timedelta(seconds=15 * (sequence + 1)),
        candidate=Counts(requests=1000, errors=errors, within=(990, 1000)),
        stable=Counts(requests=9000, errors=20, within=(8900, 9000)),
        bounds_ms=(2500.0, 5000.0),
        **changes,
    )


async def store(evidence, rollout, *intervals):
    for interval in intervals:
        await evidence.append(UUID(str(rollout)), interval=interval, cursor=a_cursor(None))


@pytest.fixture
async def ids(api):
    return await api.served()


@pytest.fixture
async def rollout(api, ids):
    path = f"/traffic_configs/{ids['config']}/rollouts"
    policies = {"warm_up_seconds": 0, "overdispersion": 1}
    return await api.made(path, canary(ids["v2"], gates=GATES, policies=policies))


@pytest.fixture
def charted(api, rollout):
    async def ask(**query):
        answer = await api.get(f"/rollouts/{rollout['id']}/evidence", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return ask


async def test_without_evidence_all_series_are_empty(charted, rollout):
    chart = await charted()
    assert (chart["rollout_id"], chart["intervals"], chart["trial"]) == (rollout["id"], 0, None)
    told = [(s["gate"]["name"], s["variant"], s["points"]) for s in chart["gates"]]
    assert told == [("errors", "", []), ("slow", "", [])]


async def test_a_gate_is_shown_with_the_lines_of_its_chart(charted):
    gate = (await charted())["gates"][0]["gate"]
    assert (gate["limit"], gate["against_stable"]["fail_ratio"]) == (0.05, 1.25)


async def test_points_are_verdicts_and_the_last_is_the_one_of_now(
    charted, evidence, registry, rollout
):
    steps = [2] * 3 + [4] * 3
    intervals = [seen(k, step=step, weight=10 * step, errors=2 * k) for k, step in enumerate(steps)]
    await store(evidence, rollout["id"], *intervals)
    errors, slow = (await charted())["gates"]
    assert [len(errors["points"]), len(slow["points"])] == [6, 6]
    plan = registry.things[Rollout][UUID(rollout["id"])].plan
    for i, series in enumerate((errors, slow)):
        last, told = series["points"][-1], judge(plan.gates, intervals, step=4)[i]
        assert last["status"] == told.status
        assert last["effect"] == EffectOut.model_validate(told.effect).model_dump(mode="json")
        shown = EvidenceOut.model_validate(told.evidence)
        assert last["evidence"] == shown.model_dump(mode="json", by_alias=True)
    last = errors["points"][-1]
    assert (last["at"], last["step"], last["weight"]) == ("2026-11-21T12:01:30Z", 4, 40)
    assert (last["candidate_requests"], last["candidate_bad"]) == (1000, 10)
    assert (last["stable_requests"], last["stable_bad"]) == (9000, 20)
    assert slow["points"][-1]["candidate_bad"] == 10


async def test_what_cannot_be_known_is_null(charted, evidence, rollout):
    bare = replace(seen(0), bounds_ms=(), candidate=Counts(requests=0, errors=0))
    await store(evidence, rollout["id"], bare)
    errors, slow = (series["points"][0] for series in (await charted())["gates"])
    assert (errors["status"], errors["effect"], errors["evidence"]) == ("undecided", None, None)
    assert errors["candidate_requests"] == 0
    assert (slow["status"], slow["candidate_requests"]) == ("unavailable", None)


async def test_there_are_as_many_points_as_asked_for_and_the_last_among_them(
    charted, evidence, rollout
):
    await store(evidence, rollout["id"], *(seen(k) for k in range(50)))
    chart = await charted(points=7)
    assert (chart["intervals"], len(chart["gates"][0]["points"])) == (50, 7)
    assert chart["gates"][0]["points"][-1]["at"] == "2026-11-21T12:12:30Z"
    assert len((await charted())["gates"][0]["points"]) == 50


@pytest.mark.parametrize("points", ["0", "2001", "-1", "many", "1.5", ""])
async def test_a_number_of_points_that_breaks_the_rule_is_named(api, rollout, points):
    answer = await api.get(f"/rollouts/{rollout['id']}/evidence?points={points}")
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["points"]


async def test_the_rollout_links_to_it(api, rollout):
    link = rollout["links"]["evidence"]
    assert link == f"{PREFIX}/rollouts/{rollout['id']}/evidence"
    assert (await api.get(link.removeprefix(PREFIX))).status_code == 200


async def test_a_rollout_of_another_project_has_none(stranger, evidence, rollout):
    await store(evidence, rollout["id"], seen(0))
    answer = await stranger.get(f"/rollouts/{rollout['id']}/evidence")
    assert (answer.status_code, answer.json()["title"]) == (404, "There is no such thing")


async def test_an_ab_test_shows_each_arm_its_gates_and_how_they_compare(api, ids, evidence):
    path = f"/traffic_configs/{ids['config']}/rollouts"
    started = await api.made(path, {**a_test(ids), "gates": GATES[:1]})
    one = an_arms_interval(0)
    arms = tuple(replace(one.arms[0], arm=name, weight=33) for name in ("stable", "b", "c"))
    for k in range(3):
        interval = an_arms_interval(k, arms=arms)
        cursor = an_arms_cursor(NOW + timedelta(seconds=k))
        await evidence.append(UUID(started["id"]), interval=interval, cursor=cursor)
    chart = (await api.get(f"/rollouts/{started['id']}/evidence")).json()
    assert [(s["variant"], s["gate"]["name"]) for s in chart["gates"]] == [
        ("b", "errors"),
        ("c", "errors"),
    ]
    trial = chart["trial"]
    assert [(arm["arm"], len(arm["points"])) for arm in trial["arms"]] == [
        ("stable", 3),
        ("b", 3),
        ("c", 3),
    ]
    point, of_arm = trial["points"][-1], trial["arms"][1]["points"][-1]
    assert (point["outcome"], point["winner"], point["alike"]) == ("undecided", None, None)
    assert point["strongest"]["odds"] < trial["odds_needed"] == pytest.approx(40)
    assert of_arm["low"] < of_arm["estimate"] < of_arm["high"]
    assert (of_arm["standing"], of_arm["weight"]) == ("competing", 33)
    assert (of_arm["started"], of_arm["total"]) == (
        one.arms[0].started,
        one.arms[0].counts.requests,
    )


@pytest.mark.parametrize(("more", "in_doubt"), [(0, False), (600, True)])
async def test_an_ab_test_shows_how_far_each_arm_is_off_its_share(
    api, ids, evidence, more, in_doubt
):
    path = f"/traffic_configs/{ids['config']}/rollouts"
    started = await api.made(path, {**a_test(ids), "gates": GATES[:1]})
    one = an_arms_interval(0)
    arrived = {"stable": 1000, "b": 1000 + more, "c": 1000}
    arms = tuple(replace(one.arms[0], arm=a, weight=33, started=n) for a, n in arrived.items())
    interval = an_arms_interval(0, arms=arms)
    await evidence.append(UUID(started["id"]), interval=interval, cursor=an_arms_cursor(NOW))
    chart = (await api.get(f"/rollouts/{started['id']}/evidence")).json()
    (point,) = chart["trial"]["points"]
    off_by = {arm["arm"]: arm["points"][0]["off_by"] for arm in chart["trial"]["arms"]}
    due = (3000 + more) / 3
    assert off_by == pytest.approx({arm: n / due - 1 for arm, n in arrived.items()})
    split = point["split"]
    assert point["split_in_doubt"] is split["in_doubt"] is in_doubt
    assert (split["odds"] >= split["odds_needed"] == 100) is in_doubt
    if in_doubt:
        assert (split["arm"], split["off_by"]) == ("b", off_by["b"])
    assert [one["points"][0]["split"] for one in chart["gates"]] == [None, None]


async def test_a_canary_shows_its_share_of_the_step_beside_the_one_that_is_due(
    charted, evidence, rollout
):
    counts = {"candidate": Counts(requests=1000, started=2000, errors=0)}
    counts["stable"] = Counts(requests=8000, started=8000, errors=0)
    await store(
        evidence, rollout["id"], replace(seen(0), weight=10, bounds_ms=(), **counts), seen(1)
    )
    first, second = (await charted())["gates"][0]["points"]
    assert (first["split"]["expected"], first["split"]["observed"]) == (0.1, 0.2)
    assert first["split"]["odds"] > first["split"]["odds_needed"] == 100
    assert second["split"] == first["split"]  # what is not counted as it begins says nothing anew


async def test_a_store_that_is_away_is_a_503(api, evidence, rollout):
    evidence.error = Unreachable()
    answer = await api.get(f"/rollouts/{rollout['id']}/evidence")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")


# What it costs


class Counted(MemoryEvidence):
    """Counts how often it is read in full, and can be told to have more than it has, or to wait."""

    def __init__(self):
        super().__init__()
        self.loads, self.more = 0, 0
        self.open = asyncio.Event()
        self.open.set()

    async def size(self, rollout_id):
        return await super().size(rollout_id) + self.more

    async def load(self, rollout_id):
        self.loads += 1
        await self.open.wait()
        return await super().load(rollout_id)


@pytest.fixture
async def started(registry):
    it = await a_project().store(registry)
    return await it.start(registry)


async def test_many_series_share_what_one_answer_may_hold(started):
    evidence, plan = MemoryEvidence(), started.plan
    gates = tuple(replace(plan.gates[0], name=f"g{i}") for i in range(4))
    many = replace(started, plan=replace(plan, gates=gates))
    await store(evidence, started.id, *(seen(k) for k in range(20)))
    chart = json.loads(await Charts(evidence, MemoryReadings(), most_points=40).chart(many, 15))
    assert [len(series["points"]) for series in chart["gates"]] == [10, 10, 10, 10]


async def test_the_same_is_drawn_once_and_again_when_there_is_more(started):
    counted = Counted()
    charts = Charts(counted, MemoryReadings())
    await store(counted, started.id, seen(0))
    first = await asyncio.gather(*(charts.chart(started, 9) for _ in range(3)))
    assert (counted.loads, len(set(first))) == (1, 1)
    await store(counted, started.id, seen(1))
    assert json.loads(await charts.chart(started, 9))["intervals"] == 2
    await charts.chart(started, 8)
    assert counted.loads == 3


async def test_who_asks_for_what_takes_long_is_told_to_come_back_and_then_has_it(started):
    counted = Counted()
    counted.open.clear()
    charts = Charts(counted, MemoryReadings(), patience_seconds=0.01)
    with pytest.raises(ChartUnfinished):
        await charts.chart(started, 9)
    counted.open.set()
    chart = b""
    while not chart:  # each time it is waited for a little
        with suppress(ChartUnfinished):
            chart = await charts.chart(started, 9)
    assert (json.loads(chart)["intervals"], counted.loads) == (0, 1)


async def test_who_comes_when_many_wait_is_told_at_once(started):
    counted = Counted()
    counted.open.clear()
    charts = Charts(counted, MemoryReadings())
    others = [replace(started, id=uuid4()) for _ in range(MOST_WAITING)]
    waiting = [asyncio.create_task(charts.chart(other, 9)) for other in others]
    for _ in range(10):
        await asyncio.sleep(0)
    with pytest.raises(ChartUnfinished):
        await charts.chart(started, 9)
    counted.open.set()
    assert len(await asyncio.gather(*waiting)) == MOST_WAITING
    assert await charts.chart(started, 9)


async def test_more_than_is_drawn_is_refused_before_it_is_read(api, evidence, rollout):
    counted = evidence.behind = Counted()
    counted.more = MOST_INTERVALS + 1
    answer = await api.get(f"/rollouts/{rollout['id']}/evidence")
    assert (answer.status_code, counted.loads) == (409, 0)
    assert answer.json()["type"] == "urn:tidegate:problem:too-much-evidence"
    assert "100,001 intervals of evidence are stored" in answer.json()["detail"]


async def test_others_are_served_while_a_long_history_is_folded(started):
    turns, at_interval = 0, []

    class Watched(tuple[Interval | ArmsInterval, ...]):
        """Notes at each interval how many turns others have had."""

        __slots__ = ()

        def __iter__(self):
            for interval in tuple.__iter__(self):
                at_interval.append(turns)
                yield interval

    class Long(MemoryEvidence):
        async def load(self, rollout_id):
            log = await super().load(rollout_id)
            return EvidenceLog(intervals=Watched(log.intervals), cursor=log.cursor)

    async def others():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    long = Long()
    await store(long, started.id, *(seen(k) for k in range(500)))
    busy = asyncio.create_task(others())
    await Charts(long, MemoryReadings()).chart(started, 9)
    busy.cancel()
    assert len(set(at_interval[-500:])) > 1


AT_ONCE = {"warm_up_seconds": 0}
FIRST = {
    "name": "first",
    "metric": "time_to_first_token",
    "source": "vllm",
    "slow_over_ms": 2500,
    "limit": 0.1,
}


async def test_each_gate_is_drawn_from_the_counts_of_its_own_source(api, ids, evidence):
    path = f"/traffic_configs/{ids['config']}/rollouts"
    started = await api.made(path, canary(ids["v2"], gates=[FIRST, GATES[0]], policies=AT_ONCE))
    rollout_id = UUID(started["id"])
    await store(evidence, rollout_id, seen(0), seen(1), seen(2))
    late = seen(0, step=4)
    late = replace(late, candidate=Counts(requests=0, errors=0, within=(300, 900), timed=1000))
    await evidence.append(
        rollout_id, interval=late, cursor=a_cursor(None), meter="vllm/time_to_first_token"
    )
    answer = await api.get(f"/rollouts/{rollout_id}/evidence")
    assert answer.status_code == 200, answer.text
    chart = answer.json()
    first, errors = chart["gates"]
    assert (first["gate"]["name"], errors["gate"]["name"]) == ("first", "errors")
    assert (len(first["points"]), len(errors["points"]), chart["intervals"]) == (1, 3, 4)
    (point,) = first["points"]
    assert (point["candidate_requests"], point["candidate_bad"]) == (1000, 700)
    assert point["status"] == "fail"


async def test_a_gate_whose_source_has_counted_nothing_has_no_points(api, ids, evidence):
    path = f"/traffic_configs/{ids['config']}/rollouts"
    started = await api.made(path, canary(ids["v2"], gates=[GATES[0], FIRST]))
    await store(evidence, started["id"], seen(0))
    chart = (await api.get(f"/rollouts/{started['id']}/evidence")).json()
    assert [len(series["points"]) for series in chart["gates"]] == [1, 0]


QUALITY = {
    "name": "quality",
    "query": 'quality{model="{{candidate.workload}}"}',
    "success_condition": "result[0] > 0.9",
    "interval_seconds": 60,
    "failure_limit": 1,
}


def read(sequence, *series, error="", variant="candidate", step=2):
    reading = Reading(at=NOW + timedelta(minutes=sequence), series=series, error=error)
    return KeptReading(
        gate="quality", variant=variant, sequence=sequence, step=step, reading=reading
    )


@pytest.fixture
async def gated(api, ids):
    """A rollout with gates of both kinds."""
    path = f"/traffic_configs/{ids['config']}/rollouts"
    return await api.made(path, canary(ids["v2"], gates=[GATES[0], QUALITY]))


@pytest.fixture
def shown(api, gated):
    async def ask(**query):
        answer = await api.get(f"/rollouts/{gated['id']}/evidence", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return ask


async def test_a_gate_without_statistics_is_drawn_by_its_readings(gated, shown, readings):
    for one in (read(0, 0.95, 0.99), read(1, error="no answer in time"), read(2, 0.5)):
        await readings.keep(UUID(gated["id"]), one)
    chart = await shown()
    assert [series["gate"]["name"] for series in chart["gates"]] == ["errors"]
    (series,) = chart["readings"]
    assert series["gate"] == next(g for g in gated["plan"]["gates"] if g["name"] == "quality")
    assert series["variant"] == ""
    good, silent, bad = series["points"]
    assert good == {
        "at": "2026-11-21T12:00:00Z",
        "step": 2,
        "values": [0.95, 0.99],
        "texts": None,
        "error": "",
        "outcome": "success",
        "status": "pass",
    }
    assert (silent["values"], silent["error"]) == ([], "no answer in time")
    assert (silent["outcome"], silent["status"]) == ("error", "undecided")
    assert (bad["values"], bad["outcome"], bad["status"]) == ([0.5], "failure", "undecided")


async def test_a_value_that_is_no_json_number_is_null_with_its_text_beside(gated, shown, readings):
    await readings.keep(UUID(gated["id"]), read(0, 0.5, nan, inf, -inf))
    (point,) = (await shown())["readings"][0]["points"]
    assert point["values"] == [0.5, None, None, None]
    assert point["texts"] == ["0.5", "NaN", "+Inf", "-Inf"]


async def test_readings_are_thinned_to_the_points_that_were_asked_for(gated, shown, readings):
    for sequence in range(50):
        await readings.keep(UUID(gated["id"]), read(sequence, 0.95))
    points = (await shown(points=7))["readings"][0]["points"]
    assert len(points) == 7
    assert points[-1]["at"] == "2026-11-21T12:49:00Z"


async def test_a_new_reading_is_on_the_next_chart(gated, shown, readings):
    assert (await shown())["readings"][0]["points"] == []
    await readings.keep(UUID(gated["id"]), read(0, 0.95))
    assert len((await shown())["readings"][0]["points"]) == 1


async def test_each_arm_of_an_ab_test_has_readings_of_its_own(api, ids, readings):
    path = f"/traffic_configs/{ids['config']}/rollouts"
    started = await api.made(path, {**a_test(ids), "gates": [QUALITY]})
    await readings.keep(UUID(started["id"]), read(0, 0.95, variant="c"))
    chart = (await api.get(f"/rollouts/{started['id']}/evidence")).json()
    told = [(series["variant"], len(series["points"])) for series in chart["readings"]]
    assert told == [("b", 0), ("c", 1)]


async def test_readings_that_cannot_be_had_are_a_503(api, gated, readings):
    readings.error = Unreachable()
    answer = await api.get(f"/rollouts/{gated['id']}/evidence")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")


async def test_a_rollout_without_such_gates_has_no_readings_and_needs_none(charted, readings):
    readings.error = Unreachable()
    assert (await charted())["readings"] == []


async def test_readings_count_to_what_is_drawn_at_most(api, evidence, readings, gated):
    counted = evidence.behind = Counted()
    counted.more = MOST_INTERVALS
    await readings.keep(UUID(gated["id"]), read(0, 0.95))
    answer = await api.get(f"/rollouts/{gated['id']}/evidence")
    assert (answer.status_code, counted.loads) == (409, 0)
    assert "100,001 intervals of evidence and readings are stored" in answer.json()["detail"]
