"""Backends of a virtual model for tests, and how they stand in a route."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from domain.virtual_models import Backends, BackendWish, added, changed, without
from domain.virtual_routes import Ref

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)


def wish(name="aws", override=None, *, weight=1, priority=0, namespace="tidegate"):
    return BackendWish(
        name=name,
        namespace=namespace,
        model_name_override=override,
        weight=weight,
        priority=priority,
    )


def backends(*wishes):
    """Each with the number of its turn as its id."""
    listed: Backends = ()
    for number, one in enumerate(wishes, start=1):
        listed = added(listed, one, backend_id=UUID(int=number), now=NOW)
    return listed


def patched(listed, number, **changes):
    backend = next(one for one in listed if one.id == UUID(int=number))
    now_is = {
        "weight": backend.weight,
        "priority": backend.priority,
        "model_name_override": backend.model_name_override,
    }
    return changed(listed, backend, **{**now_is, **changes}, now=LATER)


def dropped(listed, number):
    return without(listed, next(one for one in listed if one.id == UUID(int=number)))


def ref(name="aws", override=None, *, weight=1, priority=0, namespace="tidegate"):
    return Ref(
        name=name,
        namespace=namespace,
        model_name_override=override,
        weight=weight,
        priority=priority,
    )
