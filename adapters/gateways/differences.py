"""What differs between a route as it was written and as it stands, and who changed it."""

from collections.abc import Mapping
from typing import Any

from adapters.gateways.manifests import Reading, rules_of
from adapters.kubernetes.documents import MANAGER, covers, last_other_manager, mapping, owns
from domain.traffic import Drift, drift_between, extras_drift

MISSING_ROUTE = Drift(field="route", expected="present", found="missing")


def route_drift(
    reading: Reading, found: Mapping[str, Any], wanted: Mapping[str, Any]
) -> Drift | None:
    """The first difference of a route that stands to the one that was written."""
    manager = last_other_manager(found, "spec", "rules")
    if len(rules_of(found)) != len(rules_of(wanted)):
        return Drift(
            field="rules",
            expected=_counted(wanted),
            found=_counted(found),
            manager=manager,
            is_ours=not manager,
        )
    if moved := drift_between(reading.slots(wanted), reading.slots(found), manager):
        return moved
    if moved := extras_drift(reading.extras(wanted), reading.extras(found), manager):
        return moved
    return _rule_drift(found, wanted, manager) or _parent_drift(found, wanted)


def stands(reading: Reading, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether the route stands as wanted, by our own hand."""
    return route_drift(reading, found, wanted) is None and covers(
        mapping(found, "metadata"), {"labels": wanted["metadata"]["labels"]}
    )


def _counted(route: Mapping[str, Any]) -> str:
    many = len(rules_of(route))
    return f"{many} rule{'' if many == 1 else 's'}"


def _rule_drift(found: Mapping[str, Any], wanted: Mapping[str, Any], manager: str) -> Drift | None:
    for i, (have, want) in enumerate(zip(rules_of(found), rules_of(wanted), strict=True)):
        for key, value in want.items():
            there = mapping(have).get(key)
            if not covers(there, value):
                field = f"rules[{i}].{key}"
                return Drift(field=field, expected=str(value), found=str(there), manager=manager)
    if not owns(found, MANAGER, "spec", "rules"):
        # The rules are one value to the server. Whoever changed anything in it holds all of it.
        return Drift(field="rules", expected="as written", found="rewritten", manager=manager)
    return None


def _parent_drift(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> Drift | None:
    want = wanted["spec"]["parentRefs"]
    have = mapping(found, "spec").get("parentRefs")
    if covers(have, want):
        return None
    manager = last_other_manager(found, "spec", "parentRefs")
    return Drift(field="parentRefs", expected=str(want), found=str(have), manager=manager)
