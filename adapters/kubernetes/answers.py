"""What the API server says when it does not do as asked, as domain errors.

A status code alone is not enough: 409 is three different things, and a 404 may mean that the
object is missing or that nobody serves its kind.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from adapters.kubernetes.documents import Manifest, mapping, mappings, text, whole
from domain.errors import (
    AlreadyExists,
    Conflict,
    Contended,
    Forbidden,
    NotFound,
    Refused,
    TidegateError,
    Unreachable,
)

_EXCERPT = 200
_MANAGER = re.compile(r'conflict with "(?P<manager>[^"]*)"')
_COME_BACK = frozenset(
    {
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.GONE,
        HTTPStatus.TOO_MANY_REQUESTS,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer, read in full."""

    code: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_success(self) -> bool:
        return HTTPStatus.OK <= self.code < HTTPStatus.MULTIPLE_CHOICES

    def document(self) -> Manifest:
        """Return the JSON object in the body. Raises Unreachable: a proxy may have answered."""
        try:
            document = json.loads(self.body)
        except ValueError as error:
            raise Unreachable(f"the Kubernetes API answered no JSON: {self.excerpt}") from error
        if not isinstance(document, dict):
            raise Unreachable(f"the Kubernetes API answered no object: {self.excerpt}")
        return document

    @property
    def status(self) -> Mapping[str, Any]:
        """The `Status` object of a failure, empty where somebody else answered."""
        try:
            return mapping(json.loads(self.body))
        except ValueError:
            return {}

    @property
    def excerpt(self) -> str:
        return self.body[:_EXCERPT].decode(errors="replace")

    @property
    def is_missing_object(self) -> bool:
        """Whether this is the 404 of an object; that of a kind that nobody serves is not."""
        return (
            self.code == HTTPStatus.NOT_FOUND
            and text(self.status, "reason") == "NotFound"
            and bool(text(self.status, "details", "name"))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldConflict:
    """A field that another manager holds, as a refused server-side apply names it."""

    field: str
    manager: str


def field_conflicts(answer: Answer) -> tuple[FieldConflict, ...]:
    """The fields for which an apply was refused; empty when it was refused for another reason."""
    return tuple(
        FieldConflict(field=text(cause, "field"), manager=_manager(text(cause, "message")))
        for cause in mappings(answer.status, "details", "causes")
        if text(cause, "reason") == "FieldManagerConflict"
    )


def error_of(answer: Answer, what: str) -> TidegateError:
    """Translate an answer that is no success. `what` names the call: `apply Backend a/b`."""
    said = f"{what}: {_message(answer)}"
    if answer.is_missing_object:
        return NotFound(said)
    if answer.code == HTTPStatus.NOT_FOUND:
        # A server that has just started says so too, before it has loaded its custom resources.
        return Unreachable(f"{what}: the cluster does not serve this kind: {_message(answer)}")
    if answer.code == HTTPStatus.CONFLICT:
        return _conflict(answer, what)
    if answer.code == HTTPStatus.FORBIDDEN:
        return Forbidden(said)
    if answer.code in _COME_BACK or answer.code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Unreachable(said + _come_back(answer))
    return Refused(said + _causes(answer))


def _conflict(answer: Answer, what: str) -> TidegateError:
    if held := field_conflicts(answer):
        fields = ", ".join(f"{one.field} is managed by {one.manager!r}" for one in held)
        return Conflict(f"{what}: {fields}")
    if text(answer.status, "reason") == "AlreadyExists":
        return AlreadyExists(f"{what}: {_message(answer)}")
    return Contended(f"{what}: {_message(answer)}")


def _message(answer: Answer) -> str:
    return text(answer.status, "message") or answer.excerpt or f"HTTP {answer.code}"


def _causes(answer: Answer) -> str:
    causes = mappings(answer.status, "details", "causes")
    listed = [f"{text(one, 'field')}: {text(one, 'message')}".lstrip(": ") for one in causes]
    new = [cause for cause in listed if cause not in _message(answer)]
    return f" ({'; '.join(new)})" if new else ""


def _come_back(answer: Answer) -> str:
    seconds = whole(answer.status, "details", "retryAfterSeconds")
    asked = answer.headers.get("Retry-After") or (None if seconds is None else str(seconds))
    return f" (asks to come back in {asked} s)" if asked else ""


def _manager(message: str) -> str:
    match = _MANAGER.search(message)
    return match["manager"] if match else message
