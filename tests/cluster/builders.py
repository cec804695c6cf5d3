"""Valid routes, workloads and owners; tests name only what matters."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID, uuid5

from domain.names import route_name
from domain.traffic import Ownership, Route, Slot
from domain.workloads import Workload

PROJECT = UUID(int=1)
CONFIG = UUID(int=2)
SERVICE_ID = UUID(int=3)
ORDERED_AT = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)


def workload_in(namespace, name="chat-v1", **changes):
    made = Workload(
        name=name,
        namespace=namespace,
        project_id=PROJECT,
        service_id=SERVICE_ID,
        version_id=uuid5(SERVICE_ID, name),
        uri=f"sim://{name}",
        model_format="sim",
    )
    return replace(made, **changes)


def route_in(namespace, **changes):
    made = Route(
        project_id=PROJECT,
        config_id=CONFIG,
        namespace=namespace,
        name=route_name(CONFIG),
        model="chat",
    )
    return replace(made, **changes)


def slots(**weights):
    """slots(chat_v1=90, chat_v2=10): by position."""
    return tuple(
        Slot(workload=name.replace("_", "-"), weight=weight) for name, weight in weights.items()
    )


def owner(sequence=1, *, run="run-1", started_at=ORDERED_AT):
    return Ownership(
        holder=f"traffic-{CONFIG}", ordered_at=started_at, run_id=run, sequence=sequence
    )
