"""The caretaker's look: operations that nobody carries out, variants whose time has come."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from temporalio import activity

from activities.heartbeats import say
from activities.payloads import that_fit
from domain.division import retired
from domain.errors import PermanentError, TidegateError
from domain.operations import ChangeKind, Operation, Subject, traffic_change
from domain.ports import Chores, Registry, RunDirectory
from domain.registry import TrafficConfig

ROUND = timedelta(seconds=2)
# A row is written a moment before its workflow starts.
START_GRACE = timedelta(seconds=15)
CARETAKER = "caretaker"


class CareActivities:
    def __init__(
        self,
        chores: Chores,
        registry: Registry,
        runs: RunDirectory,
        *,
        shift: timedelta,
        every: timedelta = ROUND,
    ) -> None:
        """`shift` is how long one look lasts, a round `every` so often, if there is nothing."""
        self._chores, self._registry, self._runs = chores, registry, runs
        self._shift, self._every = shift, every

    @activity.defn(name="care.look")
    async def look(self) -> tuple[Operation, ...]:
        """Return what somebody must carry out as soon as there is something.

        Operations count as abandoned when two rounds in a row find no run of theirs. What is due
        is begun here: it has no run either. Of very many the first; the look that follows at once
        finds the others.
        """
        ends = datetime.now(UTC) + self._shift
        suspects: set[UUID] = set()
        while datetime.now(UTC) < ends:
            alone = await self._unless_failed(self._alone)
            abandoned = [o for o in alone if o.id in suspects]
            if found := that_fit([*abandoned, *await self._unless_failed(self._due)]):
                return found
            suspects = {operation.id for operation in alone}
            await asyncio.sleep(self._every.total_seconds())
        return ()

    async def _unless_failed(
        self, look: Callable[[], Awaitable[Sequence[Operation]]]
    ) -> Sequence[Operation]:
        """What a look finds. One that fails says why, and the next round is another one."""
        try:
            return await look()
        except TidegateError as error:
            say(str(error))
            return ()

    async def _alone(self) -> list[Operation]:
        """The operations that no run carries out at this moment."""
        running = [o for o in await self._chores.running() if not _is_fresh(o)]
        return [o for o in running if not await self._runs.is_running(o.workflow_id)]

    async def _due(self) -> list[Operation]:
        """Operations, begun, that retire what is due. Who is changed just now has time."""
        begun = []
        for config in await self._chores.due():
            try:
                operation = await self._retirement(config)
                await self._registry.begin(operation)
            except PermanentError as error:  # of this config: the others need not wait for it
                say(f"traffic config {config.id}: {error}")
                continue
            begun.append(operation)
        return begun

    async def _retirement(self, config: TrafficConfig) -> Operation:
        now = datetime.now(UTC)
        after = retired(config.variants, now=now)
        versions = [
            await self._registry.version(config.project_id, v.model_version_id)
            for v in config.variants
            if v.holds_slot
        ]
        gone = ", ".join(v.name for v in config.variants if v.retire_at and v.retire_at <= now)
        return Operation(
            id=uuid4(),
            project_id=config.project_id,
            subject=Subject.TRAFFIC_CONFIG,
            subject_id=config.id,
            summary=f"retire {gone}",
            change=traffic_change(ChangeKind.RETIRE, config, after, versions),
            actor=CARETAKER,
            reason="the rollback window is over",
            created_at=now,
        )


def _is_fresh(operation: Operation) -> bool:
    return datetime.now(UTC) - operation.created_at < START_GRACE
