"""Changes of virtual models: stage by stage, and undone where they cannot be done."""

import asyncio
import os
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from uuid import UUID, uuid4

import pytest
from temporalio import activity
from temporalio.client import WorkflowFailureError
from temporalio.worker import Replayer, Worker

from activities.care import CareActivities
from activities.failures import DomainFailures
from activities.heartbeats import Heartbeats
from activities.record import RecordActivities
from activities.virtual_models import ObeyOrder, VirtualModelActivities
from adapters.temporal.runs import TemporalRuns
from bootstrap.sandboxing import workflow_runner
from domain.errors import Conflict, NotYet, Refused, Unreachable
from domain.operations import Ending, Operation, OperationPhase, Subject
from domain.progress import Acted
from domain.registry import TrafficConfig
from domain.traffic import Ownership
from domain.virtual_models import (
    Backends,
    BackendWish,
    VirtualChangeKind,
    VirtualModelChange,
    added,
    without,
)
from domain.virtual_routes import Layout, layout_of, stages, way_back
from tests.cluster.virtual import virtual_route_in
from tests.fakes.registry import MemoryRegistry
from tests.fakes.virtual_router import RecordingVirtualRouter
from tests.replay.record import KEEP, keep
from tests.workflows.stage import ROUND, SHIFT, Journal, methods
from workflows.caretaker import CaretakerWorkflow
from workflows.messages import Mode, OperationOrder, OperationView, watchers_of
from workflows.virtual_models import ChangeVirtualModelWorkflow

NOW = datetime(2020, 1, 1, tzinfo=UTC)
ROUTE = virtual_route_in("tidegate")
DONE = Ending(phase=OperationPhase.DONE)


def backends(*names: str) -> Backends:
    """The first at priority 0, each other one a priority lower."""
    listed: Backends = ()
    for number, name in enumerate(names):
        wish = BackendWish(name=name, namespace="tidegate", priority=number)
        listed = added(listed, wish, backend_id=UUID(int=number + 1), now=NOW)
    return listed


ONE = backends("aws")
TWO = backends("aws", "gcp")


class Impatient(VirtualModelActivities):
    """Waits for no more than a moment until the gateway obeys."""

    @activity.defn(name="virtual_model.settle")
    async def settle(self, order: ObeyOrder) -> Acted:
        soon = datetime.now(UTC) + timedelta(seconds=0.3)
        return await super().settle(replace(order, deadline=min(order.deadline, soon)))


class VirtualStage:
    def __init__(self, client: Any) -> None:
        self.client = client
        self.queue = f"test-{uuid4()}"
        self.router, self.journal = RecordingVirtualRouter(), Journal()
        self.acts = Impatient(self.router)
        self.cut_off: list[Operation] = []
        self.operation_id = uuid4()
        self.handle: Any = None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        acts = [
            *methods(self.acts),
            *methods(
                CareActivities(
                    self, MemoryRegistry(), TemporalRuns(self.client), shift=SHIFT, every=ROUND
                )
            ),
            *methods(RecordActivities(self.journal)),
        ]
        common: dict[str, Any] = {"interceptors": [Heartbeats(), DomainFailures()]}
        for queue, workflows in (
            (self.queue, [ChangeVirtualModelWorkflow, CaretakerWorkflow]),
            (watchers_of(self.queue), []),
        ):
            await self._stack.enter_async_context(
                Worker(
                    self.client,
                    task_queue=queue,
                    workflows=workflows,
                    activities=acts,
                    workflow_runner=workflow_runner(),
                    max_heartbeat_throttle_interval=timedelta(seconds=1),
                    **common,
                )
            )
        return self

    async def __aexit__(self, *exc: object) -> None:
        try:
            if self.handle and exc[0] is None:
                await self.replays()
        finally:
            await self._stack.aclose()

    async def stand(self, listed: Backends) -> None:
        """Have the route stand so from before, and forget that it was written."""
        owner = Ownership(holder="before", ordered_at=NOW, run_id="before", sequence=1)
        await self.router.write(ROUTE, layout_of(listed), owner)
        self.router.writes.clear()

    async def running(self) -> Sequence[Operation]:
        """What the caretaker is told by the registry."""
        return [one for one in self.cut_off if one.id not in self.journal.endings]

    async def due(self) -> Sequence[TrafficConfig]:
        return ()

    async def start(self, before: Backends, after: Backends, *, mode: Mode = Mode.WALK) -> Any:
        operation = self.operation(before, after)
        order = OperationOrder(operation=operation, mode=mode)
        self.handle = await self.client.start_workflow(
            ChangeVirtualModelWorkflow.run, order, id=str(uuid4()), task_queue=self.queue
        )
        return self.handle

    def operation(self, before: Backends, after: Backends) -> Operation:
        change = VirtualModelChange(
            kind=VirtualChangeKind.CHANGE_BACKEND, route=ROUTE, before=before, after=after
        )
        return Operation(
            id=self.operation_id,
            project_id=ROUTE.project_id,
            subject=Subject.VIRTUAL_MODEL,
            subject_id=ROUTE.virtual_model_id,
            summary="change the backends",
            change=change,
            actor="ana",
            reason="a test",
            created_at=NOW,
        )

    async def change(self, before: Backends, after: Backends, **more: Any) -> Ending:
        ending: Ending = await (await self.start(before, after, **more)).result()
        assert self.journal.endings == {self.operation_id: ending}
        return ending

    async def stands(self) -> Layout | None:
        state = await self.router.observe(ROUTE)
        return state.layout if state else None

    async def replays(self) -> None:
        replayer = Replayer(
            workflows=[ChangeVirtualModelWorkflow],
            workflow_runner=workflow_runner(),
            data_converter=self.client.data_converter,
        )
        await replayer.replay_workflow(await self.handle.fetch_history())


