"""What a verdict carries beside its status: docs/statistics.md, section 5."""

import json
import math
from dataclasses import asdict, replace
from datetime import timedelta

import numpy as np
import pytest
from pydantic import TypeAdapter

from bootstrap.converting import DATA_CONVERTER
from domain.evidence import reasons
from domain.evidence.baseline import Baseline
from domain.evidence.judge import Judge, judge
from domain.evidence.prospects import seconds_to_pass, sooner
from domain.gates import AgainstStable
from domain.progress import Seen
from domain.verdicts import AtWeight, Status, Verdict
from tests.domain.evidence.scenes import NOON, error_gate, interval, run

HEALTHY = ((30, 0), (270, 0))
FAILING = ((30, 9), (270, 0))
SLOW_TRAFFIC = [interval(k, (3, 0), (57, 1), seconds=5, weight=5) for k in range(40)]


def verdict(intervals, *, gate=None, step=0, **terms):
    (found,) = judge([gate or error_gate()], intervals, step=step, **terms)
    return found


def arriving(intervals, started):
    """The same, with how many requests of both arms have begun in each interval."""
    candidate, stable = started
    return [
        replace(
            each,
            candidate=replace(each.candidate, started=candidate),
            stable=replace(each.stable, started=stable),
        )
        for each in intervals
    ]


# Fractions


def test_both_fractions_are_said_with_their_difference_and_what_they_are_held_against():
    gate = error_gate(limit=0.05)
    found = verdict(run([((1000, 12), (9000, 90))]), gate=gate).absolute
    assert found is not None
    assert (found.candidate, found.stable) == (0.012, 0.01)
    assert found.difference_points == pytest.approx(0.2)
    assert 0.003 < found.low < 0.012 < found.high < 0.03
    assert (found.floor, found.limit, found.level) == (0.001, 0.05, 0.95)


def test_without_requests_of_stable_the_candidates_fraction_stands_alone():
    found = verdict(run([((1000, 12), (0, 0))])).absolute
    assert found is not None
    assert (found.candidate, found.stable, found.difference_points) == (0.012, None, None)


def test_overdispersion_widens_the_interval_of_the_fraction():
    rows = run([((1000, 12), (9000, 90))])
    narrow, wide = verdict(rows).absolute, verdict(rows, phi=4.0).absolute
    assert narrow is not None
    assert wide is not None
    assert wide.low < narrow.low < narrow.high < wide.high


# Evidence


def test_the_p_value_is_one_over_the_highest_odds_so_far_and_never_rises():
    rng, fold = np.random.default_rng(5), Judge([error_gate(alpha=0.001)])
    highest = before = latest = 1.0
    for k in range(200):
        c = int(rng.binomial(50, 0.02 if k < 60 else 0.005))
        fold.add(interval(k, (50, c), (450, int(rng.binomial(450, 0.01)))))
        (found,) = fold.verdicts(0)
        assert found.evidence is not None
        assert found.status is not Status.FAIL
        latest = found.evidence.fail
        highest = max(highest, latest)
        p = found.evidence.p_always_valid or 0.0
        assert p == pytest.approx(1 / highest, rel=1e-9)
        assert p <= before
        before = p
    assert before < 1
    assert latest < highest


def test_a_fail_has_a_p_value_below_its_share_of_alpha():
    gates = [error_gate(), replace(error_gate(limit=0.5), name="both")]
    found = judge(gates, run([FAILING] * 2), step=0)[0]
    assert found.status is Status.FAIL
    assert found.evidence is not None
    assert found.evidence.gates_in_family == 3
    assert found.evidence.alpha == 0.05
    assert found.evidence.p_always_valid is not None
    assert found.evidence.p_always_valid <= 0.05 / 3


def test_the_margins_stand_with_the_ratio_and_are_missing_where_nothing_is_compared():
    gate = error_gate(against_stable=AgainstStable(fail_ratio=1.1, pass_ratio=1.7))
    effect = verdict(run([((1000, 12), (9000, 90))]), gate=gate).effect
    assert effect is not None
    assert (effect.fail_ratio, effect.pass_ratio) == (1.1, 1.7)
    alone = verdict(
        run([((1000, 12), (9000, 90))]), gate=error_gate(against_stable=None, limit=0.5)
    ).effect
    assert alone is not None
    assert (alone.fail_ratio, alone.pass_ratio) == (None, None)


# Quality


def test_the_quality_says_what_divides_the_evidence_and_why():
    baseline = Baseline(phi=2.5, phi_source="3 stable pods, 60 min")
    quality = verdict(run([HEALTHY]), baseline=baseline).quality
    assert quality is not None
    assert (quality.phi, quality.phi_source) == (2.5, "3 stable pods, 60 min")
    assert (quality.flags, quality.split) == ((), None)


