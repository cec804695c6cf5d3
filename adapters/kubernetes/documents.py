"""Reading objects of the API, whose shape nobody guarantees: what is absent or odd reads as empty.

Also what all of our objects carry: the labels that say whose they are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from domain.traffic import Route
from domain.virtual_models import VirtualRoute
from domain.workloads import Workload

Manifest = dict[str, Any]

MANAGER = "tidegate"
MANAGED_BY = "app.kubernetes.io/managed-by"
DOMAIN = "tidegate.dev"
PROJECT_LABEL = f"{DOMAIN}/project"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One entry of `status.conditions`. `status` is True, False or Unknown, as a string."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    observed_generation: int | None = None

    @property
    def holds(self) -> bool:
        return self.status == "True"

    def __str__(self) -> str:
        return self.message or self.reason or f"{self.type} is {self.status}"


def mapping(value: Any, *keys: str) -> Mapping[str, Any]:
    """Return the mapping under the path, an empty one where the path leads elsewhere."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def mappings(value: Any, *keys: str) -> Sequence[Mapping[str, Any]]:
    """Return the list under the path, without what is no mapping in it."""
    *parents, last = keys
    found = mapping(value, *parents).get(last)
    listed = found if isinstance(found, list) else []
    return [one for one in listed if isinstance(one, Mapping)]


def text(value: Any, *keys: str) -> str:
    """Return the string under the path, an empty one where there is none."""
    *parents, last = keys
    found = mapping(value, *parents).get(last)
    return found if isinstance(found, str) else ""


def whole(value: Any, *keys: str) -> int | None:
    """Return the integer under the path, None where there is none."""
    *parents, last = keys
    found = mapping(value, *parents).get(last)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def moment(stamp: str) -> datetime | None:
    """Parse RFC 3339; None for anything else."""
    try:
        parsed = datetime.fromisoformat(stamp)
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def conditions(holder: Any) -> dict[str, Condition]:
    """The conditions of a status (or of a parent in it) by type. The order means nothing."""
    return {
        text(one, "type"): Condition(
            type=text(one, "type"),
            status=text(one, "status"),
            reason=text(one, "reason"),
            message=text(one, "message"),
            observed_generation=whole(one, "observedGeneration"),
        )
        for one in mappings(holder, "conditions")
    }


def is_leaving(found: Mapping[str, Any]) -> bool:
    """Whether deletion was asked for; finalizers may keep the object for a while."""
    return bool(text(found, "metadata", "deletionTimestamp"))


def workload_labels(workload: Workload) -> dict[str, str]:
    """What marks an object as ours, and as one of this workload."""
    return _labels(
        project=workload.project_id, service=workload.service_id, version=workload.version_id
    )


def route_labels(route: Route) -> dict[str, str]:
    """What marks an object as ours, and as one of this route."""
    return _labels(project=route.project_id, config=route.config_id)


def virtual_route_labels(route: VirtualRoute) -> dict[str, str]:
    """What marks an object as ours, and as one of this virtual model's route."""
    labels = _labels(project=route.project_id)
    return labels | {f"{DOMAIN}/virtual-model": str(route.virtual_model_id)}


def _labels(**identities: UUID) -> dict[str, str]:
    return {MANAGED_BY: MANAGER} | {f"{DOMAIN}/{k}": str(v) for k, v in identities.items()}


def is_ours(found: Mapping[str, Any], expected: Mapping[str, str]) -> bool:
    """Whether the object carries all of these labels."""
    carried = mapping(found, "metadata", "labels")
    return all(carried.get(key) == value for key, value in expected.items())


def covers(found: Any, wanted: Any) -> bool:
    """Whether `found` holds all of `wanted`: further keys are fine, longer lists are not."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(
            key in found and covers(found[key], value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(found, list)
            and len(found) == len(wanted)
            and all(covers(have, want) for have, want in zip(found, wanted, strict=True))
        )
    return bool(found == wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A place of a document that does not hold what is wanted there."""

    path: tuple[str, ...]
    wanted: Any
    found: Any


def difference(found: Any, wanted: Any, path: tuple[str, ...] = ()) -> Difference | None:
    """The first place where `found` does not cover `wanted`, as deep as mappings go."""
    if not isinstance(wanted, Mapping) or not isinstance(found, Mapping):
        return None if covers(found, wanted) else Difference(path=path, wanted=wanted, found=found)
    inside = (difference(found.get(key), value, (*path, key)) for key, value in wanted.items())
    return next((one for one in inside if one is not None), None)


def owns(found: Mapping[str, Any], manager: str, *path: str) -> bool:
    """Whether a manager owns the field, alone or with others."""
    return any(
        text(entry, "manager") == manager and _holds(entry, path)
        for entry in mappings(found, "metadata", "managedFields")
    )


def owns_rules(found: Mapping[str, Any]) -> bool:
    """Whether a route's rules are held by us. Whoever changed anything in them holds all."""
    return owns(found, MANAGER, "spec", "rules")


def last_other_manager(found: Mapping[str, Any], *path: str) -> str:
    """Name who changed the field last, if it was not us: by the newest entry that owns it."""
    owners = [
        entry
        for entry in mappings(found, "metadata", "managedFields")
        if text(entry, "manager") != MANAGER and _holds(entry, path)
    ]
    newest = max(owners, key=lambda entry: text(entry, "time"), default={})
    return text(newest, "manager")


def _holds(entry: Mapping[str, Any], path: Sequence[str]) -> bool:
    node: Any = entry.get("fieldsV1")
    for step in path:
        if not isinstance(node, Mapping) or f"f:{step}" not in node:
            return False
        node = node[f"f:{step}"]
    return True
