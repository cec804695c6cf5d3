"""A metrics store that answers what a test tells it to."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from domain.errors import TidegateError
from domain.metrics import NOTHING, Grid, MeasuredVariant, Measurement, Tokens
from domain.ports import MetricsStore
from domain.traffic import Route
from tests.fakes.faults import Faults


class ScriptedMetrics(MetricsStore):
    """`measured` by slot, for whole windows and each point alike; `used` by workload.

    `asked` keeps the windows that were measured; `gate`, once cleared, holds answers back.
    """

    def __init__(self) -> None:
        self.measured: dict[int | None, Measurement] = {}
        self.used: dict[str, Tokens] = {}
        self.asked: list[tuple[MeasuredVariant, timedelta]] = []
        self.charted: list[tuple[MeasuredVariant, Grid]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self._faults = Faults()

    def fail(self, *errors: TidegateError) -> None:
        """Raise these on the next questions."""
        self._faults.plan("ask", errors)

    def outage(self, error: TidegateError | None) -> None:
        """Raise this on every question, until None."""
        self._faults.stand("ask", error)

    def counted_as(self, route: Route, slot: int) -> str:
        return f"httproute/{route.namespace}/{route.name}/rule/0/backend/{slot}"

    async def measure(
        self, variant: MeasuredVariant, *, at: datetime, window: timedelta
    ) -> Measurement:
        await self._asked()
        self.asked.append((variant, window))
        return self.measured.get(variant.slot, NOTHING)

    async def chart(self, variant: MeasuredVariant, grid: Grid) -> tuple[Measurement, ...]:
        await self._asked()
        self.charted.append((variant, grid))
        return (self.measured.get(variant.slot, NOTHING),) * grid.points

    async def tokens(
        self, workloads: Sequence[str], *, at: datetime, window: timedelta
    ) -> Mapping[str, Tokens]:
        await self._asked()
        return {name: self.used.get(name, Tokens()) for name in workloads}

    async def _asked(self) -> None:
        self._faults.strike("ask")
        await self.gate.wait()