def test_resets_and_a_warm_up_are_flagged():
    rows = [replace(each, resets=1) for each in run([HEALTHY] * 3)]
    early = verdict(rows, warm_up=timedelta(seconds=60)).quality
    assert early is not None
    assert early.flags == ("warming up", "resets 3")
    late = verdict(rows).quality
    assert late is not None
    assert late.flags == ("resets 3",)


def test_the_split_is_said_with_both_shares_and_flagged_once_in_doubt():
    fair = verdict(arriving(run([((100, 0), (900, 0))] * 3), (100, 900))).quality
    assert fair is not None
    assert fair.split is not None
    assert (fair.split.expected, fair.split.observed) == (0.1, 0.1)
    assert fair.split.odds < fair.split.odds_needed
    assert fair.flags == ()
    off = verdict(arriving(run([((50, 0), (950, 0))] * 10), (50, 950))).quality
    assert off is not None
    assert off.split is not None
    assert (off.split.expected, off.split.observed) == (0.1, 0.05)
    assert off.flags == ("split in doubt",)


def test_requests_that_begin_and_do_not_end_are_flagged():
    quality = verdict(arriving(run([((50, 0), (900, 0))] * 3), (100, 900))).quality
    assert quality is not None
    assert quality.flags == ("requests hang",)


def test_a_fail_keeps_the_quality_and_the_interval_of_its_crossing():
    crossing = arriving(run([HEALTHY] * 5 + [FAILING]), (30, 270))
    first = verdict(crossing)
    later = run([((15, 0), (285, 0))] * 100, start=6, step=1, weight=50)
    found = verdict([*crossing, *arriving(later, (15, 285))], step=1)
    assert first.status is Status.FAIL
    assert found == first
    assert (found.look, found.decided_at) == (6, crossing[-1].closed_at)
    assert found.quality is not None
    assert found.quality.flags == ()


def test_a_catastrophe_of_the_warm_up_keeps_its_moment_and_its_fraction():
    rows = run([((10, 10), (90, 0))] + [HEALTHY] * 200)
    found = verdict(rows, warm_up=timedelta(seconds=60))
    assert found.status is Status.FAIL
    assert (found.look, found.decided_at) == (1, rows[0].closed_at)
    assert found.absolute is not None
    assert found.absolute.candidate == 1
    assert found.quality is not None
    assert found.quality.flags == ("warming up",)


# The deciding interval


def test_the_look_counts_stored_intervals_and_only_a_decision_has_a_moment():
    rows = run([HEALTHY] * 160)
    undecided, passed = verdict(rows[:20]), verdict(rows)
    assert (undecided.look, undecided.decided_at) == (20, None)
    assert passed.status is Status.PASS
    assert (passed.look, passed.decided_at) == (160, NOON + timedelta(seconds=160))
    assert (verdict([]).look, verdict([]).decided_at) == (None, None)


def test_a_pass_that_is_withheld_has_no_moment_and_no_forecast():
    found = verdict(arriving(run([((50, 0), (950, 0))] * 200), (50, 950)))
    assert found.doubt
    assert (found.status, found.decided_at) == (Status.UNDECIDED, None)
    assert (found.forecast, found.seconds_to_pass) == (None, None)


# Forecasts


def test_a_long_wait_is_said_with_a_weight_that_shortens_it():
    found = verdict(SLOW_TRAFFIC)
    assert found.forecast is not None
    weights = {each.weight: each.seconds for each in found.forecast.at_weight}
    assert list(weights) == [25, 50]
    assert found.seconds_to_pass is not None
    assert found.seconds_to_pass > weights[25] > weights[50]
    assert found.reason.endswith("needs about 13 more minutes at this rate, or 4 at 25 % weight.")


def test_the_forecast_for_another_weight_comes_true_there():
    before = interval(0, (500, 5), (9500, 95), seconds=100, weight=5)
    forecast = verdict([before]).forecast
    assert forecast is not None
    said = {each.weight: each.seconds for each in forecast.at_weight}[25]
    fold, waited = Judge([error_gate()]), 0
    fold.add(before)
    while fold.verdicts(0)[0].status is not Status.PASS:
        waited += 20
        fold.add(interval(waited, (500, 5), (1500, 15), seconds=20, weight=25))
    assert said == pytest.approx(waited, rel=0.25)


def test_a_short_wait_asks_for_no_other_weight():
    found = verdict(run([HEALTHY] * 140))
    assert found.forecast is not None
    assert found.forecast.at_weight == ()
    assert found.reason.endswith("needs about 16 more seconds at this rate.")


def test_at_half_the_traffic_no_larger_weight_is_proposed():
    slow = [interval(k, (3, 0), (3, 0), seconds=5, weight=50) for k in range(10)]
    found = verdict(slow).forecast
    assert found is not None
    assert found.at_weight == ()


