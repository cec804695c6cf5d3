"""Starts workflows and speaks to running ones: the only speaker to Temporal.

Everything that Temporal raises is translated here. A rollout is found by the workflow ID of its
traffic config and known by the `rollout_id` in its memo, so a command can never reach the rollout
that came before or after the one that was meant.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

from temporalio.client import (
    Client,
    RPCTimeoutOrCancelledError,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
    WorkflowUpdateFailedError,
)
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from api.errors import Absent, EngineUnreachable, NoReply, Overloaded, broken
from domain.errors import AlreadyRunning, Conflict, Forbidden, Refused, TidegateError
from domain.operations import Ending, Operation, OperationPhase
from domain.plan import Variant
from domain.registry import InferenceService, TrafficConfig
from domain.rollout import Action, Command, Phase, Rollout, workflow_id
from domain.story import headline, line, overview
from workflows.changes import CHANGES
from workflows.messages import (
    TASK_QUEUE,
    OperationOrder,
    OperationView,
    PublishConfigInput,
    Reply,
    RolloutInput,
    RolloutView,
    ServeInput,
    deployment_id,
)
from workflows.operation import ChangeTrafficWorkflow
from workflows.provisioning import PublishConfigWorkflow
from workflows.rollout import RolloutWorkflow
from workflows.search import (
    GOAL_MEMO,
    MODEL,
    OPERATION_MEMO,
    PROJECT,
    ROLLOUT_MEMO,
    attributes_of,
    attributes_of_operation,
)
from workflows.serving import ServeWorkflow

_SHORT = timedelta(seconds=5)
# A busy engine may begin late. Whoever looks for rows that nobody carries out waits longer.
_START = timedelta(seconds=10)
_COMMAND = timedelta(seconds=10)
_QUERY = timedelta(seconds=2)
# The registry knows of an end a moment before its workflow closes and makes room.
_WHILE_CLOSING_SECONDS = (0.05, 0.1, 0.2, 0.4, 0.8)
# What a workflow raises to say that a command does not fit its present state.
_CONFLICTS = frozenset({"Conflict", "AlreadyRunning", "AcceptedUpdateCompletedWorkflow"})


class Control:
    """The workflow engine as the API needs it; see `api.parts.RolloutControl`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def ready(self) -> None:
        """Raise EngineUnreachable where it does not answer: nothing was asked that could go on.

        The timeout of the call itself would not cover the time in which the client connects. Unlike
        others, this call is tried again only if told to: each few minutes the server closes a
        connection, and what was about to be sent on it is cancelled.
        """
        try:
            async with asyncio.timeout(_QUERY.total_seconds()):
                with _translated():
                    is_up = await self._client.service_client.check_health(retry=True)
        except (TimeoutError, NoReply) as error:
            raise EngineUnreachable from error
        if not is_up:
            raise EngineUnreachable

    async def serve(
        self, service: InferenceService, order: ServeInput, *, patience: timedelta = timedelta(0)
    ) -> None:
        handle = await self._serving(service, order)
        if patience:
            await _ended(handle, patience)

    async def is_serving(self, service_id: UUID) -> bool:
        with _translated():
            found = await self._description(deployment_id(service_id))
        return found is not None and found.status is WorkflowExecutionStatus.RUNNING

    async def publish_config(
        self, config: TrafficConfig, stable: Variant, *, patience: timedelta
    ) -> None:
        handle = await self._start(
            PublishConfigWorkflow.run,
            PublishConfigInput(
                config_id=config.id,
                service_id=config.inference_service_id,
                route=config.route,
                stable=stable,
            ),
            id=workflow_id(config.id),
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            static_summary=f"publish the route of {config.inference_service_name}",
            search_attributes=_attributes(
                SearchAttributePair(PROJECT, str(config.project_id)),
                SearchAttributePair(MODEL, config.inference_service_name),
            ),
        )
        await _ended(handle, patience)

    async def start_rollout(self, rollout: Rollout) -> str:
        try:
            handle = await self._start(
                RolloutWorkflow.run,
                RolloutInput(
                    rollout_id=rollout.id,
                    plan=rollout.plan,
                    actor=rollout.actor,
                    reason=rollout.reason,
                ),
                id=rollout.workflow_id,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                memo={ROLLOUT_MEMO: str(rollout.id)},
                static_summary=line(headline(rollout.plan)),
                static_details=_introduction(rollout),
                search_attributes=attributes_of(rollout.plan, Phase.PENDING),
            )
        except WorkflowAlreadyStartedError as error:
            return await self._run_of(rollout, error)
        return handle.first_execution_run_id or ""

    async def command(self, rollout: Rollout, action: Action, command: Command) -> Reply:
        with _translated():
            run = await self._alive(rollout)
            if run is None:
                raise Absent
            reply: Reply = await run.execute_update(
                action.value, command, result_type=Reply, rpc_timeout=_COMMAND
            )
            return reply

    async def see_end(self, rollout: Rollout, *, patience: timedelta) -> None:
        with _translated():
            run = await self._alive(rollout)
        if run is not None:
            await _ended(run, patience)

    async def describe(self, rollout: Rollout) -> RolloutView | None:
        with _translated():
            run = await self._alive(rollout)
            if run is None:
                return None
            return await run.query(RolloutWorkflow.describe, rpc_timeout=_QUERY)

    async def start_operation(self, operation: Operation) -> str:
        try:
            handle = await self._start(
                CHANGES[operation.subject],
                OperationOrder(operation=operation),
                id=operation.workflow_id,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                memo={OPERATION_MEMO: str(operation.id)},
                static_summary=line(f"{operation.change.route.model}: {operation.summary}"),
                search_attributes=attributes_of_operation(operation),
            )
        except WorkflowAlreadyStartedError as error:
            with _translated():
                found = await self._description(operation.workflow_id)
                running = await found.memo_value(OPERATION_MEMO, None) if found else None
            if found is None or running != str(operation.id):
                raise AlreadyRunning("another change of the same thing is running") from error
            return found.run_id
        return handle.first_execution_run_id or ""

    async def outcome(
        self, operation: Operation, run_id: str, *, patience: timedelta
    ) -> Ending | None:
        handle: WorkflowHandle[Any, Ending] = self._client.get_workflow_handle(
            operation.workflow_id, run_id=run_id, result_type=Ending
        )
        try:
            async with asyncio.timeout(patience.total_seconds()):
                with _translated():
                    return await handle.result()
        except (TimeoutError, NoReply):
            return None
        except WorkflowFailureError:
            return Ending(phase=OperationPhase.UNDONE, problem="Cancelled", detail="cancelled")

    async def operation_view(self, operation: Operation) -> OperationView | None:
        handle: WorkflowHandle[Any, Any] = self._client.get_workflow_handle(operation.workflow_id)
        try:
            with _translated():
                return await handle.query(ChangeTrafficWorkflow.describe, rpc_timeout=_QUERY)
        except TidegateError:
            return None

    async def _start(self, workflow: Any, message: Any, **options: Any) -> WorkflowHandle[Any, Any]:
        """Start a workflow on the one task queue."""
        with _translated():
            handle: WorkflowHandle[Any, Any] = await self._client.start_workflow(
                workflow,
                message,
                task_queue=TASK_QUEUE,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                rpc_timeout=_START,
                **options,
            )
            return handle

    async def stop_serving(self, service_id: UUID) -> bool:
        with _translated():
            found = await self._description(deployment_id(service_id))
            if found is None or found.status is not WorkflowExecutionStatus.RUNNING:
                return False
            handle = self._client.get_workflow_handle(found.id, run_id=found.run_id)
            with suppress(Absent):  # it has ended meanwhile
                await _cancelled(handle)
        return True

    async def _serving(
        self, service: InferenceService, order: ServeInput
    ) -> WorkflowHandle[Any, Any]:
        """The run that carries the order out, behind one that has ended and is about to close."""
        for wait in _WHILE_CLOSING_SECONDS:
            handle = await self._begun_or_joined(service, order)
            if handle is not None:
                return handle
            await asyncio.sleep(wait)
        raise AlreadyRunning(f"another change of inference service {service.name!r} is running")

    async def _begun_or_joined(
        self, service: InferenceService, order: ServeInput
    ) -> WorkflowHandle[Any, Any] | None:
        goal, its_id = _goal(order), deployment_id(service.id)
        try:
            return await self._start(
                ServeWorkflow.run,
                order,
                id=its_id,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                memo={GOAL_MEMO: goal},
                static_summary=line(f"{service.name}: {goal}"),
                search_attributes=_attributes(
                    SearchAttributePair(PROJECT, str(service.project_id)),
                    SearchAttributePair(MODEL, service.name),
                ),
            )
        except WorkflowAlreadyStartedError:
            with _translated():
                found = await self._description(its_id)
                running = await found.memo_value(GOAL_MEMO, None) if found else None
        if found is None or running != goal:
            return None
        return self._client.get_workflow_handle(its_id, run_id=found.run_id)

    async def _run_of(self, rollout: Rollout, error: WorkflowAlreadyStartedError) -> str:
        """The run that is in the way, if it walks this very rollout; else AlreadyRunning."""
        with _translated():
            found = await self._description(rollout.workflow_id)
            running = await found.memo_value(ROLLOUT_MEMO, None) if found else None
        if found is not None and running == str(rollout.id):
            return found.run_id
        raise AlreadyRunning(
            "another change of this traffic config is running", rollout_id=running
        ) from error

    async def _alive(self, rollout: Rollout) -> WorkflowHandle[RolloutWorkflow, Any] | None:
        """The chain of runs that walks this very rollout, followed through its continuations."""
        found = await self._description(rollout.workflow_id)
        if found is None or found.status is not WorkflowExecutionStatus.RUNNING:
            return None
        if await found.memo_value(ROLLOUT_MEMO, None) != str(rollout.id):
            return None
        first = found.raw_description.workflow_execution_info.first_run_id or found.run_id
        return self._client.get_workflow_handle_for(
            RolloutWorkflow.run, found.id, first_execution_run_id=first
        )

    async def _description(self, id: str) -> WorkflowExecutionDescription | None:  # noqa: A002 - Temporal's word
        try:
            return await self._client.get_workflow_handle(id).describe(rpc_timeout=_QUERY)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise


