"""Plays KServe's controller in Standard mode: an InferenceService becomes model servers.

Each replica is a server, and `minReplicas` alone says how many: nothing scales by load. Resources
and runtimes mean nothing here, and of the args the model's name alone. Pods and Deployments are not
written. Of several `storageUris`, a server loads all: each answers to the last part of its mount
path, the first one to every other name.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from sandbox.controllers.cluster import Cluster, Key, Object
from sandbox.controllers.informer import Informer
from sandbox.controllers.kserve_objects import (
    InvalidService,
    endpoint_slice,
    is_slice_of,
    is_stopped,
    launches_of,
    predictor_name,
    predictor_service,
    scrape_target,
    slice_key,
)
from sandbox.controllers.kserve_status import invalid_status, serving_status, stopped_status
from sandbox.controllers.model_servers import ModelServers, State, View
from sandbox.controllers.objects import hold, is_deleting, put, release
from sandbox.controllers.reconciler import Reconciler
from sandbox.controllers.resources import ENDPOINT_SLICES, INFERENCE_SERVICES, SERVICES

_FINALIZER = "inferenceservice.finalizers"


class KServe:
    def __init__(
        self,
        cluster: Cluster,
        *,
        state_dir: Path,
        targets_dir: Path,
        inference_services: Informer,
        services: Informer,
        slices: Informer,
    ) -> None:
        self._cluster = cluster
        self._targets_dir = targets_dir
        self._inference_services = inference_services
        self._services = services
        self._slices = slices
        self._reconciler = Reconciler("InferenceService", self._reconcile)
        self._servers = ModelServers(state_dir, self._reconciler.add)

    async def watch(self) -> None:
        """Call once every informer has its first list, on the event loop."""
        await self._servers.adopt()
        self._inference_services.listen(self._reconciler.add)
        self._services.listen(self._service_changed)
        self._slices.listen(self._slice_changed)
        for key in {*self._servers.known(), *self._inference_services.known()}:
            self._reconciler.add(key)

    async def close(self, *, keep_servers: bool) -> None:
        await self._reconciler.close()
        await self._servers.stop(keep_running=keep_servers)

    def _service_changed(self, key: Key) -> None:
        for service in self._inference_services:
            if Key(service["metadata"]["namespace"], predictor_name(service)) == key:
                self._reconciler.add(Key.of(service))

    def _slice_changed(self, key: Key) -> None:
        for service in self._inference_services:
            if is_slice_of(service, key):
                self._reconciler.add(Key.of(service))

    async def _reconcile(self, key: Key) -> None:
        service = self._inference_services.get(key)
        if service is None:
            self._servers.retire(key)
            self._target_file(key).unlink(missing_ok=True)
            return
        if is_deleting(service):
            await self._take_down(service)
            await release(self._cluster, INFERENCE_SERVICES, service, _FINALIZER)
            return
        service = await hold(self._cluster, INFERENCE_SERVICES, service, _FINALIZER)
        if is_stopped(service):
            await self._take_down(service)
            await self._tell(service, stopped_status(service))
            return
        try:
            launches = launches_of(service)
        except InvalidService as error:
            await self._tell(service, invalid_status(service, str(error)))
            return
        views = [self._servers.ensure(launch) for launch in launches]
        await self._expose(service, views)
        self._servers.retire(key, keep=len(views))
        await self._tell(service, serving_status(service, views, predictor_name(service)))

    async def _expose(self, service: Object, views: Sequence[View]) -> None:
        """Endpoints are right before the status says so."""
        place = Key(service["metadata"]["namespace"], predictor_name(service))
        wanted = predictor_service(service)
        await put(self._cluster, SERVICES, self._services.get(place), wanted)
        for replica, view in enumerate(views):
            if view.port:
                ready = view.state is State.READY
                piece = endpoint_slice(service, replica, view.port, ready=ready)
                live = self._slices.get(slice_key(service, replica))
                await put(self._cluster, ENDPOINT_SLICES, live, piece)
        await self._withdraw(service, keep=len(views))
        if ports := [view.port for view in views if view.port]:
            self._write_target(Key.of(service), scrape_target(service, ports))

    async def _withdraw(self, service: Object, *, keep: int) -> None:
        """Take away the endpoints of all replicas but the first `keep`."""
        kept = {slice_key(service, replica) for replica in range(keep)}
        for key in [Key.of(piece) for piece in self._slices]:
            if is_slice_of(service, key) and key not in kept:
                await self._cluster.delete(ENDPOINT_SLICES, key)

    async def _take_down(self, service: Object) -> None:
        """Endpoints go first, so that no new request meets a server that is ending."""
        place = Key(service["metadata"]["namespace"], predictor_name(service))
        await self._withdraw(service, keep=0)
        await self._cluster.delete(SERVICES, place)
        key = Key.of(service)
        self._target_file(key).unlink(missing_ok=True)
        self._servers.retire(key)

    async def _tell(self, service: Object, status: Object) -> None:
        if service.get("status") != status:
            await self._cluster.merge_status(INFERENCE_SERVICES, Key.of(service), status)

    def _write_target(self, key: Key, content: list[Object]) -> None:
        path, text = self._target_file(key), json.dumps(content)
        if path.exists() and path.read_text() == text:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".partial")
        draft.write_text(text)
        draft.replace(path)

    def _target_file(self, key: Key) -> Path:
        return self._targets_dir / f"{key.namespace}.{key.name}.json"
