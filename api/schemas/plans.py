"""What a rollout is asked to do, and the plan that this compiles to, rendered for people."""

from datetime import timedelta
from typing import Self
from uuid import UUID

from pydantic import Field

from api.schemas.ab_tests import TrialPlanOut
from api.schemas.comparisons import ComparisonOut
from api.schemas.fields import Incoming, Outgoing, Seconds
from api.schemas.gate_templates import TemplatePinOut
from api.schemas.gates import AnyGateBody, gate_body
from api.schemas.hooks import HookOut
from domain.plan import Plan, Policies, Variant
from domain.steps import Conclude, Promote, Reaction, Retire, Soak, Step, Until

MOST_LISTED = 200
_POLICIES = Policies()
WARM_UP_SECONDS = 60.0


class PoliciesBody(Incoming):
    """A reaction per cause, and how long each thing may take."""

    on_failure: Reaction = _POLICIES.on_failure
    on_undecided: Reaction = _POLICIES.on_undecided
    on_metrics_unavailable: Reaction = _POLICIES.on_metrics_unavailable
    on_not_ready: Reaction = _POLICIES.on_not_ready
    on_not_settled: Reaction = _POLICIES.on_not_settled
    on_drift: Reaction = _POLICIES.on_drift
    metrics_stall_seconds: Seconds = _POLICIES.metrics_stall.total_seconds()
    deploy_deadline_seconds: Seconds = _POLICIES.deploy_deadline.total_seconds()
    settle_deadline_seconds: Seconds = _POLICIES.settle_deadline.total_seconds()
    deadline_seconds: Seconds = _POLICIES.deadline.total_seconds()
    clearance_deadline_seconds: Seconds = _POLICIES.clearance_deadline.total_seconds()
    scale_down_delay_seconds: Seconds = _POLICIES.scale_down_delay.total_seconds()
    drain_seconds: Seconds = _POLICIES.drain.total_seconds()
    probe_interval_seconds: Seconds = _POLICIES.probe_interval.total_seconds()
    warm_up_seconds: Seconds = WARM_UP_SECONDS
    overdispersion: float | None = Field(
        default=None,
        description="Divides all evidence, 1 to 20; null: learnt from stable's pods.",
    )

    def to_domain(self) -> Policies:
        return Policies(
            on_failure=self.on_failure,
            on_undecided=self.on_undecided,
            on_metrics_unavailable=self.on_metrics_unavailable,
            on_not_ready=self.on_not_ready,
            on_not_settled=self.on_not_settled,
            on_drift=self.on_drift,
            metrics_stall=timedelta(seconds=self.metrics_stall_seconds),
            deploy_deadline=timedelta(seconds=self.deploy_deadline_seconds),
            settle_deadline=timedelta(seconds=self.settle_deadline_seconds),
            deadline=timedelta(seconds=self.deadline_seconds),
            clearance_deadline=timedelta(seconds=self.clearance_deadline_seconds),
            scale_down_delay=timedelta(seconds=self.scale_down_delay_seconds),
            drain=timedelta(seconds=self.drain_seconds),
            probe_interval=timedelta(seconds=self.probe_interval_seconds),
            warm_up=timedelta(seconds=self.warm_up_seconds),
            overdispersion=self.overdispersion,
        )

    def over(self, defaults: Policies | None) -> Policies:
        """What was given, and the defaults for what was left out."""
        if defaults is None:
            return self.to_domain()
        given = self.model_dump(include=self.model_fields_set)
        return PoliciesBody(**{**dict(PoliciesBody.from_domain(defaults)), **given}).to_domain()

    @classmethod
    def from_domain(cls, policies: Policies) -> Self:
        return cls(
            on_failure=policies.on_failure,
            on_undecided=policies.on_undecided,
            on_metrics_unavailable=policies.on_metrics_unavailable,
            on_not_ready=policies.on_not_ready,
            on_not_settled=policies.on_not_settled,
            on_drift=policies.on_drift,
            metrics_stall_seconds=policies.metrics_stall.total_seconds(),
            deploy_deadline_seconds=policies.deploy_deadline.total_seconds(),
            settle_deadline_seconds=policies.settle_deadline.total_seconds(),
            deadline_seconds=policies.deadline.total_seconds(),
            clearance_deadline_seconds=policies.clearance_deadline.total_seconds(),
            scale_down_delay_seconds=policies.scale_down_delay.total_seconds(),
            drain_seconds=policies.drain.total_seconds(),
            probe_interval_seconds=policies.probe_interval.total_seconds(),
            warm_up_seconds=policies.warm_up.total_seconds(),
            overdispersion=policies.overdispersion,
        )


