"""The evidence store in memory."""

from uuid import UUID

from domain.errors import Contended
from domain.evidence.baseline import Baseline
from domain.evidence.counters import ArmsCursor, Cursor
from domain.evidence.intervals import ArmsInterval, Interval
from domain.evidence_port import EvidenceLog, MeterLog


class MemoryEvidence:
    """Takes every rollout for known, unlike the real one."""

    def __init__(self) -> None:
        self._intervals: dict[tuple[UUID, str], dict[int, Interval | ArmsInterval]] = {}
        self._cursors: dict[tuple[UUID, str], Cursor | ArmsCursor] = {}
        self._baselines: dict[UUID, Baseline] = {}

    async def load(self, rollout_id: UUID) -> EvidenceLog:
        return EvidenceLog(
            intervals=self._ordered((rollout_id, "")),
            cursor=self._cursors.get((rollout_id, "")),
            baseline=self._baselines.get(rollout_id),
            meters={
                name: MeterLog(intervals=self._pairs((rollout_id, name)), cursor=cursor)
                for (of, name), cursor in self._cursors.items()
                if of == rollout_id and name and isinstance(cursor, Cursor)
            },
        )

    async def size(self, rollout_id: UUID) -> int:
        return sum(len(kept) for (of, _), kept in self._intervals.items() if of == rollout_id)

    async def append(
        self,
        rollout_id: UUID,
        *,
        interval: Interval | ArmsInterval | None,
        cursor: Cursor | ArmsCursor,
        meter: str = "",
    ) -> None:
        key = (rollout_id, meter)
        kept = self._intervals.setdefault(key, {})
        if interval and interval.sequence in kept:
            if kept[interval.sequence] != interval:
                raise Contended(f"interval {interval.sequence} is another's")
            return
        standing = self._cursors.get(key)
        if standing and _opens_before(cursor, standing):
            raise Contended("a later cursor stands already")
        if interval:
            kept[interval.sequence] = interval
        self._cursors[key] = cursor

    def _ordered(self, key: tuple[UUID, str]) -> tuple[Interval | ArmsInterval, ...]:
        kept = self._intervals.get(key, {})
        return tuple(kept[sequence] for sequence in sorted(kept))

    def _pairs(self, key: tuple[UUID, str]) -> tuple[Interval, ...]:
        return tuple(one for one in self._ordered(key) if isinstance(one, Interval))

    async def keep_baseline(self, rollout_id: UUID, baseline: Baseline) -> Baseline:
        return self._baselines.setdefault(rollout_id, baseline)


def _opens_before(cursor: Cursor | ArmsCursor, standing: Cursor | ArmsCursor) -> bool:
    if cursor.opened_at is None or standing.opened_at is None:
        return False
    return cursor.opened_at < standing.opened_at