async def written(stage: VirtualStage, times: int) -> None:
    async with asyncio.timeout(20):
        while len(stage.router.writes) < times:  # noqa: ASYNC110 - the fake is a plain value
            await asyncio.sleep(0.02)


async def described(handle: Any) -> OperationView:
    view: OperationView = await handle.query("describe", result_type=OperationView)
    return view


@pytest.fixture
async def stage(skipping, request):
    """Where tests/replay/record.py asks for it, the history of the test is kept."""
    async with VirtualStage(skipping.client) as made:
        yield made
        if made.handle and KEEP in os.environ:
            history = await made.handle.fetch_history()
            keep(history, request.node.name.removeprefix("test_"))


async def test_the_first_backend_makes_the_route(stage):
    assert await stage.change((), ONE) == DONE
    assert stage.router.writes == list(stages((), ONE))


async def test_a_fallback_joins_stage_by_stage(stage):
    await stage.stand(ONE)
    assert await stage.change(ONE, TWO) == DONE
    assert stage.router.writes == list(stages(ONE, TWO))
    assert await stage.stands() == layout_of(TWO)


async def test_the_last_backend_takes_the_route_with_it(stage):
    await stage.stand(ONE)
    assert await stage.change(ONE, ()) == DONE
    assert stage.router.writes == [None]


async def test_a_model_without_backends_is_deleted_without_a_route(stage):
    assert await stage.change((), ()) == DONE
    assert stage.router.writes == []


async def test_an_unknown_backend_is_refused_before_anything_is_written(stage):
    stage.router.known = {("tidegate", "aws")}
    await stage.stand(ONE)

    ending = await stage.change(ONE, TWO)
    assert (ending.phase, ending.problem) == (OperationPhase.UNDONE, "InvalidTraffic")
    assert "no AIServiceBackend 'gcp'" in ending.detail
    assert stage.router.writes == []


async def test_a_passing_outage_is_sat_out(stage):
    await stage.stand(ONE)
    stage.router.fail("write", Unreachable("away"), NotYet("the policy is not in force yet"))

    assert await stage.change(ONE, TWO) == DONE
    assert stage.router.writes == list(stages(ONE, TWO))


@pytest.mark.parametrize("error", [Refused("no such gateway"), Conflict("managed by argocd")])
async def test_what_the_cluster_refuses_is_undone_and_named(stage, error):
    await stage.stand(ONE)
    stage.router.fail("write", error)

    ending = await stage.change(ONE, TWO)
    assert (ending.phase, ending.problem) == (OperationPhase.UNDONE, type(error).__name__)
    assert ending.detail == str(error)
    assert await stage.stands() == layout_of(ONE)


