"""Errors that only the front door knows. Their messages are written for the caller."""

from domain.errors import AlreadyRunning, InvalidSpec, TransientError, Unreachable, Violation
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


class EngineUnreachable(Unreachable):
    """The workflow engine does not answer. Asking again does no harm."""


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
