"""What a metrics store still knows of the past."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from domain.evidence.counters import Reading
from domain.gates import Source
from domain.meters import Meter
from domain.traffic import Place, Route


class MetricsHistory(Protocol):
    """Reads counters, and asks queries, as of a moment that has passed.

    Everything raises Unreachable when the store is down, slow or makes no sense, Refused when it
    calls the query wrong.
    """

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
        """The samples from `since` to `until` of places of a route.

        What is not kept any more is missing.
        """

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
        """The same by the workload that serves an arm; `meter` is none of the gateway's.

        Without a candidate only stable's are read.
        """

    async def is_kept(self, at: datetime) -> bool:
        """Whether the store has anything at all of a moment.

        Where it has nothing, an answer is made of nothing too.
        """

    async def answer(self, query: str, at: datetime) -> tuple[float, ...]:
        """What a query that somebody wrote said then, as `QueryStore.answer` does of now."""
