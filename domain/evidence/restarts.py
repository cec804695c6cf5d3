"""The e-detector: one e-process as a mixture over its starting times, for late regressions.

A leak or a filling cache shows after hours of health that an e-process from the start would first
have to outweigh; one that began shortly before the change does not carry that weight.
"""

import math
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from domain.evidence.mixtures import Floats, log_sum_exp

Note = TypeVar("Note")

FROM_THE_START = 0.5  # the share of the mixture that never restarts
KEPT_PER_DOUBLING = 4  # restarts kept for each doubling of their age


def _share(ordinal: int) -> float:
    """What the restart of this ordinal (from 1) weighs; all together weigh the other half."""
    return (1 - FROM_THE_START) * 6 / (math.pi * ordinal) ** 2


class _Start(NamedTuple, Generic[Note]):
    ordinal: int
    log_ratios: Floats
    note: Note | None


class Restarts(Generic[Note]):
    """e = 0.5 e_{0:t} + 0.5 sum_j 6/(pi j)^2 e_{s_j:t} (Shin, Ramdas & Rinaldo).

    A restart that has not happened counts as 1, so the whole starts at 1 and is an e-process under
    the same null as its parts. Old restarts are thinned out, evenly on a logarithmic scale of
    their age: leaving a term out only makes the sum smaller, hence keeps it valid.

    Each restart carries a note of its moment, to say later from when on the evidence speaks.
    """

    def __init__(self, log_prior: Floats) -> None:
        self._log_prior = log_prior
        self._starts: list[_Start[Note]] = [_Start(0, np.zeros_like(log_prior), None)]
        self._unspent = 1 - FROM_THE_START
        self._marked = 0
        self._tabulate()

    def mark(self, log_ratios: Floats, note: Note) -> None:
        """Restart here: `log_ratios` are those of the alternatives from the beginning until now.

        Where nothing was learnt since the last restart a new one would be its twin: none is made.
        """
        if np.array_equal(log_ratios, self._starts[-1].log_ratios):
            return
        self._marked += 1
        self._unspent -= _share(self._marked)
        self._starts.append(_Start(self._marked, log_ratios.copy(), note))
        self._starts = [start for start in self._starts if self._is_kept(start.ordinal)]
        self._tabulate()

    def log_e(self, log_ratios: Floats) -> float:
        """The mixture's value, from the log ratios of the alternatives since the beginning."""
        terms = self._table + log_ratios
        unspent = math.log(self._unspent)
        top = max(float(terms.max()), unspent)
        return top + math.log(float(np.exp(terms - top).sum()) + math.exp(unspent - top))

    def leading(self, log_ratios: Floats) -> Note | None:
        """The note of the restart with the most evidence; None when that is the beginning."""
        terms = log_sum_exp(self._table + log_ratios)
        return self._starts[int(terms.argmax())].note

    def _is_kept(self, ordinal: int) -> bool:
        age = self._marked - ordinal
        if ordinal == 0 or age < 2 * KEPT_PER_DOUBLING:
            return True
        spacing = int(2 ** math.floor(math.log2(age / KEPT_PER_DOUBLING)))
        return ordinal % spacing == 0

    def _tabulate(self) -> None:
        shares = [_share(each.ordinal) if each.ordinal else FROM_THE_START for each in self._starts]
        offsets = np.stack([each.log_ratios for each in self._starts])
        self._table = self._log_prior - offsets + np.log(shares)[:, None]
