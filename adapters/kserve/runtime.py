"""Deploys, watches and removes InferenceServices. What is not ours is never touched."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from adapters.kserve.manifests import digest, digest_of, inference_service
from adapters.kserve.pods import selector, trouble
from adapters.kserve.readiness import Readiness
from adapters.kubernetes.client import Cluster
from adapters.kubernetes.documents import (
    Manifest,
    difference,
    is_leaving,
    is_ours,
    last_other_manager,
    mapping,
    workload_labels,
)
from adapters.kubernetes.resources import INFERENCE_SERVICE, POD
from domain.errors import Conflict, Forbidden, NotYet, Refused
from domain.ports import WorkloadRuntime
from domain.traffic import Drift
from domain.workloads import Workload, WorkloadPhase, WorkloadStatus


class KServeRuntime(WorkloadRuntime):
    """One InferenceService per workload, in Standard deployment mode, never edited in place.

    KServe cannot tell which spec its Ready is about; it is unambiguous only while the spec is the
    one that the object was created with.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        readiness: Readiness | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._cluster = cluster
        self._readiness = readiness or Readiness()
        self._now = now

    async def deploy(self, workload: Workload) -> None:
        """Have this workload exist.

        Raises Refused where it stands with another spec, Conflict where the object of its name is
        somebody else's, NotYet while a former one of that name is still being deleted.
        """
        wanted = inference_service(workload)
        found = await self._find(workload)
        if found is None:
            found = await self._cluster.apply(INFERENCE_SERVICE, wanted)
        _require_same(found, wanted, workload)

    async def status(self, workload: Workload, replicas: int | None = None) -> WorkloadStatus:
        status = self._readiness.judge(await self._find(workload), self._now(), replicas)
        if status.phase is not WorkloadPhase.LOADING:
            return status
        said = await self._trouble_of_pods(workload)
        return replace(status, reason=f"{status.reason}; {said}") if said else status

    async def scale(self, workload: Workload, replicas: int) -> None:
        """Have at least so many replicas; KServe raises the most to the least by itself.

        They have not joined when this returns: `status` tells.

        Raises NotYet where the workload is not there, Conflict where it is somebody else's.
        """
        found = await self._find(workload)
        if found is None:
            raise NotYet(f"InferenceService {workload.name} is not there to be scaled")
        _require_same(found, inference_service(workload), workload)
        await self._cluster.apply(
            INFERENCE_SERVICE, inference_service(workload, replicas), force=True
        )

    async def drift(self, workload: Workload, replicas: int | None) -> Drift | None:
        found = await self._find(workload)
        if found is None or is_leaving(found):
            return None
        wanted = inference_service(workload, replicas)["spec"]
        if replicas is None:
            del wanted["predictor"]["minReplicas"]
        differs = difference(mapping(found, "spec"), wanted, ("spec",))
        if differs is None:
            return None
        field = f"InferenceService {workload.name} {'.'.join(differs.path)}"
        manager = last_other_manager(found, *differs.path)
        return Drift(
            field=field, expected=str(differs.wanted), found=str(differs.found), manager=manager
        )

    async def remove(self, workload: Workload) -> None:
        """Have this workload gone. Raises NotYet while it is on its way out."""
        found = await self._find(workload)
        if found is None or not is_ours(found, workload_labels(workload)):
            return
        if not is_leaving(found):
            await self._cluster.delete(INFERENCE_SERVICE, found)
            found = await self._find(workload)
        if found is not None and is_ours(found, workload_labels(workload)):
            raise NotYet(f"InferenceService {workload.name} is still being deleted")

    async def _trouble_of_pods(self, workload: Workload) -> str:
        try:
            return trouble(await self._cluster.list(POD, workload.namespace, selector(workload)))
        except Forbidden:
            # A reason to show is not worth a permission that an operator has kept from us.
            return ""

    async def _find(self, workload: Workload) -> Manifest | None:
        return await self._cluster.get(INFERENCE_SERVICE, workload.namespace, workload.name)


def _require_same(found: Manifest, wanted: Manifest, workload: Workload) -> None:
    named = f"InferenceService {workload.namespace}/{workload.name}"
    if is_leaving(found):
        raise NotYet(f"{named} is still being deleted")
    if not is_ours(found, workload_labels(workload)):
        raise Conflict(f"{named} belongs to somebody else")
    if digest_of(found) != digest(wanted["spec"]):
        raise Refused(f"{named} stands with another spec and is never edited in place")
