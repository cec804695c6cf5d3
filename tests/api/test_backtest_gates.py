"""What a backtest replays beside the gateway's counts: other meters, bounds, steps' margins."""

import math
from datetime import datetime
from uuid import UUID

import pytest

from domain.evidence.baseline import Baseline
from domain.evidence.counters import Series, SeriesRole
from domain.registry import TrafficConfig
from tests.api.backtesting import ALIKE, TWO_STEPS, Backtests, naming_both
from tests.api.test_analysis import BEGAN, CANDIDATE, ERRORS, STABLE, after

LATE = {
    "name": "late",
    "metric": "time_to_first_token",
    "source": "vllm",
    "slow_over_ms": 100,
    "against_stable": {},
}
METER = "vllm/time_to_first_token"
SLOW = {"name": "slow", "metric": "latency", "against_stable": {}}


@pytest.fixture
async def ids(api):
    return await api.served()


@pytest.fixture
def gateway(history):
    """Both arms are alike at the gateway."""
    history.kept = dict(ALIKE)
    return history


@pytest.fixture
def named(registry, ids):
    return naming_both(registry, ids)


@pytest.fixture
def past(api, ids, evidence):
    return Backtests(api, ids, evidence)


# Other meters


def metered(workload, *, rps, slow_each, sick_from=math.inf):
    """What vLLM's server counts: one first token of so many is slow, then two of three."""
    moments = range(-60, 7201, 5)
    total = [(BEGAN.timestamp() + at, float(rps * (at + 60))) for at in moments]
    fast, grown = [], 0.0
    for at in moments:
        grown += 5 * rps * (1 / 3 if at > sick_from else 1 - 1 / slow_each)
        fast.append((BEGAN.timestamp() + at, float(int(grown))))
    return tuple(
        Series(
            key=f"{workload}{bound}",
            role=SeriesRole.BUCKET,
            bound_ms=bound,
            samples=tuple(samples),
        )
        for bound, samples in ((100.0, fast), (math.inf, total))
    )


@pytest.fixture
def served_by(gateway):
    """Tell who serves both arms: the candidate's first tokens are late from half past on."""

    def told(candidate, stable):
        gateway.metered = {
            (METER, candidate): metered(candidate, rps=10, slow_each=100, sick_from=1800),
            (METER, stable): metered(stable, rps=90, slow_each=100),
        }

    return told


async def test_gates_on_other_meters_are_replayed_by_the_workloads_of_who_is_named(
    registry, ids, past, named, served_by
):
    stable = registry.things[TrafficConfig][UUID(ids["config"])].stable
    served_by("chat-v2-abc", stable.workload)
    found = await past.of_slots(gates=[ERRORS, LATE], **named)
    errors, late = found["replay"]["gates"]
    assert errors["first_fail"] is None
    assert after(1800) < datetime.fromisoformat(late["first_fail"]["at"]) < after(1900)


async def test_the_looks_at_each_meter_count(past, named):
    week = {"from": "2026-11-20T12:00:00Z", "to": "2026-11-27T12:00:00Z"}
    wish = {**named, **week, "probe_interval_seconds": 20}
    (told,) = (await past.refused(gates=[ERRORS, LATE], **wish))["errors"]
    assert (told["field"], "60,484 looks" in told["rule"]) == ("probe_interval_seconds", True)


async def test_of_slots_alone_the_config_s_gates_on_other_meters_are_left_out(
    api, ids, past, gateway
):
    await api.patch(f"/traffic_configs/{ids['config']}", {"default_gates": [ERRORS, LATE]})
    found = await past.of_slots()
    assert [gate["name"] for gate in found["gates"]] == ["errors"]
    (gate,) = found["replay"]["gates"]
    assert gate["verdict"]["evidence"]["gates_in_family"] == 2
    (told,) = found["left_out"]
    assert (told["gate"], "vllm counts by workload" in told["reason"]) == ("late", True)
    await api.patch(f"/traffic_configs/{ids['config']}", {"default_gates": [LATE]})
    (told,) = (await past.refused())["errors"]
    assert (told["field"], told["rule"]) == ("gates", "must be given: there are none to replay")


async def test_a_past_rollout_s_gates_on_other_meters_are_replayed(past, served_by):
    rollout = await past.started(ERRORS, LATE)
    plan = rollout["plan"]
    served_by(plan["candidate"]["workload"], plan["stable"]["workload"])
    found = await past.of_rollout(rollout, *TWO_STEPS)
    assert [gate["name"] for gate in found["gates"]] == ["errors", "late"]
    errors, late = found["replay"]["gates"]
    assert (errors["first_fail"], late["first_fail"]["weight"]) == (None, 50)
    assert late["first_fail"]["verdict"]["effect"]["estimate"] > 1.25


# Gates without a bound


