"""Errors that only the front door knows. Their messages are written for the caller."""

from domain.errors import (
    AlreadyRunning,
    Conflict,
    InvalidSpec,
    Refused,
    TransientError,
    Unreachable,
    Violation,
)
from domain.operations import Operation
from domain.rollout import Rollout


class KeyReused(InvalidSpec):
    """The Idempotency-Key has named another request before."""


class RolloutRunning(AlreadyRunning):
    """A rollout of the same traffic config is running; `rollout` is the one."""

    def __init__(self, rollout: Rollout) -> None:
        message = (
            f"rollout {rollout.id} of this traffic config is {rollout.phase}; "
            "promote or abort it, or wait until it ends"
        )
        super().__init__(message, rollout_id=str(rollout.id))
        self.rollout = rollout


class OperationRunning(AlreadyRunning):
    """Another operation on the same thing is running; `operation` is the one."""

    def __init__(self, operation: Operation) -> None:
        message = f"the operation {operation.summary!r} is {operation.phase}; wait until it ends"
        super().__init__(message, operation_id=str(operation.id))
        self.operation = operation


class ClusterUnreachable(Unreachable):
    """The cluster does not answer, so that nothing could be changed."""


class Unfinished(TransientError):
    """It was not done in time and goes on; `operation` can be looked up."""

    def __init__(self, operation: Operation, doing: str) -> None:
        super().__init__(f"not done yet: {doing}; it goes on, follow the operation")
        self.operation = operation


class EngineUnreachable(Unreachable):
    """The workflow engine does not answer. Asking again does no harm."""


class MetricsUnreachable(Unreachable):
    """The metrics store does not answer. Asking again does no harm."""


class MetricsRefused(Refused):
    """The metrics store will not answer this: ask for a shorter window or a longer step."""


class ChartUnfinished(TransientError):
    """There is so much evidence that its chart is still being drawn. Ask again in a moment."""


class TooMuchEvidence(Conflict):
    """More evidence than a chart is drawn of."""

    def __init__(self, count: int, most: int, what: str = "intervals of evidence") -> None:
        super().__init__(f"{count:,} {what} are stored; a chart is drawn of {most:,} at most")


class AnalysisUnfinished(TransientError):
    """It takes so long that it is still going on. Ask the same again in a moment."""


class AnalysisNotBegun(AnalysisUnfinished):
    """So many wait for their turn that it was not begun. Ask again in a moment."""


class TooManySamples(Conflict):
    """More samples than are replayed at once."""

    def __init__(self, most: int) -> None:
        super().__init__(f"the ranges hold more than {most:,} samples; ask for shorter ones")


class TooManyQueries(Conflict):
    """More queries than the readings of a backtest may make: some have found nothing so far."""

    def __init__(self, most: int) -> None:
        super().__init__(
            f"the readings of the gates took more than {most:,} queries; ask for shorter ranges"
        )


class Absent(Unreachable):
    """No workflow walks this rollout at the moment; the guardian brings its traffic back."""


class NoReply(TransientError):
    """No answer came in time; what was asked may still happen. Asking again does no harm."""


class Overloaded(TransientError):
    """The workflow engine has too much to do right now; nothing was changed."""


class NotReady(TransientError):
    """Something that every call needs does not answer."""

    def __init__(self, *down: str) -> None:
        super().__init__(f"does not answer: {', '.join(down)}")
        self.down = down


def broken(field: str, rule: str) -> InvalidSpec:
    """The error of one field that breaks one rule."""
    return InvalidSpec(Violation(field, rule))
