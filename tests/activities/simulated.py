"""A metrics store over simulated traffic: each reading, some more requests have gone by."""

from datetime import UTC, datetime, timedelta

from domain.errors import TidegateError
from domain.evidence.counters import Reading, Series, SeriesRole

BOUNDS = (50.0, 100.0, 250.0)


class Arm:
    """The counters of one slot, as a gateway would show them."""

    def __init__(self) -> None:
        self.requests = self.errors = self.slow = self.tried = self.won = 0

    def serve(self, requests: int, errors: int = 0, slow: int = 0) -> None:
        self.requests += requests
        self.errors += errors
        self.slow += slow

    def series(self, at: float) -> tuple[Series, ...]:
        within = {50.0: 0, 100.0: self.requests - self.slow, 250.0: self.requests}
        return (
            _series("requests", SeriesRole.REQUESTS, at, self.requests),
            _series("errors", SeriesRole.ERRORS, at, self.errors),
            _series("started", SeriesRole.STARTED, at, self.requests),
            *(_series(f"le{b}", SeriesRole.BUCKET, at, n, b) for b, n in within.items()),
        )


def _series(
    key: str, role: SeriesRole, at: float, value: float, bound: float | None = None
) -> Series:
    return Series(key=key, role=role, bound_ms=bound, samples=((at, float(value)),))


LONG = timedelta(minutes=30)


class SimulatedCounters:
    """Before each reading, `between` serves what has gone by since the last one.

    `arms` are those of a trial by name. `meters` are those of workloads, by the meter and the arm;
    what is `silent` raises its error. `past` is what a long window shows of a meter's stable.
    """

    def __init__(self, between) -> None:
        self.candidate, self.stable = Arm(), Arm()
        self.arms: dict[str, Arm] = {}
        self.meters: dict[str, dict[str, Arm]] = {}
        self.silent: dict[str, TidegateError] = {}
        self.past: dict[str, tuple[Series, ...]] = {}
        self.readings = 0
        self.trouble: TidegateError | None = None
        self.frozen = False
        self._between = between
        self._at = datetime.now(UTC).timestamp()

    def lag(self, by: timedelta) -> None:
        """Have samples this much older than they are read."""
        self._at -= by.total_seconds()

    async def read_arms(self, route, source, *, arms, window) -> dict[str, tuple[Series, ...]]:
        self._pass()
        return {name: self.arms[name].series(self._at) for name in arms}

    def arm(self, name: str) -> Arm:
        """Have an arm of this name."""
        return self.arms.setdefault(name, Arm())

    def meter(self, name: str) -> tuple[Arm, Arm]:
        """Have a meter of this name: the candidate's counters, and stable's."""
        arms = self.meters.setdefault(name, {"candidate": Arm(), "stable": Arm()})
        return arms["candidate"], arms["stable"]

    async def read_workloads(self, route, meter, *, workloads, window):
        if meter.name in self.silent:
            raise self.silent[meter.name]
        if window >= LONG:
            return dict.fromkeys(workloads, self.past.get(meter.name, ()))
        arms = self.meters.get(meter.name, {})
        return {arm: arms[arm].series(self._at) if arm in arms else () for arm in workloads}

    async def read_rewards(self, counters, *, workloads, window) -> dict[str, tuple[Series, ...]]:
        if self.trouble:
            raise self.trouble
        return {
            name: (
                _series("tried", SeriesRole.TRIED, self._at, self.arms[name].tried),
                _series("won", SeriesRole.WON, self._at, self.arms[name].won),
            )
            for name in workloads
        }

    def _pass(self) -> None:
        if self.trouble:
            raise self.trouble
        self.readings += 1
        if not self.frozen:
            self._between(self)
            self._at += 1

    async def read(self, route, source, *, candidate, stable, window) -> Reading:
        self._pass()
        return Reading(
            candidate=self.candidate.series(self._at), stable=self.stable.series(self._at)
        )
