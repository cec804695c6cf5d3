"""A workflow that has hooks and nothing else: what a rollout does with them, move by move."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from temporalio import workflow

from activities.notify import Confirmation
from domain.hooks import Hook, HookKind
from domain.notices import Situation
from domain.rollout import Entry
from domain.traffic import Route
from workflows.hooks import Hooks


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    hooks: tuple[Hook, ...]
    route: Route
    rollout_id: UUID
    situation: Situation
    told_within: timedelta


@workflow.defn
class HookedWorkflow:
    @workflow.init
    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._given_up: list[str] = []
        self._over = False
        self._asking: asyncio.Task[Confirmation] | None = None
        self._hooks = Hooks(
            scene.hooks,
            rollout_id=scene.rollout_id,
            route=scene.route,
            given_up=lambda hook, why: self._given_up.append(f"{hook.name}: {why}"),
        )

    @workflow.run
    async def run(self, scene: Scene) -> list[str]:
        telling = asyncio.create_task(self._hooks.keep())
        await workflow.wait_condition(lambda: self._over)
        await self._hooks.close(scene.told_within)
        telling.cancel()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._given_up

    @workflow.signal
    def announce(self, kind: HookKind) -> None:
        self._hooks.announce(kind, f"told of {kind}", self._scene.situation)

    @workflow.signal
    def happened(self, entries: list[Entry]) -> None:
        for entry in entries:
            self._hooks.happened(entry, self._scene.situation)

    @workflow.update
    async def confirm(self, hook: Hook) -> Confirmation:
        self._asking = asyncio.create_task(
            self._hooks.confirm(hook, "every gate passes", self._scene.situation)
        )
        try:
            return await self._asking
        except asyncio.CancelledError:
            return Confirmation(said=False, detail="aborted")

    @workflow.signal
    def abort(self) -> None:
        if self._asking is not None:
            self._asking.cancel()

    @workflow.query
    def given_up(self) -> list[str]:
        return self._given_up

    @workflow.signal
    def end(self) -> None:
        self._over = True
