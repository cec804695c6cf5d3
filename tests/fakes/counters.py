"""A metrics store that answers what a test tells it to."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from domain.errors import TidegateError
from domain.evidence.counters import Reading, Series
from domain.evidence_port import CounterSource
from domain.gates import Source
from domain.meters import Meter
from domain.traffic import Place, Route
from domain.trial import RewardCounters
from tests.fakes.faults import Faults


class ScriptedCounters(CounterSource):
    """Answers `answer(n)` for the n-th reading, counted from 0; `arms(n)` for one of a trial,
    `rewards(n)` for one of its rewards; `meters` has series by the meter's name and the arm.

    `windows` keeps what was asked, `looked_back` the same of each meter by its name.
    """

    def __init__(
        self,
        answer: Callable[[int], Reading],
        *,
        arms: Callable[[int], Mapping[str, tuple[Series, ...]]] = lambda n: {},
        rewards: Callable[[int], Mapping[str, tuple[Series, ...]]] = lambda n: {},
        meters: Mapping[str, Mapping[str, tuple[Series, ...]]] | None = None,
    ) -> None:
        self.meters = meters or {}
        self.answer, self.arms, self.rewards = answer, arms, rewards
        self.windows: list[timedelta] = []
        self.looked_back: dict[str, list[timedelta]] = {}
        self._faults = Faults()

    def fail(self, *errors: TidegateError) -> None:
        """Raise these on the next readings."""
        self._faults.plan("read", errors)

    def outage(self, error: TidegateError | None) -> None:
        """Raise this on every reading, until None."""
        self._faults.stand("read", error)

    async def read(
        self, route: Route, source: Source, *, candidate: Place, stable: Place, window: timedelta
    ) -> Reading:
        self._faults.strike("read")
        self.windows.append(window)
        return self.answer(len(self.windows) - 1)

    async def read_arms(
        self,
        route: Route,
        source: Source,
        *,
        arms: Mapping[str, Sequence[Place]],
        window: timedelta,
    ) -> dict[str, tuple[Series, ...]]:
        self._faults.strike("read")
        self.windows.append(window)
        answered = self.arms(len(self.windows) - 1)
        return {arm: answered.get(arm, ()) for arm in arms}

    async def read_workloads(
        self, route: Route, meter: Meter, *, workloads: Mapping[str, str], window: timedelta
    ) -> dict[str, tuple[Series, ...]]:
        self._faults.strike("read")
        self.looked_back.setdefault(meter.name, []).append(window)
        answered = self.meters.get(meter.name, {})
        return {arm: answered.get(arm, ()) for arm in workloads}

    async def read_rewards(
        self, counters: RewardCounters, *, workloads: Mapping[str, str], window: timedelta
    ) -> dict[str, tuple[Series, ...]]:
        self._faults.strike("read")
        answered = self.rewards(len(self.windows) - 1)
        return {arm: answered.get(arm, ()) for arm in workloads}
