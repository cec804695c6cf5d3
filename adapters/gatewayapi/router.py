"""Writes and reads the HTTPRoute of a traffic config of predictive models."""

from collections.abc import Mapping

from adapters.gatewayapi.manifests import READING, http_route
from adapters.gateways.manifests import port_of, service_of
from adapters.gateways.router import SplitRouter
from adapters.gateways.statuses import parent_obstacle
from adapters.kubernetes.documents import Manifest, is_leaving, text
from adapters.kubernetes.resources import HTTP_ROUTE
from domain.errors import NotYet
from domain.traffic import Extras, Route, Slots
from domain.workloads import Workload

# What KServe gives to every Service that it makes.
_USUAL_PORT = 80


class HTTPRouteRouter(SplitRouter):
    """Models that speak KServe's predictive protocols, with weights, headers and mirrors.

    The gateway needs no object beside the Service that KServe makes.
    """

    resource = HTTP_ROUTE
    reading = READING

    async def connect(self, route: Route, workload: Workload) -> None:
        """Have the workload measured by itself. Raises NotYet until its Service is there."""
        await self._measure_apart(route)
        await self._port(workload.namespace, workload.name, port_of)

    async def disconnect(self, route: Route, workload: Workload) -> None:
        """See that the gateway has nothing to do with the workload. Raises NotYet before."""
        found = await self._find(route)
        self._require_unnamed(HTTP_ROUTE, route, found, workload, service_of(workload.name))

    async def _manifest(
        self, route: Route, slots: Slots, extras: Extras, annotations: Mapping[str, str]
    ) -> Manifest:
        named = {slot.workload for slot in slots} | extras.workloads
        ports = {name: await self._port_or_usual(route, name) for name in sorted(named)}
        return http_route(route, slots, extras, self._gateway, ports=ports, annotations=annotations)

    async def _obstacle(self, route: Route, found: Manifest) -> str:  # noqa: ARG002 - says it all
        if is_leaving(found):
            return f"HTTPRoute {text(found, 'metadata', 'name')} is being deleted"
        return parent_obstacle(found, self._gateway)

    async def _port_or_usual(self, route: Route, workload: str) -> int:
        """The port of a workload, were it gone.

        A way home names whom it leaves until the drain is over. It must not wait for the Service
        to come back: as long as a mirror leads nowhere, the gateway answers 500 to everybody.
        """
        try:
            return await self._port(route.namespace, workload, port_of)
        except NotYet:
            return _USUAL_PORT

    async def _knows(self, route: Route, backend: str) -> bool:
        try:
            await self._port(route.namespace, self.reading.workload_of(backend), port_of)
        except NotYet:
            return False
        return True
