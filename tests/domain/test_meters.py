"""What is counted where: the sources of each metric, their bounds, and the meters of gates."""

from dataclasses import replace

import pytest

from domain.gates import AgainstStable, Gate, Metric, Source
from domain.meters import GATEWAY, Meter, meter_of, meters_of
from domain.sources import GIVES, who_gives
from domain.strategies.gate_rules import gate_violations, protocol_violations
from domain.workloads import Protocol
from tests.plans import ERRORS

TTFT = Gate(
    name="first",
    metric=Metric.TIME_TO_FIRST_TOKEN,
    source=Source.VLLM,
    slow_over_ms=100,
    against_stable=AgainstStable(),
)
TOKENS = Gate(
    name="short",
    metric=Metric.TOKENS,
    source=Source.GEN_AI,
    no_more_than=16,
    against_stable=AgainstStable(),
)


def broken(gate):
    return {one.field: one.rule for one in gate_violations((gate,))}


@pytest.mark.parametrize("source", Source)
@pytest.mark.parametrize("metric", Metric)
def test_a_gate_is_accepted_where_its_source_counts_its_metric_and_only_there(source, metric):
    bound = (GIVES[source].get(metric) or (64.0,))[0]
    gate = replace(ERRORS, metric=metric, source=source)
    if metric is Metric.TOKENS:
        gate = replace(gate, more_than=bound)
    elif metric is not Metric.ERROR_RATE:
        gate = replace(gate, slow_over_ms=bound)
    assert ("gates.0.source" in broken(gate)) == (metric not in GIVES[source])
    assert bool(broken(gate)) == (metric not in GIVES[source])


def test_a_source_that_cannot_count_a_metric_names_those_that_can():
    rule = broken(replace(TTFT, source=Source.KSERVE))["gates.0.source"]
    assert rule == (
        "must be one that counts time_to_first_token, which kserve does not: gen_ai, vllm"
    )


@pytest.mark.parametrize(
    ("gate", "field", "rule"),
    [
        (replace(TTFT, slow_over_ms=101), "gates.0.slow_over_ms", "counts at: 1, 5, 10, 20, 40"),
        (replace(TTFT, slow_over_ms=None, limit=0.1), "gates.0.slow_over_ms", "is needed with"),
        (replace(TTFT, more_than=16), "gates.0.more_than", "tokens only"),
        (replace(TOKENS, no_more_than=None), "gates.0.more_than", "one of them"),
        (replace(TOKENS, more_than=16), "gates.0.more_than", "one of them"),
        (replace(TOKENS, no_more_than=17), "gates.0.no_more_than", "1, 4, 16, 64"),
        (replace(TOKENS, slow_over_ms=10), "gates.0.slow_over_ms", "other times only"),
        (replace(ERRORS, no_more_than=16), "gates.0.no_more_than", "tokens only"),
        (
            replace(ERRORS, metric=Metric.LATENCY, source=Source.ISTIO, slow_over_ms=-1.0),
            "gates.0.slow_over_ms",
            "above 0",
        ),
        (
            replace(ERRORS, metric=Metric.LATENCY, limit=0.1),
            "gates.0.slow_over_ms",
            "is needed with a limit",
        ),
    ],
)
def test_a_bound_that_breaks_a_rule_is_named_with_those_that_are_counted(gate, field, rule):
    assert rule in broken(gate)[field]


@pytest.mark.parametrize("gate", [replace(ERRORS, metric=Metric.LATENCY), TTFT])
def test_a_time_may_leave_its_bound_to_the_history_of_stable(gate):
    slow = replace(gate, slow_over_ms=None)
    assert slow.takes_bounds_of_stable
    assert not broken(slow)
    assert not ERRORS.takes_bounds_of_stable
    assert not replace(slow, slow_over_ms=250.0).takes_bounds_of_stable


def test_a_mesh_may_count_at_bounds_of_its_own():
    assert not broken(
        replace(ERRORS, metric=Metric.LATENCY, source=Source.ISTIO, slow_over_ms=123.0)
    )


def test_every_metric_has_a_source_and_every_source_a_metric():
    assert all(who_gives(metric) for metric in Metric)
    assert set(GIVES) == set(Source)
    assert all(GIVES.values())


def test_bounds_ascend():
    for given in GIVES.values():
        for bounds in given.values():
            assert list(bounds or ()) == sorted(set(bounds or ()))


def test_failures_and_latency_of_a_source_are_one_meter_and_each_other_histogram_is_its_own():
    slow = replace(ERRORS, name="slow", metric=Metric.LATENCY, slow_over_ms=300.0)
    of_vllm = tuple(replace(gate, source=Source.VLLM) for gate in (ERRORS, slow))
    requests = Meter(source=Source.VLLM)
    assert {meter_of(gate) for gate in of_vllm} == {requests}
    assert meters_of((ERRORS, slow, *of_vllm, TTFT, TTFT, TOKENS)) == (
        requests,
        Meter(source=Source.VLLM, counts="time_to_first_token"),
        Meter(source=Source.GEN_AI, counts="tokens"),
    )


def test_only_the_gateways_meter_has_no_name():
    assert GATEWAY.name == ""
    assert meter_of(ERRORS) == GATEWAY
    assert Meter(source=Source.VLLM).name == "vllm/requests"
    assert meter_of(TTFT).name == "vllm/time_to_first_token"


@pytest.mark.parametrize("protocol", Protocol)
@pytest.mark.parametrize("source", Source)
def test_what_counts_tokens_counts_nothing_of_a_predictive_model(source, protocol):
    found = {one.field for one in protocol_violations((replace(ERRORS, source=source),), protocol)}
    speaks_of_tokens = source in (Source.GEN_AI, Source.VLLM)
    is_wrong = speaks_of_tokens and protocol is not Protocol.OPENAI
    assert found == ({"gates.0.source"} if is_wrong else set())
