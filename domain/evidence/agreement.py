"""Whether a shadow answers as stable does: results of a sample in, a verdict out.

The same results in the same order give the same verdict. The sample is finite and each of its
requests counts once, so that it ends with a verdict: early by evidence that holds for requests of
its kind, at the latest by counting.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from domain.comparison import ANSWERS, Compared, Comparison
from domain.evidence import reasons
from domain.evidence.fraction import FractionTest
from domain.evidence.mixtures import odds
from domain.verdicts import Evidence, Samples, Status, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class _End:
    """The first moment at which something was decided: the guarantee is about that one."""

    status: Status
    because: str


class Agreement:
    """Fed result by result. Nothing more needs to be asked once it `is_decided`."""

    def __init__(self, comparison: Comparison) -> None:
        self._comparison, self._test = comparison, FractionTest(comparison.limit)
        self._size = len(comparison.sample)
        self._count = self._differing = 0
        self._example = ""
        self._end: _End | None = None

    @property
    def is_decided(self) -> bool:
        return self._end is not None

    def add(self, compared: Compared) -> None:
        """Take the next result in; what comes after the decision changes nothing."""
        if self._end is not None:
            return
        self._count += 1
        if not compared.agrees:
            self._differing += 1
            self._example = self._example or f"request {compared.request}: {compared.difference}"
        self._end = self._decide()

    def verdict(self, unheard: Mapping[int, str]) -> Verdict:
        """`unheard` says of requests that are still to be compared what last stood in the way."""
        if self._end is not None:
            return self._verdict(self._end.status, self._end.because)
        left = self._size - self._count
        because = f"{left} of {self._size} are still to be compared."
        if unheard:
            index, why = next(iter(unheard.items()))
            because += f" Request {index} says nothing yet: {why}."
        return self._verdict(Status.UNDECIDED, because)

    def _decide(self) -> _End | None:
        return self._failed() or self._passed()

    def _failed(self) -> _End | None:
        comparison, limit = self._comparison, reasons.percent(self._comparison.limit)
        needed, log_e = 1 / comparison.alpha, self._log_e_above
        if log_e >= math.log(needed):
            claim = f'Evidence {reasons.odds(odds(log_e))} against "at most {limit} differ"'
            return _End(
                status=Status.FAIL, because=f"{claim}; {reasons.odds(needed)} was required."
            )
        # As one fraction against another: 29 of 100 are 0.29, and 0.29 times 100 is less than 29.
        if self._differing / self._size > comparison.limit:
            because = f"That is more than {limit} of the {self._size} in the sample."
            return _End(status=Status.FAIL, because=because)
        return None

    def _passed(self) -> _End | None:
        comparison, limit = self._comparison, reasons.percent(self._comparison.limit)
        needed, log_e = 1 / comparison.beta, self._log_e_below
        if log_e >= math.log(needed):
            claim = f'Good enough: evidence {reasons.odds(odds(log_e))} for "less than {limit}'
            because = f'{claim} differ" ({reasons.odds(needed)} was required).'
            return _End(status=Status.PASS, because=because)
        if self._count == self._size:
            because = f"That is the whole sample, of which at most {limit} may differ."
            return _End(status=Status.PASS, because=because)
        return None

    @property
    def _log_e_above(self) -> float:
        return float(self._test.log_e_above(self._differing, self._count))

    @property
    def _log_e_below(self) -> float:
        return float(self._test.log_e_below(self._differing, self._count))

    def _verdict(self, status: Status, because: str) -> Verdict:
        comparison = self._comparison
        return Verdict(
            gate=ANSWERS,
            status=status,
            reason=f"{self._seen()} {because}",
            evidence=Evidence(
                fail=odds(self._log_e_above),
                fail_needed=1 / comparison.alpha,
                pass_=odds(self._log_e_below),
                pass_needed=1 / comparison.beta,
            ),
            samples=Samples(
                candidate_requests=self._count,
                candidate_bad=self._differing,
                stable_requests=self._count,
                stable_bad=0,
                intervals=0,
                resets=0,
                opened_at=None,
                closed_at=None,
            ),
        )

    def _seen(self) -> str:
        answers = f"{self._count} answer{'' if self._count == 1 else 's'}"
        if not self._differing:
            return f"None of {answers} differs."
        return f"{self._differing} of {answers} differ, such as {self._example}."


def judge_answers(comparison: Comparison, results: Iterable[Compared]) -> Verdict:
    """The verdict on results in their sequence."""
    fold = Agreement(comparison)
    for compared in results:
        fold.add(compared)
    return fold.verdict({})
