"""The part of the registry in memory that knows the virtual models."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from domain.errors import AlreadyExists, NotFound, Outdated
from domain.ports import Page, VirtualModelRegistry
from domain.registry import TrafficConfig
from domain.virtual_models import VirtualChangeKind, VirtualModel, VirtualModelChange


class MemoryVirtualModels(VirtualModelRegistry):
    """Keeps them among the other `things` of the registry that it is a part of."""

    things: dict[type, dict[UUID, Any]]

    async def create_virtual_model(self, model: VirtualModel) -> None:
        taken = {one.name for one in self.things[VirtualModel].values()}
        taken |= {one.inference_service_name for one in self.things[TrafficConfig].values()}
        if model.name in taken:
            raise AlreadyExists(
                f"the virtual model {model.name!r}: its name is taken on this gateway already"
            )
        self.things[VirtualModel][model.id] = model

    async def virtual_model(self, project_id: UUID, name: str) -> VirtualModel:
        for model in self._of(project_id):
            if model.name == name:
                return model
        raise NotFound(f"there is no virtual model {name!r} in this project")

    async def virtual_models(
        self, project_id: UUID, page: Page, *, name: str | None = None
    ) -> tuple[Sequence[VirtualModel], int]:
        found = [model for model in self._of(project_id) if name in (None, model.name)]
        return found[page.offset : page.offset + page.limit], len(found)

    async def describe_virtual_model(
        self, project_id: UUID, model_id: UUID, description: str, at: datetime
    ) -> None:
        known = self.known_virtual_model(project_id, model_id)
        changed = replace(known, description=description, updated_at=at)
        self.things[VirtualModel][model_id] = changed

    def require_no_virtual_model(self, name: str) -> None:
        """Raise AlreadyExists where a virtual model takes the traffic of this name."""
        if name in {one.name for one in self.things[VirtualModel].values()}:
            raise AlreadyExists(f"{name!r}: its name is taken on this gateway already")

    def known_virtual_model(self, project_id: UUID, model_id: UUID) -> VirtualModel:
        known: VirtualModel | None = self.things[VirtualModel].get(model_id)
        if known is None or known.project_id != project_id:
            raise NotFound(f"there is no virtual model {model_id} in this project")
        return known

    def require_unchanged(
        self, project_id: UUID, model_id: UUID, change: VirtualModelChange
    ) -> None:
        if self.known_virtual_model(project_id, model_id).backends != change.before:
            raise Outdated("the backends of the virtual model were changed just now; ask again")

    def apply_virtual_change(
        self, project_id: UUID, model_id: UUID, change: VirtualModelChange
    ) -> None:
        known = self.known_virtual_model(project_id, model_id)
        if change.kind is VirtualChangeKind.DELETE_VIRTUAL_MODEL:
            del self.things[VirtualModel][model_id]
            return
        self.things[VirtualModel][model_id] = replace(
            known, backends=change.after, updated_at=datetime.now(UTC)
        )

    def _of(self, project_id: UUID) -> list[VirtualModel]:
        """Newest first."""
        found = [m for m in self.things[VirtualModel].values() if m.project_id == project_id]
        return sorted(found, key=lambda m: (-m.created_at.timestamp(), m.id))