def _goal(order: ServeInput) -> str:
    """What an order comes to, in the words by which a second one like it is known."""
    if order.wanted is not None:
        return f"serve {order.wanted.name}"
    return "undeploy and delete" if order.forget else "undeploy"


def _attributes(*pairs: SearchAttributePair[Any]) -> TypedSearchAttributes:
    return TypedSearchAttributes(pairs)


def _introduction(rollout: Rollout) -> str:
    """What the Temporal UI shows of a rollout before its workflow has said a word."""
    because = f": {rollout.reason}" if rollout.reason else ""
    return f"{overview(rollout.plan)}\n\nRollout `{rollout.id}`, by {rollout.actor}{because}"


async def _cancelled(handle: WorkflowHandle[Any, Any]) -> None:
    """Have the workflow end early and wait for it. Raises NoReply when it does not."""
    with _translated():
        await handle.cancel(rpc_timeout=_SHORT)
    try:
        async with asyncio.timeout(_SHORT.total_seconds()):
            with suppress(WorkflowFailureError), _translated():
                await handle.result()
    except TimeoutError as error:
        raise NoReply from error


async def _ended(handle: WorkflowHandle[Any, Any], patience: timedelta) -> None:
    """Wait until the workflow has ended, well or badly, but no longer than `patience`."""
    try:
        async with asyncio.timeout(patience.total_seconds()):
            with _translated():
                await handle.result()
    except (TimeoutError, WorkflowFailureError, NoReply):
        return  # the registry tells how it stands


