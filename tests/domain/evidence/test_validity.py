"""The guarantees themselves: exact where outcomes can be enumerated, seeded lives elsewhere.

The bounds on fractions of lives leave room for the noise of that many lives, not for an error.
The claims are those of docs/statistics.md, section 4, in its order, then what else must hold.
"""

import math
from itertools import product

import numpy as np
import pytest

from domain.evidence.fraction import FractionTest
from domain.evidence.judge import Judge
from domain.evidence.mixtures import Floats
from domain.evidence.rate_ratio import RatioTest
from domain.evidence.restarts import Restarts
from domain.evidence.two_outcome import log_ratios
from domain.gates import AgainstStable
from domain.verdicts import Status
from tests.domain.evidence.scenes import error_gate, interval

NEEDED = math.log(20)
# A floor of nothing: only the ratio decides.
ONLY_RATIO = 1e-9


def binomial(n: int, p: float) -> np.ndarray:
    """The probabilities of 0..n."""
    log_p = [
        math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
        + k * math.log(p) + (n - k) * math.log1p(-p)
        for k in range(n + 1)
    ]  # fmt: skip
    return np.exp(log_p)


def outcomes(n_c: int, n_b: int) -> tuple[np.ndarray, np.ndarray]:
    """Every pair of bad counts, each with a last axis for the grid."""
    c, b = np.meshgrid(np.arange(n_c + 1.0), np.arange(n_b + 1.0), indexing="ij")
    return c[..., None], b[..., None]


def test_no_alternative_expects_to_gain_where_the_null_holds():
    rng = np.random.default_rng(1)
    gains = []
    for _ in range(500):
        n_c, n_b = (int(n) for n in rng.integers(1, 13, size=2))
        ratio = math.exp(rng.uniform(-1.5, 1.5))
        p_b = rng.uniform(0.005, min(0.6, 0.9 / ratio))
        test = RatioTest(fail_ratio=ratio, pass_ratio=ratio)
        c, b = outcomes(n_c, n_b)
        ell = test.increment((n_c, c), (n_b, b))
        for p_c, ratios in (
            (rng.uniform(0.2, 1) * ratio * p_b, test.worse_ratios(ell)),
            (rng.uniform(ratio * p_b, 0.95), test.better_ratios(ell)),
            (ratio * p_b, test.worse_ratios(ell)),
        ):
            law = binomial(n_c, p_c)[:, None] * binomial(n_b, p_b)[None, :]
            gains.append(float(np.tensordot(law, np.exp(ratios), 2).max()))
    assert 0.99 < max(gains) <= 1 + 1e-9


def test_a_fraction_expects_to_gain_on_neither_side_of_its_limit():
    rng = np.random.default_rng(2)
    for _ in range(200):
        n, limit = int(rng.integers(1, 40)), rng.uniform(0.01, 0.6)
        test, bad = FractionTest(limit), np.arange(n + 1.0)[:, None]
        below, above = limit * rng.uniform(0.1, 1), min(0.99, limit * rng.uniform(1, 2))
        against_low = binomial(n, below) @ np.exp(test.log_e_above(bad, n))
        against_high = binomial(n, above) @ np.exp(test.log_e_below(bad, n))
        assert max(against_low, against_high) <= 1 + 1e-9


def test_two_outcomes_expect_to_gain_nothing_from_equal_arms_whatever_was_guessed():
    rng = np.random.default_rng(3)
    thetas: Floats = np.linspace(0.05, 3, 25)
    for _ in range(100):
        n_c, n_b = (int(n) for n in rng.integers(1, 12, size=2))
        slow, guess = rng.uniform(0.02, 0.95, size=2)
        c, b = outcomes(n_c, n_b)
        gains = np.exp(log_ratios((n_c, c, n_b, b), thetas, stable_slow_fraction=guess))
        law = binomial(n_c, slow)[:, None] * binomial(n_b, slow)[None, :]
        assert np.tensordot(law, gains, 2).max() <= 1 + 1e-9


@pytest.mark.parametrize("rises_when", [set(), {0, 1}, {0}, {1}])
def test_restarts_keep_an_e_process_one(rises_when):
    # Three rounds of one Bernoulli each, restarts in between, and a rise that may depend on what
    # the first one brought: the mean over all eight paths is 1.
    test = FractionTest(0.3)
    mean = 0.0
    for path in product((0, 1), repeat=3):
        starts = Restarts[None](test.prior)
        starts.mark(test.above_ratios(path[0], 1), None, is_rise=path[0] in rises_when)
        starts.mark(test.above_ratios(sum(path[:2]), 2), None)
        chance = math.prod(0.3 if bad else 0.7 for bad in path)
        mean += chance * math.exp(starts.log_e(test.above_ratios(sum(path), 3)))
    assert mean == pytest.approx(1.0, abs=1e-12)


