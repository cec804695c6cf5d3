"""The plan of a rollout: pinned before it starts, walked step by step, explained afterwards.

Steps are of few kinds and hold all they need, so that a plan can be shown before it runs and
replayed after a change of our code.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Literal
from uuid import UUID

from domain.gates import Gate
from domain.spans import spoken
from domain.traffic import Bearer, Route, Slots, compose
from domain.workloads import Workload


class Strategy(StrEnum):
    CANARY = "canary"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A model version in a rollout: its workload and the slot that it holds in the route."""

    name: str
    version_id: UUID
    version_name: str
    slot: int
    workload: Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Deploy:
    """Bring the candidate up beside stable: ready, known to the gateway, referenced at weight 0."""

    kind: Literal["deploy"] = "deploy"

    def __str__(self) -> str:
        return "deploy the candidate at weight 0"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetWeights:
    """Give the candidate `candidate` percent of the traffic and wait until the gateway obeys."""

    candidate: int
    kind: Literal["set_weights"] = "set_weights"

    def __str__(self) -> str:
        return f"send {self.candidate} % to the candidate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Soak:
    """Wait while the gates watch: never less than `at_least`; `at_most` until undecided counts.

    Equal bounds make a timed soak; `at_least` of zero makes one that is paced by its evidence.
    """

    weight: int
    at_least: timedelta
    at_most: timedelta
    kind: Literal["soak"] = "soak"

    def __str__(self) -> str:
        if self.at_least == self.at_most:
            return f"soak at {self.weight} % for {spoken(self.at_most)}"
        return f"soak at {self.weight} % until proven, {spoken(self.at_most)} at most"


@dataclass(frozen=True, slots=True, kw_only=True)
class Promote:
    """Make the candidate, which carries all traffic by now, the stable variant."""

    kind: Literal["promote"] = "promote"

    def __str__(self) -> str:
        return "make the candidate stable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retire:
    """Keep the former stable for `delay` as an instant way back, then drain and remove it."""

    delay: timedelta
    kind: Literal["retire"] = "retire"

    def __str__(self) -> str:
        return f"retire the former stable after {spoken(self.delay)}"


Step = Deploy | SetWeights | Soak | Promote | Retire


class Reaction(StrEnum):
    """What a policy does about a cause. `advance` must be asked for; nothing defaults to it."""

    HOLD = "hold"
    PAUSE = "pause"
    ROLL_BACK = "rollback"
    ADVANCE = "advance"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """A reaction per cause, and how long each thing may take."""

    on_failure: Reaction = Reaction.ROLL_BACK
    on_undecided: Reaction = Reaction.HOLD
    on_metrics_unavailable: Reaction = Reaction.HOLD
    on_not_ready: Reaction = Reaction.ROLL_BACK
    on_not_settled: Reaction = Reaction.ROLL_BACK
    on_drift: Reaction = Reaction.PAUSE
    metrics_stall: timedelta = timedelta(minutes=5)
    deploy_deadline: timedelta = timedelta(minutes=30)
    settle_deadline: timedelta = timedelta(minutes=2)
    deadline: timedelta = timedelta(days=1)
    scale_down_delay: timedelta = timedelta(seconds=30)
    drain: timedelta = timedelta(seconds=5)
    probe_interval: timedelta = timedelta(seconds=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a rollout will do, in full. Nothing outside it is needed to walk it.

    Bystanders are variants that stand by: they keep their slots, at weight 0, all the way.
    """

    strategy: Strategy
    route: Route
    stable: Variant
    candidate: Variant
    steps: tuple[Step, ...]
    gates: tuple[Gate, ...]
    policies: Policies = field(default_factory=Policies)
    bystanders: tuple[Variant, ...] = ()

    def slots_at(self, candidate_weight: int) -> Slots:
        """The route's slots when the candidate has this weight and stable the rest."""
        return compose(
            (
                *self._standing_by(),
                Bearer(
                    slot=self.stable.slot,
                    workload=self.stable.workload.name,
                    weight=100 - candidate_weight,
                ),
                Bearer(
                    slot=self.candidate.slot,
                    workload=self.candidate.workload.name,
                    weight=candidate_weight,
                ),
            ),
            self.stable.workload.name,
        )

    def slots_of(self, only: Variant) -> Slots:
        """The route's slots when one variant carries all traffic and the other has left."""
        bearer = Bearer(slot=only.slot, workload=only.workload.name, weight=100)
        return compose((*self._standing_by(), bearer), only.workload.name)

    def _standing_by(self) -> Iterator[Bearer]:
        return (Bearer(slot=v.slot, workload=v.workload.name, weight=0) for v in self.bystanders)

    @property
    def first_live_step(self) -> int:
        """The index of the first step that sends traffic to the candidate."""
        return next(i for i, step in enumerate(self.steps) if isinstance(step, SetWeights))

    @property
    def full_step(self) -> int:
        """The index of the step that gives the candidate all traffic: where a promotion jumps."""
        return next(
            i
            for i, step in enumerate(self.steps)
            if isinstance(step, SetWeights) and step.candidate == 100  # noqa: PLR2004 - percent
        )
