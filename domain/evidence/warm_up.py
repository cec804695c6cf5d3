"""The first seconds of a candidate say nothing of how it will do: caches fill, code is compiled.

Evidence begins behind them, at an interval that was chosen in advance, so that its odds stay what
they say. Until then only a catastrophe counts: proof that far more requests fail than any warm-up
excuses (docs/statistics.md, section 2e).
"""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

from domain.evidence import reasons
from domain.evidence.fraction import FractionTest
from domain.evidence.intervals import Interval
from domain.evidence.mixtures import odds
from domain.evidence.prospects import absolute_of
from domain.evidence.rate_ratio import RatioTest
from domain.evidence.tallies import Tally, increment_of, observe
from domain.gates import Gate, Metric
from domain.traffic import FULL
from domain.verdicts import Samples, Status, Verdict

CATASTROPHE = 0.3
# Of the chance of a false alarm the warm-up has so much beside: a catastrophe can afford the wait.
ALPHA_SHARE = 1 / 20


class WarmUp:
    """The intervals that open less than `lasts` after the first one did.

    `fail_needed` are the odds by gate and `phi` divides the evidence, both as behind the warm-up. A
    FAIL needs these odds over ALPHA_SHARE: both together are wrong in at most 21/20 of alpha.
    """

    def __init__(
        self, gates: Sequence[Gate], fail_needed: Sequence[float], *, phi: float, lasts: timedelta
    ) -> None:
        self._lasts = lasts
        self._watches = [
            _Watch(gate, needed, phi) for gate, needed in zip(gates, fail_needed, strict=True)
        ]
        self._ends_at: datetime | None = None
        self._is_over = not lasts

    def takes(self, interval: Interval) -> bool:
        """Whether the interval belongs to the warm-up; what it shows is then taken in here."""
        if self._is_over:
            return False
        if self._ends_at is None:
            self._ends_at = interval.opened_at + self._lasts
        if interval.opened_at >= self._ends_at:
            self._is_over = True
            return False
        for watch in self._watches:
            watch.add(interval)
        return True

    def verdicts(self) -> tuple[Verdict | None, ...]:
        """One a gate: FAIL, for good, or that it is warming up; None where the gate may speak."""
        ends_at = None if self._is_over else self._ends_at
        return tuple(watch.verdict(ends_at) for watch in self._watches)

    @property
    def goes_on(self) -> bool:
        """Whether it has begun and is not over."""
        return self._ends_at is not None and not self._is_over

    def statuses(self) -> tuple[Status | None, ...]:
        """What the verdicts say without their numbers."""
        waits = None if self._is_over or self._ends_at is None else Status.UNDECIDED
        return tuple(Status.FAIL if watch.failed else waits for watch in self._watches)


class _Watch:
    """One gate's look at a warm-up. Of times nothing is said: cold caches are slow, and may be.

    A gate without a limit of its own compares with stable beside it: what takes both down is not
    the candidate's doing, so both claims must be refuted, and the smaller e-value counts.
    """

    def __init__(self, gate: Gate, needed: float, phi: float) -> None:
        self._gate, self._needed, self._phi = gate, needed / ALPHA_SHARE, phi
        self._limit = max(CATASTROPHE, gate.limit or 0.0)
        self._above = FractionTest(self._limit)
        margins = gate.against_stable if gate.limit is None else None
        self._fail_ratio = margins.fail_ratio if margins else None
        self._ratio = RatioTest(
            fail_ratio=margins.fail_ratio if margins else 1.0,
            pass_ratio=margins.pass_ratio if margins else 1.0,
        )
        self._tally = Tally(ell=self._ratio.nothing())
        self._has_beside = False
        self.failed: Verdict | None = None

    def add(self, interval: Interval) -> None:
        if self.failed or self._gate.metric is not Metric.ERROR_RATE:
            return
        seen = observe(self._gate, interval)
        if seen is None:
            return
        self._has_beside = self._has_beside or interval.weight < FULL
        self._tally.add(seen, interval, increment_of(self._ratio, seen, self._phi))
        log_e = self._log_e()
        if log_e >= math.log(self._needed):
            said = reasons.catastrophe(
                self._tally, (self._limit, self._fail_ratio), odds(log_e), self._needed
            )
            self.failed = self._verdict(Status.FAIL, said)

    def _log_e(self) -> float:
        bad, requests = self._tally.candidate_bad, self._tally.candidate_requests
        log_e = float(self._above.log_e_above(bad / self._phi, requests / self._phi))
        # Beside a stable that is silent so far, what fails may be what fails for both.
        if self._fail_ratio is None or not self._has_beside:
            return log_e
        return min(log_e, float(self._ratio.log_e_fail(self._tally.ell)))

    def verdict(self, ends_at: datetime | None) -> Verdict | None:
        if self.failed or ends_at is None:
            return self.failed
        return self._verdict(Status.UNDECIDED, reasons.warming_up(self._gate, self._tally, ends_at))

    def _verdict(self, status: Status, reason: str) -> Verdict:
        tally, is_failure = self._tally, status is Status.FAIL
        samples = Samples(
            candidate_requests=tally.candidate_requests,
            candidate_bad=tally.candidate_bad,
            stable_requests=tally.stable_requests,
            stable_bad=tally.stable_bad,
            intervals=tally.intervals,
            resets=tally.resets,
            opened_at=tally.opened_at,
            closed_at=tally.closed_at,
        )
        return Verdict(
            gate=self._gate.name,
            status=status,
            reason=reason,
            samples=samples if tally.candidate_requests else None,
            absolute=absolute_of(tally, self._gate, phi=self._phi) if is_failure else None,
        )
