"""What the placeholders of a question stand for where a walk is."""

from collections.abc import Mapping

from domain.plan import Plan, Variant
from domain.progress import Progress
from domain.promql_text import Value


def names_at(plan: Plan, progress: Progress, candidate: Variant) -> Mapping[str, Value]:
    """The value of each name in `PLACEHOLDERS`; of a trial, for one of its challengers."""
    weights = plan.weights_under(progress.traffic_in(plan))
    return {
        "candidate.name": candidate.name,
        "candidate.workload": candidate.workload.name,
        "stable.name": plan.stable.name,
        "stable.workload": plan.stable.workload.name,
        "namespace": plan.route.namespace,
        "model": plan.route.model,
        "project": str(plan.route.project_id),
        "weight": weights[candidate.name],
    }
