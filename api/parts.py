"""What the routes work with: the registry and the control, held at `app.state.parts`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Protocol
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Depends, Header, Path, Request

from api.analyses import Analyses
from api.charts import Charts
from api.gauges import Gauges
from api.reports import Reports
from domain.allowed_hosts import AllowedHosts
from domain.evidence_port import EvidenceStore
from domain.fleet_port import Fleet
from domain.gate_templates.port import GateTemplates
from domain.operations import Ending, Operation
from domain.plan import Variant
from domain.ports import Registry
from domain.prices import TokenPrice
from domain.reading_port import ReadingStore
from domain.registry import InferenceService, TrafficConfig
from domain.rollout import Action, Command, Rollout
from workflows.messages import OperationView, Reply, RolloutView, ServeInput


class RolloutControl(Protocol):
    """Asks the workflow engine. Raises the errors of `domain.errors` and `api.errors` only."""

    async def ready(self) -> None:
        """Answer, or raise Unreachable."""

    async def serve(
        self, service: InferenceService, order: ServeInput, *, patience: timedelta = timedelta(0)
    ) -> None:
        """Have the order carried out; come back when that ended, or after `patience`.

        A second call for the same joins the first. Raises AlreadyRunning when another change of
        the service runs.
        """

    async def stop_serving(self, service_id: UUID) -> bool:
        """Have the change of the service that runs end early; False where none runs."""

    async def is_serving(self, service_id: UUID) -> bool:
        """Whether a change of the service runs."""

    async def publish_config(
        self, config: TrafficConfig, stable: Variant, *, patience: timedelta
    ) -> None:
        """Have the config's route published; come back when that ended, or after `patience`."""

    async def start_rollout(self, rollout: Rollout) -> str:
        """Start walking the plan and give the run's id; the same rollout may be started twice.

        Raises AlreadyRunning, with the rollout's id where it is one, when another change of the
        traffic config runs.
        """

    async def command(self, rollout: Rollout, action: Action, command: Command) -> Reply:
        """Ask a running rollout. Raises Conflict when it refuses, Absent when nothing runs."""

    async def start_operation(self, operation: Operation) -> str:
        """Start carrying the operation out and give the run's id; the same may be started twice.

        Raises AlreadyRunning when another change of its subject runs.
        """

    async def outcome(
        self, operation: Operation, run_id: str, *, patience: timedelta
    ) -> Ending | None:
        """How that run of the operation ended; None when it has not within `patience`."""

    async def operation_view(self, operation: Operation) -> OperationView | None:
        """What the operation is doing, None when no run of it is alive or answers."""

    async def see_end(self, rollout: Rollout, *, patience: timedelta) -> None:
        """Wait until the rollout's workflow has ended, but no longer than `patience`."""

    async def describe(self, rollout: Rollout) -> RolloutView | None:
        """The live view of this very rollout, None when no run of it is alive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TemporalUI:
    """Where a person can watch a run."""

    url: str
    namespace: str

    def link(self, workflow_id: str, run_id: str | None) -> str:
        address = f"{self._workflows}/{workflow_id}"
        return f"{address}/{run_id}" if run_id else address

    def runs(self, workflow_id: str) -> str:
        """All runs of a workflow ID, the newest first."""
        query = urlencode({"query": f'WorkflowId="{workflow_id}"'})
        return f"{self._workflows}?{query}"

    @property
    def _workflows(self) -> str:
        return f"{self.url.rstrip('/')}/namespaces/{self.namespace}/workflows"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    registry: Registry
    fleet: Fleet
    templates: GateTemplates
    control: RolloutControl
    gateway_namespace: str
    temporal_ui: TemporalUI
    reports: Reports
    charts: Charts
    evidence: EvidenceStore
    readings: ReadingStore
    analyses: Analyses
    gauges: Gauges
    hooks_allowed: AllowedHosts
    prices: Mapping[str, TokenPrice]


async def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


WithParts = Annotated[Parts, Depends(_parts)]
ProjectId = Annotated[
    UUID,
    Header(alias="Project-ID", description="The project that everything in this call belongs to."),
]
Id = Annotated[UUID, Path(description="Its id. One that belongs to another project is unknown.")]
