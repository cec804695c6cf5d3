"""One-shot changes: stored, started, waited for, and answered for.

The row comes first and pins what is changed from and to; nothing else may change the subject until
it ends. An operation whose workflow never started is undone by the caretaker.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

from api.busy import HOUSEKEEPING_PATIENCE, Patience, in_the_way, is_housekeeping
from api.errors import ClusterUnreachable, Unfinished
from api.parts import Parts
from domain.errors import (
    AlreadyRunning,
    Conflict,
    Forbidden,
    InvalidTraffic,
    NotSettled,
    Outdated,
    Refused,
    TidegateError,
    Violation,
    WorkloadFailed,
)
from domain.operations import Operation, OperationPhase

PATIENCE = timedelta(seconds=60)
# The registry knows of an end a moment before its workflow closes and makes room.
_WHILE_CLOSING_SECONDS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 1.6)
_TRIES = 5
# What an operation was undone for, by the class of the error that it met. All others say that the
# cluster did not do as asked in time.
_PROBLEMS: Mapping[str, type[TidegateError]] = {
    "AlreadyExists": Conflict,
    "Cancelled": Conflict,
    "Conflict": Conflict,
    "FencedOut": Conflict,
    "Forbidden": Forbidden,
    "InvalidSpec": Refused,
    "NotSettled": NotSettled,
    "Refused": Refused,
    "WorkloadFailed": WorkloadFailed,
}


async def carried_out(
    parts: Parts,
    propose: Callable[[], Awaitable[Operation]],
    *,
    patience: timedelta = PATIENCE,
) -> Operation:
    """Have the proposed operation done, or raise for what it was undone.

    `propose` reads the present state; where that has changed before the operation began, it is
    asked anew. Raises AlreadyRunning where the subject is in other hands, Unfinished when it is
    not done within `patience`: it goes on.
    """
    await parts.control.ready()  # a row that nobody will carry out is worth avoiding
    operation = await _begun(parts, propose)
    run_id = await _started(parts, operation)
    ending = await parts.control.outcome(operation, run_id, patience=patience)
    if ending is None:
        raise await _still_running(parts, operation)
    if ending.phase is OperationPhase.UNDONE:
        raise _undone(ending.problem, ending.detail)
    return await parts.registry.operation(operation.project_id, operation.id)


async def _begun(parts: Parts, propose: Callable[[], Awaitable[Operation]]) -> Operation:
    """The operation, begun: proposed anew while what it rests on changes under it."""
    patience, tries_left = Patience(HOUSEKEEPING_PATIENCE), _TRIES
    while True:
        operation = await propose()
        tries_left -= 1
        try:
            await parts.registry.begin(operation)
        except AlreadyRunning as error:
            named = await _named(parts, operation, error)
            if is_housekeeping(named) and await patience.allows():
                tries_left += 1
            elif named is not error or not tries_left:
                raise named from error  # else: whoever was in the way has ended meanwhile
        except Outdated:
            if not tries_left:
                raise
        else:
            return operation


async def _started(parts: Parts, operation: Operation) -> str:
    """Start the workflow, behind one that has ended already and is about to close."""
    waits = iter(_WHILE_CLOSING_SECONDS)
    while True:
        try:
            return await parts.control.start_operation(operation)
        except AlreadyRunning as error:
            wait = next(waits, None)
            if wait is None:
                await parts.registry.discard(operation)
                raise await _named(parts, operation, error) from error
        await asyncio.sleep(wait)


async def _named(parts: Parts, operation: Operation, error: AlreadyRunning) -> AlreadyRunning:
    return await in_the_way(
        parts.registry, operation.project_id, operation.subject_id, error, mine=operation.id
    )


async def _still_running(parts: Parts, operation: Operation) -> TidegateError:
    """It goes on; where it is being undone already, what for is the better answer."""
    view = await parts.control.operation_view(operation)
    if view is not None and view.problem is not None:
        return _undone(view.problem, view.detail)
    return Unfinished(operation, view.doing if view else operation.summary)


def _undone(problem: str | None, detail: str) -> TidegateError:
    if problem == InvalidTraffic.__name__:
        field, _, rule = detail.partition(": ")
        return InvalidTraffic(Violation(field, rule))
    kind = _PROBLEMS.get(problem or "")
    if kind is None:
        return ClusterUnreachable(f"{detail}; what was begun is taken back")
    return kind(f"{detail}; what was begun is taken back")
