"""Operations: one-shot changes, looked up, or told with what they have changed."""

from datetime import datetime
from typing import Self
from uuid import UUID

from api.schemas.fields import Outgoing
from domain.operations import Operation, OperationPhase, Subject


class OperationOut(Outgoing):
    """A one-shot change. `detail` tells what was seen of it, or why it was undone."""

    id: UUID
    subject: Subject
    subject_id: UUID
    kind: str
    summary: str
    phase: OperationPhase
    problem: str | None
    detail: str
    actor: str
    reason: str
    created_at: datetime
    ended_at: datetime | None
    temporal_ui: str

    @classmethod
    def from_domain(cls, operation: Operation, temporal_ui: str) -> Self:
        return cls(
            id=operation.id,
            subject=operation.subject,
            subject_id=operation.subject_id,
            kind=operation.change.kind,
            summary=operation.summary,
            phase=operation.phase,
            problem=operation.problem,
            detail=operation.detail,
            actor=operation.actor,
            reason=operation.reason,
            created_at=operation.created_at,
            ended_at=operation.ended_at,
            temporal_ui=temporal_ui,
        )
