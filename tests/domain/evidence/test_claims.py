"""The eight claims of docs/statistics.md, section 4: where each is shown, and those of the judge.

Most are shown on the tests themselves, beside each other. What takes the way from samples to a
verdict is shown here.
"""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.evidence.counters import Cursor, Reading, Series, SeriesRole, advance
from domain.evidence.intervals import Interval
from domain.evidence.judge import judge
from domain.gates import AgainstStable
from domain.verdicts import Status
from tests.domain.evidence import test_counters, test_rate_ratio, test_validity
from tests.domain.evidence.scenes import error_gate, interval, unhurried

CLAIMS = {
    "400 equal lives of 2,000 looks: FAIL in at most 7.5 %": (
        test_validity.test_equal_versions_seldom_fail_however_often_one_looks
    ),
    "Simpson's ramp: FAIL in at most 7.5 %": (
        test_validity.test_a_ramp_of_weight_with_a_rising_base_rate_fools_nothing
    ),
    "E F <= 1, enumerated for 500 random (n, p, rho0, rho1)": (
        test_validity.test_no_alternative_expects_to_gain_where_the_null_holds
    ),
    "merging two intervals or dropping a scrape changes log e by less than 0.1": (
        test_validity.test_merging_intervals_of_one_split_or_dropping_a_scrape_changes_next_to_nothing
    ),
    "a counter reset in the middle is none": (
        test_counters.test_a_reset_in_the_middle_changes_nothing_but_the_count_of_resets
    ),
    "swapping the arms maps the interval to its reciprocal": (
        test_rate_ratio.test_swapping_the_arms_maps_the_interval_to_its_reciprocal
    ),
    "10 times at 100 requests/s and 5 %: FAIL within 60 s in 95 % of lives": (
        test_validity.test_a_tenfold_regression_fails_within_a_minute
    ),
    "at the margin: PASS in at most 7.5 %": (
        test_validity.test_a_candidate_at_the_margin_seldom_passes
    ),
}

GROWTH = st.lists(
    st.tuples(st.integers(10, 60), st.integers(0, 6), st.integers(50, 400), st.integers(0, 9)),
    min_size=3,
    max_size=30,
)


def scraped(growth, *, restarts_after: int | None = None) -> list[Interval]:
    """Intervals from raw counters of both arms; the candidate's start anew after one scrape."""
    totals = np.cumsum([(0, 0, 0, 0), *growth], axis=0) + 1000
    cursor: Cursor | None = None
    intervals: list[Interval] = []
    for at, total in enumerate(totals):
        if restarts_after is not None and at > restarts_after:
            total = total - np.array([*totals[restarts_after][:2], 0, 0])  # noqa: PLW2901
        requests, bad, others, their_bad = (float(each) for each in total)
        arms = [
            tuple(
                Series(key=f"{arm}-{role}", role=role, samples=((float(at), value),))
                for role, value in zip((SeriesRole.REQUESTS, SeriesRole.ERRORS), pair, strict=True)
            )
            for arm, pair in (("c", (requests, bad)), ("s", (others, their_bad)))
        ]
        reading = Reading(candidate=arms[0], stable=arms[1])
        closed, cursor = advance(cursor, reading, sequence=len(intervals), step=0, weight=10)
        intervals += [closed] if closed else []
    return intervals


@unhurried
@given(growth=GROWTH, data=st.data())
def test_a_counter_reset_in_the_middle_changes_no_verdict(growth, data):
    middle = data.draw(st.integers(0, len(growth) - 2))
    (plain,) = judge([error_gate()], scraped(growth), step=0)
    (reset,) = judge([error_gate()], scraped(growth, restarts_after=middle), step=0)
    assert (reset.status, reset.effect, reset.evidence) == (
        (plain.status, plain.effect, plain.evidence)
    )
    assert (reset.absolute, reset.forecast) == (plain.absolute, plain.forecast)
    assert reset.reason == plain.reason


def test_swapping_the_arms_of_a_rollout_maps_its_verdict_s_interval_to_the_reciprocal():
    rng = np.random.default_rng(31)
    rows = [((200, int(rng.binomial(200, 0.04))), (800, int(rng.binomial(800, 0.05)))) for _ in range(40)]  # fmt: skip
    gate = error_gate(against_stable=AgainstStable(fail_ratio=10, pass_ratio=20))
    there, back = (
        judge([gate], [interval(k, *arms(row)) for k, row in enumerate(rows)], step=0)[0].effect
        for arms in (lambda row: row, lambda row: row[::-1])
    )
    assert there is not None
    assert back is not None
    assert (back.low, back.high) == pytest.approx((1 / there.high, 1 / there.low))
    assert there.estimate is not None
    assert back.estimate == pytest.approx(1 / there.estimate)


def test_the_always_valid_p_value_of_equal_versions_is_seldom_small():
    # P(ever p <= a) <= a for each a, at every look and with restarts; here 200 lives of 100 looks.
    gate = error_gate(against_stable=AgainstStable(fail_ratio=1.0, floor=1e-9), alpha=1e-6)
    rng = np.random.default_rng(32)
    smallest: list[float] = []
    for _ in range(200):
        bad = rng.binomial((50, 450), 0.02, size=(100, 2))
        rows = [interval(k, (50, int(c)), (450, int(b)), seconds=5) for k, (c, b) in enumerate(bad)]
        (found,) = judge([gate], rows, step=0)
        assert found.status is not Status.FAIL
        assert found.evidence is not None
        smallest.append(found.evidence.p_always_valid or 0.0)
    for level in (0.05, 0.2, 0.5):
        share = np.mean([p <= level for p in smallest])
        assert share <= level + 2 * np.sqrt(level * (1 - level) / 200), level
    assert min(smallest) < 0.5


def test_there_are_eight_claims_and_each_has_a_test_of_its_own():
    assert len(CLAIMS) == len(set(CLAIMS.values())) == 8


def test_moments_of_raw_samples_are_those_of_the_verdict():
    growth = [(20, 0, 180, 0)] * 400
    (found,) = judge([error_gate()], scraped(growth), step=0)
    assert found.status is Status.PASS
    assert found.decided_at == datetime.fromtimestamp(400, UTC)
