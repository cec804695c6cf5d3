"""The fold of a trial: who wins, who is out, what holds the decision, and what it says of it."""

import math
from dataclasses import asdict, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from pydantic_core import from_json, to_json

from domain.evidence.best_arm import expected_loss, prob_best
from domain.evidence.intervals import Counts
from domain.evidence.split import sample_ratio_mismatch
from domain.evidence.split_watch import SplitWatch
from domain.evidence.trial import TrialJudge, judge_trial
from domain.evidence.trial_intervals import ArmCounts, TrialInterval, rewarded
from domain.trial import Reward, RewardMetric, TrialRules
from domain.trial_verdicts import Outcome, Standing
from tests.domain.evidence.scenes import NOON, unhurried
from tests.domain.evidence.test_reference_cases import BOOK
from tests.domain.evidence.trials import ARMS, CONVERSION, FEWER, life, seen

RULES = TrialRules()
WITH_MARGIN = TrialRules(equivalence_margin=0.02)
BEST_B = {"a": 0.05, "b": 0.08, "c": 0.05}


def verdict(intervals, *, arms=ARMS, reward=CONVERSION, rules=RULES, **how):
    return judge_trial(arms, reward, rules, intervals, **how)


# Outcomes


def test_the_best_arm_wins_and_the_others_are_out():
    found = verdict(life(BEST_B, 20))
    assert (found.outcome, found.winner) == (Outcome.WINNER, "b")
    assert found.eliminated == ("a", "c")
    assert found.competing == ("b",)
    assert [arm.beaten_by for arm in found.arms] == ["b", None, "b"]
    assert "that b is better; 40:1 was required." in found.reason
    assert found.reason.endswith("b has won: nobody else is left.")


def test_where_fewer_is_better_the_lowest_fraction_wins():
    found = verdict(life({"a": 0.08, "b": 0.05, "c": 0.08}, 20), reward=FEWER)
    assert (found.outcome, found.winner) == (Outcome.WINNER, "b")
    assert "fewer is better" in found.reason


def test_every_further_arm_raises_what_is_required():
    for count in (2, 3, 6):
        arms = tuple("abcdef"[:count])
        found = verdict(life(dict.fromkeys(arms, 0.05), 1), arms=arms)
        assert found.odds_needed == pytest.approx((count - 1) / 0.05)


def test_equal_arms_are_equivalent_within_the_margin_and_only_with_one():
    intervals = life(dict.fromkeys(ARMS, 0.05), 25)
    found = verdict(intervals, rules=WITH_MARGIN)
    assert (found.outcome, found.winner, found.competing) == (Outcome.EQUIVALENT, None, ARMS)
    assert "less than 2 percentage points" in found.reason
    assert verdict(intervals).outcome is Outcome.UNDECIDED


def test_a_wider_difference_than_the_margin_is_never_equivalent():
    found = verdict(life({"a": 0.05, "b": 0.05, "c": 0.075}, 12), rules=WITH_MARGIN)
    assert found.outcome is not Outcome.EQUIVALENT


def test_little_data_is_undecided_and_says_what_is_missing():
    found = verdict(life(dict.fromkeys(ARMS, 0.05), 3, requests=300), rules=WITH_MARGIN)
    assert found.outcome is Outcome.UNDECIDED
    assert "Not enough data yet" in found.reason
    assert "(40:1 is required)" in found.reason
    assert "(20:1 is required)" in found.reason


@pytest.mark.parametrize("intervals", [[], [seen(0, dict.fromkeys(ARMS, (0, 0)))]])
def test_without_requests_nothing_is_known(intervals):
    found = verdict(intervals, rules=WITH_MARGIN)
    assert found.outcome is Outcome.UNDECIDED
    assert found.reason.endswith("Nothing has been counted yet.")
    assert {(arm.estimate, arm.low, arm.high) for arm in found.arms} == {(None, 0.0, 1.0)}