@contextmanager
def _translated() -> Iterator[None]:
    """Raise domain errors for what Temporal raises. WorkflowAlreadyStartedError passes."""
    try:
        yield
    except WorkflowUpdateFailedError as error:
        raise _refusal(error.cause) from error
    except RPCTimeoutOrCancelledError as error:
        raise NoReply from error
    except (WorkflowQueryFailedError, WorkflowQueryRejectedError) as error:
        raise Conflict("the rollout cannot tell its state at the moment") from error
    except RPCError as error:
        raise _of_rpc(error) from error
    except RuntimeError as error:
        # A lazy client that cannot connect says so with a bare RuntimeError.
        raise EngineUnreachable from error


def _refusal(cause: BaseException) -> TidegateError:
    """What a command was refused for."""
    if not isinstance(cause, ApplicationError):
        return Conflict("the rollout ended before it could obey")
    if cause.type in _CONFLICTS:
        return Conflict(cause.message)
    if cause.type == Forbidden.__name__:
        return Forbidden(cause.message)
    return broken("command", cause.message)


def _of_rpc(error: RPCError) -> TidegateError:
    match error.status:
        case RPCStatusCode.NOT_FOUND:
            return Absent()
        case RPCStatusCode.RESOURCE_EXHAUSTED:
            return Overloaded()
        case RPCStatusCode.DEADLINE_EXCEEDED | RPCStatusCode.CANCELLED:
            return NoReply()
        case RPCStatusCode.PERMISSION_DENIED | RPCStatusCode.UNAUTHENTICATED:
            return Forbidden("the workflow engine does not let this API in")
        case RPCStatusCode.INVALID_ARGUMENT | RPCStatusCode.FAILED_PRECONDITION:
            return Refused("the workflow engine refused the request; the API's log says why")
        case _:
            return EngineUnreachable()
