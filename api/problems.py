"""The one table from an error to its HTTP status, and problem details (RFC 9457) for everything."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from api.errors import (
    Absent,
    AnalysisUnfinished,
    ChartUnfinished,
    ClusterUnreachable,
    EngineUnreachable,
    KeyReused,
    MetricsRefused,
    MetricsUnreachable,
    NoReply,
    NotReady,
    OperationRunning,
    Overloaded,
    RolloutRunning,
    TooManyQueries,
    TooManySamples,
    TooMuchEvidence,
    Unfinished,
)
from api.rendering import PROBLEM_TYPE, as_json
from api.schemas.gates import TAG_PREFIX
from domain.errors import (
    AlreadyExists,
    AlreadyRunning,
    Conflict,
    Contended,
    FencedOut,
    Forbidden,
    InUse,
    InvalidSpec,
    InvalidTraffic,
    NotFound,
    NotSettled,
    NotYet,
    Refused,
    TidegateError,
    Unreachable,
    WorkloadFailed,
)
from domain.operations import Operation, OperationPhase
from domain.rollout import Phase

_log = logging.getLogger(__name__)
MOST_VIOLATIONS = 50
_UNREADABLE_PLACES = frozenset({"header", "path"})


class BrokenRule(BaseModel):
    """The field as a dotted path (`steps.0.weight`), and the rule that it breaks."""

    field: str
    rule: str


class Running(BaseModel):
    """The rollout or operation that stands in the way, or that goes on after the answer."""

    rollout_id: str | None = None
    operation_id: str | None = None
    phase: Phase | OperationPhase | None = None
    href: str | None = None


class Problem(BaseModel):
    """Problem details as of RFC 9457."""

    type: str = Field(description="Names the kind of problem; stable.")
    title: str = Field(description="The kind of problem in words; stable.")
    status: int
    detail: str = Field(description="What went wrong this time.")
    instance: str = Field(description="The path of the call.")
    errors: list[BrokenRule] | None = Field(default=None, description="Every rule that is broken.")
    running: Running | None = Field(
        default=None, description="What stands in the way of a 409, or goes on after a 504."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What callers see of an error class. Without `detail` the error's own message is shown."""

    status: int
    slug: str
    title: str
    detail: str | None = None
    retry_after_seconds: int | None = None


TABLE: Mapping[type[TidegateError], Kind] = {
    InvalidSpec: Kind(status=422, slug="invalid", title="The request breaks a rule"),
    InvalidTraffic: Kind(
        status=400, slug="invalid-traffic", title="The traffic cannot be divided like this"
    ),
    KeyReused: Kind(status=422, slug="key-reused", title="The Idempotency-Key is taken"),
    NotFound: Kind(status=404, slug="not-found", title="There is no such thing"),
    Conflict: Kind(status=409, slug="conflict", title="The present state does not allow this"),
    AlreadyExists: Kind(status=409, slug="already-exists", title="It exists already"),
    AlreadyRunning: Kind(status=409, slug="already-running", title="Another change is running"),
    InUse: Kind(status=409, slug="in-use", title="Something depends on it"),
    FencedOut: Kind(status=409, slug="fenced-out", title="A newer change owns this traffic"),
    Forbidden: Kind(status=403, slug="forbidden", title="It is not allowed"),
    Refused: Kind(status=502, slug="refused", title="A system behind this refused"),
    WorkloadFailed: Kind(status=502, slug="workload-failed", title="The model version failed"),
    Unreachable: Kind(
        status=503,
        slug="unreachable",
        title="A system behind this does not answer",
        detail="the registry's database does not answer; nothing was changed",
        retry_after_seconds=2,
    ),
    ClusterUnreachable: Kind(
        status=503,
        slug="cluster-unreachable",
        title="The cluster does not answer",
        retry_after_seconds=5,
    ),
    EngineUnreachable: Kind(
        status=503,
        slug="engine-unreachable",
        title="The workflow engine does not answer",
        retry_after_seconds=2,
    ),
    MetricsUnreachable: Kind(
        status=503,
        slug="metrics-unreachable",
        title="The metrics store does not answer",
        detail="the metrics store does not answer; traffic and rollouts are not touched by that",
        retry_after_seconds=5,
    ),
    MetricsRefused: Kind(
        status=502,
        slug="metrics-refused",
        title="The metrics store refuses",
        detail="the metrics store refuses this query; ask for a shorter window or a longer step",
    ),
    ChartUnfinished: Kind(
        status=503,
        slug="chart-unfinished",
        title="The chart is not drawn yet",
        retry_after_seconds=5,
    ),
    TooMuchEvidence: Kind(
        status=409, slug="too-much-evidence", title="There is too much evidence for a chart"
    ),
    AnalysisUnfinished: Kind(
        status=503,
        slug="analysis-unfinished",
        title="The analysis is not done yet",
        retry_after_seconds=5,
    ),
    TooManySamples: Kind(
        status=409, slug="too-many-samples", title="There are too many samples to replay"
    ),
    TooManyQueries: Kind(
        status=409, slug="too-many-queries", title="The readings take too many queries"
    ),
    Absent: Kind(
        status=503,
        slug="rollout-absent",
        title="The rollout's workflow is not running",
        retry_after_seconds=5,
    ),
    NotReady: Kind(
        status=503,
        slug="not-ready",
        title="This process cannot work at the moment",
        retry_after_seconds=2,
    ),
    Contended: Kind(
        status=503,
        slug="contended",
        title="Somebody else wrote in between",
        detail="somebody else changed the same thing at this moment; nothing was changed",
        retry_after_seconds=1,
    ),
    NotYet: Kind(status=504, slug="not-yet", title="It did not come true in time"),
    NotSettled: Kind(
        status=504, slug="not-settled", title="The traffic did not obey in time and was taken back"
    ),
    Unfinished: Kind(status=504, slug="unfinished", title="It is not done yet and goes on"),
    NoReply: Kind(status=504, slug="no-reply", title="No answer came in time"),
    Overloaded: Kind(
        status=429, slug="overloaded", title="Too many requests", retry_after_seconds=1
    ),
}
_BUG = Kind(
    status=500,
    slug="internal",
    title="This should not have happened",
    detail="an unexpected error; it was logged",
)


