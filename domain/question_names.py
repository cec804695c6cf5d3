"""What the placeholders of a question stand for where a walk is."""

from collections.abc import Mapping

from domain.plan import Plan, Variant
from domain.progress import Progress
from domain.promql_text import Value
from domain.traffic import Route

Served = tuple[str, str]  # the name of a variant, and of the workload that serves it


def names_at(plan: Plan, progress: Progress, candidate: Variant) -> Mapping[str, Value]:
    """The value of each name in `PLACEHOLDERS`; of a trial, for one of its challengers."""
    weights = plan.weights_under(progress.traffic_in(plan))
    return names_of(
        plan.route,
        candidate=(candidate.name, candidate.workload.name),
        stable=(plan.stable.name, plan.stable.workload.name),
        weight=weights[candidate.name],
    )


def names_of(
    route: Route, *, candidate: Served, stable: Served, weight: int | None
) -> dict[str, Value]:
    """The same of two who are compared on a route; what is empty or None of them is not known."""
    told: dict[str, Value | None] = {
        "candidate.name": candidate[0] or None,
        "candidate.workload": candidate[1] or None,
        "stable.name": stable[0] or None,
        "stable.workload": stable[1] or None,
        "namespace": route.namespace,
        "model": route.model,
        "project": str(route.project_id),
        "weight": weight,
    }
    return {name: value for name, value in told.items() if value is not None}
