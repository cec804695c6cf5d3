"""What a source must know: how to ask for the counters of places, what a series counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from domain.evidence.counters import SeriesRole
from domain.traffic import Place, Route


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What a series counts, and for which place. `bound_ms` is for buckets only."""

    place: Place
    role: SeriesRole
    bound_ms: float | None = None


class CounterQueries(Protocol):
    """One source of counters."""

    def query(self, route: Route, places: Sequence[Place], window: timedelta) -> str:
        """Write one instant query with a range selector: raw samples, nothing derived."""

    def meaning(
        self, labels: Mapping[str, str], route: Route, places: Sequence[Place]
    ) -> Meaning | None:
        """Say what a series counts; None where it is not asked for.

        Raises ValueError when the labels make no sense.
        """
