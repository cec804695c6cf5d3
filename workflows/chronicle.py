"""The rollout's history on its way to the registry: in order, in batches, never in the way."""

from typing import Any
from uuid import UUID

from temporalio import workflow

from activities.record import RecordActivities, RecordOrder
from domain.rollout import Entry, EventKind
from domain.story import line
from workflows.timeouts import RECORD


class Chronicle:
    """Collects entries; `keep` hands them over in the background, however long that takes.

    A rollback must not wait for a database, so nothing on the way home awaits an entry. Points
    that must not be passed before they are written down await `flush`.
    """

    def __init__(self, rollout_id: UUID) -> None:
        self._rollout_id = rollout_id
        self._waiting: list[Entry] = []
        self._told = 0
        self._written = 0

    def tell(self, kind: EventKind, message: str, **changes: Any) -> Entry:
        """Add a line; `changes` are further fields of Entry: what it changes in the registry."""
        self._told += 1
        key = f"{workflow.info().run_id}/{self._told}"
        entry = Entry(key=key, kind=kind, message=message, at=workflow.now(), **changes)
        self._waiting.append(entry)
        return entry

    async def keep(self) -> None:
        """Hand entries over for ever; run as a task."""
        while True:
            await workflow.wait_condition(lambda: bool(self._waiting))
            batch = tuple(self._waiting)
            await workflow.execute_activity_method(
                RecordActivities.rollout,
                RecordOrder(rollout_id=self._rollout_id, entries=batch),
                summary=line(batch[-1].message),
                **RECORD,
            )
            del self._waiting[: len(batch)]
            self._written += len(batch)

    async def flush(self) -> None:
        """Return once everything told so far is written."""
        goal = self._told
        await workflow.wait_condition(lambda: self._written >= goal)
