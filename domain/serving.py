"""What an inference service is to become: which versions may be served together, and what to do.

A wish leaves out what is to stay. The answer is whether the cluster has to change for it, and the
workload that the service then has of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from domain.errors import InvalidSpec, Violation
from domain.names import LABEL_LENGTH, slug, workload_name
from domain.registry import InferenceService, ModelVersion, ServedModel, ServiceState
from domain.workloads import Artefact, Workload, served_as

MOST_VERSIONS = 16
_FIELD = "model_version_ids"
_DIGITS = 8


def require_servable(model_id: UUID, versions: Sequence[ModelVersion]) -> None:
    """Raise InvalidSpec unless one InferenceService can serve these versions of the model.

    It has one format and one runtime for all that it serves.
    """
    ids = [version.id for version in versions]
    first = versions[0] if versions else None
    broken = []
    if not 1 <= len(ids) <= MOST_VERSIONS or len(set(ids)) < len(ids):
        broken.append(f"must be 1 to {MOST_VERSIONS} versions, each once")
    if any(version.registered_model_id != model_id for version in versions):
        broken.append("must be versions of the registered model")
    if first and any(version.model_format != first.model_format for version in versions):
        broken.append("must be versions of one model_format to be served together")
    if first and any(version.runtime != first.runtime for version in versions):
        broken.append("must be versions of one runtime to be served together")
    if broken:
        raise InvalidSpec(*(Violation(_FIELD, rule) for rule in broken))


def served(versions: Sequence[ModelVersion]) -> tuple[ServedModel, ...]:
    return tuple(
        ServedModel(model_version_id=version.id, model_version_name=version.name)
        for version in versions
    )


def own_name(service: InferenceService) -> str | None:
    """The name of the one InferenceService of a service, None while it serves nothing."""
    if not service.served_models:
        return None
    first = service.served_models[0]
    return workload_name(
        service.name, first.model_version_name, service.id, *service.model_version_ids
    )


def own_workload(
    service: InferenceService, namespace: str, versions: Sequence[ModelVersion]
) -> Workload:
    """The one InferenceService in which the service serves these versions."""
    first, *others = versions
    mounts = mount_names(versions) if others else ()
    return Workload(
        name=workload_name(
            service.name, first.name, service.id, first.id, *(version.id for version in others)
        ),
        namespace=namespace,
        project_id=service.project_id,
        service_id=service.id,
        version_id=first.id,
        uri=first.uri,
        model_format=first.model_format,
        runtime=first.runtime,
        protocol=service.protocol,
        served_as=served_as(service.protocol, service.name),
        artefacts=tuple(
            Artefact(mount=mount, uri=version.uri)
            for mount, version in zip(mounts, versions, strict=bool(mounts))
        ),
    )


def mount_names(versions: Sequence[ModelVersion]) -> tuple[str, ...]:
    """A directory for each version: its name as a label.

    Where that is empty, too long, or another's as well, digits of its id tell it.
    """
    names = [slug(version.name) for version in versions]
    return tuple(
        name
        if name and len(name) <= LABEL_LENGTH and names.count(name) == 1
        else _numbered(name, v)
        for name, v in zip(names, versions, strict=True)
    )


def _numbered(name: str, version: ModelVersion) -> str:
    digits = version.id.hex[:_DIGITS]
    return f"{name[: LABEL_LENGTH - _DIGITS - 1].rstrip('-')}-{digits}".lstrip("-")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceWish:
    """What a caller wants of a service; what is None is to stay as it is."""

    description: str | None = None
    desired_state: ServiceState | None = None
    served_models: tuple[ServedModel, ...] | None = None


class Turn(StrEnum):
    """What a wish means for the cluster. JOIN: a change to just this has begun already."""

    NOTHING = "nothing"
    START = "start"
    JOIN = "join"
    BUSY = "busy"


def turn(service: InferenceService, wish: ServiceWish) -> Turn:
    """Compare the wish with what the service is meant to be and was last seen to be."""
    if wish.desired_state is None and wish.served_models is None:
        return Turn.NOTHING
    desired = wish.desired_state or service.desired_state
    same = desired is service.desired_state and not changes_versions(service, wish)
    if service.is_moving:
        return Turn.JOIN if same else Turn.BUSY
    is_down = service.current_state is ServiceState.UNDEPLOYED
    if (same and service.current_state is desired) or (
        is_down and desired is ServiceState.UNDEPLOYED
    ):
        return Turn.NOTHING
    return Turn.START


def changes_versions(service: InferenceService, wish: ServiceWish) -> bool:
    return wish.served_models is not None and wish.served_models != service.served_models


def takes_away(service: InferenceService, wish: ServiceWish) -> bool:
    """Whether what clients reach today would go: other versions, or none."""
    leaves = wish.desired_state is ServiceState.UNDEPLOYED
    return changes_versions(service, wish) or (
        leaves and service.current_state is not ServiceState.UNDEPLOYED
    )


def wished(service: InferenceService, wish: ServiceWish, now: datetime) -> InferenceService:
    """The service with the wish written into it; what it was seen to be stays."""
    return replace(
        service,
        description=service.description if wish.description is None else wish.description,
        desired_state=wish.desired_state or service.desired_state,
        served_models=service.served_models if wish.served_models is None else wish.served_models,
        updated_at=later(service.updated_at, now),
    )


def set_moving(
    service: InferenceService, *, former: Workload, own: Workload | None
) -> InferenceService:
    """The service on its way to `own` (None: to nothing), with what has to go once it is there.

    `former` is the workload that it had of its own before the wish.
    """
    known = {workload.name: workload for workload in (*service.leaving, former)}
    if own is not None:
        known.pop(own.name, None)
    return replace(
        service,
        current_state=ServiceState.UNDEPLOYING if own is None else ServiceState.DEPLOYING,
        state_reason="",
        leaving=tuple(known.values()),
    )


def later(before: datetime, now: datetime) -> datetime:
    """A time that tells this change from the one before, whatever the clock says."""
    return max(now, before + timedelta(microseconds=1))
