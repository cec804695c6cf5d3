"""Outlooks on plans at the front door: what is read of stable, what is told, what is not known."""

import math
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from api.outlooks import ASKED, OTHERS_LOOK_BACK
from domain.errors import Refused, Unreachable
from domain.evidence.baseline import BEFORE, FIXED, WHERE_UNKNOWN, History
from domain.evidence.counters import Series, SeriesRole
from domain.metrics import Measurement, summed
from tests.api.caller import canary
from tests.api.test_ab_tests import a_test
from tests.api.test_metrics import add_variant
from tests.fakes.history import in_bursts

HOUR = 3600.0
ERRORS = {"name": "errors", "metric": "error_rate", "against_stable": {}}
FIRST = {
    "name": "first",
    "metric": "time_to_first_token",
    "source": "vllm",
    "slow_over_ms": 500,
    "against_stable": {},
}
FIRST_TOKEN, VLLM_REQUESTS = "vllm/time_to_first_token", "vllm/requests"
# Evidence counts from the first interval on, and in full.
AT_ONCE = {"warm_up_seconds": 0, "overdispersion": 1}
BUSY = Measurement(
    requests=360_000,
    errors=3_600,
    latency=summed([(0.25, 324_000), (0.5, 342_000), (1.0, 356_400), (math.inf, 360_000)]),
)


@pytest.fixture
async def ids(api):
    return await api.served()


