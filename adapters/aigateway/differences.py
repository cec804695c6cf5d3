"""What differs between a route as it was written and as it stands, and who changed it."""

from collections.abc import Mapping
from typing import Any

from adapters.aigateway.manifests import rules_of, slots_of
from adapters.kubernetes.documents import MANAGER, covers, last_other_manager, mapping, owns
from domain.traffic import Drift, drift_between

MISSING_ROUTE = Drift(field="route", expected="present", found="missing")


def route_drift(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> Drift | None:
    """The first difference of a route that stands to the one that was written."""
    manager = last_other_manager(found, "spec", "rules")
    if len(rules_of(found)) != len(rules_of(wanted)):
        return Drift(
            field="rules",
            expected=f"{len(rules_of(wanted))} rule",
            found=f"{len(rules_of(found))} rules",
            manager=manager,
        )
    if moved := drift_between(slots_of(wanted), slots_of(found), manager):
        return moved
    return _rule_drift(found, wanted, manager) or _parent_drift(found, wanted)


def stands(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether the route stands as wanted, by our own hand."""
    return route_drift(found, wanted) is None and covers(
        mapping(found, "metadata"), {"labels": wanted["metadata"]["labels"]}
    )


def _rule_drift(found: Mapping[str, Any], wanted: Mapping[str, Any], manager: str) -> Drift | None:
    have, want = rules_of(found)[0], rules_of(wanted)[0]
    for key, value in want.items():
        there = mapping(have).get(key)
        if not covers(there, value):
            return Drift(
                field=f"rules[0].{key}", expected=str(value), found=str(there), manager=manager
            )
    if not owns(found, MANAGER, "spec", "rules"):
        # The rules are one value to the server. Whoever changed anything in it holds all of it.
        return Drift(field="rules[0]", expected="as written", found="rewritten", manager=manager)
    return None


def _parent_drift(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> Drift | None:
    want = wanted["spec"]["parentRefs"]
    have = mapping(found, "spec").get("parentRefs")
    if covers(have, want):
        return None
    manager = last_other_manager(found, "spec", "parentRefs")
    return Drift(field="parentRefs", expected=str(want), found=str(have), manager=manager)
