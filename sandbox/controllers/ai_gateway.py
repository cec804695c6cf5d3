"""Plays Envoy AI Gateway's controller: AIGatewayRoutes become HTTPRoutes, and statuses tell.

As there: one condition, of type Accepted or NotAccepted, without an observed generation; on
NotAccepted the HTTPRoute that was in force stays; an HTTPRoute edited by others is put right.
Other than there, the Gateway that a route names as parent need not exist.
"""

from collections.abc import Iterable

from sandbox.controllers.cluster import Cluster, Key, NotThere, Object, Refused, Resource, Stale
from sandbox.controllers.http_routes import Unacceptable, backend_keys, http_route
from sandbox.controllers.informer import Informer
from sandbox.controllers.objects import (
    covers,
    generation,
    hold,
    is_deleting,
    key_in,
    release,
    timestamp,
)
from sandbox.controllers.reconciler import Reconciler
from sandbox.controllers.resources import AI_BACKENDS, AI_ROUTES, HTTP_ROUTES

_FINALIZER = "aigateway.envoyproxy.io/finalizer"
_ACCEPTED_ROUTE = "AI Gateway Route reconciled successfully"
_ACCEPTED_BACKEND = "AIServiceBackend reconciled successfully"


class AIGateway:
    """Owns two reconcilers; `watch` connects them with the informers."""

    def __init__(
        self,
        cluster: Cluster,
        *,
        ai_routes: Informer,
        ai_backends: Informer,
        backends: Informer,
        http_routes: Informer,
    ) -> None:
        self._cluster = cluster
        self._ai_routes = ai_routes
        self._ai_backends = ai_backends
        self._backends = backends
        self._http_routes = http_routes
        self._routes = Reconciler("AIGatewayRoute", self._reconcile_route)
        self._services = Reconciler("AIServiceBackend", self._reconcile_backend)
        self._written: dict[Key, tuple[int, Object]] = {}
        self._told: dict[tuple[str, Key], tuple[int, str, str]] = {}

    def watch(self) -> None:
        """Call once every informer has its first list, on the event loop."""
        self._ai_routes.listen(self._routes.add)
        self._http_routes.listen(self._http_route_changed)
        self._ai_backends.listen(self._services.add)
        self._ai_backends.listen(self._ai_backend_changed)
        self._backends.listen(self._backend_changed)
        for key in {*self._ai_routes.known(), *self._http_routes.known()}:
            self._routes.add(key)
        for key in self._ai_backends.known():
            self._services.add(key)

    async def close(self) -> None:
        await self._routes.close()
        await self._services.close()

    def _http_route_changed(self, key: Key) -> None:
        wanted, live = self._ai_routes.get(key), self._http_routes.get(key)
        if wanted is not None or (live is not None and _is_ours(live)):
            self._routes.add(key)

    def _ai_backend_changed(self, key: Key) -> None:
        for route in self._ai_routes:
            if key in backend_keys(route):
                self._routes.add(Key.of(route))

    def _backend_changed(self, key: Key) -> None:
        for backend in self._ai_backends:
            if _target(backend) == key:
                self._services.add(Key.of(backend))

    async def _reconcile_route(self, key: Key) -> None:
        route = self._ai_routes.get(key)
        if route is None or is_deleting(route):
            await self._forget_route(key, route)
            return
        route = await hold(self._cluster, AI_ROUTES, route, _FINALIZER)
        try:
            await self._write_http_route(key, http_route(route, self._ai_backends.get))
        except (Unacceptable, Refused) as error:
            await self._tell(AI_ROUTES, route, accepted=False, message=str(error))
        else:
            await self._tell(AI_ROUTES, route, accepted=True, message=_ACCEPTED_ROUTE)

    async def _write_http_route(self, key: Key, wanted: Object) -> None:
        live = self._http_routes.get(key)
        if live is not None and self._written.get(key) == (generation(live), wanted):
            return
        try:
            written = await self._write(live, wanted)
        except (Stale, NotThere):
            # Our copy lags behind, by a status that was written just now for instance.
            written = await self._write(await self._live_http_route(key), wanted)
        self._written[key] = (generation(written), wanted)

    async def _write(self, live: Object | None, wanted: Object) -> Object:
        """A replacement, not a merge: what others have put into the rules must go."""
        if live is None:
            return await self._cluster.create(HTTP_ROUTES, wanted)
        metadata = {**live["metadata"], **wanted["metadata"]}
        return await self._cluster.replace(HTTP_ROUTES, {**live, **wanted, "metadata": metadata})

    async def _live_http_route(self, key: Key) -> Object | None:
        try:
            return await self._cluster.get(HTTP_ROUTES, key)
        except NotThere:
            return None

    async def _forget_route(self, key: Key, route: Object | None) -> None:
        live = self._http_routes.get(key)
        if live is not None and _is_ours(live):
            await self._cluster.delete(HTTP_ROUTES, key)
        self._told.pop((AI_ROUTES.kind, key), None)
        self._written.pop(key, None)
        if route is not None:
            await release(self._cluster, AI_ROUTES, route, _FINALIZER)

    async def _reconcile_backend(self, key: Key) -> None:
        backend = self._ai_backends.get(key)
        if backend is None:
            self._told.pop((AI_BACKENDS.kind, key), None)
            return
        if is_deleting(backend):
            await release(self._cluster, AI_BACKENDS, backend, _FINALIZER)
            return
        backend = await hold(self._cluster, AI_BACKENDS, backend, _FINALIZER)
        target = _target(backend)
        found = self._backends.get(target) is not None
        message = _ACCEPTED_BACKEND if found else f"Backend {target.name} not found"
        await self._tell(AI_BACKENDS, backend, accepted=found, message=message)

    async def _tell(
        self, resource: Resource, stored: Object, *, accepted: bool, message: str
    ) -> None:
        """Replaces the one condition, once per generation and outcome."""
        key = Key.of(stored)
        outcome = {
            "type": "Accepted" if accepted else "NotAccepted",
            "status": "True" if accepted else "False",
            "reason": "ReconciliationSucceeded" if accepted else "ReconciliationFailed",
            "message": message,
        }
        said = (generation(stored), outcome["type"], message)
        if self._told.get((resource.kind, key)) == said and _says(stored, outcome):
            return
        condition = {**outcome, "lastTransitionTime": timestamp()}
        await self._cluster.merge_status(resource, key, {"conditions": [condition]})
        self._told[resource.kind, key] = said


def _says(stored: Object, outcome: Object) -> bool:
    return covers(stored.get("status", {}).get("conditions"), [outcome])


def _target(backend: Object) -> Key:
    return key_in(Key.of(backend).namespace, backend["spec"]["backendRef"])


def _is_ours(http_route: Object) -> bool:
    owners: Iterable[Object] = http_route["metadata"].get("ownerReferences") or []
    return any(owner["kind"] == AI_ROUTES.kind for owner in owners)