@pytest.fixture
def ahead(api, ids, registry, metrics):
    """Stable has had 100 requests/s for an hour, of which one in a hundred failed."""
    add_variant(registry, ids, "idle", "v3", slot=5)
    metrics.measured[0] = BUSY

    async def ask(version="v2", **changes):
        body = canary(ids[version], traffic_config_id=ids["config"], **changes)
        answer = await api.post("/analysis/plan", body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return ask


async def test_each_step_says_what_it_will_take_and_find(ahead):
    found = await ahead(gates=[ERRORS], policies=AT_ONCE)
    assert found["traffic"]["requests_per_second"] == pytest.approx(100)
    assert found["traffic"]["bad_fractions"] == {"errors": 0.01}
    first, second = found["steps"]
    assert (first["weight"], first["requests_per_second"], first["soak_seconds"]) == (10, 10, 60)
    (gate,) = first["gates"]
    outlook = gate["outlook"]
    assert not outlook["passes_within_soak"]
    assert 200 < outlook["seconds_to_pass"] < 800
    assert outlook["seconds_to_find_tenfold"] < 60 < outlook["seconds_to_find_double"]
    assert 2 < outlook["smallest_ratio"] < 10
    assert second["gates"][0]["outlook"]["seconds_to_pass"] < outlook["seconds_to_pass"]
    assert [other["weight"] for other in gate["other_weights"]] == [5, 25, 50]
    assert first["summary"].startswith("At 10 % (10 requests/s) errors takes about")
    assert "longer than the 1 min of the soak" in first["summary"]
    assert "at 25 %" in first["summary"]


async def test_a_latency_gate_is_told_from_stable_s_histogram(ahead):
    slow = {"name": "slow", "metric": "latency", "slow_over_ms": 250, "against_stable": {}}
    unknown = {**slow, "name": "odd", "slow_over_ms": 100}
    found = await ahead(gates=[slow, unknown])
    assert found["traffic"]["bad_fractions"] == {"slow": pytest.approx(0.1), "odd": None}
    known, missing = found["steps"][0]["gates"]
    assert known["outlook"]["seconds_to_find_double"] > 0
    assert (missing["outlook"], missing["reason"]) == (
        None,
        "stable's histogram does not count at 100 ms",
    )


async def test_without_traffic_nothing_is_made_up(ahead, metrics):
    metrics.measured.clear()
    found = await ahead(gates=[ERRORS])
    assert (found["traffic"]["requests"], found["traffic"]["requests_per_second"]) == (None, None)
    (gate,) = found["steps"][0]["gates"]
    assert (gate["outlook"], gate["other_weights"]) == (None, [])
    assert gate["reason"] == "stable had no request in the window, so nothing can be expected"
    assert (
        found["steps"][0]["summary"] == f"At 10 % nothing can be said of errors: {gate['reason']}."
    )


async def test_without_a_bad_request_of_stable_s_no_multiple_is_told(ahead, metrics):
    metrics.measured[0] = replace(BUSY, errors=None)
    (gate, *_) = (await ahead(gates=[ERRORS]))["steps"][0]["gates"]
    assert gate["outlook"]["seconds_to_find_double"] is None
    assert gate["outlook"]["smallest_fraction"] > 0.001
    assert "no bad request" in gate["reason"]


async def test_the_window_is_cut_to_what_stable_has_held_its_slot_for(ahead, metrics):
    found = await ahead(window_seconds=30 * 86_400)
    assert found["traffic"]["window_seconds"] == pytest.approx(2 * 86_400, rel=0.01)


async def test_only_testers_reach_a_preview(ahead):
    found = await ahead(
        strategy="blue_green",
        steps=None,
        blue_green={"preview": [{"name": "x-preview", "value": "1"}]},
    )
    reasons = {gate["reason"] for step in found["steps"] for gate in step["gates"]}
    assert "only requests with its headers reach the candidate; how many is not known" in reasons


async def test_each_arm_of_an_ab_test_has_its_outlook(api, ids, ahead):
    wish = {**a_test(ids), "traffic_config_id": ids["config"], "gates": [ERRORS]}
    answer = await api.post("/analysis/plan", wish)
    assert answer.status_code == 200, answer.text
    steps = answer.json()["steps"]
    assert {step["variant"] for step in steps} == {"b", "c"}
    assert all(step["gates"][0]["outlook"] for step in steps)


async def test_a_plan_breaks_the_rules_that_a_rollout_would(api, ids, registry):
    wish = canary(ids["v2"], traffic_config_id=ids["config"], steps=[{"weight": 0}])
    asked = await api.post("/analysis/plan", wish)
    started = await api.post(
        f"/traffic_configs/{ids['config']}/rollouts", canary(ids["v2"], steps=[{"weight": 0}])
    )
    assert (asked.status_code, asked.json()["errors"]) == (422, started.json()["errors"])


def ladder(steps):
    """So many steps, each with a margin."""
    return [
        {"weight": nth, "soak_seconds": 60, "margin": round(16 - 14.5 * nth / steps, 3)}
        for nth in range(1, steps + 1)
    ]


@pytest.mark.parametrize(
    ("steps", "gates", "others", "field", "stays"),
    [
        (50, 20, 8, "steps", 229_500),
        (50, 20, 0, "steps", 25_500),
        (50, 2, 8, "other_weights", 22_950),
    ],
)
async def test_a_plan_that_would_take_minutes_is_refused(  # noqa: PLR0917 - a row of the table
    api, ids, metrics, steps, gates, others, field, stays
):
    wish = canary(
        ids["v2"],
        traffic_config_id=ids["config"],
        steps=ladder(steps),
        gates=[{**ERRORS, "name": f"g{i}"} for i in range(gates)],
        other_weights=list(range(1, 1 + others)),
    )
    answer = await api.post("/analysis/plan", wish)
    assert answer.status_code == 422, answer.text
    (told,) = answer.json()["errors"]
    assert told["field"] == field
    assert f"must be fewer, or the gates: the outlooks rest on {stays:,} stays" in told["rule"]
    assert not metrics.asked


async def test_a_long_ladder_with_gates_and_other_weights_is_within_the_bound(api, ids):
    gates = [{**ERRORS, "name": f"g{i}"} for i in range(5)]
    wish = {"steps": ladder(20), "gates": gates, "other_weights": [5, 10, 25, 50]}
    # Without traffic there is nothing to compute.
    answer = await api.post(
        "/analysis/plan", canary(ids["v2"], traffic_config_id=ids["config"], **wish)
    )
    assert answer.status_code == 200, answer.text


async def test_a_plan_starts_nothing(api, ids, ahead):
    await ahead()
    assert (await api.get("/rollouts")).json()["total"] == 0


async def test_a_metrics_store_that_does_not_answer_a_plan_is_told(api, ids, metrics):
    metrics.outage(Unreachable("away"))
    answer = await api.post("/analysis/plan", canary(ids["v2"], traffic_config_id=ids["config"]))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "traffic and rollouts are not touched" in answer.json()["detail"]


# Other meters


def grows(key, role, per_second, *, bound_ms=None, start=0.0):
    """A counter over the last hour, scraped each 15 s."""
    samples = tuple((at, start + per_second * at) for at in np.arange(0.0, HOUR + 1, 15.0))
    return Series(key=key, role=role, bound_ms=bound_ms, samples=samples)


def buckets(*cumulative):
    """(milliseconds, per second) of a histogram."""
    return tuple(
        grows(f"le{bound}", SeriesRole.BUCKET, rate, bound_ms=bound) for bound, rate in cumulative
    )


def first_tokens():
    """Twenty a second, a tenth of them beyond 500 ms."""
    return {"stable": buckets((100.0, 10.0), (500.0, 18.0), (1000.0, 19.8), (math.inf, 20.0))}


async def test_a_gate_on_another_source_is_told_from_its_own_counts(ahead, counters):
    counters.meters = {
        FIRST_TOKEN: first_tokens(),
        VLLM_REQUESTS: {
            "stable": (
                grows("r", SeriesRole.REQUESTS, 50.0),
                grows("e", SeriesRole.ERRORS, 1.0),
            )
        },
    }
    errors = {**ERRORS, "source": "vllm"}
    found = await ahead(gates=[FIRST, errors], policies=AT_ONCE)
    assert found["traffic"]["bad_fractions"] == {
        "first": pytest.approx(0.1),
        "errors": pytest.approx(0.02),
    }
    rates = {one["gate"]: one["observations_per_second"] for one in found["traffic"]["gates"]}
    assert rates == {"first": pytest.approx(20), "errors": pytest.approx(50)}
    first, errors = found["steps"][0]["gates"]
    assert first["outlook"]["seconds_to_pass"] > 0
    assert errors["outlook"]["seconds_to_find_double"] > 0
    assert first["reason"] is None
    assert len(first["other_weights"]) == 3


async def test_half_as_many_observations_take_twice_as_long(ahead, counters):
    async def seconds(times):
        every = buckets((500.0, 9.0 * times), (math.inf, 10.0 * times))
        counters.meters = {FIRST_TOKEN: {"stable": every}}
        # Another wish: the same is answered from memory for a moment.
        wish = {"gates": [FIRST], "policies": AT_ONCE, "other_weights": [times]}
        (gate,) = (await ahead(**wish))["steps"][0]["gates"]
        return gate["outlook"]["seconds_to_pass"]

    assert await seconds(1) == pytest.approx(2 * await seconds(2), rel=0.03)


async def test_a_source_that_counted_nothing_is_named(ahead, counters):
    found = await ahead(gates=[FIRST, ERRORS])
    first, errors = found["steps"][0]["gates"]
    assert (first["outlook"], first["other_weights"]) == (None, [])
    assert first["reason"] == "vllm counted nothing of stable in the window"
    assert found["traffic"]["bad_fractions"]["first"] is None
    assert [one["gate"] for one in found["traffic"]["gates"]] == ["errors"]
    assert errors["outlook"] is not None


async def test_a_source_whose_histogram_lacks_the_bound_is_named(ahead, counters):
    counters.meters = {FIRST_TOKEN: {"stable": buckets((100.0, 10.0), (math.inf, 20.0))}}
    (gate,) = (await ahead(gates=[FIRST]))["steps"][0]["gates"]
    assert gate["reason"] == "vllm shows no bound at 500 of stable"


async def test_a_source_that_cannot_be_read_leaves_the_others(ahead, counters):
    counters.outage(Refused("no such label"))
    first, errors = (await ahead(gates=[FIRST, ERRORS]))["steps"][0]["gates"]
    assert first["reason"] == "vllm cannot be read: no such label"
    assert errors["outlook"] is not None


async def test_a_store_that_is_away_is_told_whatever_it_was_asked(api, ids, counters):
    counters.outage(Unreachable("away"))
    wish = canary(ids["v2"], traffic_config_id=ids["config"], gates=[FIRST])
    answer = await api.post("/analysis/plan", wish)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")


async def test_other_sources_are_looked_at_for_hours_and_not_for_days(ahead, counters):
    await ahead(gates=[FIRST], window_seconds=86_400)
    await ahead(gates=[FIRST], window_seconds=900)
    assert counters.looked_back[FIRST_TOKEN] == [OTHERS_LOOK_BACK, timedelta(minutes=15)]


# Gates without a bound


def no_bound(gate):
    return {key: value for key, value in gate.items() if key != "slow_over_ms"}


SLOW = {"name": "slow", "metric": "latency", "slow_over_ms": 250, "against_stable": {}}


async def test_a_gate_without_a_bound_is_told_at_those_of_stable_s_history(
    ahead, stable_history, metrics
):
    timed = buckets((250.0, 90.0), (500.0, 95.0), (1000.0, 99.0), (math.inf, 100.0))
    stable_history.history = History(series=timed)
    found = await ahead(gates=[no_bound(SLOW)], policies=AT_ONCE)
    assert found["traffic"]["bad_fractions"] == {"slow": None}
    (seen,) = found["traffic"]["gates"]
    assert seen["at_bounds"] == [
        {"bound": 250, "bad_fraction": pytest.approx(0.1)},
        {"bound": 500, "bad_fraction": pytest.approx(0.05)},
        {"bound": 1000, "bad_fraction": pytest.approx(0.01)},
    ]
    (gate,) = found["steps"][0]["gates"]
    outlook = gate["outlook"]
    assert outlook["seconds_to_find_tenfold"] < outlook["seconds_to_find_double"]
    assert outlook["smallest_fraction"] is None
    told = [(one["bound"], one["bad_fraction"]) for one in outlook["smallest_at_bounds"]]
    odds = outlook["smallest_ratio"]
    assert told == [
        (bound, pytest.approx(odds * bad / (1 - bad + odds * bad)))
        for bound, bad in ((250, 0.1), (500, 0.05), (1000, 0.01))
    ]
    assert "times the odds of a slow answer" in found["steps"][0]["summary"]
    assert stable_history.windows == [BEFORE]


async def test_the_slowest_bound_decides_about_a_pass(ahead, stable_history):
    timed = buckets((250.0, 90.0), (500.0, 95.0), (1000.0, 99.0), (math.inf, 100.0))
    stable_history.history = History(series=timed)
    rare = {**SLOW, "name": "rare", "slow_over_ms": 1000}
    found = await ahead(gates=[no_bound(SLOW), rare], policies=AT_ONCE)
    several, one = (gate["outlook"] for gate in found["steps"][0]["gates"])
    assert several["seconds_to_pass"] == pytest.approx(one["seconds_to_pass"], rel=0.02)


async def test_a_gate_without_a_bound_on_another_source_takes_those_of_its_workload(
    ahead, counters
):
    counters.meters = {FIRST_TOKEN: first_tokens()}
    found = await ahead(gates=[no_bound(FIRST)], policies=AT_ONCE)
    (seen,) = found["traffic"]["gates"]
    assert [one["bound"] for one in seen["at_bounds"]] == [100, 500, 1000]
    assert found["steps"][0]["gates"][0]["outlook"]["seconds_to_pass"] > 0
    assert counters.looked_back[FIRST_TOKEN] == [timedelta(hours=1), BEFORE]


async def test_without_a_timed_answer_there_is_no_bound(ahead):
    (gate,) = (await ahead(gates=[no_bound(SLOW)]))["steps"][0]["gates"]
    assert gate["outlook"] is None
    assert gate["reason"].startswith("no answer of stable was timed in the hour before")


# What evidence is divided by


async def test_phi_is_what_stable_s_pods_show_as_it_will_be_for_the_rollout(ahead, stable_history):
    stable_history.history = in_bursts()
    found = await ahead(gates=[ERRORS])
    assert 3 < found["phi"] < 20
    assert found["phi_source"] == "2 stable pods, 60 min"


@pytest.mark.parametrize(
    ("changes", "phi", "source"),
    [
        ({"policies": {"overdispersion": 2}}, 2, FIXED),
        ({"policies": {"overdispersion": 2}, "phi": 3}, 3, ASKED),
        ({"phi": 3}, 3, ASKED),
    ],
)
async def test_a_phi_that_is_given_is_not_learnt(ahead, stable_history, changes, phi, source):
    found = await ahead(gates=[ERRORS], **changes)
    assert (found["phi"], found["phi_source"], stable_history.windows) == (phi, source, [])


async def test_phi_of_a_stable_without_pods_is_the_default_and_says_so(ahead):
    found = await ahead(gates=[ERRORS])
    assert found["phi"] == WHERE_UNKNOWN
    assert found["phi_source"].startswith("a default, as the source has no numbers")


async def test_a_history_that_cannot_be_read_leaves_the_default_phi(ahead, stable_history):
    stable_history.fail(Refused("too many samples"))
    found = await ahead(gates=[ERRORS])
    assert found["phi"] == WHERE_UNKNOWN
    assert found["phi_source"] == (
        "a default, as stable's history cannot be read: too many samples"
    )
    assert found["steps"][0]["gates"][0]["outlook"] is not None


# Steps that hang together


async def test_a_step_is_held_to_its_margin_by_all_requests_so_far(ahead):
    steps = [
        {"weight": 5, "soak_seconds": 3600, "margin": 4},
        {"weight": 25, "soak_seconds": 3600, "margin": 1.5},
    ]
    found = await ahead(gates=[ERRORS], policies=AT_ONCE, steps=steps)
    first, second = found["steps"]
    assert (first["margin"], first["seconds_before"], second["margin"]) == (4, 0, 1.5)
    assert second["seconds_before"] == first["expected_seconds"]
    took = first["gates"][0]["outlook"]["seconds_to_pass"]
    assert first["expected_seconds"] == pytest.approx(took)
    alone = await ahead(gates=[ERRORS], policies=AT_ONCE, steps=steps[1:])
    (later,), (only,) = second["gates"], alone["steps"][0]["gates"]
    assert later["outlook"]["seconds_to_pass"] < only["outlook"]["seconds_to_pass"] - 10
    assert "less than 1.5 times stable" in second["summary"]
    assert "at earlier steps included" in second["summary"]
    assert "at earlier steps" not in first["summary"]


async def test_a_warm_up_is_told_and_within_the_seconds_of_the_first_step_alone(ahead):
    steps = [{"weight": 10, "soak_seconds": 3600}, {"weight": 50, "soak_seconds": 3600}]
    warm = await ahead(gates=[ERRORS], steps=steps, policies={**AT_ONCE, "warm_up_seconds": 90})
    cold = await ahead(gates=[ERRORS], steps=steps, policies=AT_ONCE)

    def seconds(found, name):
        return [step["gates"][0]["outlook"][name] for step in found["steps"]]

    for name in ("seconds_to_pass", "seconds_to_find_double"):
        first, second = seconds(cold, name)
        assert seconds(warm, name) == [pytest.approx(first + 90, rel=0.02), second]
    assert [step["warm_up_seconds"] for step in warm["steps"]] == [90, 0]
    assert warm["warm_up_seconds"] == 90
    assert "the first 1 min 30 s, which warm up" in warm["steps"][0]["summary"]
    assert "warm up" not in warm["steps"][1]["summary"]


async def test_a_step_that_is_shorter_than_the_warm_up_leaves_the_rest_to_the_next(ahead):
    steps = [
        {"weight": 10, "soak_seconds": 30, "pace": "time"},
        {"weight": 50, "soak_seconds": 3600},
    ]
    found = await ahead(gates=[ERRORS], steps=steps, policies={**AT_ONCE, "warm_up_seconds": 90})
    first, second = found["steps"]
    assert first["gates"][0]["outlook"]["smallest_fraction"] > 0.3  # a catastrophe
    assert (first["expected_seconds"], second["warm_up_seconds"]) == (30, 60)


# Gates without statistics

QUALITY = {
    "name": "quality",
    "query": "vector(1)",
    "success_condition": "result[0] >= 0.95",
    "interval_seconds": 30,
    "count": 5,
    "initial_delay_seconds": 60,
}


async def test_a_gate_without_statistics_says_when_it_can_pass_at_the_earliest(ahead):
    found = await ahead(gates=[ERRORS, QUALITY], policies=AT_ONCE)
    step = found["steps"][0]
    assert step["reading_gates"] == [
        {
            "gate": "quality",
            "readings": 5,
            "earliest_seconds_to_pass": 180,
            "passes_within_soak": False,
        }
    ]
    assert (
        "quality can PASS 3 min after the step began at the earliest, with 5 readings, "
        "longer than the 1 min of the soak." in step["summary"]
    )


async def test_a_step_may_have_such_gates_alone(ahead):
    soak = [{"weight": 10, "soak_seconds": 600}]
    found = await ahead(gates=[QUALITY], steps=soak)
    (step,) = found["steps"]
    assert (step["gates"], step["expected_seconds"]) == ([], 180)
    quick = {key: QUALITY[key] for key in ("name", "query", "success_condition")}
    (step,) = (await ahead(gates=[quick], steps=soak))["steps"]
    assert "as soon as it is reached at the earliest, with its first reading." in step["summary"]
