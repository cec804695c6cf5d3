"""Says of each BackendTrafficPolicy, per Gateway that its routes attach to, that it is in force."""

from collections.abc import Iterable, Mapping

from sandbox.controllers.cluster import Cluster, Key, Object
from sandbox.controllers.informer import Informer
from sandbox.controllers.objects import covers, generation, timestamp
from sandbox.controllers.policies import targets
from sandbox.controllers.reconciler import Reconciler
from sandbox.controllers.resources import TRAFFIC_POLICIES

_CONTROLLER = "gateway.envoyproxy.io/gatewayclass-controller"
# Generation, and the Gateways.
_Outcome = tuple[int, list[Object]]


class PolicyStatuses:
    """A policy without a route to apply to has no status, as with the real controller."""

    def __init__(self, cluster: Cluster, policies: Informer) -> None:
        self._cluster = cluster
        self._policies = policies
        self._in_force: dict[Key, _Outcome] = {}
        self._writer = Reconciler("BackendTrafficPolicy", self._write)

    def report(self, policies: Iterable[Object], routes: Mapping[Key, Object]) -> None:
        """Tell of these policies, which are in force now with these HTTPRoutes."""
        before, self._in_force = self._in_force, {}
        for policy in policies:
            gateways = _gateways(policy, routes)
            if gateways:
                self._in_force[Key.of(policy)] = (generation(policy), gateways)
        for key, outcome in self._in_force.items():
            if before.get(key) != outcome:
                self._writer.add(key)

    async def close(self) -> None:
        await self._writer.close()

    async def _write(self, key: Key) -> None:
        policy = self._policies.get(key)
        if policy is None or key not in self._in_force:
            return
        observed, gateways = self._in_force[key]
        condition = {
            "type": "Accepted",
            "status": "True",
            "reason": "Accepted",
            "message": "Policy has been accepted.",
            "observedGeneration": observed,
        }
        said = [
            {"ancestorRef": one, "controllerName": _CONTROLLER, "conditions": [condition]}
            for one in gateways
        ]
        if covers((policy.get("status") or {}).get("ancestors"), said):
            return
        condition["lastTransitionTime"] = timestamp()
        await self._cluster.merge_status(TRAFFIC_POLICIES, key, {"ancestors": said})


def _gateways(policy: Object, routes: Mapping[Key, Object]) -> list[Object]:
    found: list[Object] = []
    for key in targets(policy):
        for parent in (routes[key]["spec"].get("parentRefs") or []) if key in routes else []:
            if parent not in found:
                found.append(parent)
    return found
