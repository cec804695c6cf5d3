"""The benchmark of judges: its comparators, its copy of the product, and what it writes."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.judging import cost, ranks
from bench.judging.__main__ import PAGE, rates
from bench.judging.lives import NEVER, PRODUCT, RULES, Outcome, learnt_phi, live
from bench.judging.page import block, fill, filled
from bench.judging.peeking import PeekingZTest, upper_tail, z_score
from bench.judging.product import ProductJudge
from bench.judging.scenarios import ERRORS, SCENARIOS, Scenario, slower_than
from bench.judging.tables import cost_goals, costs, delay, goals, share
from bench.judging.threshold import FixedThreshold
from bench.judging.traffic import Look, Pods, Traffic
from bench.report import Goal, Table
from domain.evidence.judge import Judge
from domain.verdicts import Status
from tests.domain.evidence.scenes import interval

BOOK = Path(__file__).parents[1] / "domain" / "evidence" / "data" / "stat_cases.json"
CASES = json.loads(BOOK.read_text())["cases"]


def cases(kind):
    found = [case for case in CASES if case["kind"] == kind]
    assert found
    return found


def close(found, case, *names):
    for name in names:
        tolerance = case["tol"]
        assert found[name] == pytest.approx(
            case["expected"][name], rel=tolerance.get("rel", 0), abs=tolerance.get("abs", 0)
        )


# Comparators


def test_the_rank_statistic_is_that_of_a_library():
    for case in cases("mannwhitney_p"):
        given = case["input"]
        assert given["alternative"] == "greater"
        u, p = ranks.mann_whitney(given["x"], given["y"])
        close({"u": u, "p_value": p}, case, "u", "p_value")


def test_the_shift_lies_between_two_of_the_sorted_differences():
    for case in cases("mannwhitney_shift_ci"):
        given = case["input"]
        shift = ranks.shift_interval(given["x"], given["y"], given["confidence"])
        found = {"lower": shift.lower, "upper": shift.upper, "estimate": shift.estimate}
        close(found, case, "lower", "upper", "estimate")


def test_too_few_values_have_no_interval():
    with pytest.raises(ValueError, match="3 and 3 values are too few"):
        ranks.shift_interval([1, 2, 3], [4, 5, 6], 0.98)


def test_labels_are_those_of_the_judge_that_was_copied():
    for case in cases("kayenta_label"):
        given = case["input"]
        found = ranks.label(
            given["canary"],
            given["baseline"],
            tolerance=given["tolerance"],
            level=given["confidence"],
        )
        assert found == case["expected"]["label"]


def test_a_shifted_series_is_high_or_low_and_a_constant_one_neither():
    low = [0.010, 0.012, 0.009, 0.011, 0.013, 0.008, 0.010, 0.012, 0.011, 0.009]
    high = [3 * each for each in low]
    assert ranks.label(high, low) == "High"
    assert ranks.label(low, high) == "Low"
    assert ranks.label([0.0] * 10, [0.0] * 10) == "Pass"


def test_the_z_test_is_that_of_a_library():
    for case in cases("two_prop_ztest"):
        given = case["input"]
        (bad, other_bad), (requests, others) = given["successes"], given["totals"]
        counts = (np.array([float(each)]) for each in (bad, requests, other_bad, others))
        z = float(z_score(*counts)[0])
        close({"z": z, "p_value": upper_tail(z)}, case, "z", "p_value")


def looks(*candidates, stable=(100, 1)):
    """One life: (requests, bad) of the candidate at each look."""
    for number, (requests, bad) in enumerate(candidates):
        counts = (np.array([float(each)]) for each in (requests, bad, *stable))
        names = ("candidate", "candidate_bad", "stable", "stable_bad")
        yield Look(number=number, weight=5, **dict(zip(names, counts, strict=True)))


def first(rule, seen):
    """At which look the life is rolled back; None if at none."""
    return next((look.number for look in seen if rule.look(look)[0]), None)


GOOD, BAD, NOTHING = [(10, 0)] * 12, [(10, 1)] * 12, [(0, 0)] * 12  # minutes


@pytest.mark.parametrize(("allowed", "minute"), [(0, 2), (3, 7), (4, 9)])
def test_bad_minutes_add_up_whatever_is_between_them(allowed, minute):
    seen = looks(*GOOD, *BAD, *NOTHING, *BAD, *GOOD, *BAD, *BAD, *NOTHING, *BAD)
    at = first(FixedThreshold(0.02, allowed=allowed, lives=1), seen)
    assert at == minute * 12 - 1


def test_a_value_at_the_threshold_is_not_beyond_it():
    seen = looks(*[(100, 2)] * 36)
    assert first(FixedThreshold(0.02, allowed=0, lives=1), seen) is None


def test_the_rank_judge_first_judges_after_ten_minutes():
    assert first(ranks.RankJudge(1), looks(*[(100, 9)] * 240)) == 119


def test_the_rank_judge_bears_minutes_without_requests():
    assert first(ranks.RankJudge(1), looks(*NOTHING * 30)) is None


def test_the_z_test_bears_looks_without_requests_and_errors():
    seen = looks(*NOTHING, *GOOD, stable=(0, 0))
    assert first(PeekingZTest(1), seen) is None


# The product


@pytest.mark.parametrize(
    ("traffic", "phi", "number"),
    [
        (Traffic(changed_to=0.025), 1.0, 150),
        (Traffic(rate=4, changed_to=0.1), 1.0, 200),  # looks without a request of the candidate
        (Traffic(base=0.0004, changed_to=0.01), 1.0, 150),  # the floor decides, not the ratio
        (Traffic(changed_to=0.06, changed_at=120), 1.0, 180),
        (Traffic(burst=3, changed_to=0.05, weights=(5, 50)), 5.0, 150),
        (Traffic(changed_to=0.02, changed_at=100, weights=(5, 10, 5, 25)), 1.0, 200),
    ],
)
def test_the_copy_for_many_lives_is_the_judge_look_by_look(traffic, phi, number):
    lives = 6
    many = ProductJudge(ERRORS, lives, phi=phi)
    single = [Judge([ERRORS], phi=phi) for _ in range(lives)]
    failed = np.zeros(lives, dtype=bool)
    for look in traffic.looks(number, lives, np.random.default_rng(5)):
        found = many.look(look)
        for life, judge in enumerate(single):
            judge.add(
                interval(
                    look.number,
                    (int(look.candidate[life]), int(look.candidate_bad[life])),
                    (int(look.stable[life]), int(look.stable_bad[life])),
                    weight=look.weight,
                    seconds=5,
                )
            )
            failed[life] = judge.statuses(0)[0] is Status.FAIL
        assert found.tolist() == failed.tolist(), look.number
    assert failed.any()


def test_a_gate_with_a_limit_has_no_copy():
    with pytest.raises(ValueError, match="no limit"):
        ProductJudge(replace(ERRORS, limit=0.01), 1)


# Traffic and lives


@pytest.mark.parametrize(
    "traffic",
    [Traffic(), Traffic(burst=3), Traffic(pods=Pods(sd=0.2)), Traffic(base=0.005, changed_to=0.01)],
)
def test_one_in_a_hundred_of_the_candidate_s_requests_is_bad(traffic):
    seen = list(traffic.looks(100, 400, np.random.default_rng(1)))
    bad, requests = (
        sum(counts.sum() for counts in each)
        for each in zip(*((look.candidate_bad, look.candidate) for look in seen), strict=True)
    )
    assert bad / requests == pytest.approx(0.01, rel=0.05)
    assert requests / (100 * 400) == pytest.approx(25, rel=0.01)


def test_bursts_scatter_five_times_as_much():
    seen = list(Traffic(burst=3).looks(200, 200, np.random.default_rng(2)))
    bad = np.stack([look.stable_bad for look in seen])
    assert bad.var() / bad.mean() == pytest.approx(5, rel=0.1)


@pytest.mark.parametrize(
    ("traffic", "least", "most"),
    [
        (Traffic(), 1.0, 1.5),
        (Traffic(burst=3), 4, 8),
        (Traffic(pods=Pods(sd=0.2)), 1.5, 6),
    ],
)
def test_stable_s_pods_tell_how_much_bad_requests_scatter(traffic, least, most):
    scenario = Scenario(title="pods", traffic=traffic, looks=1, lives=20, phi=None)
    assert least <= np.median(learnt_phi(scenario, np.random.default_rng(6))) <= most


def test_a_ramp_climbs_through_its_weights_while_the_base_rises():
    traffic = SCENARIOS["ramp"].traffic
    seen = list(traffic.looks(500, 50, np.random.default_rng(3)))
    assert [look.weight for look in seen[::100]] == [1, 5, 10, 25, 50]
    start, end = (
        sum(look.stable_bad.sum() for look in part) / sum(look.stable.sum() for look in part)
        for part in (seen[:20], seen[-20:])
    )
    assert start == pytest.approx(0.003, rel=0.15)
    assert end == pytest.approx(0.03, rel=0.15)


def test_response_times_beyond_a_limit_are_those_of_a_log_normal_law():
    rng = np.random.default_rng(4)
    times = rng.lognormal(math.log(100), 0.6, 200_000)
    assert slower_than(250) == pytest.approx((times > 250).mean(), rel=0.03)


SHORT = Scenario(title="short", traffic=Traffic(changed_to=0.03), looks=60, lives=8)


def test_a_seed_has_the_same_lives_again_and_another_seed_others():
    once, again, other = (live(SHORT, seed) for seed in (7, 7, 8))
    for rule in RULES:
        assert once[rule].looks.tolist() == again[rule].looks.tolist()
    assert any(once[rule].looks.tolist() != other[rule].looks.tolist() for rule in RULES)


def test_scenarios_of_one_stream_see_the_same_requests():
    learnt, one = (live(SCENARIOS[name].smoke(), 3) for name in ("bursts", "bursts-1"))
    for rule in set(RULES) - {PRODUCT}:
        assert learnt[rule].looks.tolist() == one[rule].looks.tolist()
    assert learnt[PRODUCT].looks.tolist() != one[PRODUCT].looks.tolist()


def test_waiting_begins_with_the_change_and_who_was_gone_before_is_left_out():
    outcome = Outcome(looks=np.array([3, 10, 12, 14, NEVER]), changed_at=10)
    assert outcome.before == pytest.approx(0.2)
    assert outcome.rolled_back == pytest.approx(0.8)
    assert outcome.seconds().tolist() == [5, 15, 25, math.inf]
    assert outcome.median() == 15
    assert outcome.found_within(15) == pytest.approx(0.5)


# What is written


def test_a_share_has_its_standard_error_unless_all_lives_did_the_same():
    assert share(0.05, 400) == "5.0 ± 1.1"
    assert share(0.5, 100) == "50 ± 5.0"
    assert (share(0, 9), share(1, 9)) == ("0", "100")


def test_a_delay_is_a_median_and_says_what_was_not_found():
    spread = np.arange(100)
    assert delay(Outcome(looks=spread)) == "250 ± 25"
    assert delay(Outcome(looks=np.where(spread < 60, spread, NEVER))).endswith(", 60 %")
    assert delay(Outcome(looks=np.where(spread < 40, spread, NEVER))) == "never, 40 %"
    assert delay(Outcome(looks=spread, changed_at=95)) == "none left"


def outcomes(**looks):
    """The product's, all lives alike; found at once unless told."""
    names = {name: looks.get(name.replace("-", "_"), 0) for name in SCENARIOS}
    return {name: {PRODUCT: Outcome(looks=np.full(40, at))} for name, at in names.items()}


