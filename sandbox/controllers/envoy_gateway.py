"""Plays Envoy Gateway's controller: HTTPRoutes become Envoy's configuration, and statuses tell.

The parents that a route names are taken as given: no Gateway object is needed in the sandbox, and
every route is attached to the one listener.
"""

import asyncio
import logging
from functools import partial

from sandbox.controllers import disobedience
from sandbox.controllers.cluster import Cluster, Key, Object
from sandbox.controllers.endpoints import Addresses
from sandbox.controllers.envoy_files import EnvoyFiles, NotInForce
from sandbox.controllers.http_routes import extras
from sandbox.controllers.informer import Informer
from sandbox.controllers.objects import covers, generation, is_deleting, timestamp
from sandbox.controllers.policy_statuses import PolicyStatuses
from sandbox.controllers.reconciler import Reconciler
from sandbox.controllers.resources import HTTP_ROUTES
from sandbox.controllers.translation import Extras, Snapshot, Translator
from sandbox.servers.envoy_listener import ROUTE_CONFIG

_log = logging.getLogger(__name__)
_CONTROLLER = "gateway.envoyproxy.io/gatewayclass-controller"
_RETRY_SECONDS = 0.5


class EnvoyGateway:
    """One loop translates everything at each change; a reconciler writes the routes' statuses."""

    def __init__(
        self,
        cluster: Cluster,
        files: EnvoyFiles,
        *,
        http_routes: Informer,
        ai_routes: Informer,
        backends: Informer,
        services: Informer,
        slices: Informer,
        policies: Informer,
    ) -> None:
        self._cluster = cluster
        self._files = files
        self._http_routes = http_routes
        self._ai_routes = ai_routes
        self._policies = policies
        self._policy_statuses = PolicyStatuses(cluster, policies)
        self._places = (backends, services, slices)
        self._addresses = Addresses(backends=backends, services=services, slices=slices)
        self._translator = Translator(ROUTE_CONFIG, self._addresses, self._extras)
        self._statuses = Reconciler("HTTPRoute", self._write_status)
        self._changed = asyncio.Event()
        self._has_moved = True
        self._in_force: dict[Key, tuple[int, bool]] = {}
        self._seen: dict[tuple[str, Key], tuple[int, str] | None] = {}

    def watch(self) -> None:
        """Call once every informer has its first list: a table of half the routes would harm."""
        for place in self._places:
            place.listen(self._place_changed)
        for written in (self._http_routes, self._ai_routes, self._policies):
            written.listen(partial(self._spec_changed, written))
        self._changed.set()

    async def run(self) -> None:
        due: float | None = None
        while True:
            await self._wait(due)
            try:
                due = await self._converge()
            except NotInForce as error:
                _log.error("%s; again in %.1f s", error, _RETRY_SECONDS)
                due = _RETRY_SECONDS

    async def close(self) -> None:
        await self._statuses.close()
        await self._policy_statuses.close()

    def _place_changed(self, _: Key) -> None:
        self._has_moved = True
        self._changed.set()

    def _spec_changed(self, written: Informer, key: Key) -> None:
        """A mere status is no change; a deletion under way is one, it counts as a generation."""
        stored = written.get(key)
        seen = None if stored is None else (generation(stored), disobedience.told(stored))
        if self._seen.get((written.resource.kind, key)) != seen:
            self._seen[written.resource.kind, key] = seen
            self._changed.set()

    async def _wait(self, due: float | None) -> None:
        try:
            async with asyncio.timeout(due):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _converge(self) -> float | None:
        self._changed.clear()
        if self._has_moved:
            self._has_moved = False
            self._addresses.refresh()
        routes = [route for route in self._http_routes if not is_deleting(route)]
        policies = [policy for policy in self._policies if not is_deleting(policy)]
        snapshot = self._translator.translate(routes, policies)
        due = await self._files.apply(snapshot)
        present = {Key.of(route): route for route in routes}
        self._report(present, snapshot)
        self._policy_statuses.report(policies, present)
        return due

    def _report(self, present: dict[Key, Object], snapshot: Snapshot) -> None:
        self._in_force = {k: state for k, state in self._in_force.items() if k in present}
        for key, route in present.items():
            state = (generation(route), key not in snapshot.unresolved)
            if self._in_force.get(key) != state:
                self._in_force[key] = state
                self._statuses.add(key)

    def _extras(self, key: Key) -> Extras:
        route = self._ai_routes.get(key)
        return extras(route) if route else {}

    async def _write_status(self, key: Key) -> None:
        route = self._http_routes.get(key)
        if route is None or key not in self._in_force:
            return
        observed, resolved = self._in_force[key]
        known = (route.get("status") or {}).get("parents") or []
        parents = [
            _parent(reference, observed, resolved, known)
            for reference in route["spec"].get("parentRefs") or []
        ]
        if not covers(known, parents):
            await self._cluster.merge_status(HTTP_ROUTES, key, {"parents": parents})


def _parent(reference: Object, observed: int, resolved: bool, known: list[Object]) -> Object:
    """How one parent took the route, as of the generation that is in force."""
    refs = ("True", "ResolvedRefs", "Resolved all the Object references for the Route")
    if not resolved:
        refs = ("False", "BackendNotFound", "A Backend that the Route refers to does not exist")
    outcomes = {
        "Accepted": ("True", "Accepted", "Route is accepted"),
        "ResolvedRefs": refs,
    }
    before = next((one for one in known if covers(one["parentRef"], reference)), {})
    return {
        "parentRef": reference,
        "controllerName": _CONTROLLER,
        "conditions": [
            {
                "type": kind,
                "status": status,
                "reason": reason,
                "message": message,
                "observedGeneration": observed,
                "lastTransitionTime": _since(before, kind, status),
            }
            for kind, (status, reason, message) in outcomes.items()
        ],
    }


def _since(before: Object, kind: str, status: str) -> str:
    """Only a change of the status is a transition."""
    for condition in before.get("conditions") or []:
        if condition["type"] == kind and condition["status"] == status:
            return str(condition["lastTransitionTime"])
    return timestamp()
