"""Rollouts: the call that starts one, what it looks like, what people may ask of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import Field, model_validator

from api.schemas.ab_tests import AbTestIn
from api.schemas.events import LiveOut
from api.schemas.fields import Incoming, Label, Name, Outgoing, Prose
from api.schemas.fleet import ClearanceOut
from api.schemas.gate_templates import MOST_TEMPLATES, TemplateUseBody
from api.schemas.gates import AnyGateBody, gates_of
from api.schemas.hooks import HookIn, hooks_of
from api.schemas.plans import MOST_LISTED, PlanOut, PoliciesBody
from api.schemas.steps import MOST_ROLES, StepIn
from api.schemas.strategies import BlueGreenIn, ShadowIn
from domain.plan import Strategy
from domain.reading_gates import AnyGate
from domain.registry import TrafficConfig
from domain.rollout import Command, Phase, Rollout, Scope
from domain.strategies.canary import CanarySpec
from domain.strategies.compiling import Spec
from domain.strategies.rules import Terms, gates_by_default

ANYBODY = "api"
_SECTIONS = {
    "steps": Strategy.CANARY,
    "blue_green": Strategy.BLUE_GREEN,
    "shadow": Strategy.SHADOW,
    "ab_test": Strategy.AB_TEST,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenger:
    """A version that is to come in, and where the wish names it."""

    name: str
    version_id: UUID
    name_at: str = "candidate_name"
    version_at: str = "target_version_id"


class RolloutIn(Incoming):
    """A rollout of `target_version_id` beside the stable variant of the traffic config.

    The strategy says which of `steps`, `blue_green`, `shadow` and `ab_test` must be there. An
    `ab_test` has arms instead of the one version.
    """

    strategy: Strategy = Strategy.CANARY
    target_version_id: UUID | None = Field(
        default=None, description="Needed, but for an ab_test, whose arms have versions."
    )
    candidate_name: Label = "candidate"
    steps: list[StepIn] | None = Field(
        default=None, max_length=MOST_LISTED, description="For a canary, which needs them."
    )
    gates_from: int = Field(
        default=0,
        ge=0,
        le=MOST_LISTED,
        description="For a canary: the index of the step from which the gates watch.",
    )
    blue_green: BlueGreenIn | None = Field(default=None, description="For blue_green.")
    shadow: ShadowIn | None = Field(default=None, description="For a shadow, which needs it.")
    ab_test: AbTestIn | None = Field(default=None, description="For an ab_test, which needs it.")
    gates: list[AnyGateBody] | None = Field(
        default=None,
        max_length=MOST_LISTED,
        description="Left out: the traffic config's, else the error rate against stable.",
    )
    gate_templates: list[TemplateUseBody] = Field(
        default_factory=list,
        max_length=MOST_TEMPLATES,
        description="Whose gates hold beside `gates`; with any, no default gates do.",
    )
    policies: PoliciesBody = Field(
        default_factory=PoliciesBody,
        description="What is left out: the traffic config's default, else ours.",
    )
    hooks: list[HookIn] = Field(
        default_factory=list, max_length=MOST_LISTED, description="Whom to ask, and whom to tell."
    )
    group: Label | None = Field(
        default=None,
        description="A rollout group, of which so many rollouts at once have their turn.",
    )
    skip_steps: bool = Field(
        default=True,
        description="Go back at once where the version was stable within the rollback window.",
    )
    dry_run: bool = Field(default=False, description="Answer with the plan and change nothing.")
    actor: Name = Field(default=ANYBODY, description="Who asks; kept in the history.")
    reason: Prose = Field(default="", description="Why; kept in the history.")

    @model_validator(mode="after")
    def _fits_the_strategy(self) -> Self:
        for section, strategy in _SECTIONS.items():
            if getattr(self, section) is not None and strategy is not self.strategy:
                raise ValueError(f"{section} belongs to the strategy {strategy}")
        if self.strategy is Strategy.CANARY and self.steps is None:
            raise ValueError("a canary needs steps")
        if self.strategy is Strategy.SHADOW and self.shadow is None:
            raise ValueError("a shadow needs shadow, which says how much is mirrored")
        if self.strategy is Strategy.AB_TEST and self.ab_test is None:
            raise ValueError("an ab_test needs ab_test, which names its arms")
        if (self.ab_test is None) == (self.target_version_id is None):
            raise ValueError(
                "target_version_id is needed, but for an ab_test, whose arms have versions"
            )
        return self

    @property
    def challengers(self) -> tuple[Challenger, ...]:
        """The versions that come in."""
        if self.ab_test is not None:
            return tuple(
                Challenger(
                    name=arm.name,
                    version_id=arm.version_id,
                    name_at=f"ab_test.arms.{i}.name",
                    version_at=f"ab_test.arms.{i}.version_id",
                )
                for i, arm in enumerate(self.ab_test.arms)
            )
        if self.target_version_id is None:
            return ()
        return (Challenger(name=self.candidate_name, version_id=self.target_version_id),)

    @property
    def takes_default_gates(self) -> bool:
        """Whether it names no gate, by itself or by a template: then the traffic config's hold."""
        return self.gates is None and not self.gate_templates

    def own_gates(self, config: TrafficConfig) -> tuple[AnyGate, ...]:
        """Its gates but for those of templates, or those that hold in their place."""
        if self.takes_default_gates:
            return gates_by_default(config)
        return gates_of(self.gates) or ()

    def to_domain(self, config: TrafficConfig, templated: Sequence[AnyGate] = ()) -> Spec:
        """The spec, with the config's defaults for what was left out, and gates of templates."""
        terms = Terms(
            gates=(*self.own_gates(config), *templated),
            policies=self.policies.over(config.default_policies),
            hooks=hooks_of(self.hooks),
        )
        if self.strategy is Strategy.BLUE_GREEN:
            return (self.blue_green or BlueGreenIn()).to_domain(terms)
        if self.shadow is not None:
            return self.shadow.to_domain(terms)
        if self.ab_test is not None:
            return self.ab_test.to_domain(terms)
        return CanarySpec(
            steps=tuple(step.to_domain() for step in self.steps or ()),
            gates_from=self.gates_from,
            **terms.shared(),
        )


