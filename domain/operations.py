"""One-shot changes: asked for, carried out as a workflow, done in full or undone.

An operation is stored before its workflow starts and pins what it changes from and to. While one
of a subject has not ended, nothing else may change that subject.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID

from domain.registry import ModelVersion, Role, TrafficConfig, TrafficVariant, Variants
from domain.rollout import workflow_id as traffic_workflow_id
from domain.traffic import Bearer, Route, Slots, compose
from domain.virtual_models import VirtualModelChange
from domain.virtual_models import workflow_id as virtual_workflow_id
from domain.workloads import Workload


class Subject(StrEnum):
    """What an operation changes."""

    TRAFFIC_CONFIG = "traffic_config"
    VIRTUAL_MODEL = "virtual_model"


class ChangeKind(StrEnum):
    ADD_VARIANT = "add_variant"
    CHANGE_VARIANT = "change_variant"
    DELETE_VARIANT = "delete_variant"
    SET_WEIGHTS = "set_weights"
    PROMOTE = "promote"
    ROLL_BACK = "roll_back"
    RETIRE = "retire"
    DELETE_CONFIG = "delete_config"


# What is asked for in an emergency, or takes everything away, is done on a paused config too.
ALWAYS = frozenset({ChangeKind.ROLL_BACK, ChangeKind.DELETE_CONFIG})


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficChange:
    """The variants of a traffic config before and after, and what it takes to get there and back.

    `workloads` holds one for each variant that has a slot before or after. With no variants after
    it, the route goes and the config with it. `serves` is the version that the inference service
    serves from then on, where that changes. `stays` is the workload that stays on the cluster
    though its variant leaves: the inference service's own.
    """

    kind: ChangeKind
    route: Route
    before: Variants
    after: Variants
    workloads: tuple[Workload, ...]
    serves: UUID | None = None
    stays: str = ""
    subject: Literal["traffic_config"] = "traffic_config"

    def workload_of(self, variant: TrafficVariant) -> Workload:
        return next(one for one in self.workloads if one.name == variant.workload)

    @property
    def joining(self) -> Variants:
        """Those that have to be brought up: without a slot before, with one after."""
        held = {v.workload for v in self.before if v.holds_slot}
        return tuple(v for v in self.after if v.holds_slot and v.workload not in held)

    @property
    def leaving(self) -> Variants:
        """Those that have to be taken down: with a slot before, without one after."""
        holding = {v.workload for v in self.after if v.holds_slot}
        return tuple(v for v in self.before if v.holds_slot and v.workload not in holding)


Change = TrafficChange | VirtualModelChange


class OperationPhase(StrEnum):
    """How far an operation is. The last two are final.

    TIDYING: it is done, but for the removal of what left. UNDONE: it could not be done, and what it
    had begun was taken back.
    """

    RUNNING = "running"
    TIDYING = "tidying"
    DONE = "done"
    UNDONE = "undone"

    @property
    def is_final(self) -> bool:
        return self in {OperationPhase.DONE, OperationPhase.UNDONE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A one-shot change as the registry knows it. `problem` is the class of the error it met."""

    id: UUID
    project_id: UUID
    subject: Subject
    subject_id: UUID
    summary: str
    change: Change
    phase: OperationPhase = OperationPhase.RUNNING
    problem: str | None = None
    detail: str = ""
    actor: str
    reason: str
    created_at: datetime
    ended_at: datetime | None = None

    @property
    def traffic(self) -> TrafficChange:
        """The change, of an operation on a traffic config."""
        if not isinstance(self.change, TrafficChange):
            raise TypeError(f"{self.summary} is no change of a traffic config")
        return self.change

    @property
    def virtual(self) -> VirtualModelChange:
        """The change, of an operation on a virtual model."""
        if not isinstance(self.change, VirtualModelChange):
            raise TypeError(f"{self.summary} is no change of a virtual model")
        return self.change

    @property
    def workflow_id(self) -> str:
        """The one workflow ID under which the subject may be changed."""
        if self.subject is Subject.VIRTUAL_MODEL:
            return virtual_workflow_id(self.subject_id)
        return traffic_workflow_id(self.subject_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How an operation ended, or that it has come to its tidying."""

    phase: OperationPhase
    problem: str | None = None
    detail: str = ""


def slots_of(variants: Variants, beside: Variants = ()) -> Slots:
    """The route's slots under these variants, with those `beside` them kept at weight 0.

    Raises InvalidSpec unless the weights sum to 100.
    """
    stable = next(v for v in variants if v.role is Role.STABLE)
    bearers = {v.slot: Bearer(slot=v.slot, workload=v.workload, weight=0) for v in beside}
    bearers |= {
        v.slot: Bearer(slot=v.slot, workload=v.workload, weight=v.weight)
        for v in variants
        if v.holds_slot
    }
    return compose(bearers.values(), stable.workload)


def traffic_change(
    kind: ChangeKind,
    config: TrafficConfig,
    after: Variants,
    versions: Iterable[ModelVersion],
    *,
    stays: str = "",
) -> TrafficChange:
    """The change that brings a config's variants to `after`.

    `versions` are those of every variant that holds a slot before or after.
    """
    by_id = {version.id: version for version in versions}
    holders = {v.workload: v for v in (*config.variants, *after) if v.holds_slot}
    return TrafficChange(
        kind=kind,
        route=config.route,
        before=config.variants,
        after=after,
        workloads=tuple(
            config.workload(by_id[holder.model_version_id], holder.workload)
            for holder in holders.values()
        ),
        serves=_serves(config, after),
        stays=stays,
    )


def _serves(config: TrafficConfig, after: Variants) -> UUID | None:
    """The version that becomes stable, where another one does."""
    before = config.stable.model_version_id if config.stable else None
    stable = next((v.model_version_id for v in after if v.role is Role.STABLE), None)
    return stable if stable != before else None
