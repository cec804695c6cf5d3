"""The evidence of the gates that a watch looks at, as gauges on the worker's metrics page.

Told here and not from the registry: that hears of a verdict only when it changes, and evidence
moves with every probe.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from temporalio import activity
from temporalio.common import MetricGaugeFloat

from domain.plan import Plan
from domain.verdicts import Verdict

EVIDENCE = "tidegate_gate_evidence"
_TOLD = "Odds for a verdict of a gate as a part of what is needed: from 1 on it is proven."


class EvidenceGauges:
    """The gauges of one watch. A label for each gate and verdict: no more than a plan has gates."""

    def __init__(self, gauge: MetricGaugeFloat, plan: Plan) -> None:
        self._gauge = gauge
        self._place = {"project": str(plan.route.project_id), "model": plan.route.model}
        self._told: set[tuple[str, str]] = set()

    def tell(self, verdicts: Sequence[Verdict]) -> None:
        """The latest verdicts; one without evidence has no number."""
        parts: dict[tuple[str, str], float] = dict.fromkeys(self._told, math.nan)
        for verdict in verdicts:
            if (evidence := verdict.evidence) is not None:
                parts[verdict.named, "fail"] = evidence.fail / evidence.fail_needed
                parts[verdict.named, "pass"] = evidence.pass_ / evidence.pass_needed
        for (gate, toward), part in parts.items():
            self._gauge.set(part, {**self._place, "gate": gate, "toward": toward})
        self._told.update(parts)


@contextmanager
def evidence_gauges(plan: Plan) -> Iterator[EvidenceGauges]:
    """Gauges for as long as a watch goes on.

    A worker's page keeps what it was told for ever. So the end takes the numbers back (NaN): the
    next watch may be another worker's, and a rollout that is over has no evidence.
    """
    meter = activity.metric_meter()
    gauges = EvidenceGauges(meter.create_gauge_float(EVIDENCE, _TOLD), plan)
    try:
        yield gauges
    finally:
        gauges.tell(())
