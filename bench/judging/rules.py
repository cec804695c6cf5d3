"""What every judge in the benchmark is: told of each look, it says which lives it rolls back."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bench.judging.traffic import Look
from domain.evidence.mixtures import Floats

Flags = NDArray[np.bool_]


class Rule(Protocol):
    """One tool's rule with its state for many lives. What it says later of a life is not asked."""

    def look(self, seen: Look) -> Flags:
        """Take the next look in: which lives are rolled back at it."""


class Window:
    """Counts that are added up over so many looks, and then handed on and begun anew."""

    def __init__(self, looks: int) -> None:
        self._looks, self._seen = looks, 0
        self._sums: list[Floats] = []

    def add(self, seen: Look) -> list[Floats] | None:
        """Candidate's requests and bad, then stable's, when the window is full; else None."""
        counts = [seen.candidate, seen.candidate_bad, seen.stable, seen.stable_bad]
        if self._seen % self._looks == 0:
            self._sums = counts
        else:
            self._sums = [mine + new for mine, new in zip(self._sums, counts, strict=True)]
        self._seen += 1
        return self._sums if self._seen % self._looks == 0 else None


def fractions(bad: Floats, requests: Floats) -> Floats:
    """Bad over requests; nan where there are none."""
    return np.divide(bad, requests, out=np.full_like(bad, np.nan), where=requests > 0)
