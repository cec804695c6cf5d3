"""A route that is written by one, compared and swapped: what the routers have in common."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from adapters.gateways.differences import MISSING_ROUTE, route_drift, stands
from adapters.gateways.fencing import annotations, owner_of, require_newest
from adapters.gateways.manifests import (
    Gateway,
    Reading,
    names_in,
    policy_name,
    service_of,
    split_policy,
)
from adapters.gateways.objects import forget, take_away
from adapters.kubernetes.client import Cluster
from adapters.kubernetes.documents import (
    Manifest,
    covers,
    is_leaving,
    is_ours,
    route_labels,
    text,
)
from adapters.kubernetes.resources import BACKEND_TRAFFIC_POLICY, SERVICE, Resource
from domain.errors import AlreadyExists, Conflict, Contended, NotYet
from domain.ports import TrafficRouter
from domain.traffic import NO_EXTRAS, Drift, Extras, Ownership, Route, RouteState, Slots
from domain.workloads import Workload


class SplitRouter(TrafficRouter):
    """One route object per traffic config, with a fixed position per variant.

    A subclass says of which `resource` it is, how it is read and built, and what else the gateway
    needs to know a workload.
    """

    resource: Resource
    reading: Reading

    def __init__(self, cluster: Cluster, gateway: Gateway) -> None:
        self._cluster = cluster
        self._gateway = gateway

    @abstractmethod
    async def _manifest(
        self, route: Route, slots: Slots, extras: Extras, annotations: Mapping[str, str]
    ) -> Manifest:
        """The whole route: its rules are one atomic value to the API server."""

    @abstractmethod
    async def _obstacle(self, route: Route, found: Manifest) -> str:
        """Say in a sentence what of the route is not in force yet; empty when all is."""

    @abstractmethod
    async def _knows(self, route: Route, backend: str) -> bool:
        """Whether the gateway knows what a reference of this name leads to."""

    async def observe(self, route: Route) -> RouteState | None:
        found = await self._find(route)
        if found is None:
            return None
        detail = await self._obstacle(route, found)
        return RouteState(
            slots=self.reading.slots(found),
            owner=owner_of(found),
            obeyed=not detail,
            obeyed_detail=detail,
            extras=self.reading.extras(found),
        )

    async def write(
        self,
        route: Route,
        slots: Slots,
        owner: Ownership,
        *,
        extras: Extras = NO_EXTRAS,
        insist: bool = False,
    ) -> None:
        """Have the route stand exactly so, compared and swapped.

        What already stands so, written by the same run, is not written again: each write has the
        gateway rebuild its configuration. Raises FencedOut, Contended and Conflict as the port
        says, and NotYet while the gateway does not know a workload that joins or the route is
        being deleted. `insist` takes the route from whoever holds it and skips the former check.
        """
        wanted = await self._manifest(route, slots, extras, annotations(owner))
        found = await self._find(route)
        if found is None:
            await self._create(route, wanted, insist=insist)
            return
        self._require_writable(route, found, owner, insist=insist)
        held = owner_of(found)
        is_same_run = held is not None and held.run_id == owner.run_id
        if is_same_run and stands(self.reading, found, wanted):
            return
        if not insist:
            await self._require_known(route, names_in(wanted) - names_in(found))
        wanted["metadata"]["resourceVersion"] = text(found, "metadata", "resourceVersion")
        await self._cluster.apply(self.resource, wanted, force=insist)

    async def drift(
        self, route: Route, expected: Slots, extras: Extras = NO_EXTRAS
    ) -> Drift | None:
        found = await self._find(route)
        if found is None or is_leaving(found):
            return MISSING_ROUTE
        wanted = await self._manifest(route, expected, extras, {})
        return route_drift(self.reading, found, wanted)

    async def remove(self, route: Route, owner: Ownership) -> None:
        """Have the route gone. Raises FencedOut for an older owner, NotYet while it is leaving."""
        identity = route_labels(route)
        found = await self._find(route)
        if found is not None and is_ours(found, identity):
            require_newest(owner_of(found), owner)
            await take_away(self._cluster, self.resource, found)
        name = policy_name(route)
        await forget(self._cluster, BACKEND_TRAFFIC_POLICY, route.namespace, name, identity)

    async def _measure_apart(self, route: Route) -> None:
        """Have the gateway count each variant by itself."""
        await self._have(BACKEND_TRAFFIC_POLICY, split_policy(route), route_labels(route))

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

    async def _port(
        self, namespace: str, workload: str, read: Callable[[Mapping[str, Any]], int | None]
    ) -> int:
        """What `read` finds in a workload's Service. Raises NotYet until KServe has made it."""
        name = service_of(workload)
        found = await self._cluster.get(SERVICE, namespace, name)
        port = read(found) if found is not None else None
        if port is None:
            raise NotYet(f"KServe has not made Service {name} yet")
        return port

    async def _find(self, route: Route) -> Manifest | None:
        return await self._cluster.get(self.resource, route.namespace, route.name)

    async def _create(self, route: Route, wanted: Manifest, *, insist: bool) -> None:
        # An apply would let two creators both win, one over the other.
        if not insist:
            await self._require_known(route, names_in(wanted))
        try:
            await self._cluster.create(self.resource, wanted)
        except AlreadyExists as error:
            raise Contended(str(error)) from error

    def _require_writable(
        self, route: Route, found: Manifest, owner: Ownership, *, insist: bool
    ) -> None:
        kind = self.resource.kind
        if not insist and not is_ours(found, route_labels(route)):
            raise Conflict(f"{kind} {route.namespace}/{route.name} belongs to others")
        require_newest(owner_of(found), owner)
        if is_leaving(found):
            raise NotYet(f"{kind} {route.name} is being deleted")

    async def _require_known(self, route: Route, joining: frozenset[str]) -> None:
        for backend in sorted(joining):
            if not await self._knows(route, backend):
                raise NotYet(f"the gateway does not know {self.reading.workload_of(backend)} yet")

    @staticmethod
    def _require_unnamed(
        resource: Resource, route: Route, found: Manifest | None, workload: Workload, backend: str
    ) -> None:
        if backend in names_in(found):
            raise NotYet(f"{resource.kind} {route.name} still names {workload.name}")
