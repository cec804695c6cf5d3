"""The e-detector: one e-process as a mixture over its starting times, for late regressions.

A leak or a filling cache shows after hours of health that an e-process from the start would first
have to outweigh; one that began shortly before the change does not carry that weight.
"""

import math
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from domain.evidence.mixtures import Floats, log_sum_exp

Note = TypeVar("Note")

HALVED_AFTER = 360  # so many restarts spend half of what is there for them
LATE_SHARE = 0.5  # what all restarts have together, whenever they are
RISES_SHARE = 0.1  # what those have on top that are made where the weight rises
SPENT_PER_RISE = 1 / 3  # of what is left of that: rollouts have a handful of rises
KEPT_PER_DOUBLING = 4  # notes kept for each doubling of their age


def unspent(late_share: float, marked: float | Floats, rises: int) -> Floats:
    """What restarts have left after so many of them, of which so many were at a rise.

    The late share falls with the root of their number: there is enough for a regression after days,
    and one after minutes does not wait much longer for it. That of rises falls by a part with each.
    """
    for_rises = RISES_SHARE * (1 - SPENT_PER_RISE) ** rises
    return np.asarray(late_share / np.sqrt(1 + 3 * marked / HALVED_AFTER) + for_rises)


class _Start(NamedTuple, Generic[Note]):
    """A restart for words: its share and those of the ones after it that are not kept."""

    ordinal: int
    share: float
    log_ratios: Floats
    note: Note | None


class Restarts(Generic[Note]):
    """e = a e_{0:t} + sum_j w_j e_{s_j:t} + u_t, where a + sum_j w_j + u_t = 1 (Shin et al.).

    The j-th restart is given w_j = u_{j-1} - u_j of what is unspent, and more where the weight has
    just risen: many regressions come with the load. Valid: whether to restart, and with how much,
    is known before the interval that follows. So a restart moves money from u into bets of the same
    worth, and an interval multiplies each bet by a factor whose mean is at most 1 under the null,
    given all before. The whole starts at 1 and is a nonnegative supermartingale, though weights
    rise because of what was seen: Ville's inequality holds at every look.

    For an alternative g the parts differ by a constant, LR_{s:t} = LR_{0:t} / LR_{0:s}. So all
    restarts together are one vector, S_g = a + sum_j w_j / LR_{0:s_j}, and e = sum_g prior_g
    LR_{0:t} S_g + u_t: it costs the same after any number of restarts, and none is left out.

    Each restart carries a note of its moment, to say later from when on the evidence speaks. Only
    notes are thinned out, evenly on a logarithmic scale of their age.
    """

    def __init__(self, log_prior: Floats, *, late_share: float = LATE_SHARE) -> None:
        """`late_share` is that of all restarts together; rises have theirs beside it.

        What is left of 1 begins at the beginning.
        """
        self._log_prior = log_prior
        self._late_share = late_share
        at_first = 1 - late_share - RISES_SHARE
        self._log_sum = np.full_like(log_prior, math.log(at_first))
        nowhere = np.zeros_like(log_prior)
        self._starts: list[_Start[Note]] = [_Start(0, at_first, nowhere, None)]
        self._last = nowhere
        self._marked = 0
        self._rises = 0

    def mark(self, log_ratios: Floats, note: Note, *, is_rise: bool = False) -> None:
        """Restart here: `log_ratios` are those of the alternatives from the beginning until now.

        `is_rise`: the candidate's weight is greater from here on. Otherwise, where nothing was
        learnt since the last restart, a new one would be its twin: none is made.
        """
        if not is_rise and np.array_equal(log_ratios, self._last):
            return
        before = self._unspent()
        self._marked += 1
        self._rises += is_rise
        self._last = log_ratios.copy()
        share = before - self._unspent()
        self._log_sum = np.logaddexp(self._log_sum, math.log(share) - self._last)
        self._starts.append(_Start(self._marked, share, self._last, note))
        if self._marked % KEPT_PER_DOUBLING == 0:
            self._thin()

    def log_e(self, log_ratios: Floats) -> float:
        """The mixture's value, from the log ratios of the alternatives since the beginning."""
        terms = self._log_prior + self._log_sum + log_ratios
        rest = math.log(self._unspent())
        top = max(float(terms.max()), rest)
        return top + math.log(float(np.exp(terms - top).sum()) + math.exp(rest - top))

    def leading(self, log_ratios: Floats) -> Note | None:
        """The note of the restart with the most evidence; None when that is the beginning."""
        offsets = np.stack([each.log_ratios for each in self._starts])
        shares = np.array([each.share for each in self._starts])
        terms = log_sum_exp(self._log_prior - offsets + log_ratios) + np.log(shares)
        return self._starts[int(terms.argmax())].note

    def _unspent(self) -> float:
        """What is left of the share of restarts."""
        return float(unspent(self._late_share, self._marked, self._rises))

    def _thin(self) -> None:
        kept: list[_Start[Note]] = []
        for start in self._starts:
            if self._is_kept(start.ordinal):
                kept.append(start)
            elif kept[-1].ordinal:  # the beginning speaks for itself alone
                kept[-1] = kept[-1]._replace(share=kept[-1].share + start.share)
        self._starts = kept

    def _is_kept(self, ordinal: int) -> bool:
        age = self._marked - ordinal
        if ordinal == 0 or age < 2 * KEPT_PER_DOUBLING:
            return True
        spacing = int(2 ** math.floor(math.log2(age / KEPT_PER_DOUBLING)))
        return ordinal % spacing == 0