class Lives:
    """Many lives of one ratio test side by side; each look has one split for all of them."""

    def __init__(self, lives: int, seed: int, *, fail_ratio: float = 1.0) -> None:
        self.test = RatioTest(fail_ratio=fail_ratio, pass_ratio=1.5)
        self._rng = np.random.default_rng(seed)
        self._ell = np.zeros((lives, len(self.test.nothing())))
        self.failed = np.zeros(lives, dtype=bool)
        self.passed = np.zeros(lives, dtype=bool)

    def look(self, *, rate: float, weight: float, base: float, ratio: float) -> None:
        """One scrape of 5 s. Only lives whose evidence may have grown are weighed."""
        lives = len(self.failed)
        n_b = max(1, self._rng.poisson(5 * rate * (1 - weight)))
        n_c = max(1, self._rng.poisson(5 * rate * weight))
        c = self._rng.binomial(n_c, ratio * base, size=(lives, 1)).astype(np.float64)
        b = self._rng.binomial(n_b, base, size=(lives, 1)).astype(np.float64)
        self._ell += self.test.increment((n_c, c), (n_b, b))
        worse, better = np.flatnonzero(c[:, 0]), np.flatnonzero(b[:, 0])
        self.failed[worse] |= self.test.log_e_fail(self._ell[worse]) >= NEEDED
        self.passed[better] |= self.test.log_e_pass(self._ell[better]) >= NEEDED


def test_equal_versions_seldom_fail_however_often_one_looks():
    lives = Lives(400, seed=11)
    for _ in range(2000):
        lives.look(rate=100, weight=0.05, base=0.01, ratio=1.0)
    assert 0 < lives.failed.mean() <= 0.075


def test_a_ramp_of_weight_with_a_rising_base_rate_fools_nothing():
    # Pooled counts call every such candidate bad (Simpson): its requests come when errors do.
    lives = Lives(400, seed=12)
    looks = 1000
    for look in range(looks):
        weight = (0.01, 0.05, 0.10, 0.25, 0.50)[look * 5 // looks]
        lives.look(rate=100, weight=weight, base=0.003 * 10 ** (look / looks), ratio=1.0)
    assert lives.failed.mean() <= 0.075


def test_a_candidate_at_the_margin_seldom_passes():
    lives = Lives(400, seed=13)
    for _ in range(1500):
        lives.look(rate=100, weight=0.05, base=0.01, ratio=1.5)
    assert 0 < lives.passed.mean() <= 0.075


def live(
    judge: Judge, rng: np.random.Generator, looks: int, *, ratio: float, first: int = 0
) -> int | None:
    """The look at which one life of 100 requests/s at 5 % and base rate 1 % fails."""
    for look in range(first, first + looks):
        n_c, n_b = int(rng.poisson(25)), int(rng.poisson(475))
        c, b = int(rng.binomial(n_c, 0.01 * ratio)), int(rng.binomial(n_b, 0.01))
        judge.add(interval(look, (n_c, c), (n_b, b), seconds=5, weight=5))
        if c and judge.verdicts(0)[0].status is Status.FAIL:
            return look
    return None


def test_restarts_and_all_a_fair_candidate_seldom_fails():
    gate = error_gate(against_stable=AgainstStable(fail_ratio=1.0, floor=ONLY_RATIO))
    rng = np.random.default_rng(14)
    failed = [live(Judge([gate]), rng, 250, ratio=1.0) is not None for _ in range(60)]
    assert np.mean(failed) <= 0.075


def test_a_tenfold_regression_fails_within_a_minute():
    rng = np.random.default_rng(15)
    failed = [live(Judge([error_gate()]), rng, 12, ratio=10) is not None for _ in range(200)]
    assert np.mean(failed) >= 0.95


def test_a_late_regression_is_found_soon_because_evidence_restarts():
    # Two hours of health; an e-process from the start alone needs over two minutes (median 145 s).
    rng = np.random.default_rng(16)
    delays = []
    for _ in range(12):
        judge = Judge([error_gate()])
        assert live(judge, rng, 1440, ratio=1.0) is None
        found = live(judge, rng, 60, ratio=10, first=1440)
        delays.append(math.inf if found is None else 5 * (found - 1440 + 1))
    assert np.median(delays) <= 60


def test_merging_intervals_of_one_split_or_dropping_a_scrape_changes_next_to_nothing():
    rng = np.random.default_rng(17)
    test = RatioTest(fail_ratio=1.25, pass_ratio=1.5)
    rows = [(30, int(c), 270, int(b)) for c, b in rng.binomial((30, 270), 0.03, size=(200, 2))]
    uneven = [(n + int(d), c, m - int(d), b) for (n, c, m, b), d in zip(rows, rng.integers(-4, 5, 200), strict=True)]  # fmt: skip

    def log_e(rows) -> float:
        steps = [test.increment((n_c, c), (n_b, b)) for n_c, c, n_b, b in rows]
        return float(test.log_e_fail(np.sum(steps, axis=0)))

    def merged(rows, every: int):
        return [
            tuple(map(sum, zip(*rows[k : k + every], strict=True))) for k in range(0, 200, every)
        ]

    assert log_e(merged(rows, 2)) == pytest.approx(log_e(rows), abs=1e-9)
    for k in (0, 57, 198):
        dropped = [*uneven[:k], *merged(uneven[k : k + 2], 2)[:1], *uneven[k + 2 :]]
        assert log_e(dropped) == pytest.approx(log_e(uneven), abs=0.1)
