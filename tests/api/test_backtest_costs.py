"""Gates of cost in a backtest: at which price, or why at none."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from domain.metrics import Measurement
from domain.rollout import Phase, Rollout
from tests.api.backtesting import ALIKE, TWO_STEPS, Backtests, naming_both
from tests.api.staging import change
from tests.api.test_analysis import BEGAN, ERRORS, keep
from tests.api.test_backtest_readings import COST


@pytest.fixture
async def ids(api):
    return await api.served()


@pytest.fixture
def past(api, ids, evidence):
    return Backtests(api, ids, evidence)


@pytest.fixture
def named(registry, ids):
    return naming_both(registry, ids)


@pytest.fixture
def store(history):
    """Both arms are alike at the gateway."""
    history.kept = dict(ALIKE)
    return history


async def test_a_cost_is_measured_as_of_each_moment_by_the_price_it_was_started_with(
    past, store, metrics
):
    rollout = await past.started(ERRORS, COST)
    slots = [rollout["plan"][arm]["slot"] for arm in ("candidate", "stable")]
    for slot in slots:
        metrics.measured[slot] = Measurement(requests=10, input_tokens=1000, output_tokens=1000)
    found = await past.of_rollout(rollout, *TWO_STEPS)
    _, cost = found["replay"]["gates"]
    # 3 a million in and 15 a million out are 0.009 for 1,000 of both.
    assert cost["first_fail"]["verdict"]["reason"].count("0.009") == 1
    variant, window = metrics.asked[0]
    assert (variant.since, variant.workload) == (BEGAN, rollout["plan"]["candidate"]["workload"])
    assert window <= timedelta(minutes=5)


async def test_a_cost_that_is_named_takes_the_model_s_price(past, named, store, metrics):
    metrics.measured[1] = Measurement(requests=10, input_tokens=1000, output_tokens=1000)
    (gate,) = (await past.of_slots(gates=[COST], **named))["replay"]["gates"]
    assert gate["status"] == "fail"
    assert gate["first_fail"]["seconds"] == 60  # a window without a second has nothing


@pytest.mark.usefixtures("store")
async def test_a_default_gate_whose_model_has_lost_its_price_is_left_out(
    api, ids, past, named, prices
):
    await api.patch(f"/traffic_configs/{ids['config']}", {"default_gates": [ERRORS, COST]})
    prices.clear()
    found = await past.of_slots(**named)
    assert [gate["name"] for gate in found["gates"]] == ["errors"]
    reason = "needs a price of 'chat', which TIDEGATE_TOKEN_PRICES does not have"
    assert found["left_out"] == [{"gate": "cost", "reason": reason}]
    (told,) = (await past.refused(gates=[ERRORS, COST], **named))["errors"]
    assert told == {"field": "gates.1.cost", "rule": reason}


async def test_a_rollout_s_own_price_needs_none_of_today(past, store, prices):
    rollout = await past.started(ERRORS, COST)
    prices.clear()
    found = await past.of_rollout(rollout, *TWO_STEPS)
    assert ([gate["name"] for gate in found["gates"]], found["left_out"]) == (
        ["errors", "cost"],
        [],
    )


async def test_a_cost_is_not_told_of_another_model_by_the_price_of_the_first(
    registry, evidence, control, past, store
):
    other = await past.started(ERRORS)
    await keep(evidence, other, *TWO_STEPS)
    plan = registry.things[Rollout][UUID(other["id"])].plan
    elsewhere = replace(plan, route=replace(plan.route, model="embed"))
    change(registry, Rollout, other["id"], plan=elsewhere, phase=Phase.ROLLED_BACK)
    control.running.clear()
    rollout = await past.started(ERRORS, COST)
    healthy = [{"rollout_id": other["id"]}]
    found = await past.of_rollout(rollout, *TWO_STEPS, healthy_ranges=healthy)
    (told,) = found["left_out"]
    assert (told["gate"], "these are of chat, embed" in told["reason"]) == ("cost", True)