def test_the_same_difference_wins_sooner_with_a_looser_alpha():
    intervals = life(BEST_B, 20)

    def looks(alpha):
        rules = TrialRules(alpha=alpha)
        return next(n for n in range(21) if verdict(intervals[:n], rules=rules).winner)

    assert looks(0.5) < looks(0.05) < looks(1e-9)


# Who leaves


def test_who_is_missing_from_an_interval_has_left_for_good():
    first = life(dict.fromkeys(ARMS, 0.05), 2)
    without = seen(2, {"a": (1000, 50), "b": (1000, 50)})
    back = seen(3, dict.fromkeys(ARMS, (1000, 50)))
    found = verdict([*first, without, back])
    assert found.arms[2].standing is Standing.LEFT
    assert found.arms[2].total == sum(interval.arms[2].total for interval in first)
    assert "c left the trial." in found.reason


def test_who_leaves_no_longer_competes_but_the_requirement_stays():
    best_c = {"a": 0.05, "b": 0.08, "c": 0.12}
    before = life(best_c, 1)
    after = [replace(each, sequence=each.sequence + 1) for each in life({"a": 0.05, "b": 0.08}, 20)]
    found = verdict([*before, *after])
    assert (found.winner, found.odds_needed) == ("b", pytest.approx(40))


def test_an_arm_that_has_just_left_is_not_the_winner():
    intervals = life(BEST_B, 20)
    assert verdict(intervals, left=["a"]).winner == "b"
    found = verdict(intervals, left=["b"])
    assert (found.outcome, found.winner) == (Outcome.UNOPPOSED, None)
    assert "Nobody is left without a proof" in found.reason


def test_the_last_arm_has_not_won_when_the_others_left_for_other_reasons():
    found = verdict(life(dict.fromkeys(ARMS, 0.05), 2), left=["a", "c"])
    assert (found.outcome, found.winner, found.competing) == (Outcome.UNOPPOSED, None, ("b",))


def test_an_elimination_by_an_arm_that_left_proves_nothing_about_the_rest():
    # b beats a, then b leaves: a may well have been better than c.
    fractions = {"a": 0.07, "b": 0.12, "c": 0.11}
    intervals = life(fractions, 3)
    assert verdict(intervals).eliminated == ("a",)
    found = verdict(intervals, left=["b"])
    assert (found.outcome, found.competing) == (Outcome.UNOPPOSED, ("c",))


def test_the_requests_of_an_arm_that_is_out_no_longer_count():
    intervals = life({"a": 0.02, "b": 0.08, "c": 0.079}, 5)
    out_at = next(n for n in range(6) if "a" in verdict(intervals[:n]).eliminated)
    then, now = verdict(intervals[:out_at]), verdict(intervals)
    assert now.arms[0].total == then.arms[0].total < sum(each.arms[0].total for each in intervals)


def test_no_elimination_is_ever_taken_back():
    rounds = life(BEST_B, 20)
    turned = [
        seen(20 + n, {"a": (1000, 300), "b": (1000, 10), "c": (1000, 300)}) for n in range(20)
    ]
    judge = TrialJudge(ARMS, CONVERSION, RULES)
    eliminated: tuple[str, ...] = ()
    for interval in [*rounds, *turned]:
        judge.add(interval)
        assert set(eliminated) <= set(judge.verdict().eliminated)
        eliminated = judge.verdict().eliminated
    assert judge.verdict().winner == "b"


# The split


def skewed(intervals, *, started):
    """The same intervals, with requests that arrive otherwise than weighted."""
    return [
        replace(
            each,
            arms=tuple(replace(counts, started=started[counts.arm]) for counts in each.arms),
        )
        for each in intervals
    ]


def test_a_split_in_doubt_suspends_winner_and_eliminations():
    intervals = skewed(life(BEST_B, 20), started={"a": 1000, "b": 1400, "c": 600})
    found = verdict(intervals)
    assert (found.outcome, found.winner, found.eliminated) == (Outcome.UNDECIDED, None, ())
    assert found.split.in_doubt
    assert (found.split.arm, found.split.off_by) == ("b", pytest.approx(0.414, abs=1e-3))
    assert (
        "No decision while requests do not arrive as weighted: b has had 41.4 % more"
        in found.reason
    )
    trusted = verdict(intervals, rules=TrialRules(checks_split=False))
    assert (trusted.winner, trusted.split.in_doubt) == ("b", False)


