"""Writes and reads the AIGatewayRoute of a virtual model, and the policy by which it falls back."""

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.aigateway.convergence import is_judged, refusal
from adapters.aigateway.virtual_manifests import (
    layout_in,
    model_in,
    policy,
    policy_name,
    virtual_gateway_route,
)
from adapters.gateways.fencing import annotations, owner_of, require_newest
from adapters.gateways.manifests import Gateway
from adapters.gateways.objects import forget, take_away
from adapters.gateways.statuses import parent_obstacle, policy_obstacle
from adapters.kubernetes.client import Cluster
from adapters.kubernetes.documents import (
    PROJECT_LABEL,
    Manifest,
    covers,
    is_leaving,
    is_ours,
    mapping,
    owns_rules,
    text,
    virtual_route_labels,
)
from adapters.kubernetes.resources import (
    AI_GATEWAY_ROUTE,
    AI_SERVICE_BACKEND,
    BACKEND_TRAFFIC_POLICY,
    HTTP_ROUTE,
    Resource,
)
from domain.errors import AlreadyExists, Conflict, Contended, InvalidTraffic, NotYet, Violation
from domain.traffic import Ownership
from domain.virtual_models import VirtualRoute
from domain.virtual_port import VirtualModelRouter
from domain.virtual_routes import Layout, Ref, VirtualRouteState


class AIGatewayVirtualModels(VirtualModelRouter):
    """One AIGatewayRoute and one BackendTrafficPolicy per virtual model.

    Both carry the owner. The policy is written first: a reference of a lower priority would get a
    share of the traffic were it there before the policy is.
    """

    def __init__(self, cluster: Cluster, gateway: Gateway) -> None:
        self._cluster = cluster
        self._gateway = gateway

    async def require_known(self, route: VirtualRoute, refs: Sequence[Ref]) -> None:
        """Raise InvalidTraffic for a backend that the gateway does not know.

        One that serves another project's models counts as unknown. NotYet for one so new that
        the gateway's controller has said neither yes nor no.
        """
        for namespace, name in sorted({(ref.namespace, ref.name) for ref in refs}):
            found = await self._cluster.get(AI_SERVICE_BACKEND, namespace, name)
            project = text(mapping(found, "metadata", "labels"), PROJECT_LABEL)
            is_strange = project not in ("", str(route.project_id))
            if found is None or is_leaving(found) or is_strange:
                rule = f"there is no AIServiceBackend {name!r} in namespace {namespace!r}"
                raise InvalidTraffic(Violation("ai_service_backend_name", rule))
            if not is_judged(found):
                raise NotYet(f"the gateway has not seen AIServiceBackend {name!r} yet")
            if refusal(found):
                rule = f"the gateway does not accept AIServiceBackend {name!r} of {namespace!r}"
                raise InvalidTraffic(Violation("ai_service_backend_name", rule))

    async def observe(self, route: VirtualRoute) -> VirtualRouteState | None:
        found = await self._find(AI_GATEWAY_ROUTE, route, route.name)
        if found is None:
            return None
        its_policy = await self._find(BACKEND_TRAFFIC_POLICY, route, policy_name(route))
        made = await self._find(HTTP_ROUTE, route, route.name)
        detail = _obstacle(found, its_policy, made, self._gateway)
        return VirtualRouteState(
            layout=layout_in(found, its_policy),
            model=model_in(found),
            obeyed=not detail,
            obeyed_detail=detail,
        )

    async def write(
        self, route: VirtualRoute, layout: Layout, owner: Ownership, *, insist: bool = False
    ) -> None:
        """Have route and policy stand exactly so, each compared and swapped.

        Raises FencedOut, Contended and Conflict as the port says, and NotYet until a policy that
        a standing route needs is in force. `insist` takes both from whoever holds them and does
        not wait for the policy: a way back must not hang on a gateway that is down.
        """
        found = await self._find(AI_GATEWAY_ROUTE, route, route.name)
        self._require_writable(AI_GATEWAY_ROUTE, route, found, owner, insist=insist)
        marks = annotations(owner)
        its_policy = await self._put(
            BACKEND_TRAFFIC_POLICY,
            route,
            policy(route, layout, self._gateway, marks),
            owner,
            insist=insist,
        )
        trouble = policy_obstacle(its_policy, self._gateway)
        if trouble and found is not None and not insist:
            raise NotYet(trouble)
        wanted = virtual_gateway_route(route, layout, self._gateway, marks)
        await self._put(AI_GATEWAY_ROUTE, route, wanted, owner, insist=insist)

    async def remove(self, route: VirtualRoute, owner: Ownership) -> None:
        """Have both gone. Raises FencedOut for an older owner, NotYet while the route is leaving.

        The route goes first: without its policy a fallback would get a share of the traffic.
        """
        identity = virtual_route_labels(route)
        found = await self._find(AI_GATEWAY_ROUTE, route, route.name)
        if found is not None and is_ours(found, identity):
            require_newest(owner_of(found), owner)
            await take_away(self._cluster, AI_GATEWAY_ROUTE, found)
        if await self._find(HTTP_ROUTE, route, route.name) is not None:
            raise NotYet(f"HTTPRoute {route.name} is still there")
        name = policy_name(route)
        await forget(self._cluster, BACKEND_TRAFFIC_POLICY, route.namespace, name, identity)

    async def _find(self, resource: Resource, route: VirtualRoute, name: str) -> Manifest | None:
        return await self._cluster.get(resource, route.namespace, name)

    async def _put(
        self,
        resource: Resource,
        route: VirtualRoute,
        wanted: Manifest,
        owner: Ownership,
        *,
        insist: bool,
    ) -> Manifest:
        """Give the object back as it stands. What stands so by the same run is left alone."""
        found = await self._find(resource, route, wanted["metadata"]["name"])
        if found is None:
            return await self._create(resource, wanted)
        self._require_writable(resource, route, found, owner, insist=insist)
        held = owner_of(found)
        if held is not None and held.run_id == owner.run_id and _stands(found, wanted):
            return found
        wanted["metadata"]["resourceVersion"] = text(found, "metadata", "resourceVersion")
        return await self._cluster.apply(resource, wanted, force=insist)

    async def _create(self, resource: Resource, wanted: Manifest) -> Manifest:
        """Of two creators of a route exactly one wins, and with it its policy stands in the end.

        The policy is applied: a later apply takes away only what was applied before.
        """
        if resource is BACKEND_TRAFFIC_POLICY:
            return await self._cluster.apply(resource, wanted)
        try:
            return await self._cluster.create(resource, wanted)
        except AlreadyExists as error:
            raise Contended(str(error)) from error

    def _require_writable(
        self,
        resource: Resource,
        route: VirtualRoute,
        found: Manifest | None,
        owner: Ownership,
        *,
        insist: bool,
    ) -> None:
        if found is None:
            return
        name = text(found, "metadata", "name")
        if not insist and not is_ours(found, virtual_route_labels(route)):
            raise Conflict(f"{resource.kind} {route.namespace}/{name} belongs to others")
        require_newest(owner_of(found), owner)
        if is_leaving(found):
            raise NotYet(f"{resource.kind} {name} is being deleted")


