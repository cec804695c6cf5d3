"""A metrics store that still has what a test tells it to."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from domain.errors import TidegateError
from domain.evidence.counters import Reading, Series
from domain.gates import Source
from domain.history_port import MetricsHistory
from domain.meters import Meter
from domain.traffic import Place, Route
from tests.fakes.faults import Faults

K = TypeVar("K")


class ScriptedHistory(MetricsHistory):
    """`kept` has the series of each place, in full; a read gives what of them is in its range.

    `metered` has those of other meters, by the meter's name and the workload. `says` is what a
    query says at a moment, `knows` whether anything is known of it. `asked` keeps the route and
    range of each read of places, `queries` what was asked and when.
    """

    def __init__(self) -> None:
        self.kept: dict[Place, tuple[Series, ...]] = {}
        self.metered: dict[tuple[str, str], tuple[Series, ...]] = {}
        self.asked: list[tuple[Route, datetime, datetime]] = []
        self.says: Callable[[str, datetime], tuple[float, ...]] = lambda query, at: ()
        self.knows: Callable[[datetime], bool] = lambda at: True
        self.queries: list[tuple[str, datetime]] = []
        self._faults = Faults()

    def outage(self, error: TidegateError | None) -> None:
        """Raise this on every read, until None."""
        self._faults.stand("read", error)

    async def read(
        self,
        route: Route,
        source: Source,
        *,
        candidate: Sequence[Place],
        stable: Sequence[Place],
        since: datetime,
        until: datetime,
    ) -> Reading:
        self._faults.strike("read")
        self.asked.append((route, since, until))
        return Reading(
            candidate=_cut(self.kept, candidate, since, until),
            stable=_cut(self.kept, stable, since, until),
        )

    async def read_workloads(
        self,
        route: Route,
        meter: Meter,
        *,
        candidate: str | None,
        stable: str,
        since: datetime,
        until: datetime,
    ) -> Reading:
        self._faults.strike("read")
        named = [] if candidate is None else [(meter.name, candidate)]
        return Reading(
            candidate=_cut(self.metered, named, since, until),
            stable=_cut(self.metered, [(meter.name, stable)], since, until),
        )

    async def is_kept(self, at: datetime) -> bool:
        self._faults.strike("read")
        return self.knows(at)

    async def answer(self, query: str, at: datetime) -> tuple[float, ...]:
        self._faults.strike("read")
        self.queries.append((query, at))
        return self.says(query, at)


def _cut(
    kept: Mapping[K, tuple[Series, ...]],
    keys: Iterable[K],
    since: datetime,
    until: datetime,
) -> tuple[Series, ...]:
    begin, end = since.timestamp(), until.timestamp()
    cut = (
        replace(one, samples=tuple(s for s in one.samples if begin < s[0] <= end))
        for key in keys
        for one in kept.get(key, ())
    )
    return tuple(one for one in cut if one.samples)
