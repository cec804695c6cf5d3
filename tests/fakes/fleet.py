"""The fleet's policies in memory, with the refusals of the real ones."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from domain.errors import InUse, NotFound
from domain.fleet import FleetPolicies, FreezeWindow, Group, Queue, QueueEntry
from domain.fleet_port import Fleet
from domain.ports import Page
from domain.registry import TrafficConfig
from domain.rollout import Rollout
from tests.fakes.catalog import MemoryCatalog


class MemoryFleet(MemoryCatalog, Fleet):
    """Looks into the registry for the rollouts that have not ended."""

    def __init__(self, registry: MemoryCatalog) -> None:
        super().__init__()
        self._registry = registry
        # Who asked, in order, with the group.
        self._asked: dict[UUID, tuple[UUID, datetime]] = {}

    async def create_window(self, window: FreezeWindow) -> None:
        self._add(window, lambda w: w.name)

    async def window(self, project_id: UUID, window_id: UUID) -> FreezeWindow:
        return self._get(FreezeWindow, project_id, window_id)

    async def windows(
        self, project_id: UUID, page: Page, *, name: str | None = None
    ) -> tuple[Sequence[FreezeWindow], int]:
        return self._list(FreezeWindow, project_id, page, name=name)

    async def change_window(self, before: FreezeWindow, after: FreezeWindow) -> None:
        self._change(before, after, lambda w: w.name)

    async def delete_window(self, project_id: UUID, window_id: UUID) -> None:
        self._delete(self._get(FreezeWindow, project_id, window_id))

    async def create_group(self, group: Group) -> None:
        self._add(group, lambda g: g.name)

    async def group(self, project_id: UUID, name: str) -> Group:
        for group in self.things[Group].values():
            if (group.project_id, group.name) == (project_id, name):
                found: Group = group
                return found
        raise NotFound(f"there is no rollout group {name!r} in this project")

    async def groups(
        self, project_id: UUID, page: Page, *, name: str | None = None
    ) -> tuple[Sequence[Group], int]:
        return self._list(Group, project_id, page, name=name)

    async def change_group(self, before: Group, after: Group) -> None:
        self._change(before, after, lambda g: g.name)

    async def delete_group(self, project_id: UUID, name: str) -> None:
        group = await self.group(project_id, name)
        what = f"the rollout group {name!r}"
        for rollout in self._live(project_id):
            asked, _ = self._asked.get(rollout.id, (None, None))
            if asked == group.id or rollout.plan.group == name:
                config = self._registry.things[TrafficConfig][rollout.config_id]
                used = f"rollout of {config.inference_service_name!r} ({rollout.id})"
                raise InUse(f"{what} is still used by {used}")
        for window in self.things[FreezeWindow].values():
            if window.project_id == project_id and name in (window.groups or ()):
                raise InUse(f"{what} is still used by freeze window {window.name!r} ({window.id})")
        del self.things[Group][group.id]
        self._asked = {r: asked for r, asked in self._asked.items() if asked[0] != group.id}

    async def policies(self, project_id: UUID, group: str | None) -> FleetPolicies:
        everything = Page(limit=10**6, offset=0)
        windows, _ = await self.windows(project_id, everything)
        if group is None:
            return FleetPolicies(windows=windows)
        known = await self.group(project_id, group)
        return FleetPolicies(windows=windows, group=known, queue=self._queue(known))

    async def ask(self, project_id: UUID, rollout_id: UUID, group: str | None) -> FleetPolicies:
        if group is not None:
            known = await self.group(project_id, group)
            rollout = self._registry.things[Rollout].get(rollout_id)
            if rollout is None or rollout.project_id != project_id:
                raise NotFound("there is no such rollout in this project")
            self._asked.setdefault(rollout_id, (known.id, datetime.now(UTC)))
        return await self.policies(project_id, group)

    async def leave(self, rollout_id: UUID) -> None:
        self._asked.pop(rollout_id, None)

    def _queue(self, group: Group) -> Queue:
        live = {rollout.id for rollout in self._live(group.project_id)}
        return tuple(
            QueueEntry(rollout_id=rollout_id, asked_at=asked_at)
            for rollout_id, (group_id, asked_at) in self._asked.items()
            if group_id == group.id and rollout_id in live
        )

    def _live(self, project_id: UUID) -> list[Rollout]:
        rollouts = self._registry.things[Rollout].values()
        return [r for r in rollouts if r.project_id == project_id and r.ended_at is None]
