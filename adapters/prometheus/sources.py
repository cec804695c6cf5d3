"""What a source must know: how to ask for the counters of two slots, what a series counts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from domain.evidence.counters import SeriesRole
from domain.traffic import Route


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What a series counts, and for which slot. `bound_ms` is for buckets only."""

    slot: int
    role: SeriesRole
    bound_ms: float | None = None


class CounterQueries(Protocol):
    """One source of counters."""

    def query(self, route: Route, slots: tuple[int, int], window: timedelta) -> str:
        """Write one instant query with a range selector: raw samples, nothing derived."""

    def meaning(
        self, labels: Mapping[str, str], route: Route, slots: tuple[int, int]
    ) -> Meaning | None:
        """Say what a series counts; None where it is not asked for.

        Raises ValueError when the labels make no sense.
        """
