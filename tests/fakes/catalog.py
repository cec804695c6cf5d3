"""What can be served and where, in memory: the part of the registry that people change."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar
from uuid import UUID

from domain.errors import AlreadyExists, InUse, NotFound, Outdated
from domain.ports import Page
from domain.registry import (
    InferenceService,
    ModelVersion,
    RegisteredModel,
    ServiceState,
    ServingEnvironment,
    TrafficConfig,
)

T = TypeVar("T")


class MemoryCatalog:
    """`things` by type and id."""

    def __init__(self) -> None:
        self.things: dict[type, dict[UUID, Any]] = defaultdict(dict)

    def change(self, thing: Any, **changes: Any) -> None:
        """Have a stored thing differ in these fields."""
        self.things[type(thing)][thing.id] = replace(self.things[type(thing)][thing.id], **changes)

    async def create_model(self, model: RegisteredModel) -> None:
        self._add(model, lambda m: m.name)

    async def model(self, project_id: UUID, model_id: UUID) -> RegisteredModel:
        return self._get(RegisteredModel, project_id, model_id)

    async def models(
        self, project_id: UUID, page: Page, *, name: str | None = None
    ) -> tuple[Sequence[RegisteredModel], int]:
        return self._list(RegisteredModel, project_id, page, name=name)

    async def change_model(self, before: RegisteredModel, after: RegisteredModel) -> None:
        self._change(before, after, lambda m: m.name)

    async def delete_model(self, project_id: UUID, model_id: UUID) -> None:
        self._delete(self._get(RegisteredModel, project_id, model_id))

    async def create_version(self, version: ModelVersion) -> None:
        self._get(RegisteredModel, version.project_id, version.registered_model_id)
        self._add(version, lambda v: (v.registered_model_id, v.name))

    async def version(self, project_id: UUID, version_id: UUID) -> ModelVersion:
        return self._get(ModelVersion, project_id, version_id)

    async def versions(
        self,
        project_id: UUID,
        page: Page,
        *,
        name: str | None = None,
        model_id: UUID | None = None,
    ) -> tuple[Sequence[ModelVersion], int]:
        return self._list(ModelVersion, project_id, page, name=name, registered_model_id=model_id)

    async def change_version(self, before: ModelVersion, after: ModelVersion) -> None:
        self._change(before, after, lambda v: (v.registered_model_id, v.name))

    async def delete_version(self, project_id: UUID, version_id: UUID) -> None:
        self._delete(self._get(ModelVersion, project_id, version_id))

    async def create_environment(self, environment: ServingEnvironment) -> None:
        self._add(environment, lambda e: e.name)

    async def environment(self, project_id: UUID, environment_id: UUID) -> ServingEnvironment:
        return self._get(ServingEnvironment, project_id, environment_id)

    async def environments(
        self, project_id: UUID, page: Page, *, name: str | None = None
    ) -> tuple[Sequence[ServingEnvironment], int]:
        return self._list(ServingEnvironment, project_id, page, name=name)

    async def change_environment(
        self, before: ServingEnvironment, after: ServingEnvironment
    ) -> None:
        self._require_same(before)
        if before.namespace != after.namespace:
            self._require_unused(before, f"the namespace {before.namespace!r}")
        self._change(before, after, lambda e: e.name)

    async def delete_environment(self, project_id: UUID, environment_id: UUID) -> None:
        self._delete(self._get(ServingEnvironment, project_id, environment_id))

    async def create_service(self, service: InferenceService) -> None:
        self._get(ServingEnvironment, service.project_id, service.serving_environment_id)
        self._get(RegisteredModel, service.project_id, service.registered_model_id)
        for version_id in service.model_version_ids:
            self._get(ModelVersion, service.project_id, version_id)
        self._add(service, lambda s: s.name)

    async def service(self, project_id: UUID, service_id: UUID) -> InferenceService:
        return self._get(InferenceService, project_id, service_id)

    async def services(
        self,
        project_id: UUID,
        page: Page,
        *,
        name: str | None = None,
        environment_id: UUID | None = None,
        model_id: UUID | None = None,
        desired_state: ServiceState | None = None,
        current_state: ServiceState | None = None,
    ) -> tuple[Sequence[InferenceService], int]:
        return self._list(
            InferenceService,
            project_id,
            page,
            name=name,
            serving_environment_id=environment_id,
            registered_model_id=model_id,
            desired_state=desired_state,
            current_state=current_state,
        )

    async def change_service(
        self, before: InferenceService, after: InferenceService, *, unused: bool
    ) -> None:
        self._require_same(before)
        if unused:
            self._require_unused(before)
        for version_id in after.model_version_ids:
            self._get(ModelVersion, after.project_id, version_id)
        self._change(before, after, lambda s: s.name)

    async def delete_service(self, service: InferenceService) -> None:
        self._require_same(service)
        self._delete(service)

    def _change(self, before: Any, after: Any, unique: Callable[[Any], Any]) -> None:
        self._require_same(before)
        others = (t for t in self.things[type(after)].values() if t.id != after.id)
        self._require_free(after, unique, others)
        self.things[type(after)][after.id] = after

    def _delete(self, thing: Any) -> None:
        self._require_unused(thing)
        del self.things[type(thing)][thing.id]

    def _require_same(self, before: Any) -> None:
        held = self.things[type(before)].get(before.id)
        known = (held.project_id, held.updated_at) if held else None
        if known != (before.project_id, before.updated_at):
            raise Outdated(f"the {type(before).__name__} has changed meanwhile; ask again")

    def _require_unused(self, thing: Any, what: str = "") -> None:
        for kind, name, its_id in self._users(thing.id):
            what = what or f"{type(thing).__name__} {thing.id}"
            raise InUse(f"{what} is still used by {kind} {name!r} ({its_id})")

    def _users(self, its_id: UUID) -> Iterator[tuple[str, str, UUID]]:
        for version in self.things[ModelVersion].values():
            if its_id == version.registered_model_id:
                yield "model version", version.name, version.id
        for service in self.things[InferenceService].values():
            referred = (service.serving_environment_id, service.registered_model_id)
            if its_id in (*referred, *service.model_version_ids):
                yield "inference service", service.name, service.id
        for config in self.things[TrafficConfig].values():
            versions = (variant.model_version_id for variant in config.variants)
            if its_id in (config.inference_service_id, *versions):
                name = config.inference_service_name
                yield "traffic config of", name, config.id

    def _get(self, kind: type[T], project_id: UUID, thing_id: UUID) -> T:
        thing = self.things[kind].get(thing_id)
        if thing is None or thing.project_id != project_id:
            raise NotFound(f"there is no {kind.__name__} {thing_id} in this project")
        found: T = thing
        return found

    def _list(
        self, kind: type[T], project_id: UUID, page: Page, **wanted: Any
    ) -> tuple[Sequence[T], int]:
        found = [
            thing
            for thing in self.things[kind].values()
            if thing.project_id == project_id
            and all(value in (None, getattr(thing, name)) for name, value in wanted.items())
        ]
        found.sort(key=lambda thing: (-thing.created_at.timestamp(), thing.id))
        return tuple(found[page.offset : page.offset + page.limit]), len(found)

    def _add(self, thing: Any, unique: Callable[[Any], Any]) -> None:
        others = self.things[type(thing)]
        if thing.id in others:
            raise AlreadyExists(f"the {type(thing).__name__} exists already (same id)")
        self._require_free(thing, unique, others.values())
        others[thing.id] = thing

    def _require_free(
        self, thing: Any, unique: Callable[[Any], Any], others: Iterable[Any]
    ) -> None:
        taken = {(other.project_id, unique(other)) for other in others}
        if (thing.project_id, unique(thing)) in taken:
            raise AlreadyExists(f"the {type(thing).__name__} {unique(thing)!r} exists already")
