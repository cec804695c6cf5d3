"""Failures as the API answers them: HTTP codes and `Status` bodies, worded as by a real server."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

from sandbox.kube.documents import Document


class Reason(StrEnum):
    BAD_REQUEST = "BadRequest"
    FORBIDDEN = "Forbidden"
    NOT_FOUND = "NotFound"
    METHOD_NOT_ALLOWED = "MethodNotAllowed"
    ALREADY_EXISTS = "AlreadyExists"
    CONFLICT = "Conflict"
    EXPIRED = "Expired"
    TOO_LARGE = "RequestEntityTooLarge"
    UNSUPPORTED_MEDIA_TYPE = "UnsupportedMediaType"
    INVALID = "Invalid"
    INTERNAL_ERROR = "InternalError"
    UNKNOWN = "Unknown"
    TIMEOUT = "Timeout"


class CauseReason(StrEnum):
    REQUIRED = "FieldValueRequired"
    INVALID = "FieldValueInvalid"
    TYPE_INVALID = "FieldValueTypeInvalid"
    NOT_SUPPORTED = "FieldValueNotSupported"
    FORBIDDEN = "FieldValueForbidden"
    DUPLICATE = "FieldValueDuplicate"
    TOO_LONG = "FieldValueTooLong"
    TOO_MANY = "FieldValueTooMany"
    MANAGER_CONFLICT = "FieldManagerConflict"
    NAMESPACE_TERMINATING = "NamespaceTerminating"
    REVISION_TOO_LARGE = "ResourceVersionTooLarge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    reason: CauseReason
    message: str
    field: str

    def body(self) -> Document:
        return {"reason": self.reason, "message": self.message, "field": self.field}


class ApiError(Exception):
    """An answer that is no success; `body()` is the `Status` object that goes out with it."""

    def __init__(
        self, code: HTTPStatus, reason: Reason, message: str, *, details: Document | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details

    def body(self) -> Document:
        body = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": int(self.code),
        }
        return body if self.details is None else {**body, "details": self.details}


class PathUnknown(Exception):
    """No resource is served under this path: a real server answers in plain text then."""


def success(*, group: str, plural: str, name: str, uid: str) -> Document:
    """Return what a delete answers once the object is gone."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {**_details(group, plural, name), "uid": uid},
    }


def bad_request(message: str) -> ApiError:
    return ApiError(HTTPStatus.BAD_REQUEST, Reason.BAD_REQUEST, message)


def revision_on_create() -> ApiError:
    """Return the 500, for that is what a real server answers to this mistake of a client."""
    message = "resourceVersion should not be set on objects to be created"
    return ApiError(HTTPStatus.INTERNAL_SERVER_ERROR, Reason.UNKNOWN, message)


def not_found(*, group: str, plural: str, name: str) -> ApiError:
    return ApiError(
        HTTPStatus.NOT_FOUND,
        Reason.NOT_FOUND,
        f'{_qualified(plural, group)} "{name}" not found',
        details=_details(group, plural, name),
    )


def already_exists(*, group: str, plural: str, name: str) -> ApiError:
    return ApiError(
        HTTPStatus.CONFLICT,
        Reason.ALREADY_EXISTS,
        f'{_qualified(plural, group)} "{name}" already exists',
        details=_details(group, plural, name),
    )


MODIFIED = (
    "the object has been modified; please apply your changes to the latest version and try again"
)


def conflict(*, group: str, plural: str, name: str, why: str = MODIFIED) -> ApiError:
    return ApiError(
        HTTPStatus.CONFLICT,
        Reason.CONFLICT,
        f'Operation cannot be fulfilled on {_qualified(plural, group)} "{name}": {why}',
        details=_details(group, plural, name),
    )


def apply_conflict(message: str, causes: Sequence[Cause]) -> ApiError:
    details = {"causes": [cause.body() for cause in causes]}
    return ApiError(HTTPStatus.CONFLICT, Reason.CONFLICT, message, details=details)


def invalid(*, group: str, kind: str, name: str, causes: Sequence[Cause]) -> ApiError:
    """Return a 422 that lists every cause, in the order in which they were found."""
    lines = [f"{cause.field}: {cause.message}" for cause in causes]
    text = lines[0] if len(lines) == 1 else f"[{', '.join(lines)}]"
    return ApiError(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        Reason.INVALID,
        f'{_qualified(kind, group)} "{name}" is invalid: {text}',
        details={**_details(group, kind, name), "causes": [cause.body() for cause in causes]},
    )


def unprocessable(message: str) -> ApiError:
    """Return the 422 for a patch that is well formed but cannot be carried out."""
    return ApiError(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        Reason.INVALID,
        "the server rejected our request due to an error in our request",
        details={"causes": [{"reason": "UnexpectedServerResponse", "message": message}]},
    )


def namespace_terminating(*, group: str, plural: str, name: str, namespace: str) -> ApiError:
    because = f"namespace {namespace} is being terminated"
    cause = Cause(
        reason=CauseReason.NAMESPACE_TERMINATING, message=because, field="metadata.namespace"
    )
    return ApiError(
        HTTPStatus.FORBIDDEN,
        Reason.FORBIDDEN,
        f'{_qualified(plural, group)} "{name}" is forbidden: unable to create new content in '
        f"namespace {namespace} because it is being terminated",
        details={**_details(group, plural, name), "causes": [cause.body()]},
    )


def expired(wanted: int, oldest: int) -> ApiError:
    message = f"too old resource version: {wanted} ({oldest})"
    return ApiError(HTTPStatus.GONE, Reason.EXPIRED, message)


def revision_too_large(wanted: int, current: int) -> ApiError:
    message = f"Too large resource version: {wanted}, current: {current}"
    causes = [{"reason": CauseReason.REVISION_TOO_LARGE, "message": "Too large resource version"}]
    return ApiError(
        HTTPStatus.GATEWAY_TIMEOUT,
        Reason.TIMEOUT,
        f"Timeout: {message}",
        details={"causes": causes, "retryAfterSeconds": 1},
    )


def method_not_allowed(message: str) -> ApiError:
    return ApiError(HTTPStatus.METHOD_NOT_ALLOWED, Reason.METHOD_NOT_ALLOWED, message)


def unsupported_media_type(content_type: str, accepted: Sequence[str]) -> ApiError:
    return ApiError(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        Reason.UNSUPPORTED_MEDIA_TYPE,
        f'the body of the request was in an unknown format ("{content_type}") - accepted media '
        f"types include: {', '.join(accepted)}",
    )


def _qualified(name: str, group: str) -> str:
    return f"{name}.{group}" if group else name


def _details(group: str, kind: str, name: str) -> Document:
    return {"name": name, **({"group": group} if group else {}), "kind": kind}
