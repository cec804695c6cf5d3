"""One traffic config on a stage: as the cluster holds it, and operations on it."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

from domain.division import Newcomer, added
from domain.operations import Operation, OperationPhase, Subject, slots_of, traffic_change
from domain.traffic import Ownership
from tests.projects import NOW, a_project
from tests.workflows.stage import BEFORE, Stage
from workflows.messages import Mode, OperationOrder
from workflows.operation import ChangeTrafficWorkflow

WINDOW = timedelta(hours=1)


class Play:
    """One traffic config on a stage, as it stands on the cluster."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.it = stage, a_project()
        self.config = self.it.config
        self.versions = {v.id: v for v in (self.it.v1, self.it.v2, self.it.v3)}

    async def stands(self, variants):
        """Have the config's variants on the cluster, as the registry says."""
        self.config = replace(self.config, variants=variants)
        for variant in variants:
            if variant.holds_slot:
                workload = self.workload(variant)
                self.stage.runtime.deployed[workload.namespace, workload.name] = workload
                await self.stage.router.connect(self.config.route, workload)
        owner = Ownership(holder="config", ordered_at=BEFORE, run_id="publish", sequence=1)
        await self.stage.router.write(self.config.route, slots_of(variants), owner)
        return self

    def workload(self, variant):
        return self.config.workload(self.versions[variant.model_version_id], variant.workload)

    def with_canary(self, weight=10, version=None, name="canary"):
        version = version or self.it.v2
        new = Newcomer(
            id=uuid4(),
            version_id=version.id,
            version_name=version.name,
            workload=self.config.workload(version).name,
        )
        return added(self.config.variants, new, name=name, weight=weight, now=NOW)

    def operation(self, kind, after, **changes):
        change = traffic_change(kind, self.config, after, self.versions.values())
        given = {"phase": OperationPhase.RUNNING, **changes}
        return Operation(
            id=uuid4(),
            project_id=self.config.project_id,
            subject=Subject.TRAFFIC_CONFIG,
            subject_id=self.config.id,
            summary=f"{kind}",
            change=replace(change, stays=given.pop("stays", "")),
            actor="ada",
            reason="a test",
            created_at=NOW,
            **given,
        )

    async def start(self, kind, after, *, mode=Mode.WALK, **changes):
        self.operation_id = (operation := self.operation(kind, after, **changes)).id
        self.stage.handle = await self.begin(operation, mode)
        return self.stage.handle

    async def begin(self, operation, mode=Mode.WALK):
        return await self.stage.client.start_workflow(
            ChangeTrafficWorkflow.run,
            OperationOrder(operation=operation, mode=mode),
            id=operation.workflow_id,
            task_queue=self.stage.queue,
        )

    async def ends(self, kind, after, **more):
        ending = await (await self.start(kind, after, **more)).result()
        assert self.stage.journal.endings[self.operation_id] == ending
        return ending

    @property
    def deployed(self):
        """The versions that are on the cluster."""
        return sorted(
            version.name
            for version in self.versions.values()
            if (self.config.namespace, self.config.workload(version).name)
            in self.stage.runtime.deployed
        )

    @property
    def weights(self):
        """The weights of every write since the config stood, by slot."""
        return self.stage.weights
