"""Which workflow runs are alive, by asking the server: its lists lag, its descriptions do not."""

from datetime import timedelta

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from domain.errors import Forbidden, Refused, TidegateError, Unreachable
from domain.ports import RunDirectory

CALL_TIMEOUT = timedelta(seconds=10)
_REFUSED = frozenset({RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.UNIMPLEMENTED})
_NO_ACCESS = frozenset({RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED})


class TemporalRuns(RunDirectory):
    def __init__(self, client: Client, *, timeout: timedelta = CALL_TIMEOUT) -> None:
        self._client = client
        self._timeout = timeout

    async def is_running(self, workflow_id: str) -> bool:
        """Whether the latest run of this workflow ID is open. Unreachable when nobody can tell.

        A run that continued as new is: its successor is the latest run then.
        """
        handle = self._client.get_workflow_handle(workflow_id)
        try:
            described = await handle.describe(rpc_timeout=self._timeout)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise _translated(error, workflow_id) from error
        return described.status is WorkflowExecutionStatus.RUNNING


def _translated(error: RPCError, workflow_id: str) -> TidegateError:
    said = f"describe workflow {workflow_id}: {error.message}"
    if error.status in _REFUSED:
        return Refused(said)
    if error.status in _NO_ACCESS:
        return Forbidden(said)
    return Unreachable(said)
