"""Puts the two controllers together on one set of informers."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from sandbox.controllers.ai_gateway import AIGateway
from sandbox.controllers.cluster import Cluster
from sandbox.controllers.envoy_admin import EnvoyAdmin
from sandbox.controllers.envoy_files import EnvoyFiles
from sandbox.controllers.envoy_gateway import EnvoyGateway
from sandbox.controllers.informer import Informer
from sandbox.controllers.kserve import KServe
from sandbox.controllers.resources import (
    AI_BACKENDS,
    AI_ROUTES,
    BACKENDS,
    ENDPOINT_SLICES,
    HTTP_ROUTES,
    INFERENCE_SERVICES,
    SERVICES,
    TRAFFIC_POLICIES,
)

_RESOURCES = (
    INFERENCE_SERVICES,
    SERVICES,
    ENDPOINT_SLICES,
    BACKENDS,
    TRAFFIC_POLICIES,
    AI_ROUTES,
    AI_BACKENDS,
    HTTP_ROUTES,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """With `keep_servers` the model servers outlive the controllers, which find them again."""

    kubeconfig: Path
    state_dir: Path
    xds_dir: Path
    envoy_admin: str
    targets_dir: Path
    keep_servers: bool = False


async def run(settings: Settings, *, until: asyncio.Event) -> None:
    """Runs both controllers until the event; then ends the model servers, if so set."""
    async with (
        Cluster.from_kubeconfig(settings.kubeconfig) as cluster,
        EnvoyAdmin(settings.envoy_admin) as admin,
    ):
        both = _Both(cluster, admin, settings)
        work = asyncio.create_task(both.run())
        asked = asyncio.create_task(until.wait())
        try:
            await asyncio.wait({work, asked}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended = work.done()
            for task in (work, asked):
                task.cancel()
            await asyncio.gather(work, asked, return_exceptions=True)
            await both.close(keep_servers=settings.keep_servers)
        if ended:
            work.result()


class _Both:
    def __init__(self, cluster: Cluster, admin: EnvoyAdmin, settings: Settings) -> None:
        self._informers = {one: Informer(cluster, one) for one in _RESOURCES}
        at = self._informers
        self._kserve = KServe(
            cluster,
            state_dir=settings.state_dir,
            targets_dir=settings.targets_dir,
            inference_services=at[INFERENCE_SERVICES],
            services=at[SERVICES],
            slices=at[ENDPOINT_SLICES],
        )
        self._ai_gateway = AIGateway(
            cluster,
            ai_routes=at[AI_ROUTES],
            ai_backends=at[AI_BACKENDS],
            backends=at[BACKENDS],
            http_routes=at[HTTP_ROUTES],
        )
        self._envoy_gateway = EnvoyGateway(
            cluster,
            EnvoyFiles(settings.xds_dir, admin),
            http_routes=at[HTTP_ROUTES],
            ai_routes=at[AI_ROUTES],
            backends=at[BACKENDS],
            services=at[SERVICES],
            slices=at[ENDPOINT_SLICES],
            policies=at[TRAFFIC_POLICIES],
        )

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for informer in self._informers.values():
                tasks.create_task(informer.run())
            # Nothing is done before all lists are in: half a picture would undo what is in force.
            for informer in self._informers.values():
                await informer.synced()
            await self._kserve.watch()
            self._ai_gateway.watch()
            self._envoy_gateway.watch()
            await self._envoy_gateway.run()

    async def close(self, *, keep_servers: bool) -> None:
        await self._envoy_gateway.close()
        await self._ai_gateway.close()
        await self._kserve.close(keep_servers=keep_servers)