async def test_a_cluster_that_stays_away_is_named_and_the_way_back_waits_for_it(stage):
    await stage.stand(ONE)
    stage.router.outage("write", Unreachable("the API server is away"))
    handle = await stage.start(ONE, TWO)
    async with asyncio.timeout(60):
        while (await described(handle)).problem is None:  # noqa: ASYNC110 - asked, not told
            await asyncio.sleep(0.2)
    assert stage.journal.endings == {}
    stage.router.outage("write", None)

    ending = await handle.result()
    assert (ending.phase, ending.problem) == (OperationPhase.UNDONE, "Unreachable")
    assert ending.detail == "the API server is away"
    assert await stage.stands() == layout_of(ONE)


async def test_what_the_gateway_does_not_obey_is_undone(stage):
    await stage.stand(ONE)
    stage.router.stuck = True
    weightier = replace(ONE[0], weight=7)

    ending = await stage.change(ONE, (weightier,))
    assert (ending.phase, ending.problem) == (OperationPhase.UNDONE, "NotSettled")
    assert ending.detail == "the gateway still shows the previous backends"
    assert await stage.stands() == layout_of(ONE)


async def test_a_route_that_was_begun_is_gone_again(stage):
    stage.router.stuck = True

    ending = await stage.change((), ONE)
    assert (ending.phase, ending.problem) == (OperationPhase.UNDONE, "NotSettled")
    assert await stage.stands() is None


async def test_the_way_back_is_insisted_on(stage):
    await stage.stand(TWO)
    stage.router.fail("write", Refused("no"), Conflict("managed by argocd"), Unreachable("away"))

    ending = await stage.change(TWO, without(TWO, TWO[1]))
    assert ending.problem == "Refused"
    assert await stage.stands() == layout_of(TWO)


async def test_a_newer_owner_is_left_alone(stage):
    later = Ownership(
        holder="newer",
        ordered_at=datetime.now(UTC) + timedelta(days=400),
        run_id="newer",
        sequence=1,
    )
    await stage.router.write(ROUTE, layout_of(TWO), later)

    ending = await stage.change(ONE, (replace(ONE[0], weight=7),))
    assert (ending.phase, ending.problem) == (OperationPhase.UNDONE, "FencedOut")
    assert "left to its newer owner" in ending.detail
    assert await stage.stands() == layout_of(TWO)


async def test_the_caretaker_undoes_what_was_cut_off(stage):
    await stage.stand(TWO)
    stage.cut_off.append(stage.operation(ONE, TWO))
    caretaker = await stage.client.start_workflow(
        CaretakerWorkflow.run, id=str(uuid4()), task_queue=stage.queue
    )
    async with asyncio.timeout(30):
        while stage.operation_id not in stage.journal.endings:  # noqa: ASYNC110 - a plain value
            await asyncio.sleep(0.05)
    await caretaker.terminate()

    ending = stage.journal.endings[stage.operation_id]
    assert (ending.phase, ending.problem) == (OperationPhase.UNDONE, "Cancelled")
    assert stage.router.writes == list(way_back(ONE, TWO))
    stage.handle = stage.client.get_workflow_handle(f"virtual-model-{ROUTE.virtual_model_id}")


async def test_a_removal_that_was_begun_is_finished(stage):
    await stage.stand(ONE)
    stage.router.fail("remove", NotYet("the HTTPRoute is still there"), Unreachable("away"))

    assert await stage.change(ONE, (), mode=Mode.RECOVER) == DONE
    assert await stage.stands() is None


async def test_a_cancelled_change_is_undone_first(stage):
    await stage.stand(ONE)
    stage.router.stuck = True
    handle = await stage.start(ONE, (replace(ONE[0], weight=7),))
    await written(stage, 1)
    await handle.cancel()
    stage.router.stuck = False

    with pytest.raises(WorkflowFailureError):
        await handle.result()
    ending = stage.journal.endings[stage.operation_id]
    assert (ending.phase, ending.problem) == (OperationPhase.UNDONE, "Cancelled")
    assert await stage.stands() == layout_of(ONE)


async def test_a_change_that_was_cut_off_is_undone(stage):
    await stage.stand(TWO)

    ending = await stage.change(ONE, TWO, mode=Mode.RECOVER)
    assert (ending.phase, ending.problem) == (OperationPhase.UNDONE, "Cancelled")
    assert stage.router.writes == list(way_back(ONE, TWO))
    assert await stage.stands() == layout_of(ONE)


async def test_an_absent_registry_is_told_when_it_is_back(stage):
    stage.journal.trouble = Unreachable("the database is away")
    handle = await stage.start((), ONE)
    await written(stage, 2)
    stage.journal.trouble = None
    assert await handle.result() == DONE
