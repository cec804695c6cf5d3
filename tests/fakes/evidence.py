"""The evidence store in memory."""

from uuid import UUID

from domain.errors import Contended
from domain.evidence.baseline import Baseline
from domain.evidence.counters import ArmsCursor, Cursor
from domain.evidence.intervals import ArmsInterval, Interval
from domain.evidence_port import EvidenceLog


class MemoryEvidence:
    """Takes every rollout for known, unlike the real one."""

    def __init__(self) -> None:
        self._intervals: dict[UUID, dict[int, Interval | ArmsInterval]] = {}
        self._cursors: dict[UUID, Cursor | ArmsCursor] = {}
        self._baselines: dict[UUID, Baseline] = {}

    async def load(self, rollout_id: UUID) -> EvidenceLog:
        kept = self._intervals.get(rollout_id, {})
        cursor = self._cursors.get(rollout_id)
        ordered = tuple(kept[sequence] for sequence in sorted(kept))
        baseline = self._baselines.get(rollout_id)
        return EvidenceLog(intervals=ordered, cursor=cursor, baseline=baseline)

    async def size(self, rollout_id: UUID) -> int:
        return len(self._intervals.get(rollout_id, {}))

    async def append(
        self,
        rollout_id: UUID,
        *,
        interval: Interval | ArmsInterval | None,
        cursor: Cursor | ArmsCursor,
    ) -> None:
        kept = self._intervals.setdefault(rollout_id, {})
        if interval and interval.sequence in kept:
            if kept[interval.sequence] != interval:
                raise Contended(f"interval {interval.sequence} is another's")
            return
        standing = self._cursors.get(rollout_id)
        if standing and _opens_before(cursor, standing):
            raise Contended("a later cursor stands already")
        if interval:
            kept[interval.sequence] = interval
        self._cursors[rollout_id] = cursor

    async def keep_baseline(self, rollout_id: UUID, baseline: Baseline) -> Baseline:
        return self._baselines.setdefault(rollout_id, baseline)


def _opens_before(cursor: Cursor | ArmsCursor, standing: Cursor | ArmsCursor) -> bool:
    if cursor.opened_at is None or standing.opened_at is None:
        return False
    return cursor.opened_at < standing.opened_at
