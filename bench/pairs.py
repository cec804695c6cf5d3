"""Two healthy workloads and routes over them, brought up through the adapters: no rollout walks."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from uuid import UUID, uuid5

from adapters.aigateway.router import AIGatewayRouter
from adapters.gateways.manifests import Gateway
from adapters.kserve.runtime import KServeRuntime
from adapters.kubernetes.client import connect
from bench.world import HEALTHY, World
from bootstrap.settings import Settings
from domain.errors import NotYet
from domain.ports import TrafficRouter, WorkloadRuntime
from domain.traffic import Ownership, Route, Slot
from domain.workloads import Workload, WorkloadPhase

PROJECT = UUID("4f3c1f0e-3a52-4f70-9f60-3c8f3b1a7d10")
_RETRY_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Both run and are ready. In every route stable has slot 0, the candidate slot 1."""

    stable: Workload
    candidate: Workload
    router: TrafficRouter

    async def publish(self, route: Route, *, candidate: int) -> None:
        """Have the route over both, with this share for the candidate."""
        for workload in (self.stable, self.candidate):
            await _insist(partial(self.router.connect, route, workload))
        slots = (
            Slot(workload=self.stable.name, weight=100 - candidate),
            Slot(workload=self.candidate.name, weight=candidate),
        )
        owner = Ownership(holder="bench", ordered_at=datetime.now(UTC), run_id="bench", sequence=1)
        await _insist(partial(self.router.write, route, slots, owner))


@asynccontextmanager
async def pair(world: World, name: str) -> AsyncIterator[Pair]:
    """Deploy `<name>-stable` and `<name>-candidate`; they end with the cluster."""
    defaults = Settings.model_fields
    gateway = Gateway(
        name=defaults["gateway_name"].default, namespace=defaults["gateway_namespace"].default
    )
    async with connect(world.layout.kubeconfig) as cluster:
        runtime, router = KServeRuntime(cluster), AIGatewayRouter(cluster, gateway)
        stable, candidate = (_workload(world, name, role) for role in ("stable", "candidate"))
        for workload in (stable, candidate):
            await runtime.deploy(workload)
        for workload in (stable, candidate):
            await _insist(partial(_require_ready, runtime, workload))
        yield Pair(stable=stable, candidate=candidate, router=router)


def _workload(world: World, name: str, role: str) -> Workload:
    return Workload(
        name=f"{name}-{role}",
        namespace=world.namespace,
        project_id=PROJECT,
        service_id=uuid5(PROJECT, name),
        version_id=uuid5(PROJECT, role),
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
