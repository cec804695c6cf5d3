"""What the calls on virtual models do: read, decide in the domain, have the gateway obey."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid4

from api.operations import carried_out
from api.parts import Parts
from api.schemas.traffic import Asked
from api.schemas.virtual_models import BackendIn, BackendPatch, VirtualModelIn
from domain.operations import Operation, Subject
from domain.virtual_models import (
    Backends,
    VirtualChangeKind,
    VirtualModel,
    VirtualModelChange,
    added,
    changed,
    require_name,
    route_name,
    without,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _What:
    """What is asked for, by whom."""

    kind: VirtualChangeKind
    summary: str
    asked: Asked


async def create(parts: Parts, project_id: UUID, wish: VirtualModelIn) -> VirtualModel:
    """Store one without backends: nothing to do at the gateway yet."""
    model_id, now = uuid4(), datetime.now(UTC)
    model = VirtualModel(
        id=model_id,
        project_id=project_id,
        name=require_name(wish.name),
        description=wish.description,
        namespace=parts.gateway_namespace,
        route_name=route_name(model_id),
        created_at=now,
        updated_at=now,
    )
    await parts.registry.create_virtual_model(model)
    return model


async def describe(parts: Parts, project_id: UUID, name: str, description: str) -> VirtualModel:
    model = await parts.registry.virtual_model(project_id, name)
    now = datetime.now(UTC)
    await parts.registry.describe_virtual_model(project_id, model.id, description, now)
    return await parts.registry.virtual_model(project_id, name)


async def add_backend(parts: Parts, project_id: UUID, name: str, wish: BackendIn) -> VirtualModel:
    backend_id, asked = uuid4(), wish.to_domain(parts.gateway_namespace)

    def joined(model: VirtualModel) -> Backends:
        return added(model.backends, asked, backend_id=backend_id, now=datetime.now(UTC))

    what = _What(kind=VirtualChangeKind.ADD_BACKEND, summary=f"add {asked.name}", asked=wish)
    return await _changed(parts, project_id, name, what, joined)


async def change_backend(
    parts: Parts, project_id: UUID, name: str, backend_id: UUID, wish: BackendPatch
) -> VirtualModel:
    """A change to what is so already changes nothing, and asks nobody."""

    def after(model: VirtualModel) -> Backends:
        backend = model.backend(backend_id)
        override = backend.model_name_override
        return changed(
            model.backends,
            backend,
            weight=backend.weight if wish.weight is None else wish.weight,
            priority=backend.priority if wish.priority is None else wish.priority,
            model_name_override=wish.model_name_override if wish.changes_override else override,
            now=datetime.now(UTC),
        )

    model = await parts.registry.virtual_model(project_id, name)
    if after(model) == model.backends:
        return model
    summary = f"change {model.backend(backend_id).name}"
    what = _What(kind=VirtualChangeKind.CHANGE_BACKEND, summary=summary, asked=wish)
    return await _changed(parts, project_id, name, what, after)


async def delete_backend(
    parts: Parts, project_id: UUID, name: str, backend_id: UUID
) -> VirtualModel:
    def rest(model: VirtualModel) -> Backends:
        return without(model.backends, model.backend(backend_id))

    model = await parts.registry.virtual_model(project_id, name)
    summary = f"remove {model.backend(backend_id).name}"
    what = _What(kind=VirtualChangeKind.DELETE_BACKEND, summary=summary, asked=Asked())
    return await _changed(parts, project_id, name, what, rest)


async def delete(parts: Parts, project_id: UUID, name: str) -> None:
    """Take the route away, and the virtual model with it."""

    async def propose() -> Operation:
        model = await parts.registry.virtual_model(project_id, name)
        return _operation(model, what, ())

    what = _What(kind=VirtualChangeKind.DELETE_VIRTUAL_MODEL, summary="delete it", asked=Asked())
    await carried_out(parts, propose)


async def _changed(
    parts: Parts,
    project_id: UUID,
    name: str,
    what: _What,
    after: Callable[[VirtualModel], Backends],
) -> VirtualModel:
    async def propose() -> Operation:
        model = await parts.registry.virtual_model(project_id, name)
        return _operation(model, what, after(model))

    await carried_out(parts, propose)
    return await parts.registry.virtual_model(project_id, name)


def _operation(model: VirtualModel, what: _What, after: Backends) -> Operation:
    return Operation(
        id=uuid4(),
        project_id=model.project_id,
        subject=Subject.VIRTUAL_MODEL,
        subject_id=model.id,
        summary=what.summary,
        change=VirtualModelChange(
            kind=what.kind, route=model.route, before=model.backends, after=after
        ),
        actor=what.asked.actor,
        reason=what.asked.reason,
        created_at=datetime.now(UTC),
    )
