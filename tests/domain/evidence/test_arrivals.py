"""Requests that do not arrive as weighted, and requests that never end: a PASS is withheld."""

from dataclasses import replace

import numpy as np
import pytest

from domain.evidence.judge import Judge, judge
from domain.gates import AgainstStable
from domain.verdicts import Status
from tests.domain.evidence.scenes import error_gate, interval, latency_gate, run

GATE = error_gate(against_stable=AgainstStable(floor=0.05))


def arriving(intervals, *started):
    """The intervals with requests that began: as many as ended, or as said for each of them."""
    told = started or [None] * len(intervals)
    return [
        replace(
            one,
            candidate=replace(one.candidate, started=begun[0] if begun else one.candidate.requests),
            stable=replace(one.stable, started=begun[1] if begun else one.stable.requests),
        )
        for one, begun in zip(intervals, told, strict=True)
    ]


def verdict(intervals, *, gate=GATE, step=0, **terms):
    (found,) = judge([gate], intervals, step=step, **terms)
    fold = Judge([gate], **terms)
    for one in intervals:
        fold.add(one)
    assert fold.statuses(step) == (found.status,)
    return found


AS_WEIGHTED = run([((100, 0), (900, 0))] * 10)
TOO_FEW = run([((50, 0), (950, 0))] * 10)


def test_requests_that_arrive_as_weighted_are_no_news():
    told, quality = verdict(arriving(AS_WEIGHTED)), verdict(AS_WEIGHTED).quality
    assert replace(told, quality=quality) == verdict(AS_WEIGHTED)
    assert not verdict(arriving(AS_WEIGHTED)).doubt
    assert verdict(AS_WEIGHTED).status is Status.PASS


def test_a_pass_is_withheld_while_requests_do_not_arrive_as_weighted():
    assert verdict(TOO_FEW).status is Status.PASS, "nobody has counted what began"
    found = verdict(arriving(TOO_FEW))
    assert found.status is Status.UNDECIDED
    assert found.reason == (
        f"{verdict(TOO_FEW).reason} But requests do not arrive as weighted: 5 % of them reached "
        "the candidate, 10 % were due (odds over 1,000,000:1 against the weights, 100:1 is a "
        "doubt). No pass is given meanwhile."
    )
    assert found.evidence == verdict(TOO_FEW).evidence
    assert found.seconds_to_pass is None
    assert found.doubt.startswith("Requests do not arrive as weighted: 5 % of them")


def test_a_failure_is_a_failure_however_the_requests_arrive():
    intervals = arriving(run([((50, 25), (950, 0))] * 5))
    assert verdict(intervals).status is Status.FAIL


def test_a_wrong_split_alone_is_never_a_failure():
    intervals = arriving(run([((500, 0), (500, 0))] * 50))
    assert verdict(intervals).status is Status.UNDECIDED


def test_a_doubt_is_also_told_where_nothing_is_proven_yet():
    one_failed, none_failed = ((60, 1), (940, 0)), ((60, 0), (940, 0))
    intervals = arriving(run([one_failed, *[none_failed] * 4]))
    found = verdict(intervals, gate=error_gate())
    assert found.status is Status.UNDECIDED
    assert "Not enough data yet" in found.reason
    assert "Requests do not arrive as weighted: 6 % of them reached" in found.reason


def test_a_pass_comes_back_when_the_shares_do():
    back = run([((100, 0), (900, 0))] * 300, start=10)
    assert verdict(arriving([*TOO_FEW, *back])).status is Status.PASS


def test_a_split_that_is_off_by_less_than_a_twentieth_holds_nothing():
    intervals = arriving(run([((10_400, 0), (89_600, 0))] * 200))
    assert verdict(intervals).status is Status.PASS


def test_each_step_is_looked_at_alone():
    second = run([((500, 0), (500, 0))] * 5, start=10, step=1, weight=50)
    intervals = arriving([*TOO_FEW, *second])
    assert verdict(intervals, step=0).status is Status.UNDECIDED
    assert verdict(intervals, step=1).status is Status.PASS


