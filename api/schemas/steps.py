"""The steps of a canary as they are asked for: each says one thing."""

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field, model_validator

from api.schemas.fields import Fraction as Margin
from api.schemas.fields import Incoming, Label, Name, Seconds
from domain.steps import Reaction
from domain.strategies.canary_steps import (
    Analysis,
    Approval,
    CanaryStep,
    Confirmation,
    MirrorFor,
    Pace,
    Scale,
    SpecStep,
    Stay,
    Weight,
)
from domain.strategies.waits import UNLIMITED

Percent = Annotated[int, Field(strict=True, ge=0, le=100)]
Replicas = Annotated[int, Field(strict=True, ge=0, le=10_000)]
MOST_ROLES = 20


class PauseIn(Incoming):
    seconds: Seconds | None = Field(
        default=None, description="How long; left out: until somebody promotes."
    )

    def to_domain(self) -> Stay:
        return Stay(time=None if self.seconds is None else timedelta(seconds=self.seconds))


class AnalysisIn(Incoming):
    at_most_seconds: Seconds = Field(description="The longest time before it is undecided.")
    at_least_seconds: Seconds = Field(default=0.0, description="The shortest, even if proven.")
    on_undecided: Reaction | None = Field(
        default=None, description="What happens at the end; left out: the policy of that name."
    )

    margin: Margin | None = Field(
        default=None,
        description="The ratio to stable, over the whole rollout, that ends it; left out: a PASS.",
    )

    def to_domain(self) -> Analysis:
        return Analysis(
            at_most=timedelta(seconds=self.at_most_seconds),
            at_least=timedelta(seconds=self.at_least_seconds),
            on_undecided=self.on_undecided,
            margin=self.margin,
        )


class MirrorIn(Incoming):
    percent: Percent = Field(description="Of all requests, copied to the candidate; 1 to 100.")
    seconds: Seconds = Field(description="How long.")

    def to_domain(self) -> MirrorFor:
        return MirrorFor(percent=self.percent, time=timedelta(seconds=self.seconds))


class ScaleIn(Incoming):
    replicas: Replicas = Field(description="At least so many of the candidate, 1 to 1000.")

    def to_domain(self) -> Scale:
        return Scale(replicas=self.replicas)


class ApprovalIn(Incoming):
    roles: list[Name] = Field(
        default_factory=list, max_length=MOST_ROLES, description="One of them; none: anybody."
    )
    timeout_seconds: Seconds = Field(
        default=UNLIMITED.total_seconds(), description="When `on_timeout` happens."
    )
    on_timeout: Reaction = Reaction.HOLD

    def to_domain(self) -> Approval:
        return Approval(
            roles=tuple(self.roles),
            timeout=timedelta(seconds=self.timeout_seconds),
            on_timeout=self.on_timeout,
        )


class ConfirmIn(Incoming):
    hook: Label = Field(description="The name of a hook of this rollout.")
    timeout_seconds: Seconds = Field(description="When `on_timeout` happens.")
    on_timeout: Reaction = Reaction.HOLD

    def to_domain(self) -> Confirmation:
        return Confirmation(
            hook=self.hook,
            timeout=timedelta(seconds=self.timeout_seconds),
            on_timeout=self.on_timeout,
        )


class StepIn(Incoming):
    """One step. `weight` with `soak_seconds` is a weight and an analysis in one."""

    weight: Percent | None = Field(
        default=None, description="Percent for the candidate, 1 to 99, above the step before."
    )
    soak_seconds: Seconds | None = Field(
        default=None,
        description="With `weight`, which needs it: the longest wait, or the time.",
    )
    pace: Pace | None = Field(
        default=None, description="With `weight`: `evidence`, the default, or `time`."
    )
    margin: Margin | None = Field(
        default=None, description="With `weight`: the ratio to stable that ends it, as in analysis."
    )
    set_weight: Percent | None = Field(
        default=None, description="Percent for the candidate, 1 to 99, without a wait."
    )
    pause: PauseIn | None = Field(default=None, description="Stay here, whatever the evidence.")
    analysis: AnalysisIn | None = Field(default=None, description="Wait until every gate passes.")
    mirror: MirrorIn | None = Field(default=None, description="Copies of requests, for a time.")
    set_scale: ScaleIn | None = Field(default=None, description="Replicas of the candidate.")
    approval: ApprovalIn | None = Field(default=None, description="Wait for a person's word.")
    confirm: ConfirmIn | None = Field(default=None, description="Wait for a hook's word.")

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        said = [name for name in _KINDS if getattr(self, name) is not None]
        if len(said) != 1:
            found = " and ".join(said) or "none"
            raise ValueError(f"must say exactly one of {', '.join(_KINDS)}; found {found}")
        if (self.soak_seconds is None) is (said == ["weight"]):
            raise ValueError("soak_seconds belongs to weight, which needs it")
        if self.pace is not None and said != ["weight"]:
            raise ValueError("pace belongs to weight")
        if self.margin is not None and said != ["weight"]:
            raise ValueError("margin belongs to weight, or into analysis")
        return self

    def to_domain(self) -> SpecStep:
        if self.weight is not None and self.soak_seconds is not None:
            soak = timedelta(seconds=self.soak_seconds)
            pace = self.pace or Pace.EVIDENCE
            return CanaryStep(weight=self.weight, soak=soak, pace=pace, margin=self.margin)
        if self.set_weight is not None:
            return Weight(weight=self.set_weight)
        bodies = (
            *(self.pause, self.analysis, self.mirror),
            *(self.set_scale, self.approval, self.confirm),
        )
        make: Callable[[], SpecStep] = next(body.to_domain for body in bodies if body is not None)
        return make()


_KINDS = (
    *("weight", "set_weight", "pause", "analysis"),
    *("mirror", "set_scale", "approval", "confirm"),
)
