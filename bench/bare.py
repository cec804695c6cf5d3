"""What the machinery is compared with: the same parts and a loop of a few lines, no more.

No workflow, no database, no fencing, nothing that outlives a crash: it polls Prometheus each second
and, when it has seen enough, writes the weight to the Kubernetes API itself.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid5

from adapters.kubernetes.resources import AI_GATEWAY_ROUTE
from adapters.prometheus.counters import connect
from adapters.prometheus.envoy import cluster_name
from bench.pairs import PROJECT, pair
from bench.world import World
from domain.evidence.counters import Cursor, advance
from domain.evidence.judge import Judge
from domain.evidence_port import CounterSource
from domain.gates import AgainstStable, Gate, Metric, Source
from domain.traffic import Place, Route
from domain.verdicts import Status

MODEL = "bare"
POLL_SECONDS = 1.0
LIMIT = 0.05
_WINDOW = timedelta(seconds=10)
GATE = Gate(name="errors", metric=Metric.ERROR_RATE, against_stable=AgainstStable(floor=0.01))
"""The gate of the canaries that it is compared with."""

See = Callable[[], Awaitable[bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Twin:
    """A route of its own with two healthy variants behind it, at positions 0 and 1."""

    world: World
    route: Route
    candidate: str

    async def set_weight(self, candidate: int) -> None:
        """Write the weights of both, and nothing else."""
        path = AI_GATEWAY_ROUTE.path(self.route.namespace, self.route.name)
        change = [
            {"op": "replace", "path": f"/spec/rules/0/backendRefs/{slot}/weight", "value": weight}
            for slot, weight in ((0, 100 - candidate), (1, candidate))
        ]
        await self.world.kubernetes("PATCH", path, change, kind="application/json-patch+json")

    async def over_limit(self) -> bool:
        """A fixed threshold on the share of answers that were no 2xx in the last five seconds."""
        cluster = f'envoy_cluster_name="{cluster_name(self.route, 1)}"'
        good = f'rate(envoy_cluster_upstream_rq_xx{{{cluster},envoy_response_code_class="2"}}[5s])'
        done = f"rate(envoy_cluster_upstream_rq_completed{{{cluster}}}[5s])"
        result = await self.world.prometheus(f"1 - sum({good}) / sum({done}) > {LIMIT}")
        return bool(result)


class SameTest:
    """The sequential test of the real gate on the same counters, with nothing around it."""

    def __init__(self, twin: Twin, counters: CounterSource) -> None:
        self._twin, self._counters = twin, counters
        self._judge, self._sequence = Judge((GATE,)), 0
        self._cursor: Cursor | None = None

    async def has_failed(self) -> bool:
        reading = await self._counters.read(
            self._twin.route,
            Source.ENVOY,
            candidate=Place(position=1),
            stable=Place(position=0),
            window=_WINDOW,
        )
        interval, self._cursor = advance(
            self._cursor, reading, sequence=self._sequence, step=0, weight=10
        )
        if interval is not None:
            self._sequence += 1
            self._judge.add(interval)
        return self._judge.verdicts(0)[0].status is Status.FAIL


async def loop(see: See) -> None:
    """Look each second until something is seen."""
    while True:
        if await see():
            return
        await asyncio.sleep(POLL_SECONDS)


@asynccontextmanager
async def twin(world: World) -> AsyncIterator[tuple[Twin, CounterSource]]:
    """The twin, with all traffic at its stable, and a reader of its counters."""
    route = Route(
        project_id=PROJECT,
        config_id=uuid5(PROJECT, MODEL),
        namespace=world.namespace,
        name=MODEL,
        model=MODEL,
    )
    async with (
        pair(world, MODEL) as both,
        connect(world.layout.prometheus_url) as counters,
    ):
        await both.publish(route, candidate=0)
        candidate = both.candidate.name
        yield Twin(world=world, route=route, candidate=candidate), counters