def _stands(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether the object says what is wanted, and nothing else of it, by our own hand."""
    labels = {"labels": wanted["metadata"]["labels"]}
    return covers(mapping(found, "metadata"), labels) and _same_spec(found, wanted)


def _same_spec(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    have, want = mapping(found, "spec"), wanted["spec"]
    if have.keys() != want.keys() or not covers(have, want):
        return False
    # An override that was taken away is no part of what is wanted: `covers` would not miss it.
    same_route = layout_in(found, None) == layout_in(wanted, None)
    return same_route and ("rules" not in want or owns_rules(found))


def _obstacle(
    found: Mapping[str, Any],
    its_policy: Mapping[str, Any] | None,
    made: Mapping[str, Any] | None,
    gateway: Gateway,
) -> str:
    """Say in a sentence what is not in force yet; empty when all is.

    The HTTPRoute gets the annotations of the AIGatewayRoute that it was made from, and with them
    the number of our write: names and priorities leave no other trace in it.
    """
    name = text(found, "metadata", "name")
    if is_leaving(found):
        return f"AIGatewayRoute {name} is being deleted"
    if not_accepted := refusal(found):
        return f"AIGatewayRoute {name} is not accepted: {not_accepted}"
    if made is None:
        return f"HTTPRoute {name} is not there yet"
    if owner_of(made) != owner_of(found):
        return f"HTTPRoute {name} is still made from an earlier write"
    if its_policy is None:
        return f"the BackendTrafficPolicy of {name} is missing"
    return policy_obstacle(its_policy, gateway) or parent_obstacle(made, gateway)
