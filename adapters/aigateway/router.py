"""Writes and reads the AIGatewayRoute of a traffic config, and the backends that it names."""

from collections.abc import Mapping

from adapters.aigateway.convergence import obstacle, refusal
from adapters.aigateway.differences import MISSING_ROUTE, route_drift, stands
from adapters.aigateway.fencing import annotations, owner_of, require_newest
from adapters.aigateway.manifests import (
    Gateway,
    ai_gateway_route,
    ai_service_backend,
    backend,
    names_in,
    policy_name,
    port_of,
    service_name,
    slots_of,
    split_policy,
)
from adapters.aigateway.objects import forget, take_away
from adapters.kubernetes.client import Cluster
from adapters.kubernetes.documents import (
    Manifest,
    covers,
    is_leaving,
    is_ours,
    route_labels,
    text,
    workload_labels,
)
from adapters.kubernetes.resources import (
    AI_GATEWAY_ROUTE,
    AI_SERVICE_BACKEND,
    BACKEND,
    BACKEND_TRAFFIC_POLICY,
    HTTP_ROUTE,
    SERVICE,
    Resource,
)
from domain.errors import AlreadyExists, Conflict, Contended, NotYet
from domain.ports import TrafficRouter
from domain.traffic import Drift, Ownership, Route, RouteState, Slots
from domain.workloads import Workload


class AIGatewayRouter(TrafficRouter):
    """One AIGatewayRoute per traffic config, with a fixed position per variant."""

    def __init__(self, cluster: Cluster, gateway: Gateway) -> None:
        self._cluster = cluster
        self._gateway = gateway

    async def connect(self, route: Route, workload: Workload) -> None:
        """Make the workload known to the gateway, and its traffic measured by itself.

        Raises NotYet until KServe has made the Service and the gateway accepts the backend.
        """
        await self._have(BACKEND_TRAFFIC_POLICY, split_policy(route), route_labels(route))
        identity = workload_labels(workload)
        port = await self._port(workload)
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
            if workload.name in names_in(found):
                raise NotYet(f"{resource.kind} {route.name} still names {workload.name}")
        identity = workload_labels(workload)
        for resource in (AI_SERVICE_BACKEND, BACKEND):
            await forget(self._cluster, resource, route.namespace, workload.name, identity)

    async def observe(self, route: Route) -> RouteState | None:
        found = await self._find(route)
        if found is None:
            return None
        made = await self._cluster.get(HTTP_ROUTE, route.namespace, route.name)
        detail = obstacle(found, made, self._gateway)
        return RouteState(
            slots=slots_of(found),
            owner=owner_of(found),
            obeyed=not detail,
            obeyed_detail=detail,
        )

    async def write(
        self, route: Route, slots: Slots, owner: Ownership, *, insist: bool = False
    ) -> None:
        """Have the route stand exactly so, compared and swapped.

        What already stands so, written by the same run, is not written again: each write has the
        gateway rebuild its configuration. Raises FencedOut, Contended and Conflict as the port
        says, and NotYet while the gateway does not know a workload that joins or the route is
        being deleted. `insist` takes the route from whoever holds it and skips the former check.
        """
        wanted = ai_gateway_route(route, slots, self._gateway, annotations(owner))
        found = await self._find(route)
        if found is None:
            await self._create(route, wanted, insist=insist)
            return
        self._require_writable(route, found, owner, insist=insist)
        held = owner_of(found)
        if held is not None and held.run_id == owner.run_id and stands(found, wanted):
            return
        if not insist:
            await self._require_connected(route, names_in(wanted) - names_in(found))
        wanted["metadata"]["resourceVersion"] = text(found, "metadata", "resourceVersion")
        await self._cluster.apply(AI_GATEWAY_ROUTE, wanted, force=insist)

    async def drift(self, route: Route, expected: Slots) -> Drift | None:
        found = await self._find(route)
        if found is None or is_leaving(found):
            return MISSING_ROUTE
        wanted = ai_gateway_route(route, expected, self._gateway, {})
        return route_drift(found, wanted)

    async def remove(self, route: Route, owner: Ownership) -> None:
        """Have the route gone. Raises FencedOut for an older owner, NotYet while it is leaving."""
        identity = route_labels(route)
        found = await self._find(route)
        if found is not None and is_ours(found, identity):
            require_newest(owner_of(found), owner)
            await take_away(self._cluster, AI_GATEWAY_ROUTE, found)
        name = policy_name(route)
        await forget(self._cluster, BACKEND_TRAFFIC_POLICY, route.namespace, name, identity)

    async def _find(self, route: Route) -> Manifest | None:
        return await self._cluster.get(AI_GATEWAY_ROUTE, route.namespace, route.name)

    async def _create(self, route: Route, wanted: Manifest, *, insist: bool) -> None:
        # An apply would let two creators both win, one over the other.
        if not insist:
            await self._require_connected(route, names_in(wanted))
        try:
            await self._cluster.create(AI_GATEWAY_ROUTE, wanted)
        except AlreadyExists as error:
            raise Contended(str(error)) from error

    def _require_writable(
        self, route: Route, found: Manifest, owner: Ownership, *, insist: bool
    ) -> None:
        if not insist and not is_ours(found, route_labels(route)):
            raise Conflict(f"AIGatewayRoute {route.namespace}/{route.name} belongs to others")
        require_newest(owner_of(found), owner)
        if is_leaving(found):
            raise NotYet(f"AIGatewayRoute {route.name} is being deleted")

    async def _require_connected(self, route: Route, joining: frozenset[str]) -> None:
        for name in sorted(joining):
            found = await self._cluster.get(AI_SERVICE_BACKEND, route.namespace, name)
            if found is None or is_leaving(found):
                raise NotYet(f"the gateway does not know {name} yet")

    async def _port(self, workload: Workload) -> int:
        name = service_name(workload)
        service = await self._cluster.get(SERVICE, workload.namespace, name)
        port = port_of(service) if service is not None else None
        if port is None:
            raise NotYet(f"KServe has not made Service {name} yet")
        return port

    async def _have(
        self, resource: Resource, wanted: Manifest, identity: Mapping[str, str]
    ) -> Manifest:
        namespace, name = wanted["metadata"]["namespace"], wanted["metadata"]["name"]
        found = await self._cluster.get(resource, namespace, name)
        if found is None:
            return await self._cluster.apply(resource, wanted)
        if is_leaving(found):
            raise NotYet(f"{resource.kind} {name} is still being deleted")
        if not is_ours(found, identity):
            raise Conflict(f"{resource.kind} {namespace}/{name} belongs to somebody else")
        if covers(found.get("spec"), wanted["spec"]):
            return found
        return await self._cluster.apply(resource, wanted)
