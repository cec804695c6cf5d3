"""A metrics store that still has what a test tells it to."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from domain.errors import TidegateError
from domain.evidence.counters import Reading, Series
from domain.gates import Source
from domain.history_port import CounterHistory
from domain.traffic import Place, Route
from tests.fakes.faults import Faults


class ScriptedHistory(CounterHistory):
    """`kept` has the series of each place, in full; a read gives what of them is in its range.

    `asked` keeps the route and range of each read.
    """

    def __init__(self) -> None:
        self.kept: dict[Place, tuple[Series, ...]] = {}
        self.asked: list[tuple[Route, datetime, datetime]] = []
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
        begin, end = since.timestamp(), until.timestamp()

        def of(places: Sequence[Place]) -> tuple[Series, ...]:
            cut = (
                replace(one, samples=tuple(s for s in one.samples if begin < s[0] <= end))
                for place in places
                for one in self.kept.get(place, ())
            )
            return tuple(one for one in cut if one.samples)

        return Reading(candidate=of(candidate), stable=of(stable))
