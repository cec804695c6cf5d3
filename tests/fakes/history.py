"""What stable did before, as a test tells it."""

from datetime import timedelta

import numpy as np

from domain.errors import TidegateError
from domain.evidence.baseline import History, PodCounters
from domain.evidence.counters import Sample
from domain.evidence.mixtures import Floats
from domain.evidence_port import StableHistory
from domain.gates import Source
from domain.traffic import Place, Route
from tests.fakes.faults import Faults


class ToldHistory(StableHistory):
    """Answers `history`; `windows` and `sources` keep what was asked."""

    def __init__(self, history: History | None = None) -> None:
        self.history = history or History()
        self.windows: list[timedelta] = []
        self.sources: list[Source] = []
        self._faults = Faults()

    def fail(self, *errors: TidegateError) -> None:
        """Raise these on the next readings."""
        self._faults.plan("read", errors)

    async def read(
        self, route: Route, source: Source, *, stable: Place, window: timedelta
    ) -> History:
        self.windows.append(window)
        self.sources.append(source)
        self._faults.strike("read")
        return self.history


def in_bursts(seed: int = 0) -> History:
    """Two pods that fail in bursts, for an hour."""
    rng = np.random.default_rng(seed)

    def counter(increments: Floats) -> tuple[Sample, ...]:
        return tuple((15.0 * k, float(value)) for k, value in enumerate(np.cumsum(increments)))

    def pod(name: str) -> PodCounters:
        bad = 5.0 * rng.poisson(1.0, 240).astype(np.float64)
        return PodCounters(pod=name, ended=(counter(bad + 400),), bad=(counter(bad),))

    return History(pods=(pod("a"), pod("b")))
