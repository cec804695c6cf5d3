"""Writes and reads the AIGatewayRoute of a traffic config, and the backends that it names."""

from collections.abc import Mapping

from adapters.aigateway.convergence import obstacle, refusal
from adapters.aigateway.manifests import READING, ai_gateway_route, ai_service_backend, backend
from adapters.gateways.manifests import dialled_port_of
from adapters.gateways.objects import forget
from adapters.gateways.router import SplitRouter
from adapters.kubernetes.documents import Manifest, is_leaving, workload_labels
from adapters.kubernetes.resources import (
    AI_GATEWAY_ROUTE,
    AI_SERVICE_BACKEND,
    BACKEND,
    HTTP_ROUTE,
)
from domain.errors import NotYet, Refused
from domain.traffic import Extras, Route, Slots
from domain.workloads import Workload


class AIGatewayRouter(SplitRouter):
    """Models that speak OpenAI's protocol. Mirrors are Refused: an AIGatewayRoute has none."""

    resource = AI_GATEWAY_ROUTE
    reading = READING

    async def connect(self, route: Route, workload: Workload) -> None:
        """Make the workload known to the gateway, and its traffic measured by itself.

        Raises NotYet until KServe has made the Service and the gateway accepts the backend.
        """
        await self._measure_apart(route)
        identity = workload_labels(workload)
        port = await self._port(workload.namespace, workload.name, dialled_port_of)
        await self._have(BACKEND, backend(workload, port), identity)
        found = await self._have(AI_SERVICE_BACKEND, ai_service_backend(workload), identity)
        if reason := refusal(found):
            raise NotYet(f"AIServiceBackend {workload.name} is not accepted: {reason}")

    async def disconnect(self, route: Route, workload: Workload) -> None:
        """Make the gateway forget the workload. Raises NotYet while a route names it.

        The controller crashes on a route that names a backend which is gone, so both routes are
        asked: ours and the one that the gateway has made of it.
        """
        for resource in (AI_GATEWAY_ROUTE, HTTP_ROUTE):
            found = await self._cluster.get(resource, route.namespace, route.name)
            self._require_unnamed(resource, route, found, workload, workload.name)
        identity = workload_labels(workload)
        for resource in (AI_SERVICE_BACKEND, BACKEND):
            await forget(self._cluster, resource, route.namespace, workload.name, identity)

    async def _manifest(
        self, route: Route, slots: Slots, extras: Extras, annotations: Mapping[str, str]
    ) -> Manifest:
        if extras.mirrors:
            raise Refused(f"AIGatewayRoute {route.name} cannot mirror: it has no such filter")
        return ai_gateway_route(route, slots, self._gateway, annotations, extras)

    async def _obstacle(self, route: Route, found: Manifest) -> str:
        made = await self._cluster.get(HTTP_ROUTE, route.namespace, route.name)
        return obstacle(found, made, self._gateway)

    async def _knows(self, route: Route, backend: str) -> bool:
        found = await self._cluster.get(AI_SERVICE_BACKEND, route.namespace, backend)
        return found is not None and not is_leaving(found)
