"""Gates of several meters: each sees the intervals of its own, and counts what its metric says."""

from dataclasses import replace

import pytest

from domain.evidence.drawing import Drawing, draw, merged
from domain.evidence.intervals import Counts
from domain.evidence.judge import Judge, judge
from domain.evidence.tallies import observe
from domain.gates import AgainstStable, Gate, Metric, Source
from domain.verdicts import Status
from tests.domain.evidence.scenes import error_gate, interval

FIRST = Gate(
    name="first",
    metric=Metric.TIME_TO_FIRST_TOKEN,
    source=Source.VLLM,
    slow_over_ms=100,
    against_stable=AgainstStable(floor=0.01),
)
SHORT = Gate(name="short", metric=Metric.TOKENS, source=Source.VLLM, no_more_than=5, limit=0.1)
LONG = replace(SHORT, name="long", no_more_than=None, more_than=50)
METER = "vllm/time_to_first_token"


def timed(sequence, candidate_slow, *, bound=100.0, candidate=100, stable=900, stable_slow=0):
    """An interval of a histogram alone, which counts no requests beside."""
    return replace(
        interval(sequence, (0, 0), (0, 0)),
        candidate=Counts(
            requests=0, errors=0, within=(candidate - candidate_slow,), timed=candidate
        ),
        stable=Counts(requests=0, errors=0, within=(stable - stable_slow,), timed=stable),
        bounds_ms=(bound,),
    )


def test_a_gate_is_judged_on_the_intervals_of_its_own_meter():
    gates = (error_gate(), FIRST)
    healthy = [interval(k, (100, 0), (900, 0)) for k in range(50)]
    slow = [timed(k, 50) for k in range(3)]
    verdicts = judge(gates, healthy, step=0, meters={METER: slow})
    assert [(v.gate, v.status) for v in verdicts] == [
        ("errors", Status.PASS),
        ("first", Status.FAIL),
    ]
    assert [intervals_of(verdict) for verdict in verdicts] == [50, 1], (
        "the verdict of the first crossing"
    )


def intervals_of(verdict):
    return verdict.samples.intervals


def test_the_order_in_which_meters_are_read_changes_no_verdict():
    gates = (FIRST, error_gate())
    healthy = [interval(k, (100, 1), (900, 3)) for k in range(20)]
    first = [timed(k, 2, stable_slow=9) for k in range(20)]
    fold = Judge(gates)
    for one, other in zip(healthy, first, strict=True):
        fold.add(other, METER)
        fold.add(one)
    assert fold.verdicts(0) == judge(gates, healthy, step=0, meters={METER: first})


def test_each_meter_has_its_own_sequence():
    fold = Judge((error_gate(), FIRST))
    fold.add(interval(0, (10, 0), (90, 0)))
    fold.add(timed(0, 0), METER)
    with pytest.raises(ValueError, match="came after"):
        fold.add(timed(0, 0), METER)


def test_all_gates_of_a_rollout_share_the_rate_of_false_alarms_whatever_their_meters():
    (alone,) = judge((error_gate(),), [interval(0, (10, 0), (90, 0))], step=0)
    beside, _ = judge((error_gate(), FIRST), [interval(0, (10, 0), (90, 0))], step=0)
    assert needed(beside) == 2 * needed(alone)


def needed(verdict):
    return verdict.evidence.fail_needed


def test_tokens_are_bad_above_a_bound_or_up_to_it():
    counts = Counts(requests=0, errors=0, within=(30, 90), timed=100)
    seen = replace(timed(0, 0), candidate=counts, stable=counts, bounds_ms=(5.0, 50.0))
    assert [bad_of(gate, seen) for gate in (SHORT, LONG)] == [(100, 30), (100, 10)]


def bad_of(gate, seen):
    found = observe(gate, seen)
    assert found is not None
    return found.candidate_requests, found.candidate_bad


@pytest.mark.parametrize(
    ("gate", "meter", "bound", "said"),
    [
        (FIRST, METER, 100.0, "took longer than 100 ms to the first token"),
        (
            replace(FIRST, metric=Metric.TIME_PER_OUTPUT_TOKEN),
            "vllm/time_per_output_token",
            100.0,
            "took longer than 100 ms for a token",
        ),
        (SHORT, "vllm/tokens", 5.0, "were answered with no more than 5 tokens"),
        (LONG, "vllm/tokens", 50.0, "were answered with more than 50 tokens"),
    ],
)
def test_a_verdict_says_what_was_counted(gate, meter, bound, said):
    rows = [timed(k, 50, bound=bound) for k in range(4)]
    (verdict,) = judge((gate,), (), step=0, meters={meter: rows})
    assert said in verdict.reason


def test_a_bound_that_the_source_lacks_is_told_with_those_that_it_has():
    (verdict,) = judge((FIRST,), (), step=0, meters={METER: [timed(0, 5, bound=250.0)]})
    assert verdict.status is Status.UNAVAILABLE
    assert verdict.reason == (
        "The time to first token cannot be counted at 100 ms: the source counts at 250 ms."
    )


def test_a_gate_whose_meter_has_counted_nothing_is_undecided_and_says_so():
    (verdict,) = judge((FIRST,), [interval(0, (100, 0), (900, 0))], step=0)
    assert verdict.status is Status.UNDECIDED
    assert "vllm has counted no time to first token of the candidate" in verdict.reason


def test_a_chart_draws_each_gate_from_its_own_intervals_in_the_plans_order():
    gates = (FIRST, error_gate())
    healthy = [interval(k, (100, 0), (900, 0)) for k in range(8)]
    first = [timed(k, 50) for k in range(3)]
    charts = []
    for meter, intervals in (("", healthy), (METER, first)):
        beside = healthy if meter else ()
        drawing = Drawing(gates, None, intervals, points=100, meter=meter, beside=beside)
        for one in intervals:
            drawing.add(one)
        charts.append(drawing.chart())
    chart = merged(charts, gates)
    assert chart.intervals == 11
    assert [(series.gate.name, len(series.points)) for series in chart.gates] == [
        ("first", 3),
        ("errors", 8),
    ]
    last = tuple(series.points[-1].verdict for series in chart.gates)
    failed, undecided = judge(gates, healthy, step=0, meters={METER: first})
    assert last == (failed, replace(undecided, absolute=None, forecast=None))


def test_a_chart_of_another_meter_passes_nothing_while_requests_arrive_otherwise_than_weighted():
    shifted = [
        replace(
            one,
            candidate=replace(one.candidate, started=100),
            stable=replace(one.stable, started=100),
        )
        for one in (interval(k, (100, 0), (100, 0)) for k in range(50))
    ]
    first = [timed(k, 0) for k in range(50)]
    statuses = {}
    for beside in ((), shifted):
        drawing = Drawing((FIRST,), None, first, points=100, meter=METER, beside=beside)
        for one in first:
            drawing.add(one)
        (series,) = drawing.chart().gates
        statuses[bool(beside)] = series.points[-1].verdict.status
    (verdict,) = judge((FIRST,), shifted, step=0, meters={METER: first})
    assert statuses == {False: Status.PASS, True: verdict.status}
    assert verdict.status is not Status.PASS


def test_a_chart_of_the_gateway_alone_is_as_before():
    gates, rows = (error_gate(),), [interval(k, (100, 0), (900, 0)) for k in range(4)]
    chart = draw(gates, None, rows, points=10)
    assert merged([chart], gates) == chart