def test_a_doubt_suspends_equivalence_too():
    equal = skewed(life(dict.fromkeys(ARMS, 0.05), 25), started={"a": 1400, "b": 1000, "c": 600})
    assert verdict(equal, rules=WITH_MARGIN).outcome is Outcome.UNDECIDED


def test_a_winner_comes_back_once_the_split_is_right_again():
    wrong = skewed(life(BEST_B, 5), started={"a": 1000, "b": 1200, "c": 800})
    right = [replace(each, sequence=each.sequence + 5) for each in life(BEST_B, 60, seed=2)]
    assert verdict(wrong).winner is None
    assert verdict([*wrong, *right]).winner == "b"


def test_an_arm_that_was_not_reached_and_left_leaves_no_doubt_behind():
    wrong = skewed(life(BEST_B, 5), started={"a": 1200, "b": 1200, "c": 600})
    assert verdict(wrong).split.in_doubt
    without_c = [
        replace(each, sequence=each.sequence + 5, arms=each.arms[:2])
        for each in life(BEST_B, 60, seed=2)
    ]
    assert verdict([*wrong, *without_c]).winner == "b"


def test_a_split_that_is_off_by_less_than_five_percent_is_no_alarm():
    # Ten million requests make any difference certain, not relevant.
    watch = SplitWatch()
    watch.add({"a": 50, "b": 50}, {"a": 5_200_000, "b": 4_800_000})
    assert watch.verdict().odds > 100
    assert not watch.verdict().in_doubt


def test_the_split_begins_anew_with_each_change_of_weights_and_multiplies():
    watch = SplitWatch()
    watch.add({"a": 50, "b": 50}, {"a": 520, "b": 480})
    watch.add({"a": 50, "b": 50}, {"a": 580, "b": 420})
    watch.add({"a": 10, "b": 90}, {"a": 160, "b": 840})
    apart = [
        sample_ratio_mismatch([[1100, 900]], [0.5, 0.5]).log_bayes_factor,
        sample_ratio_mismatch([[160, 840]], [0.1, 0.9]).log_bayes_factor,
    ]
    assert watch.verdict().odds == pytest.approx(math.exp(sum(apart)))
    assert watch.verdict().off_by == pytest.approx((520 + 580 + 160) / 1100 - 1)


def test_at_constant_weights_the_split_is_that_of_the_reference():
    case = next(
        c
        for c in BOOK["cases"]
        if c["kind"] == "srm_sequential" and c["input"]["concentration"] == 1000
    )
    watch = SplitWatch()
    for arrived in case["input"]["increments"]:
        watch.add(dict.fromkeys(ARMS, 1), dict(zip(ARMS, arrived, strict=True)))
    assert watch.verdict().odds == pytest.approx(1 / case["expected"]["p_values"][-1], rel=1e-6)


def test_arms_that_left_have_no_share():
    watch = SplitWatch()
    watch.add({"a": 50, "b": 25, "c": 25}, {"a": 500, "b": 250, "c": 250})
    watch.add({"a": 50, "b": 50, "c": 0}, {"a": 500, "b": 500, "c": 3})
    watch.add({"a": 100}, {"a": 1000})
    assert watch.verdict().off_by == pytest.approx(0.0)


# What is shown


def test_at_constant_weights_the_chances_are_those_of_the_pooled_counts():
    intervals = life({"a": 0.05, "b": 0.055, "c": 0.05}, 3)
    found = verdict(intervals)
    good, total = [a.good for a in found.arms], [a.total for a in found.arms]
    assert [a.prob_best for a in found.arms] == pytest.approx(prob_best(good, total), abs=1e-9)
    losses = expected_loss(good, total)
    assert [a.expected_loss for a in found.arms] == pytest.approx(losses, abs=1e-9)


