"""A gate on a time that names no bound: it counts at those that stable's own history gave.

Each bound is judged as a gate of its own would be, with its restarts, and their evidence becomes
one (docs/statistics.md, section 2b). The bounds come from before the start: had the gate chosen
them by what it sees, its odds would not be what they say.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from domain.evidence import reasons
from domain.evidence.intervals import Interval
from domain.evidence.mixtures import log_sum_exp, odds
from domain.gates import Gate
from domain.verdicts import Status, Verdict


class Part(Protocol):
    """The gate at one bound. It never fails by itself."""

    @property
    def gate(self) -> Gate:
        """The gate as if it had named this bound."""

    def add(self, interval: Interval) -> None:
        """Take the next interval in."""

    def log_e_fail(self) -> float:
        """The evidence against "the candidate is acceptable at this bound"."""

    def log_e_pass(self, step: int) -> float:
        """The evidence against "the candidate is not good enough at this bound"."""

    def verdict(self, step: int, *, in_full: bool = True) -> Verdict:
        """What a gate at this bound would say; never FAIL."""

    def status(self, step: int) -> Status:
        """The same without its numbers."""

    def refuted(self, step: int, because: str) -> Verdict:
        """The FAIL with what was counted at this bound, for this reason."""


class TailsFold:
    """One gate at several bounds.

    FAIL claims that the candidate is worse at some bound. The mean of e-values is one under the
    null that it is acceptable at all of them, however much the bounds depend on each other: no
    correction. PASS claims that it is good enough at every bound, so that "not good enough at this
    one" must be refuted for each; the smallest e-value counts, and needs no correction either.
    """

    def __init__(self, gate: Gate, parts: Sequence[Part], fail_needed: float) -> None:
        """`fail_needed` are the odds that a FAIL needs. At least one part."""
        self._gate, self._parts, self._fail_needed = gate, tuple(parts), fail_needed
        self._bounds = [part.gate.bound or 0.0 for part in self._parts]
        self._failed: Verdict | None = None
        self._log_e = self._highest = 0.0  # log odds for FAIL, now and at any time so far

    def add(self, interval: Interval) -> None:
        if self._failed:
            return
        for part in self._parts:
            part.add(interval)
        log_es = [part.log_e_fail() for part in self._parts]
        self._log_e = _log_mean(log_es)
        self._highest = max(self._highest, self._log_e)
        if self._log_e >= math.log(self._fail_needed):
            lead = self._parts[int(np.argmax(log_es))]
            e, needed = odds(self._log_e), self._fail_needed
            because = reasons.refuted_at(lead.gate, self._bounds, e, needed)
            failed = lead.refuted(interval.step, because)
            least = min(part.log_e_pass(interval.step) for part in self._parts)
            self._failed = self._with_evidence(failed, pass_=odds(least))

    @property
    def has_failed(self) -> bool:
        return self._failed is not None

    def verdict(self, step: int, *, in_full: bool = True) -> Verdict:
        """FAIL is told by the bound with the most evidence, all else by the furthest from a PASS.

        The numbers of effect and samples are those counted at that bound.
        """
        if self._failed:
            return self._failed
        weakest = self._weakest(step)
        found = weakest.verdict(step, in_full=in_full)
        if found.samples is None:
            return found
        among = reasons.among_bounds(weakest.gate, self._bounds)
        return self._with_evidence(replace(found, reason=f"{found.reason} {among}"))

    def status(self, step: int) -> Status:
        if self._failed:
            return Status.FAIL
        found = {part.status(step) for part in self._parts}
        worst = (Status.UNAVAILABLE, Status.UNDECIDED, Status.PASS)
        return next(status for status in worst if status in found)

    def _weakest(self, step: int) -> Part:
        silent = (part for part in self._parts if part.status(step) is Status.UNAVAILABLE)
        found = next(silent, None)
        return found or min(self._parts, key=lambda part: part.log_e_pass(step))

    def _with_evidence(self, found: Verdict, *, pass_: float | None = None) -> Verdict:
        """What one part says, with the evidence of all; `pass_` is its own if it is the weakest."""
        if found.evidence is None:
            return found
        evidence = replace(
            found.evidence,
            fail=odds(self._log_e),
            fail_needed=self._fail_needed,
            pass_=found.evidence.pass_ if pass_ is None else pass_,
            p_always_valid=math.exp(-self._highest),
        )
        return replace(found, evidence=evidence)


class NoBounds:
    """The same where nothing was measured of stable: such a gate can say nothing."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def add(self, interval: Interval) -> None:
        """Nothing can be counted."""

    @property
    def has_failed(self) -> bool:
        return False

    def verdict(self, step: int, *, in_full: bool = True) -> Verdict:  # noqa: ARG002 - the same
        because = reasons.no_bounds(self._gate)
        return Verdict(gate=self._gate.name, status=Status.UNAVAILABLE, reason=because)

    def status(self, step: int) -> Status:  # noqa: ARG002
        return Status.UNAVAILABLE


def _log_mean(log_es: Sequence[float]) -> float:
    return float(log_sum_exp(np.array(log_es))) - math.log(len(log_es))
