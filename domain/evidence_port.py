"""The port to what is kept of a rollout's evidence."""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from domain.evidence.counters import ArmsCursor, Cursor
from domain.evidence.intervals import ArmsInterval, Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceLog:
    """What a rollout's gates have seen so far, and where the counters stood at the last look.

    Those of a trial are all of its arms', those of any other rollout the candidate's and stable's.
    """

    intervals: tuple[Interval | ArmsInterval, ...]
    cursor: Cursor | ArmsCursor | None


class EvidenceStore(Protocol):
    async def load(self, rollout_id: UUID) -> EvidenceLog: ...

    async def size(self, rollout_id: UUID) -> int:
        """How many intervals `load` gives; cheap, however many they are."""

    async def append(
        self,
        rollout_id: UUID,
        *,
        interval: Interval | ArmsInterval | None,
        cursor: Cursor | ArmsCursor,
    ) -> None:
        """Keep an interval and the cursor behind it, both or neither.

        An interval whose sequence is taken raises Contended: a second watcher is at work.
        """