def test_where_fewer_is_better_the_chances_turn_round():
    intervals = life({"a": 0.05, "b": 0.06, "c": 0.05}, 2)
    good, total = (
        [a.good for a in verdict(intervals).arms],
        [a.total for a in verdict(intervals).arms],
    )
    chances = [a.prob_best for a in verdict(intervals, reward=FEWER).arms]
    assert chances == pytest.approx(prob_best(good, total, higher_is_better=False), abs=1e-6)


def test_a_good_hour_does_not_flatter_the_arm_that_had_its_traffic():
    # Both arms are equal in each hour; pooled, b has twice the fraction of a.
    night = seen(0, {"a": (9000, 450), "b": (1000, 50)}, weights={"a": 90, "b": 10})
    day = seen(1, {"a": (1000, 200), "b": (9000, 1800)}, weights={"a": 10, "b": 90})
    found = verdict([night, day], arms=("a", "b"), rules=WITH_MARGIN)
    assert found.outcome is Outcome.UNDECIDED
    assert found.arms[1].estimate > 2 * found.arms[0].estimate
    assert found.arms[0].prob_best == pytest.approx(0.5, abs=1e-6)


def test_overdispersion_divides_all_evidence():
    intervals = life({"a": 0.05, "b": 0.07}, 4)
    plain, scattered = (verdict(intervals, arms=("a", "b"), phi=phi) for phi in (1.0, 4.0))
    assert plain.winner == "b"
    assert scattered.winner is None
    width = [found.arms[0].high - found.arms[0].low for found in (plain, scattered)]
    assert width[1] > 1.3 * width[0]


def test_the_sentences_name_counts_intervals_and_requirements():
    reward = Reward(metric=RewardMetric.FAST_RATE, slow_over_ms=250.0)
    intervals = [
        seen(0, {"a": (1000, 900), "b": (1000, 900)}),
        seen(1, {"a": (1000, 900), "b": (0, 0)}, started={"a": 1000, "b": 1000}),
    ]
    found = verdict(intervals, arms=("a", "b"), reward=reward)
    assert found.reason == (
        "Answered within 250 ms: a 90 % (1,800 of 2,000; between 87.7 % and 92 %, 95 % at any look); "
        "b 90 % (900 of 1,000; between 86.8 % and 92.7 %, 95 % at any look). Not enough data yet: "
        'evidence 1:1 for "a is better than b" (20:1 is required).'
    )


# Properties

few = settings(unhurried, max_examples=30)
counts_of_arms = st.tuples(*(
    st.integers(0, 400).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))) for _ in ARMS
))  # fmt: skip
histories = st.lists(counts_of_arms, min_size=1, max_size=6).map(
    lambda rows: [seen(i, dict(zip(ARMS, row, strict=True))) for i, row in enumerate(rows)]
)


def permuted(interval, order):
    return replace(interval, arms=tuple(interval.arms[i] for i in order))


@few
@given(intervals=histories, order=st.permutations(range(3)))
def test_the_order_of_the_arms_does_not_matter(intervals, order):
    straight = verdict(intervals, rules=WITH_MARGIN)
    other = [permuted(each, order) for each in intervals]
    turned = verdict(other, arms=tuple(ARMS[i] for i in order), rules=WITH_MARGIN)
    assert (turned.outcome, turned.winner) == (straight.outcome, straight.winner)
    assert set(turned.eliminated) == set(straight.eliminated)
    by_pair = {(pair.better, pair.other): pair for pair in turned.pairs}
    for pair in straight.pairs:
        twin = by_pair[pair.better, pair.other]
        assert twin.odds == pytest.approx(pair.odds, rel=1e-9)
        assert twin.within_margin == pytest.approx(pair.within_margin, rel=1e-9)


@few
@given(intervals=histories)
def test_fewer_good_is_more_bad(intervals):
    turned = [
        replace(each, arms=tuple(replace(c, good=c.total - c.good) for c in each.arms))
        for each in intervals
    ]
    straight = verdict(intervals, rules=WITH_MARGIN)
    mirrored = verdict(turned, reward=FEWER, rules=WITH_MARGIN)
    assert mirrored.pairs == straight.pairs
    assert mirrored.winner == straight.winner