def test_a_load_that_is_shifted_away_late_in_the_rollout_is_found_in_its_step():
    first = run([((100, 0), (900, 0))] * 5000)
    shifted = run([((200, 0), (800, 0))] * 5, start=5000, step=1, weight=50)
    found = verdict(arriving([*first, *shifted]), step=1)
    assert found.status is Status.UNDECIDED
    assert "20 % of them reached the candidate, 50 % were due" in found.reason


@pytest.mark.parametrize("weight", [0, 100])
def test_at_weights_that_divide_nothing_no_split_is_looked_for(weight):
    intervals = arriving(run([((100, 0), (900, 0))] * 10, weight=weight))
    assert verdict(intervals).status is Status.PASS


def test_arms_of_a_trial_have_a_check_of_their_own():
    assert verdict(arriving(TOO_FEW), checks_split=False).status is Status.PASS


def test_random_splits_are_seldom_in_doubt_however_often_one_looks():
    rng, doubted = np.random.default_rng(7), 0
    for _ in range(200):
        fold, ever = Judge([GATE]), False
        for k in range(120):
            n = int(rng.binomial(60, 0.1))
            fold.add(arriving([interval(k, (n, 0), (60 - n, 0))])[0])
            split = fold.split(0)
            ever = ever or (split is not None and split.in_doubt)
        doubted += ever
    assert doubted <= 200 * 0.03


# Requests that begin and do not end


def hanging(candidate=(20, 0), stable=(180, 180), times=10):
    """Each interval so many began and ended, at both arms."""
    rows = run([((candidate[1], 0), (stable[1], 0))] * times)
    return arriving(rows, *[(candidate[0], stable[0])] * times)


def test_a_candidate_that_hangs_is_said_to_hang_and_not_to_be_without_requests():
    found = verdict(hanging())
    assert found.status is Status.UNDECIDED
    assert found.reason == (
        "200 requests of the candidate have begun and not ended: there is no answer to judge."
    )


def test_a_candidate_that_answers_a_part_of_its_requests_does_not_pass():
    found = verdict(hanging(candidate=(100, 60), stable=(900, 900), times=10))
    assert found.status is Status.UNDECIDED
    assert found.reason.endswith(
        "But 400 requests of the candidate, of 1,000, have begun and not ended. "
        "No pass is given meanwhile."
    )


def test_a_candidate_that_begins_to_hang_late_in_a_step_does_not_pass():
    good, late = run([((100, 0), (900, 0))] * 500), run([((0, 0), (900, 0))] * 3, start=500)
    found = verdict([*arriving(good), *arriving(late, *[(100, 900)] * 3)])
    assert found.status is Status.UNDECIDED
    assert "300 requests of the candidate, of 1,200, have begun and not ended" in found.reason


def test_answers_under_way_at_both_arms_hold_nothing():
    assert verdict(hanging(candidate=(100, 70), stable=(900, 600))).status is Status.PASS


def test_a_few_requests_under_way_hold_nothing():
    rows = run([((100, 0), (900, 0))] * 10)
    begun = [(109, 981), *[(100, 900)] * 9]
    assert verdict(arriving(rows, *begun)).status is Status.PASS


def test_requests_that_began_before_the_step_may_end_in_it():
    rows = run([((100, 0), (900, 0))] * 10)
    begun = [(60, 540), *[(100, 900)] * 9]
    assert verdict(arriving(rows, *begun)).status is Status.PASS


def test_a_hanging_candidate_still_fails_by_what_it_answers():
    rows = run([((20, 15), (180, 0))] * 10)
    assert verdict(arriving(rows, *[(20 + 20, 360)] * 10)).status is Status.FAIL


def test_a_latency_gate_is_held_alike():
    rows = [
        interval(k, (60, 0), (900, 0), metric=latency_gate().metric) for k in range(20)
    ]  # fmt: skip
    gate = latency_gate(against_stable=AgainstStable(floor=0.05))
    found = verdict(arriving(rows, *[(100, 900)] * 20), gate=gate)
    assert found.status is Status.UNDECIDED
    assert "have begun and not ended" in found.reason
