"""A fixed threshold on each window's value, as Flagger's metric checks and Argo's analyses do.

Both ask a store for the candidate's own rate over the last window, compare it with a number, and
count how often it was beyond. Good windows in between do not make up for bad ones. A window without
requests has no value and counts as neither.
"""

import numpy as np

from bench.judging.rules import Flags, Window, fractions
from bench.judging.traffic import LOOK_SECONDS, Look

WINDOW_SECONDS = 60


class FixedThreshold:
    """Rolled back once more than `allowed` windows in all had a larger fraction than `limit`."""

    def __init__(self, limit: float, *, allowed: int, lives: int) -> None:
        self._limit, self._allowed = limit, allowed
        self._window = Window(WINDOW_SECONDS // LOOK_SECONDS)
        self._beyond = np.zeros(lives, dtype=np.int64)

    def look(self, seen: Look) -> Flags:
        full = self._window.add(seen)
        if full is None:
            return np.zeros(len(self._beyond), dtype=np.bool_)
        requests, bad, _, _ = full
        self._beyond += fractions(bad, requests) > self._limit
        return np.asarray(self._beyond > self._allowed)
