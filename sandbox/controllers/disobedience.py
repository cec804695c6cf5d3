"""The sandbox's own switch for a gateway that silently does what no route says.

An annotation on a route, `sandbox.tidegate/weights: '{"0": 95, "1": 5}'`, has Envoy get these
weights for the backends of its first rule, by position, in place of those of the spec. Spec and
status stay as they are, so only the requests themselves show it.
"""

import json
from collections.abc import Mapping

from sandbox.controllers.cluster import Object

ANNOTATION = "sandbox.tidegate/weights"


def told(route: Object) -> str:
    """What the annotation says; empty where there is none."""
    return str((route["metadata"].get("annotations") or {}).get(ANNOTATION, ""))


def weights(route: Object) -> Mapping[int, int]:
    """The weights by position in the first rule. What makes no sense is obeyed as none."""
    try:
        said = json.loads(told(route) or "{}")
        return {int(position): int(weight) for position, weight in said.items() if weight >= 0}
    except (AttributeError, TypeError, ValueError):
        return {}