def test_goals_are_met_or_not_by_what_was_found():
    fine = outcomes(equal=NEVER, ramp=NEVER)
    assert all(goal.met for goal in goals(fine))
    for worse in ({"equal": 9}, {"ramp": 9}, {"10x": 12}, {"2x": 72}, {"3x_late": 1}):
        found = goals(outcomes(**{"equal": NEVER, "ramp": NEVER, **worse}))
        assert any(not goal.met for goal in found), worse


def test_costs_are_measured_and_held_against_their_goals():
    found = cost.measure(1, gates=2, long=120)
    assert 0 < found.verdict < 1
    assert 0 < found.interval < 1
    assert "a verdict after 120 intervals" in [row[0] for row in costs(found).rows]
    slow = replace(found, late_verdict=0.002, core=0.2)
    assert [goal.met for goal in cost_goals(slow)] == [False, False]


def test_only_the_block_of_that_name_is_replaced():
    text = "a\n<!-- bench-judge x -->\nold\n<!-- end of x -->\nb\n"
    assert filled(text, "x", "new") == (
        "a\n<!-- bench-judge x -->\n\nnew\n\n<!-- end of x -->\nb\n"
    )
    assert filled(filled(text, "x", "old"), "x", "new") == filled(text, "x", "new")
    with pytest.raises(ValueError, match="no block"):
        filled(text, "y", "new")


