"""Where the counters of the past come from."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from domain.evidence.counters import Reading
from domain.gates import Source
from domain.traffic import Place, Route


class CounterHistory(Protocol):
    """Reads raw counters of places of a route as they were."""

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
        """The samples from `since` to `until` of each; what is not kept any more is missing.

        Raises Unreachable when the store is down, slow or makes no sense, Refused when it calls the
        query wrong.
        """