class VariantOut(Outgoing):
    """A variant of the plan; `workload` is the KServe InferenceService that serves it."""

    name: str
    version_id: UUID
    version_name: str
    workload: str
    slot: int

    @classmethod
    def from_domain(cls, variant: Variant) -> Self:
        return cls(
            name=variant.name,
            version_id=variant.version_id,
            version_name=variant.version_name,
            workload=variant.workload.name,
            slot=variant.slot,
        )


class StepOut(Outgoing):
    """One step: what it does in words, and the weights that hold during it."""

    index: int
    kind: str
    sentence: str
    weights: dict[str, int]
    mirror_percent: int | None = None
    until: Until | None = Field(default=None, description="What a soak waits for.")
    roles: list[str] | None = Field(default=None, description="Whose approval it waits for.")
    hook: str | None = Field(default=None, description="The hook that it asks.")
    at_least_seconds: float | None = None
    at_most_seconds: float | None = None
    comparison: ComparisonOut | None = Field(
        default=None, description="What of stable's and a shadow's answers is compared."
    )


class PlanOut(Outgoing):
    strategy: str
    route: str
    namespace: str
    model: str
    stable: VariantOut
    candidate: VariantOut
    others: list[VariantOut] = Field(description="The further challengers of an ab_test.")
    trial: TrialPlanOut | None = Field(description="Of an ab_test: how its arms are compared.")
    steps: list[StepOut]
    gates: list[AnyGateBody]
    policies: PoliciesBody
    hooks: list[HookOut]
    group: str | None
    gate_templates: list[TemplatePinOut] = Field(
        description="The templates that some of the gates were made of."
    )

    @classmethod
    def from_domain(cls, plan: Plan) -> Self:
        return cls(
            strategy=plan.strategy,
            route=plan.route.name,
            namespace=plan.route.namespace,
            model=plan.route.model,
            stable=VariantOut.from_domain(plan.stable),
            candidate=VariantOut.from_domain(plan.candidate),
            others=[VariantOut.from_domain(one) for one in plan.others],
            trial=None if plan.trial is None else TrialPlanOut.from_domain(plan.trial),
            steps=_steps(plan),
            gates=[gate_body(gate) for gate in plan.all_gates],
            policies=PoliciesBody.from_domain(plan.policies),
            hooks=[HookOut.from_domain(hook) for hook in plan.hooks],
            group=plan.group,
            gate_templates=[TemplatePinOut.from_domain(pin) for pin in plan.templates],
        )


def _steps(plan: Plan) -> list[StepOut]:
    return [_step(plan, index, step) for index, step in enumerate(plan.steps)]


def _step(plan: Plan, index: int, step: Step) -> StepOut:
    soak, traffic = step if isinstance(step, Soak) else None, plan.traffic_at(index)
    compared = plan.comparison_at(index)
    weights = plan.weights_under(traffic)
    if isinstance(step, Promote | Retire):
        weights = {plan.candidate.name: 100}
    if isinstance(step, Conclude):
        weights = {plan.stable.name: 100}
    return StepOut(
        index=index,
        kind=step.kind,
        sentence=str(step),
        weights=weights,
        mirror_percent=traffic.mirror or None,
        until=soak and soak.until,
        roles=list(soak.roles) if soak and soak.until is Until.APPROVED else None,
        hook=(soak and soak.hook) or None,
        at_least_seconds=soak and soak.at_least.total_seconds(),
        at_most_seconds=soak and soak.at_most.total_seconds(),
        comparison=compared and ComparisonOut.from_domain(compared),
    )
