"""What holds between rollouts, as the engine and its API ask for it; see `domain.ports`."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from domain.fleet import FleetPolicies, FreezeWindow, Group
from domain.ports import Page


class Fleet(Protocol):
    """What holds between the rollouts of a project: freeze windows, groups and their queues.

    Scoped by project, with the refusals of the Registry: NotFound, AlreadyExists for a taken name,
    Outdated, InUse.
    """

    async def create_window(self, window: FreezeWindow) -> None: ...
    async def window(self, project_id: UUID, window_id: UUID) -> FreezeWindow: ...
    async def windows(
        self, project_id: UUID, page: Page, *, name: str | None = None
    ) -> tuple[Sequence[FreezeWindow], int]: ...

    async def change_window(self, before: FreezeWindow, after: FreezeWindow) -> None: ...
    async def delete_window(self, project_id: UUID, window_id: UUID) -> None: ...

    async def create_group(self, group: Group) -> None: ...
    async def group(self, project_id: UUID, name: str) -> Group: ...
    async def groups(
        self, project_id: UUID, page: Page, *, name: str | None = None
    ) -> tuple[Sequence[Group], int]: ...

    async def change_group(self, before: Group, after: Group) -> None:
        """Store another limit: the name stays, rollouts know it."""

    async def delete_group(self, project_id: UUID, name: str) -> None:
        """Raises InUse while a rollout of the group has not ended, or a freeze window names it."""

    async def policies(self, project_id: UUID, group: str | None) -> FleetPolicies:
        """All windows, and the group with its queue in order, without asking for a turn."""

    async def ask(self, project_id: UUID, rollout_id: UUID, group: str | None) -> FleetPolicies:
        """Have the rollout stand in the group's queue, and say how that is now.

        Who asks again keeps its place. Raises NotFound for an unknown rollout or group.
        """

    async def leave(self, rollout_id: UUID) -> None:
        """Have the rollout out of its queue. One that is in none is success."""