def install(app: FastAPI, methods_at: Callable[[str], frozenset[str]]) -> None:
    """Have every error of the application, and of the framework, answered as a problem.

    `methods_at` tells what may be done at a path, for the answer to what may not.
    """
    app.add_exception_handler(TidegateError, _of_domain)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(HTTPException, partial(_of_framework, methods_at))
    app.add_exception_handler(Exception, _of_bug)


def kind_of(error: TidegateError) -> Kind:
    """The row of the nearest ancestor in the table."""
    return next((TABLE[cls] for cls in type(error).__mro__ if cls in TABLE), _BUG)


def _respond(
    request: Request,
    kind: Kind,
    detail: str,
    *,
    errors: Sequence[BrokenRule] | None = None,
    running: Running | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    problem = Problem(
        type=f"urn:tidegate:problem:{kind.slug}",
        title=kind.title,
        status=kind.status,
        detail=detail,
        instance=request.url.path,
        errors=list(errors) if errors is not None else None,
        running=running,
    )
    wait = kind.retry_after_seconds
    return Response(
        content=as_json(problem, exclude_none=True),
        status_code=kind.status,
        headers={**(headers or {}), **({"Retry-After": str(wait)} if wait else {})},
        media_type=PROBLEM_TYPE,
    )


async def _of_domain(request: Request, error: Exception) -> Response:
    assert isinstance(error, TidegateError)  # noqa: S101 - what it is registered for
    kind = kind_of(error)
    if kind.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.warning("%s %s: %r", request.method, request.url.path, error)
    errors = (
        [BrokenRule(field=v.field, rule=v.rule) for v in error.violations]
        if isinstance(error, InvalidSpec)
        else None
    )
    return _respond(
        request, kind, kind.detail or str(error), errors=errors, running=_running(error)
    )


def _running(error: TidegateError) -> Running | None:
    if isinstance(error, RolloutRunning):
        rollout = error.rollout
        href = f"/api/v1/model-registry/rollouts/{rollout.id}"
        return Running(rollout_id=str(rollout.id), phase=rollout.phase, href=href)
    if isinstance(error, OperationRunning | Unfinished):
        operation = error.operation
        return Running(
            operation_id=str(operation.id), phase=operation.phase, href=href_of(operation)
        )
    if isinstance(error, AlreadyRunning) and (error.rollout_id or error.operation_id):
        return Running(rollout_id=error.rollout_id, operation_id=error.operation_id)
    return None


def href_of(operation: Operation) -> str:
    """Where an operation can be followed."""
    return f"/api/v1/model-registry/operations/{operation.id}"


async def _of_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - what it is registered for
    found = error.errors()
    if any(e["type"] == "json_invalid" for e in found):
        malformed = Kind(status=400, slug="malformed", title="The request cannot be read")
        return _respond(request, malformed, "the body is not valid JSON")
    unreadable = [e for e in found if e["loc"][0] in _UNREADABLE_PLACES]
    rules = list(broken_rules(unreadable or found))[:MOST_VIOLATIONS]
    kind = (
        Kind(status=400, slug="malformed", title="The request cannot be read")
        if unreadable
        else TABLE[InvalidSpec]
    )
    detail = "; ".join(f"{rule.field}: {rule.rule}" for rule in rules)
    return _respond(request, kind, detail, errors=rules)


def broken_rules(errors: Sequence[Mapping[str, Any]]) -> Iterator[BrokenRule]:
    """What pydantic found, in our words. The first part of a location says which part is meant."""
    for error in errors:
        place, *path = (part for part in error["loc"] if not str(part).startswith(TAG_PREFIX))
        field = ".".join(str(part)[:80] for part in path) or str(place)
        yield BrokenRule(field=field, rule=_rule(error))


def _rule(error: Mapping[str, Any]) -> str:
    if error["type"] == "missing":
        return "is required"
    if error["type"] == "extra_forbidden":
        return "is not known"
    if isinstance(error["input"], bytes):
        return "must be JSON, sent as application/json"
    message = str(error["msg"]).removeprefix("Value error, ")
    return message[:300]


_FRAMEWORK_SLUGS = {400: "malformed", 404: "no-route", 405: "wrong-method", 413: "too-large"}


async def _of_framework(
    methods_at: Callable[[str], frozenset[str]], request: Request, error: Exception
) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - what it is registered for
    status = HTTPStatus(error.status_code)
    kind = Kind(
        status=status, slug=_FRAMEWORK_SLUGS.get(status, f"http-{status}"), title=status.phrase
    )
    headers = error.headers
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        headers = {"Allow": ", ".join(sorted(methods_at(request.url.path)))}
    return _respond(request, kind, status.description or status.phrase, headers=headers)


async def _of_bug(request: Request, error: Exception) -> Response:
    _log.error("%s %s", request.method, request.url.path, exc_info=error)
    return _respond(request, _BUG, _BUG.detail or _BUG.title)
