"""Freeze windows and groups for tests."""

from datetime import time, timedelta
from typing import Any
from uuid import UUID, uuid4

from domain.fleet import FreezeWindow, Group, QueueEntry, Span, Weekday, Weekly
from tests.projects import NOW

HOUR = timedelta(hours=1)


def a_span(**changes: Any) -> Span:
    return Span(**({"starts_at": NOW, "ends_at": NOW + HOUR} | changes))


def a_week(*days: str, starts: str = "18:00", ends: str = "08:00", zone: str = "UTC") -> Weekly:
    return Weekly(
        days=tuple(map(Weekday, days)),
        starts=time.fromisoformat(starts),
        ends=time.fromisoformat(ends),
        time_zone=zone,
    )


def a_window(project_id: UUID | None = None, **changes: Any) -> FreezeWindow:
    given: dict[str, Any] = {
        "id": uuid4(),
        "name": "black-friday",
        "reason": "the busiest days",
        "times": a_span(),
        "created_at": NOW,
        "updated_at": NOW,
    }
    return FreezeWindow(project_id=project_id or uuid4(), **(given | changes))


def a_group(project_id: UUID | None = None, **changes: Any) -> Group:
    given: dict[str, Any] = {
        "id": uuid4(),
        "name": "gpu-pool-a",
        "limit": 1,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Group(project_id=project_id or uuid4(), **(given | changes))


def a_queue(*rollouts: UUID) -> tuple[QueueEntry, ...]:
    return tuple(QueueEntry(rollout_id=one, asked_at=NOW) for one in rollouts)
