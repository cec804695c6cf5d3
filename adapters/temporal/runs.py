"""Which workflow runs are alive, by asking the server: its lists lag, its descriptions do not."""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from typing import TypeVar

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    ListWorkflowExecutionsRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from domain.errors import Forbidden, Refused, TidegateError, Unreachable
from domain.ports import RunDirectory
from domain.rollout import WORKFLOW_ID_PREFIX

T = TypeVar("T")

CALL_TIMEOUT = timedelta(seconds=10)
_PAGE = 1000
_RUNNING = f"ExecutionStatus = 'Running' AND WorkflowId STARTS_WITH '{WORKFLOW_ID_PREFIX}'"
_REFUSED = frozenset({RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.UNIMPLEMENTED})
_NO_ACCESS = frozenset({RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED})


class TemporalRuns(RunDirectory):
    """Asks about the latest run of a workflow ID: a successor that continued as new is that one."""

    def __init__(self, client: Client, *, timeout: timedelta = CALL_TIMEOUT) -> None:
        self._client = client
        self._timeout = timeout

    async def is_running(self, workflow_id: str) -> bool:
        """Whether there is a run and it has not closed. Raises Unreachable when nobody can tell.

        A run that somebody has paused is open. The client's own `describe` cannot read that state,
        hence the raw call.
        """
        request = DescribeWorkflowExecutionRequest(
            namespace=self._client.namespace, execution=WorkflowExecution(workflow_id=workflow_id)
        )
        try:
            answer = await self._call(
                self._client.workflow_service.describe_workflow_execution(request, retry=True)
            )
        except RPCError as error:
            if _is_unknown(error):
                return False
            raise _translated(error, f"describe workflow {workflow_id}") from error
        return not answer.workflow_execution_info.HasField("close_time")

    async def listed(self) -> frozenset[str]:
        """What the server's index holds. Raises Unreachable when nobody can tell."""
        found: set[str] = set()
        request = ListWorkflowExecutionsRequest(
            namespace=self._client.namespace, page_size=_PAGE, query=_RUNNING
        )
        while True:
            try:
                answer = await self._call(
                    self._client.workflow_service.list_workflow_executions(request, retry=True)
                )
            except RPCError as error:
                raise _translated(error, "list workflows") from error
            found.update(each.execution.workflow_id for each in answer.executions)
            if not answer.next_page_token:
                return frozenset(found)
            request.next_page_token = answer.next_page_token

    async def _call(self, call: Awaitable[T]) -> T:
        """The answer in time. Calls are to be tried again: the server ends old connections."""
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                return await call
        except (RuntimeError, TimeoutError) as error:
            # A lazy client connects only now, and says so when it cannot, in this way.
            raise Unreachable(f"Temporal cannot be reached: {error!r}") from error


def _is_unknown(error: RPCError) -> bool:
    # A namespace that is not there answers NOT_FOUND too, and would make every run look dead.
    return error.status is RPCStatusCode.NOT_FOUND and "namespace" not in error.message.lower()


def _translated(error: RPCError, call: str) -> TidegateError:
    said = f"{call}: {error.message}"
    if error.status in _REFUSED:
        return Refused(said)
    if error.status in _NO_ACCESS:
        return Forbidden(said)
    return Unreachable(said)
