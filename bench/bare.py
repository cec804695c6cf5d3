"""What the machinery is compared with: the same parts and a loop of a few lines, no more.

No workflow, no database, no fencing, nothing that outlives a crash: it polls Prometheus each second
and, when it has seen enough, writes the weight to the Kubernetes API itself.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID, uuid5

from adapters.aigateway.manifests import Gateway
from adapters.aigateway.router import AIGatewayRouter
from adapters.kserve.runtime import KServeRuntime
from adapters.kubernetes.client import connect as connect_kubernetes
from adapters.kubernetes.resources import AI_GATEWAY_ROUTE
from adapters.prometheus.counters import connect as connect_prometheus
from adapters.prometheus.envoy import cluster_name
from bench.world import HEALTHY, World
from bootstrap.settings import Settings
from domain.errors import NotYet
from domain.evidence.counters import Cursor, advance
from domain.evidence.judge import Judge
from domain.gates import AgainstStable, Gate, Metric, Source
from domain.ports import CounterSource, WorkloadRuntime
from domain.traffic import Ownership, Route, Slot
from domain.verdicts import Status
from domain.workloads import Workload, WorkloadPhase

MODEL = "bare"
POLL_SECONDS = 1.0
LIMIT = 0.05
_WINDOW = timedelta(seconds=10)
_RETRY_SECONDS = 0.05
_IDS = UUID("4f3c1f0e-3a52-4f70-9f60-3c8f3b1a7d10")
GATE = Gate(name="errors", metric=Metric.ERROR_RATE, against_stable=AgainstStable(floor=0.01))
"""The gate of the canaries that it is compared with."""

See = Callable[[], Awaitable[bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Twin:
    """A route of its own with two healthy variants behind it, at positions 0 and 1."""

    world: World
    route: Route
    stable: str
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
            self._twin.route, Source.ENVOY, candidate=1, stable=0, window=_WINDOW
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
    """Bring the twin up through the adapters, with all traffic at its stable."""
    defaults = Settings.model_fields
    gateway = Gateway(
        name=defaults["gateway_name"].default, namespace=defaults["gateway_namespace"].default
    )
    async with (
        connect_kubernetes(world.layout.kubeconfig) as cluster,
        connect_prometheus(world.layout.prometheus_url) as counters,
    ):
        runtime, router = KServeRuntime(cluster), AIGatewayRouter(cluster, gateway)
        route = _route(world)
        stable, candidate = (_workload(world, role) for role in ("stable", "candidate"))
        for workload in (stable, candidate):
            await runtime.deploy(workload)
        for workload in (stable, candidate):
            await _insist(partial(_require_ready, runtime, workload))
            await _insist(partial(router.connect, route, workload))
        slots = (Slot(workload=stable.name, weight=100), Slot(workload=candidate.name, weight=0))
        owner = Ownership(holder="bench", ordered_at=datetime.now(UTC), run_id="bench", sequence=1)
        await _insist(partial(router.write, route, slots, owner))
        made = Twin(world=world, route=route, stable=stable.name, candidate=candidate.name)
        yield made, counters


def _route(world: World) -> Route:
    config_id = uuid5(_IDS, "config")
    return Route(
        project_id=_IDS,
        config_id=config_id,
        namespace=world.namespace,
        name="bare",
        model=MODEL,
    )


def _workload(world: World, role: str) -> Workload:
    return Workload(
        name=f"{MODEL}-{role}",
        namespace=world.namespace,
        project_id=_IDS,
        service_id=uuid5(_IDS, "service"),
        version_id=uuid5(_IDS, role),
        uri=HEALTHY,
        model_format="vLLM",
    )


async def _require_ready(runtime: WorkloadRuntime, workload: Workload) -> None:
    if (await runtime.status(workload)).phase is not WorkloadPhase.READY:
        raise NotYet


async def _insist(act: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            return await act()
        except NotYet:
            await asyncio.sleep(_RETRY_SECONDS)
