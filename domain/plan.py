"""The plan of a rollout: pinned before it starts, walked step by step, explained afterwards.

Steps are of few kinds and hold all they need, so that a plan can be shown before it runs and
replayed after a change of our code.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from domain import arm_traffic
from domain.comparison import Comparison
from domain.gate_templates.pins import TemplatePin
from domain.gates import Gate
from domain.hooks import Hook
from domain.reading_gates import AnyGate, ReadingGate
from domain.steps import (
    Conclude,
    Deploy,
    Promote,
    Reaction,
    Retire,
    SetScale,
    SetWeights,
    Soak,
    Step,
    Until,
)
from domain.traffic import (
    FULL,
    NO_EXTRAS,
    Bearer,
    Extras,
    HeaderRoute,
    Mirror,
    Place,
    PlaceKind,
    Route,
    Slots,
    compose,
)
from domain.trial import Trial
from domain.verdicts import Verdict
from domain.workloads import Workload

PREVIEW = "preview"


class Strategy(StrEnum):
    CANARY = "canary"
    BLUE_GREEN = "blue_green"
    SHADOW = "shadow"
    AB_TEST = "ab_test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A model version in a rollout: its workload and the slot that it holds in the route."""

    name: str
    version_id: UUID
    version_name: str
    slot: int
    workload: Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """A reaction per cause, and how long each thing may take.

    `overdispersion` divides all evidence; None: it is learnt from stable's pods. Both that and the
    warm-up are off here, as in plans of before there were any: who asks for a rollout says more.
    """

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
    clearance_deadline: timedelta = timedelta(days=365)
    scale_down_delay: timedelta = timedelta(seconds=30)
    drain: timedelta = timedelta(seconds=5)
    probe_interval: timedelta = timedelta(seconds=15)
    overdispersion: float | None = 1.0
    warm_up: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a rollout will do, in full. Nothing outside it is needed to walk it.

    Bystanders are variants that stand by: they keep their slots, at weight 0, all the way. One that
    asks the fleet gives the candidate more traffic in no freeze, and only when its `group` has a
    place for it. A `trial` has `others` beside the candidate, who challenge stable alike.
    `templates` are those that some of the gates were made of.
    """

    strategy: Strategy
    route: Route
    stable: Variant
    candidate: Variant
    steps: tuple[Step, ...]
    gates: tuple[Gate, ...]
    policies: Policies = field(default_factory=Policies)
    bystanders: tuple[Variant, ...] = ()
    hooks: tuple[Hook, ...] = ()
    group: str | None = None
    asks_the_fleet: bool = False
    others: tuple[Variant, ...] = ()
    trial: Trial | None = None
    templates: tuple[TemplatePin, ...] = ()
    reading_gates: tuple[ReadingGate, ...] = ()

    @property
    def all_gates(self) -> tuple[AnyGate, ...]:
        """Those with statistics first, which is the order of their verdicts."""
        return (*self.gates, *self.reading_gates)

    def deciding(self, verdicts: Iterable[Verdict]) -> tuple[Verdict, ...]:
        """The verdicts that bear on what comes next: all but those of dry runs."""
        shown = {gate.name for gate in self.all_gates if gate.dry_run}
        return tuple(verdict for verdict in verdicts if verdict.gate not in shown)

    def is_critical(self, verdict: Verdict) -> bool:
        """Whether a FAIL rolls back; one on the answers does."""
        return all(gate.critical for gate in self.all_gates if gate.name == verdict.gate)

    @property
    def challengers(self) -> tuple[Variant, ...]:
        """All that the rollout brings in."""
        return (self.candidate, *self.others)

    def choosing(self, name: str) -> "Plan":
        """The plan with this challenger as the candidate; itself where it is, or for "".

        Raises StopIteration where there is none of the name.
        """
        if name in ("", self.candidate.name):
            return self
        chosen = next(one for one in self.others if one.name == name)
        others = tuple(one for one in self.challengers if one is not chosen)
        return replace(self, candidate=chosen, others=others)

    def needs_clearance(self, step: int, to: int) -> bool:
        """Whether the fleet must let the rollout go on from one step to another."""
        further = self.steps[to]
        return (
            self.asks_the_fleet
            and isinstance(further, SetWeights)
            and further.candidate > self.traffic_at(step).candidate
        )

    def hook(self, name: str) -> Hook:
        """The hook of this name. Raises StopIteration where there is none: see validation."""
        return next(hook for hook in self.hooks if hook.name == name)

    def is_deployed_at(self, step: int) -> bool:
        """Whether the candidate is up by this step."""
        return any(isinstance(done, Deploy) for done in self.steps[:step])

    def is_past_promotion(self, step: int) -> bool:
        """Whether the candidate is stable by this step; a plan may end otherwise behind it."""
        promotes = self._index_of(Promote)
        is_behind = promotes is not None and step >= promotes
        return is_behind and not isinstance(self.steps[step], Conclude)

    def slots_at(self, candidate_weight: int) -> Slots:
        """The route's slots when the candidate has this weight and stable the rest."""
        return self.slots_under(SetWeights(candidate=candidate_weight))

    def slots_under(self, traffic: SetWeights) -> Slots:
        """The route's slots under a traffic."""
        weights = self.weights_under(traffic)
        bearing = (
            Bearer(slot=one.slot, workload=one.workload.name, weight=weights[one.name])
            for one in (self.stable, *self.challengers)
        )
        return compose((*self._standing_by(), *bearing), self.stable.workload.name)

    def weights_under(self, traffic: SetWeights) -> dict[str, int]:
        """The weights of stable and of all challengers, by name."""
        if traffic.arms is None:
            given = {self.candidate.name: traffic.candidate}
        else:
            given = dict(traffic.arms.weights)
        idle = dict.fromkeys((one.name for one in self.others), 0)
        return {self.stable.name: FULL - traffic.candidate, **idle, **given}

    def slots_of(self, only: Variant) -> Slots:
        """The route's slots when one variant carries all traffic and the other has left."""
        bearer = Bearer(slot=only.slot, workload=only.workload.name, weight=FULL)
        return compose((*self._standing_by(), bearer), only.workload.name)

    def _standing_by(self) -> Iterator[Bearer]:
        return (Bearer(slot=v.slot, workload=v.workload.name, weight=0) for v in self.bystanders)

    def traffic_at(self, step: int) -> SetWeights:
        """What the traffic is to be during a step."""
        written = (one for one in reversed(self.steps[: step + 1]) if isinstance(one, SetWeights))
        return next(written, SetWeights(candidate=0))

    def extras_of(self, traffic: SetWeights) -> Extras:
        """What the route has beside its slots."""
        workload = self.candidate.workload.name
        if self.trial is not None and traffic.arms is not None:
            workloads = {v.name: v.workload.name for v in (self.stable, *self.challengers)}
            routes = arm_traffic.header_routes(self.trial, traffic.arms, workloads)
            return Extras(header_routes=routes)
        if not traffic.mirror and not traffic.preview:
            return NO_EXTRAS
        return Extras(
            header_routes=(HeaderRoute(name=PREVIEW, headers=traffic.preview, workload=workload),)
            if traffic.preview
            else (),
            mirrors=(Mirror(workload=workload, percent=traffic.mirror),) if traffic.mirror else (),
        )

    def candidate_at(self, step: int) -> Place:
        """Where the candidate's requests are counted during a step."""
        traffic = self.traffic_at(step)
        if not traffic.candidate and traffic.mirror:
            return Place(kind=PlaceKind.MIRROR, position=0)
        if not traffic.candidate and traffic.preview:
            return Place(kind=PlaceKind.HEADER_ROUTE, position=0)
        return Place(position=self.candidate.slot)

    def places_of(self, arm: Variant) -> tuple[Place, ...]:
        """Where the requests of a trial's arm are counted."""
        slot = Place(position=arm.slot)
        found = None if self.trial is None else arm_traffic.position(self.trial, arm.name)
        if found is None:
            return (slot,)
        return (slot, Place(kind=PlaceKind.HEADER_ROUTE, position=found))

    def present_under(self, traffic: SetWeights) -> tuple[str, ...]:
        """The challengers that have not left a trial, by name."""
        return tuple(one.name for one in self.challengers if one.name not in traffic.left)

    def reached_under(self, traffic: SetWeights) -> tuple[Variant, ...]:
        """Who gets requests under a traffic, copies and those of testers included."""
        weights = self.weights_under(traffic)
        led_to = self.extras_of(traffic).workloads
        return tuple(
            one
            for one in (self.stable, *self.challengers)
            if weights[one.name] or one.workload.name in led_to
        )

    def gates_at(self, step: int) -> tuple[Gate, ...]:
        """The gates that watch during a step; in a trial only once its arms have traffic."""
        return self.gates if self._is_gated_at(step) else ()

    def reading_gates_at(self, step: int) -> tuple[ReadingGate, ...]:
        """The gates without statistics that watch during a step."""
        return self.reading_gates if self._is_gated_at(step) else ()

    def _is_gated_at(self, step: int) -> bool:
        soak = self.steps[step]
        is_open = self.trial is None or self._is_tried_at(step)
        return isinstance(soak, Soak) and soak.gated and is_open

    def is_counted_at(self, step: int) -> bool:
        """Whether anything is counted during a step."""
        is_soak = isinstance(self.steps[step], Soak)
        return is_soak and (self._is_tried_at(step) or bool(self.gates_at(step)))

    def needs_counts_at(self, step: int, *, critical: bool = False) -> bool:
        """Whether what comes next rests on what is counted: on a trial, or a gate that decides.

        With `critical`, a gate that only pauses does not count. A trial always does.
        """
        gates = (gate for gate in self.gates_at(step) if not gate.dry_run)
        is_gated = any(gate.critical or not critical for gate in gates)
        return is_gated or (self.is_counted_at(step) and self._is_tried_at(step))

    def _is_tried_at(self, step: int) -> bool:
        """Whether the arms of a trial have traffic."""
        return self.traffic_at(step).arms is not None

    def is_judged_at(self, step: int) -> bool:
        """Whether anything is found out during a step that lets it end."""
        return self.is_counted_at(step) or bool(self.verdicts_at(step))

    def comparison_at(self, step: int) -> Comparison | None:
        """The comparison of answers that goes on during a step."""
        soak = self.steps[step]
        return soak.comparison if isinstance(soak, Soak) else None

    @property
    def margins(self) -> dict[int, float]:
        """By step the ratio to stable that ends it, where it is not a PASS of its own."""
        soaks = ((i, step) for i, step in enumerate(self.steps) if isinstance(step, Soak))
        return {i: step.margin for i, step in soaks if step.margin is not None}

    def verdicts_at(self, step: int) -> int:
        """How many verdicts a step needs: one a gate that decides, and one on the answers."""
        gates: tuple[AnyGate, ...] = (*self.gates_at(step), *self.reading_gates_at(step))
        deciding = sum(not gate.dry_run for gate in gates)
        return deciding + (self.comparison_at(step) is not None)

    def replicas_at(self, step: int) -> int | None:
        """How many replicas of the candidate were asked for, None where the cluster decides."""
        scaled = (one for one in reversed(self.steps[: step + 1]) if isinstance(one, SetScale))
        found = next(scaled, None)
        return found.replicas if found else None

    def promotion_from(self, step: int) -> int | None:
        """The step that a promotion in full goes to; None where there is nothing left to ask for.

        It gives the candidate all traffic, unless it has it already.
        """
        full, promotes = self.full_step, self._index_of(Promote)
        if full is None or promotes is None:
            return None
        if step < full:
            return full
        return promotes if isinstance(self.steps[step], Soak) and step < promotes else None

    def promotion_by_one_from(self, step: int) -> int | None:
        """The step that a promotion by one goes to: the next weight, or past an open pause."""
        soak = self.steps[step]
        if isinstance(soak, Soak) and soak.until is Until.PROMOTED:
            return step + 1
        later = range(step + 1, len(self.steps))
        weighted = (i for i in later if isinstance(self.steps[i], SetWeights))
        return next(weighted, self.promotion_from(step))

    @property
    def full_step(self) -> int | None:
        """The step that gives the candidate all traffic, None where the plan never does."""
        weighted = enumerate(self.steps)
        full = (i for i, s in weighted if isinstance(s, SetWeights) and s.candidate == FULL)
        return next(full, None)

    @property
    def conclude_step(self) -> int | None:
        """The step that ends the rollout without a promotion, None where there is none."""
        return self._index_of(Conclude)

    @property
    def decided_step(self) -> int | None:
        """The step that decides a trial, None where there is none."""
        soaks = ((i, step) for i, step in enumerate(self.steps) if isinstance(step, Soak))
        return next((i for i, soak in soaks if soak.until is Until.DECIDED), None)

    @property
    def retire_step(self) -> int:
        """The last step behind a promotion."""
        found = self._index_of(Retire)
        return len(self.steps) - 1 if found is None else found

    def _index_of(self, kind: type[Step]) -> int | None:
        return next((i for i, step in enumerate(self.steps) if isinstance(step, kind)), None)