@pytest.mark.parametrize(
    ("seconds", "others", "said"),
    [
        (1080.0, [(10, 700.0), (25, 360.0), (50, 200.0)], 25),
        (1080.0, [(10, 700.0)], None),
        (None, [(10, 9e5)], 10),
        (None, [], None),
    ],
)
def test_the_weight_that_is_spoken_of_halves_the_wait(seconds, others, said):
    found = sooner(seconds, [AtWeight(weight=w, seconds=s) for w, s in others])
    assert (found and found.weight) == said


def test_a_fail_that_is_in_sight_comes_about_when_it_was_said():
    # Exactly three times as bad as stable: the forecast runs down to the crossing.
    fold, promised = Judge([error_gate()]), []
    for k in range(60):
        fold.add(interval(k, (100, 3), (900, 9), seconds=5))
        (found,) = fold.verdicts(0)
        if found.forecast is None:
            break
        assert found.forecast.seconds_to_fail is not None
        promised.append(5 * (k + 1) + found.forecast.seconds_to_fail)
    assert fold.verdicts(0)[0].status is Status.FAIL
    crossing = 5 * (len(promised) + 1)
    assert len(promised) > 4
    assert promised[-1] == pytest.approx(crossing, abs=2 * 5)
    assert 0.5 < promised[len(promised) // 2] / crossing < 2


def test_a_healthy_candidate_has_no_fail_in_sight():
    found = verdict([interval(k, (100, 1), (900, 9), seconds=5) for k in range(20)])
    assert found.forecast is not None
    assert found.forecast.seconds_to_fail is None


def test_without_rules_a_pass_takes_no_time():
    assert seconds_to_pass([], None, None, math.log(20)) == 0  # type: ignore[arg-type]


# On the wire


@pytest.mark.parametrize("rows", [SLOW_TRAFFIC, run([FAILING])])
def test_a_verdict_survives_the_way_through_a_workflow(rows):
    converter = DATA_CONVERTER.payload_converter
    seen = Seen(verdicts=(verdict(rows),))
    assert converter.from_payloads(converter.to_payloads([seen]), [Seen]) == [seen]


def test_a_verdict_of_before_reads_as_one_that_lacks_what_is_new():
    old = {"gate": "errors", "status": "fail", "reason": "so", "seconds_to_pass": None}
    found = TypeAdapter(Verdict).validate_python(old)
    assert found == Verdict(gate="errors", status=Status.FAIL, reason="so")
    assert (found.absolute, found.quality, found.forecast, found.look) == (None,) * 4


def test_a_verdict_stays_small_enough_for_a_workflow_s_history():
    found = verdict(arriving(SLOW_TRAFFIC, (3, 57)), gate=error_gate(limit=0.05))
    assert found.forecast is not None
    assert found.forecast.at_weight
    assert len(json.dumps(asdict(found), default=str)) < 2_500


@pytest.mark.parametrize("stable_bad", [0, 1])
def test_a_candidate_with_errors_of_its_own_is_not_forecast_by_a_stable_without(stable_bad):
    """Of stable's one error the ratio is next to unknown; the candidate's fraction is not."""
    gate = error_gate(against_stable=None, limit=0.01)
    rows = [((110, 1 + k % 2), (990, stable_bad * (k == 0))) for k in range(50)]
    (verdict,) = judge([gate], run(rows), step=0)
    assert verdict.status is Status.UNDECIDED
    assert "a pass is not in sight" in verdict.reason


def test_what_was_expected_is_of_all_requests_even_where_stable_had_none_beside_them():
    rows = [((10, 1), (0, 0)), ((10, 1), (10, 1))] * 30
    (verdict,) = judge([error_gate()], run(rows, weight=90), step=0)
    assert "60 of 600 candidate requests failed, about 60 expected" in verdict.reason


@pytest.mark.parametrize(
    ("fraction", "said"),
    [
        *((0.0, "0 %"), (1.8e-11, "0 %"), (1.8e-7, "0.000018 %"), (1e-4, "0.01 %")),
        *((0.0125, "1.25 %"), (0.5, "50 %"), (12.34, "1,230 %")),
    ],
)
def test_a_fraction_is_written_out_for_people(fraction, said):
    assert reasons.percent(fraction) == said


@pytest.mark.parametrize("needed", [20.0, 100 / 3, 133.3, 400.0, 1e7])
def test_odds_that_fall_short_never_look_like_those_required(needed):
    short = needed * (1 - 1e-3)
    assert reasons.odds(needed) == reasons.required(needed) or needed != round(needed)
    assert reasons.odds(short) != reasons.required(needed) or needed > 1e6