def answered(place, *, rps, slow_each, sick_from=math.inf, since=-3600):
    """Times at two of Envoy's bounds: one answer of so many is slow, from a second on two of three.

    The rest is within 25 ms; nothing takes longer than a second.
    """
    moments = range(since, 7201, 15)
    total = [(BEGAN.timestamp() + at, float(rps * (at - since))) for at in moments]
    fast, grown = [], 0.0
    for at in moments:
        grown += 15 * rps * (1 / 3 if at > sick_from else 1 - 1 / slow_each)
        fast.append((BEGAN.timestamp() + at, float(int(grown))))
    bounds = ((25.0, fast), (50.0, fast), (1000.0, total), (math.inf, total))
    counted = (Series(key=f"{place}n", role=SeriesRole.REQUESTS, samples=tuple(total)),)
    return counted + tuple(
        Series(key=f"{place}{le}", role=SeriesRole.BUCKET, bound_ms=le, samples=tuple(samples))
        for le, samples in bounds
    )


@pytest.fixture
def timed(history):
    """The candidate is slow from half past twelve on, beyond what stable mostly takes."""
    history.kept = {
        STABLE: answered(STABLE, rps=90, slow_each=100),
        CANDIDATE: answered(CANDIDATE, rps=10, slow_each=100, sick_from=1800),
    }
    return history


async def test_a_time_without_a_bound_is_counted_at_those_of_the_hour_before_the_range(past, timed):
    found = await past.of_slots(gates=[SLOW])
    (gate,) = found["replay"]["gates"]
    assert after(1800) < datetime.fromisoformat(gate["first_fail"]["at"]) < after(1900)
    assert "at 25 ms" in gate["verdict"]["reason"]
    _, since, until = timed.asked[0]
    assert (since, until) == (after(-3600), BEGAN)


async def test_where_that_hour_is_not_kept_any_more_the_gate_is_unavailable_and_says_so(
    past, timed
):
    early = {"from": "2026-11-20T11:00:00Z", "to": "2026-11-20T11:30:00Z"}
    found = await past.of_slots(gates=[SLOW, ERRORS], **early)
    slow, errors = found["replay"]["gates"]
    assert (slow["status"], errors["verdict"]["samples"]["candidate_requests"]) == (
        "unavailable",
        10 * 1800,
    )
    told = "no times of stable's answers from 2026-11-20 10:00:00 UTC to 2026-11-20 11:00:00 UTC"
    assert told in slow["verdict"]["reason"]
    assert found["replay"]["missing"] == []


@pytest.mark.parametrize("stored", [(1000.0,), ()])
async def test_a_rollout_s_own_bounds_are_those_of_its_baseline(evidence, past, timed, stored):
    rollout = await past.started(SLOW)
    baseline = Baseline(phi=1.0, slow_bounds={"slow": stored} if stored else {})
    await evidence.keep_baseline(UUID(rollout["id"]), baseline)
    (gate,) = (await past.of_rollout(rollout, *TWO_STEPS))["replay"]["gates"]
    told = "gave the bound of 1,000 ms" if stored else "was measured before the start"
    assert told in gate["verdict"]["reason"]
    assert all(until > BEGAN for _, _, until in timed.asked)


async def test_a_rollout_without_a_baseline_has_the_bounds_of_the_hour_before_it(past, timed):
    (gate,) = (await past.of_rollout(await past.started(SLOW), *TWO_STEPS))["replay"]["gates"]
    assert "25 ms" in gate["verdict"]["reason"]
    assert gate["first_fail"]["weight"] == 50


async def test_another_meter_s_bounds_are_those_of_its_own_hour_before(past, served_by):
    any_bound = {key: value for key, value in LATE.items() if key != "slow_over_ms"}
    rollout = await past.started(any_bound)
    served_by(rollout["plan"]["candidate"]["workload"], rollout["plan"]["stable"]["workload"])
    (gate,) = (await past.of_rollout(rollout, (2, 10, 0, 2400)))["replay"]["gates"]
    assert gate["first_fail"]["seconds"] > 1800


# What the rollout's evidence was judged by


async def test_a_rollout_s_phi_is_told_with_where_it_comes_from_and_one_s_own_without(
    evidence, past, gateway
):
    rollout = await past.started(ERRORS)
    baseline = Baseline(phi=1.75, phi_source="2 stable pods, 60 min")
    await evidence.keep_baseline(UUID(rollout["id"]), baseline)
    found = await past.of_rollout(rollout, *TWO_STEPS)
    (gate,) = found["replay"]["gates"]
    assert (found["phi"], "2 stable pods, 60 min" in gate["verdict"]["reason"]) == (1.75, True)
    found = await past.of_rollout(rollout, phi=3)
    (gate,) = found["replay"]["gates"]
    assert (found["phi"], "2 stable pods" in gate["verdict"]["reason"]) == (3, False)


# Margins


async def test_a_rollout_is_replayed_with_the_margins_of_its_steps(past, gateway):
    steps = [{"weight": 10, "margin": 2.5}, {"weight": 50, "margin": 1.5}]
    rollout = await past.started(ERRORS, steps=[{**step, "soak_seconds": 900} for step in steps])
    told = [one["sentence"] for one in rollout["plan"]["steps"]]
    (step,) = [i for i, sentence in enumerate(told) if "below 2.5 times" in sentence]
    (gate,) = (await past.of_rollout(rollout, (step, 10, 0, 900)))["replay"]["gates"]
    assert "below the 2.5 that this step asks for" in gate["first_pass"]["verdict"]["reason"]
