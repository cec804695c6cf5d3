from datetime import timedelta

import numpy as np
import pytest

from domain.evidence.judge import Judge, judge
from domain.gates import AgainstStable
from domain.verdicts import Status
from tests.domain.evidence.scenes import error_gate, interval, latency_gate, run

MINUTE = timedelta(seconds=60)
HEALTHY, STUMBLING, DOWN = ((30, 0), (270, 0)), ((30, 6), (270, 0)), ((30, 30), (270, 0))


def verdict(intervals, *, gate=None, step=0, warm_up=MINUTE, **terms):
    gate = gate or error_gate()
    (found,) = judge([gate], intervals, step=step, warm_up=warm_up, **terms)
    fold = Judge([gate], warm_up=warm_up, **terms)
    for one in intervals:
        fold.add(one)
    assert fold.statuses(step) == (found.status,)
    return found


def test_while_it_warms_up_a_gate_is_undecided_and_says_until_when():
    found = verdict(run([HEALTHY] * 60))
    assert found.status is Status.UNDECIDED
    assert found.reason == (
        "0 of 1,800 candidate requests failed. Warming up until 2026-03-01 12:01:00 UTC: evidence "
        "counts from then on."
    )
    assert found.samples is not None
    assert found.samples.candidate_requests == 1800
    assert found.evidence is None


def test_before_any_interval_nothing_warms_up():
    assert verdict([]).reason == "No request has reached the candidate yet."


def test_what_stumbles_while_warming_up_is_no_evidence_later():
    warm, later = run([STUMBLING] * 60), run([HEALTHY] * 300, start=60)
    assert verdict(warm, warm_up=timedelta(0)).status is Status.FAIL
    assert verdict(warm).status is Status.UNDECIDED
    assert verdict([*warm, *later]) == verdict(later, warm_up=timedelta(0))
    assert verdict([*warm, *later]).status is Status.PASS


def test_it_is_counted_from_the_first_interval_of_the_rollout_and_not_of_a_step():
    first = run([HEALTHY] * 40)
    second = run([HEALTHY] * 40, start=40, step=1, weight=50)
    assert "12:01:00" in verdict([*first, *second[:20]], step=1).reason
    (known,) = judge([error_gate()], second[20:], step=1)
    assert verdict([*first, *second], step=1) == known


def test_an_interval_that_began_while_it_was_warming_up_belongs_to_the_warm_up():
    long = interval(0, (30, 6), (270, 0), seconds=61)
    assert "Warming up" in verdict([long]).reason


def test_no_warm_up_is_none():
    assert verdict(run([HEALTHY] * 9), warm_up=timedelta(0)) == judge(
        [error_gate()], run([HEALTHY] * 9), step=0
    )[0]  # fmt: skip


# Only a catastrophe counts


def test_a_catastrophe_is_a_failure_at_once():
    found = verdict(run([((8, 8), (270, 0))]))
    assert found.status is Status.FAIL
    assert found.reason.startswith(
        "A catastrophe, even for a warm-up: 8 of 8 candidate requests failed, and 0 of 270 stable "
        "requests. Evidence "
    )
    assert found.reason.endswith(
        'against "at most 30 % of requests, or at most 1.25 times stable\'s rate"; 400:1 was '
        "required."
    )


def test_a_catastrophe_is_for_good():
    warm, later = run([DOWN]), run([HEALTHY] * 500, start=1)
    assert verdict([*warm, *later]) == verdict(warm)


@pytest.mark.parametrize(("phi", "enough"), [(1.0, 7), (1.5, 10), (3.0, 20)])
@pytest.mark.parametrize("requests", range(1, 21))
def test_so_many_requests_of_which_all_fail_are_proof(requests, phi, enough):
    found = verdict(run([((requests, requests), (270, 0))]), phi=phi)
    assert (found.status is Status.FAIL) == (requests >= enough)


def test_what_takes_stable_down_as_well_is_not_the_candidates_doing():
    assert verdict(run([((30, 27), (270, 243))] * 60)).status is Status.UNDECIDED


def test_a_candidate_with_all_traffic_stands_alone():
    assert verdict(run([((30, 27), (0, 0))], weight=100)).status is Status.FAIL


def test_while_stable_is_silent_beside_it_what_fails_may_fail_for_both():
    """At 90 % and few requests, stable often has none before the candidate has seven."""
    silent = run([((7, 7), (0, 0))], weight=90)
    assert verdict(silent).status is Status.UNDECIDED
    both = run([((7, 7), (1, 1))] * 20, start=1, weight=90)
    assert verdict([*silent, *both]).status is Status.UNDECIDED
    alone = run([((7, 7), (1, 0))] * 20, start=1, weight=90)
    assert verdict([*silent, *alone]).status is Status.FAIL


def test_a_limit_holds_whatever_stable_does():
    gate = error_gate(limit=0.01)
    assert verdict(run([((30, 27), (270, 243))]), gate=gate).status is Status.FAIL


def test_a_limit_above_a_catastrophe_is_the_limit():
    gate = error_gate(against_stable=None, limit=0.6)
    assert verdict(run([((30, 15), (270, 0))] * 20), gate=gate).status is Status.UNDECIDED
    found = verdict(run([((30, 28), (270, 0))]), gate=gate)
    assert found.status is Status.FAIL
    assert 'against "at most 60 % of requests"' in found.reason


def test_slow_answers_are_no_catastrophe():
    gate = latency_gate()
    rows = [interval(k, (30, 30), (270, 0), metric=gate.metric) for k in range(60)]
    assert verdict(rows, gate=gate).status is Status.UNDECIDED
    assert verdict(rows, gate=gate, warm_up=timedelta(0)).status is Status.FAIL


def test_more_gates_ask_for_more():
    gates = [error_gate(), latency_gate(), error_gate(limit=0.01)]
    rows = run([((7, 7), (270, 0))])
    assert judge(gates[:1], rows, step=0, warm_up=MINUTE)[0].status is Status.FAIL
    assert judge(gates, rows, step=0, warm_up=MINUTE)[0].status is Status.UNDECIDED


def test_a_third_of_all_requests_failing_is_seldom_called_a_catastrophe():
    rng, failed = np.random.default_rng(5), 0
    gate = error_gate(against_stable=AgainstStable(fail_ratio=1.0))
    for _ in range(300):
        fold = Judge([gate], warm_up=MINUTE)
        for k in range(60):
            fold.add(interval(k, (10, int(rng.binomial(10, 0.3))), (90, 0)))
        failed += fold.statuses(0) == (Status.FAIL,)
    assert failed <= 300 * 0.075