@few
@given(intervals=histories)
def test_a_verdict_can_be_computed_again_bit_for_bit_from_what_was_stored(intervals):
    # Stored and read back as `adapters/postgres` does it.
    adapter = TypeAdapter(list[TrialInterval])
    stored = to_json([asdict(each) for each in intervals])
    read = adapter.validate_python(from_json(stored))
    assert read == intervals
    judge = TrialJudge(ARMS, CONVERSION, WITH_MARGIN)
    for interval in intervals:
        judge.add(interval)
    assert judge.verdict() == judge.verdict() == verdict(read, rules=WITH_MARGIN)


@few
@given(intervals=histories)
def test_the_numbers_are_fit_to_be_stored(intervals):
    found = verdict(intervals, rules=WITH_MARGIN)
    again = TypeAdapter(type(found)).validate_json(to_json(asdict(found)))
    assert again == found
    assert len(set(found.competing) | set(found.eliminated)) == len(ARMS)
    assert found.competing


def test_rare_rewards_and_perfect_arms_stay_finite():
    for fractions in (
        {"a": 0.0, "b": 0.0, "c": 0.0},
        {"a": 1.0, "b": 1.0, "c": 1.0},
        {"a": 1.0, "b": 0.0, "c": 0.5},
    ):
        found = verdict(life(fractions, 5, requests=300_000), rules=WITH_MARGIN)
        assert all(0 < pair.odds < math.inf for pair in found.pairs)
        assert found.outcome is (Outcome.WINNER if fractions["c"] == 0.5 else Outcome.EQUIVALENT)


def test_intervals_come_in_order_and_from_arms_that_began():
    judge = TrialJudge(ARMS, CONVERSION, RULES)
    judge.add(seen(3, dict.fromkeys(ARMS, (1, 1))))
    with pytest.raises(ValueError, match="interval 3 came after 3"):
        judge.add(seen(3, dict.fromkeys(ARMS, (1, 1))))
    with pytest.raises(ValueError, match="d, e did not begin the trial"):
        judge.add(seen(4, dict.fromkeys("abde", (1, 1))))


# What is counted


@pytest.mark.parametrize(
    ("reward", "counts", "bounds", "expected"),
    [
        (Reward(metric=RewardMetric.SUCCESS_RATE), Counts(requests=10, errors=3), (), (10, 7)),
        (Reward(metric=RewardMetric.SUCCESS_RATE), Counts(requests=2, errors=3), (), (2, 0)),
        (
            Reward(metric=RewardMetric.FAST_RATE, slow_over_ms=250.0),
            Counts(requests=10, errors=0, within=(4, 9)),
            (100.0, 250.0),
            (10, 9),
        ),
        (
            Reward(metric=RewardMetric.FAST_RATE, slow_over_ms=250.0),
            Counts(requests=10, errors=0, within=(9,), timed=8),
            (250.0,),
            (8, 8),
        ),
        (
            Reward(metric=RewardMetric.FAST_RATE, slow_over_ms=250.0),
            Counts(requests=10, errors=0, within=(9,)),
            (100.0,),
            None,
        ),
        (CONVERSION, Counts(requests=10, errors=0), (), None),
    ],
)  # fmt: skip
def test_what_a_reward_counts_in_an_interval(reward, counts, bounds, expected):
    assert rewarded(reward, counts, bounds) == expected


def test_more_good_than_there_were_counts_as_all():
    over = ArmCounts(arm="a", weight=50, started=5, total=5, good=9)
    assert (over.wins(CONVERSION), over.wins(FEWER)) == (5, 0)


def test_moments_and_samples_are_those_of_the_intervals():
    found = verdict(life(dict.fromkeys(ARMS, 0.05), 4))
    assert found.intervals == 4
    assert found.opened_at == NOON
    assert (found.closed_at - NOON).total_seconds() == 240
    assert sum(arm.started for arm in found.arms) == 12_000
