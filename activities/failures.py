"""How an error leaves an activity: permanent ones are not retried, the rest by policy."""

from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
)

from domain.errors import PermanentError, TransientError


class DomainFailures(Interceptor):
    """Marks what a retry cannot help; the class name of the error becomes the failure's type."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the SDK names it so
        return _Translation(super().intercept_activity(next))


class _Translation(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - the SDK names it so
        try:
            return await self.next.execute_activity(input)
        except (PermanentError, TransientError) as error:
            kind = type(error).__name__
            activity.logger.warning("%s: %s", kind, error)
            # Benign to the SDK: told in one line above, not as the traceback of a bug.
            raise ApplicationError(
                str(error),
                type=kind,
                non_retryable=isinstance(error, PermanentError),
                category=ApplicationErrorCategory.BENIGN,
            ) from error