def test_both_blocks_of_a_page_are_filled_and_the_rest_stays(tmp_path):
    copy = tmp_path / "judge.md"
    copy.write_text(PAGE.read_text())
    fill(copy, {"rates": "these rates", "costs": "these costs"})
    text = copy.read_text()
    assert "\nthese rates\n" in text
    assert "\nthese costs\n" in text
    assert text.startswith(PAGE.read_text().partition("<!--")[0])


def test_a_block_has_its_tables_and_says_which_goals_are_met():
    table = Table(caption="All:", head=("a", "b"), rows=(("1", "2"),))
    goal = Goal(promise="fast", found="slow", met=False)
    text = block((table,), (goal,), "Seed 1.")
    assert text.startswith("Seed 1.\n\nAll:\n\n| a | b |")
    assert text.endswith("| fast | slow | no |")


def test_a_run_tells_of_every_scenario_and_every_rule():
    tiny = {
        name: replace(
            each,
            lives=3,
            looks=30,
            traffic=replace(each.traffic, changed_at=min(each.traffic.changed_at, 10)),
        )
        for name, each in SCENARIOS.items()
    }
    text = rates(tiny, 1)
    for scenario in tiny.values():
        assert f"| {scenario.title} |" in text
    assert text.count(" | ".join(RULES)) == 4


def test_the_page_can_be_filled_and_explains_every_rule():
    text = PAGE.read_text()
    for name in ("rates", "costs"):
        assert "new figures" in filled(text, name, "new figures")
    explained = text.partition("<!-- bench-judge rates -->")[0]
    for rule in RULES:
        assert f"**{rule}**" in explained