class PlanPreview(Outgoing):
    """What a rollout would do. Nothing was stored or started."""

    dry_run: bool = True
    plan: PlanOut


class Links(Outgoing):
    self: str
    events: str
    evidence: str
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
    candidate_version: str = Field(description="In an ab_test all of them, until one is chosen.")
    candidate_weight: int = Field(
        description="Percent that it was last seen to get; in an ab_test all challengers together."
    )
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
            candidate_version=", ".join(_brought_in(rollout)),
            candidate_weight=rollout.candidate_weight,
            actor=rollout.actor,
            reason=rollout.reason,
            created_at=rollout.created_at,
            updated_at=rollout.updated_at,
            ended_at=rollout.ended_at,
            links=links,
        )


def _brought_in(rollout: Rollout) -> list[str]:
    """The versions that challenge stable; of an ab_test with a winner that one."""
    if rollout.chosen:
        return [rollout.plan.choosing(rollout.chosen).candidate.version_name]
    return [one.version_name for one in rollout.plan.challengers]


class RolloutOut(RolloutSummary):
    """A rollout in full.

    `live` is what its workflow answered just now; null when none runs, when it was not asked for,
    or when it did not answer, in which case `live_unavailable` says why. `clearance` is what the
    fleet says just now; null when it is not asked any more.
    """

    plan: PlanOut
    workflow_id: str
    run_id: str | None
    clearance: ClearanceOut | None = None
    live: LiveOut | None = None
    live_unavailable: str | None = None

    @classmethod
    def in_full(
        cls,
        rollout: Rollout,
        links: Links,
        clearance: ClearanceOut | None,
        live: LiveOut | None = None,
        live_unavailable: str | None = None,
    ) -> Self:
        summary = RolloutSummary.from_domain(rollout, links)
        return cls(
            **dict(summary),
            plan=PlanOut.from_domain(rollout.plan),
            workflow_id=rollout.workflow_id,
            run_id=rollout.run_id,
            clearance=clearance,
            live=live,
            live_unavailable=live_unavailable,
        )


class CommandIn(Incoming):
    actor: Name = Field(default=ANYBODY, description="Who asks; kept in the history.")
    reason: Prose = Field(default="", description="Why; kept in the history.")
    expected_step: int | None = Field(
        default=None,
        ge=0,
        le=MOST_LISTED,
        description="The index of the step that is meant; at another one the call is a 409.",
    )

    def to_domain(self) -> Command:
        return Command(actor=self.actor, reason=self.reason, expected_step=self.expected_step)


class RetryIn(Incoming):
    actor: Name = Field(default=ANYBODY, description="Who asks; kept in the history.")
    reason: Prose = Field(default="", description="Why; kept in the history.")

    def to_domain(self) -> Command:
        """The abort that a restart begins with."""
        because = f"to begin again: {self.reason}" if self.reason else "to begin again"
        return Command(actor=self.actor, reason=because)


class PromoteIn(CommandIn):
    scope: Scope = Field(
        default=Scope.FULL,
        description="`skip`: past this step; `step`: on to the next weight; `full`: all the way.",
    )
    variant: Label | None = Field(
        default=None, description="Of an ab_test with several arms, the one that is promoted."
    )

    def to_domain(self) -> Command:
        return replace(super().to_domain(), scope=self.scope, variant=self.variant or "")


class ApproveIn(CommandIn):
    roles: list[Name] = Field(
        default_factory=list, max_length=MOST_ROLES, description="The roles that the actor has."
    )

    def to_domain(self) -> Command:
        return replace(super().to_domain(), roles=tuple(self.roles))


class CommandOut(Outgoing):
    """What the rollout answered, and how it stands."""

    phase: Phase
    message: str
    rollout: RolloutSummary
