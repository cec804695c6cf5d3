"""The product's own judge for many lives at once.

It is made of the classes of `domain.evidence` as `Judge` is, with an axis of lives before theirs. A
test holds it to be `Judge`, look by look, on the same traffic.
"""

import math

import numpy as np

from bench.judging.rules import Flags
from bench.judging.traffic import Look
from domain.evidence.fraction import FractionTest
from domain.evidence.mixtures import Floats
from domain.evidence.rate_ratio import RatioTest
from domain.evidence.restarts import LATE_SHARE, RISES_SHARE, unspent
from domain.evidence.rules import RATIO_LATE_SHARE
from domain.gates import Gate


class _ManyRestarts:
    """`Restarts` without its notes, one row a life."""

    def __init__(self, log_prior: Floats, lives: int, late_share: float = LATE_SHARE) -> None:
        self._log_prior, self._late_share = log_prior, late_share
        self._log_sum = np.full((lives, len(log_prior)), math.log(1 - late_share - RISES_SHARE))
        self._marked, self._rises = np.zeros(lives), 0
        self._is_news = np.zeros(lives, dtype=np.bool_)

    def mark(self, log_ratios: Floats, *, is_rise: bool) -> None:
        rows = np.flatnonzero(self._is_news | is_rise)
        before = self._unspent(self._marked[rows])
        self._marked[rows] += 1
        self._rises += is_rise
        shares = before - self._unspent(self._marked[rows])
        self._log_sum[rows] = np.logaddexp(
            self._log_sum[rows], np.log(shares)[:, None] - log_ratios[rows]
        )

    def learn(self, is_news: Flags) -> None:
        """In which lives the log ratios have changed since the last call of `mark`."""
        self._is_news = is_news

    def log_e(self, log_ratios: Floats, rows: np.ndarray) -> Floats:
        terms = self._log_prior + self._log_sum[rows] + log_ratios
        rest = np.log(self._unspent(self._marked[rows]))
        top = np.maximum(terms.max(axis=1), rest)
        return np.asarray(
            top + np.log(np.exp(terms - top[:, None]).sum(axis=1) + np.exp(rest - top))
        )

    def keep(self, rows: Flags) -> None:
        self._log_sum, self._marked = self._log_sum[rows], self._marked[rows]
        self._is_news = self._is_news[rows]

    def _unspent(self, marked: Floats) -> Floats:
        return unspent(self._late_share, marked, self._rises)


class ProductJudge:
    """One gate with a rule against stable, alone in its family. Failed lives are not folded on.

    `phi` is one for all lives, or one for each.
    """

    def __init__(self, gate: Gate, lives: int, *, phi: float | Floats = 1.0) -> None:
        margins = gate.against_stable
        if margins is None or gate.limit is not None:
            raise ValueError("only gates with a rule against stable, and no limit")
        self._ratio = RatioTest(fail_ratio=margins.fail_ratio, pass_ratio=margins.pass_ratio)
        self._floor = FractionTest(margins.floor)
        self._phi = np.broadcast_to(np.asarray(phi, np.float64), (lives,))[:, None]
        self._needed = math.log(1 / gate.alpha)
        self._weight: int | None = None
        self._lives = np.arange(lives)
        self._failed = np.zeros(lives, dtype=np.bool_)
        self._ell = np.zeros((lives, len(self._ratio.nothing())))
        self._bad, self._requests = np.zeros((lives, 1)), np.zeros((lives, 1))
        self._ratio_starts = _ManyRestarts(self._ratio.worse_prior, lives, RATIO_LATE_SHARE)
        self._floor_starts = _ManyRestarts(self._floor.prior, lives)

    def look(self, seen: Look) -> Flags:
        if len(self._lives):
            self._add(seen.of(self._lives))
        return self._failed

    def _add(self, seen: Look) -> None:
        is_rise = self._weight is not None and seen.weight > self._weight
        self._weight = seen.weight
        self._ratio_starts.mark(self._ratio.worse_ratios(self._ell), is_rise=is_rise)
        self._floor_starts.mark(self._above_floor(np.arange(len(self._lives))), is_rise=is_rise)
        says = (seen.candidate_bad + seen.stable_bad > 0) & (seen.candidate > 0) & (seen.stable > 0)
        n_c, c, n_b, b = (
            counts[says, None]
            for counts in (seen.candidate, seen.candidate_bad, seen.stable, seen.stable_bad)
        )
        self._ell[says] += self._ratio.increment((n_c, c), (n_b, b)) / self._phi[says]
        self._bad += seen.candidate_bad[:, None]
        self._requests += seen.candidate[:, None]
        self._ratio_starts.learn(says)
        self._floor_starts.learn(seen.candidate > 0)
        self._latch(np.flatnonzero(seen.candidate_bad))

    def _latch(self, rows: np.ndarray) -> None:
        """Fail those of the rows that have what is needed by both tests."""
        by_ratio = self._ratio_starts.log_e(self._ratio.worse_ratios(self._ell[rows]), rows)
        rows = rows[by_ratio >= self._needed]
        if not len(rows):
            return
        by_floor = self._floor_starts.log_e(self._above_floor(rows), rows)
        rows = rows[by_floor >= self._needed]
        self._failed[self._lives[rows]] = True
        going = np.ones(len(self._lives), dtype=np.bool_)
        going[rows] = False
        self._lives, self._ell = self._lives[going], self._ell[going]
        self._bad, self._requests = self._bad[going], self._requests[going]
        self._phi = self._phi[going]
        self._ratio_starts.keep(going)
        self._floor_starts.keep(going)

    def _above_floor(self, rows: np.ndarray) -> Floats:
        return self._floor.above_ratios(
            self._bad[rows] / self._phi[rows], self._requests[rows] / self._phi[rows]
        )
