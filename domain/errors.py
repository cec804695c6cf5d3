"""Every error that leaves an adapter or the domain, sorted by whether a retry helps.

TidegateError
├── PermanentError            never retried
│   ├── InvalidSpec           a field breaks a rule; names both
│   │   └── InvalidTraffic    the traffic cannot be divided like this
│   ├── NotFound              no such thing in this project
│   ├── Conflict              AlreadyExists, AlreadyRunning, InUse, Outdated,
│   │                         FencedOut
│   ├── Forbidden             the cluster's policy says no
│   ├── Refused               the cluster will not take this object as it is
│   └── WorkloadFailed        a model version that will never be ready
└── TransientError            retried by policy
    ├── Unreachable           nobody answers, or answers 5xx
    ├── Contended             somebody else wrote in between; read again
    └── NotYet                true later: not ready, not accepted
        └── NotSettled        the gateway does not obey in time

Bad news about a candidate is no error: it is a verdict. Errors are about us.
"""

from dataclasses import dataclass


class TidegateError(Exception):
    """Something went wrong."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class PermanentError(TidegateError):
    """A retry will not help."""


class TransientError(TidegateError):
    """A retry may help."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule: the field as a dotted path (`steps.0.weight`) and the rule in words."""

    field: str
    rule: str


class InvalidSpec(PermanentError):
    """The request breaks at least one rule."""

    def __init__(self, *violations: Violation) -> None:
        super().__init__("; ".join(f"{v.field}: {v.rule}" for v in violations))
        self.violations = violations


class InvalidTraffic(InvalidSpec):
    """The traffic cannot be divided like this."""


class NotFound(PermanentError):
    """There is no such thing in this project."""


class Conflict(PermanentError):
    """The present state does not allow this."""


class AlreadyExists(Conflict):
    """There is one of that name already."""


class AlreadyRunning(Conflict):
    """Another change of the same thing is running."""

    def __init__(
        self, message: str = "", *, rollout_id: str | None = None, operation_id: str | None = None
    ) -> None:
        super().__init__(message)
        self.rollout_id = rollout_id
        self.operation_id = operation_id


class InUse(Conflict):
    """Something still depends on this."""


class Outdated(Conflict):
    """What this rests on has changed meanwhile; ask again."""


class FencedOut(Conflict):
    """A newer run owns this traffic; the write of an older one was refused."""


class Forbidden(PermanentError):
    """The cluster's policy says no."""


class Refused(PermanentError):
    """The cluster will not take this object as it is."""


class WorkloadFailed(PermanentError):
    """The model version will not become ready."""


class Unreachable(TransientError):
    """Nobody answers."""


class Contended(TransientError):
    """Somebody else wrote in between."""


class NotYet(TransientError):
    """Not true yet."""


class NotSettled(NotYet):
    """The gateway does not obey in time."""


# What a look may get in place of an answer: nobody is there, or the store, the cluster or a proxy
# before it turns the question away. Nothing is seen then, which speaks against nobody, and the next
# look asks again. Any other error of a look is a bug of ours, and ends it for all to see.
NO_ANSWER = (TransientError, Forbidden, Refused)
