"""Rollouts: the call that starts one, what it looks like, what people may ask of it."""

from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import Field

from api.schemas.events import LiveOut
from api.schemas.fields import Incoming, Label, Name, Outgoing, Prose
from api.schemas.plans import (
    MOST_LISTED,
    CanaryStepIn,
    GateBody,
    PlanOut,
    PoliciesBody,
    gates_of,
)
from domain.plan import Strategy
from domain.registry import TrafficConfig
from domain.rollout import Command, Phase, Rollout, Scope
from domain.strategies.canary import DEFAULT_GATES, CanarySpec

ANYBODY = "api"


class RolloutIn(Incoming):
    """A canary of `target_version_id` beside the stable variant of the traffic config."""

    strategy: Strategy = Strategy.CANARY
    target_version_id: UUID
    candidate_name: Label = "candidate"
    steps: list[CanaryStepIn] = Field(max_length=MOST_LISTED)
    gates: list[GateBody] | None = Field(
        default=None,
        max_length=MOST_LISTED,
        description="Left out: the traffic config's, else the error rate against stable.",
    )
    policies: PoliciesBody = Field(
        default_factory=PoliciesBody,
        description="What is left out: the traffic config's default, else ours.",
    )
    dry_run: bool = Field(default=False, description="Answer with the plan and change nothing.")
    actor: Name = Field(default=ANYBODY, description="Who asks; kept in the history.")
    reason: Prose = Field(default="", description="Why; kept in the history.")

    def to_domain(self, config: TrafficConfig) -> CanarySpec:
        """The spec, with the config's defaults for what was left out."""
        default = DEFAULT_GATES if config.default_gates is None else config.default_gates
        gates = gates_of(self.gates)
        return CanarySpec(
            steps=tuple(step.to_domain() for step in self.steps),
            gates=default if gates is None else gates,
            policies=self.policies.over(config.default_policies),
        )


class PlanPreview(Outgoing):
    """What a rollout would do. Nothing was stored or started."""

    dry_run: bool = True
    plan: PlanOut


class Links(Outgoing):
    self: str
    events: str
    traffic_config: str
    temporal_ui: str


class RolloutSummary(Outgoing):
    id: UUID
    traffic_config_id: UUID
    model: str
    strategy: str
    phase: Phase
    phase_reason: str
    step: int
    steps: int
    stable_version: str
    candidate_version: str
    candidate_weight: int = Field(description="Percent that the gateway was last seen to give it.")
    actor: str
    reason: str
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    links: Links

    @classmethod
    def from_domain(cls, rollout: Rollout, links: Links) -> Self:
        plan = rollout.plan
        return cls(
            id=rollout.id,
            traffic_config_id=rollout.config_id,
            model=plan.route.model,
            strategy=plan.strategy,
            phase=rollout.phase,
            phase_reason=rollout.phase_reason,
            step=rollout.step,
            steps=len(plan.steps),
            stable_version=plan.stable.version_name,
            candidate_version=plan.candidate.version_name,
            candidate_weight=rollout.candidate_weight,
            actor=rollout.actor,
            reason=rollout.reason,
            created_at=rollout.created_at,
            updated_at=rollout.updated_at,
            ended_at=rollout.ended_at,
            links=links,
        )


class RolloutOut(RolloutSummary):
    """A rollout in full.

    `live` is what its workflow answered just now; null when none runs, when it was not asked for,
    or when it did not answer, in which case `live_unavailable` says why.
    """

    plan: PlanOut
    workflow_id: str
    run_id: str | None
    live: LiveOut | None = None
    live_unavailable: str | None = None

    @classmethod
    def in_full(
        cls,
        rollout: Rollout,
        links: Links,
        live: LiveOut | None = None,
        live_unavailable: str | None = None,
    ) -> Self:
        summary = RolloutSummary.from_domain(rollout, links)
        return cls(
            **dict(summary),
            plan=PlanOut.from_domain(rollout.plan),
            workflow_id=rollout.workflow_id,
            run_id=rollout.run_id,
            live=live,
            live_unavailable=live_unavailable,
        )


class CommandIn(Incoming):
    actor: Name = Field(default=ANYBODY, description="Who asks; kept in the history.")
    reason: Prose = Field(default="", description="Why; kept in the history.")

    def to_domain(self) -> Command:
        return Command(actor=self.actor, reason=self.reason)


class PromoteIn(CommandIn):
    scope: Scope = Field(
        default=Scope.FULL, description="`step`: on to the next step; `full`: all the way."
    )

    def to_domain(self) -> Command:
        return Command(actor=self.actor, reason=self.reason, scope=self.scope)


class CommandOut(Outgoing):
    """What the rollout answered, and how it stands."""

    phase: Phase
    message: str
    rollout: RolloutSummary
