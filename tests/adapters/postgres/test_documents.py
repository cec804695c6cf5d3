"""Domain documents survive the way into JSON and back."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.postgres import rows
from domain.gate_templates.pins import PinnedArgument, TemplatePin, TemplateScope
from domain.gates import ENVOY_BOUNDS_MS, AgainstStable, Gate, Metric
from domain.plan import Plan, Policies, Strategy
from domain.reading_gates import PromQuery, ReadingGate
from domain.readings.rules import ReadingRules
from domain.steps import Deploy, Promote, Reaction, Retire, SetWeights, Soak
from domain.verdicts import Status, Verdict
from tests.projects import a_cursor, a_project, an_entry

PROJECT = a_project()
durations = st.timedeltas(timedelta(0), timedelta(days=30))
weights = st.integers(0, 100)
steps = st.one_of(
    st.builds(Deploy),
    st.builds(SetWeights, candidate=weights),
    st.builds(Soak, weight=weights, at_least=durations, at_most=durations),
    st.builds(Promote),
    st.builds(Retire, delay=durations),
)
shares = st.floats(0.0001, 0.5)
gates = st.builds(
    Gate,
    name=st.sampled_from(["errors", "slow"]),
    metric=st.sampled_from(Metric),
    slow_over_ms=st.none() | st.sampled_from(ENVOY_BOUNDS_MS),
    limit=st.none() | shares,
    against_stable=st.none() | st.builds(AgainstStable, floor=shares),
    alpha=shares,
)
arguments = st.builds(
    PinnedArgument,
    name=st.sampled_from("ab"),
    value=st.text()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False),
)
pins = st.builds(
    TemplatePin,
    name=st.sampled_from(["slo", "slow"]),
    scope=st.sampled_from(TemplateScope),
    version=st.integers(1, 9),
    arguments=st.lists(arguments, max_size=3).map(tuple),
)
reading_gates = st.builds(
    ReadingGate,
    name=st.text("ab-"),
    question=st.builds(PromQuery, query=st.text()),
    rules=st.builds(ReadingRules, interval=st.none() | durations, initial_delay=durations),
)
plans = st.builds(
    Plan,
    strategy=st.sampled_from(Strategy),
    route=st.just(PROJECT.plan.route),
    stable=st.just(PROJECT.plan.stable),
    candidate=st.just(PROJECT.plan.candidate),
    steps=st.lists(steps, max_size=5).map(tuple),
    gates=st.lists(gates, max_size=3).map(tuple),
    reading_gates=st.lists(reading_gates, max_size=3).map(tuple),
    policies=st.builds(Policies, on_drift=st.sampled_from(Reaction), deadline=durations),
    templates=st.lists(pins, max_size=2).map(tuple),
)


@given(plans)
def test_a_plan_survives(plan):
    read = rows.plan_of(rows.plan_json(plan))
    assert read == plan
    assert types_of_arguments(read) == types_of_arguments(plan)


def types_of_arguments(plan):
    """Of what is equal and yet not the same: True is 1, and 1.0."""
    return [type(one.value) for pin in plan.templates for one in pin.arguments]


async def test_a_plan_survives_the_database(registry, it):
    rollout = await it.start(registry)
    assert (await registry.rollout(it.id, rollout.id)).plan == it.plan


def test_a_cursor_survives():
    assert rows.cursor_of(rows.cursor_json(a_cursor())) == a_cursor()


HOSTILE = "nul \0, half a surrogate \ud800, quote ' and backslash \\u0000"


@pytest.fixture
async def rollout(registry, it):
    return await it.start(registry)


async def test_whatever_another_system_says_can_be_recorded(registry, journal, it, rollout):
    verdict = Verdict(gate="errors", status=Status.PASS, reason=HOSTILE)
    data = {HOSTILE: (HOSTILE, {"high": float("inf"), "low": float("nan")}), "verdict": verdict}
    entry = an_entry("k", message=HOSTILE, data=data)
    await journal.record(rollout.id, [entry])
    (event,) = await registry.events(it.id, rollout.id, after=0, limit=1)
    assert event.message.startswith("nul \N{REPLACEMENT CHARACTER}, half")
    assert event.data[event.message] == [event.message, {"high": None, "low": None}]
    assert event.data["verdict"]["reason"] == event.message
    assert event.data["verdict"]["status"] == "pass"
