"""What the API server says as domain errors, including what a stand-in never says."""

import json

import pytest

from adapters.kubernetes.answers import Answer, error_of, field_conflicts
from domain.errors import (
    AlreadyExists,
    Conflict,
    Contended,
    Forbidden,
    NotFound,
    Refused,
    Unreachable,
)


def status(code, reason, message="said so", *, headers=None, **details):
    document = {"kind": "Status", "code": code, "reason": reason, "message": message}
    body = json.dumps({**document, "details": details}).encode()
    return Answer(code=code, headers=headers or {}, body=body)


def plain(code, body=b"404 page not found", headers=None):
    return Answer(code=code, headers=headers or {}, body=body)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (status(400, "BadRequest"), Refused),
        (status(401, "Unauthorized"), Unreachable),
        (status(403, "Forbidden"), Forbidden),
        (status(404, "NotFound", name="b", kind="backends"), NotFound),
        (status(404, "NotFound"), Unreachable),
        (plain(404), Unreachable),
        (status(405, "MethodNotAllowed"), Refused),
        (status(409, "AlreadyExists"), AlreadyExists),
        (status(409, "Conflict"), Contended),
        (status(413, "RequestEntityTooLarge"), Refused),
        (status(415, "UnsupportedMediaType"), Refused),
        (status(422, "Invalid"), Refused),
        (status(429, "TooManyRequests"), Unreachable),
        (status(500, "InternalError"), Unreachable),
        (plain(502, b"<html>bad gateway</html>"), Unreachable),
        (status(504, "Timeout"), Unreachable),
    ],
)
def test_each_refusal_has_its_error(answer, expected):
    error = error_of(answer, "apply Backend a/b")
    assert type(error) is expected
    assert str(error).startswith("apply Backend a/b: ")


def test_a_conflict_names_every_field_with_its_manager():
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "argocd-controller" using aigateway.envoyproxy.io/v1beta1',
            "field": ".spec.rules",
        },
        {"reason": "FieldManagerConflict", "message": 'conflict with "flux"', "field": ".spec.x"},
    ]
    answer = status(409, "Conflict", "Apply failed with 2 conflicts", causes=causes)
    assert [one.manager for one in field_conflicts(answer)] == ["argocd-controller", "flux"]
    error = error_of(answer, "apply")
    assert type(error) is Conflict
    assert ".spec.rules is managed by 'argocd-controller', .spec.x is managed by 'flux'" in str(
        error
    )


def test_a_refusal_lists_the_causes_that_its_message_leaves_out():
    causes = [{"field": "spec.rules", "message": "Too many: 17"}, {"message": "said so"}]
    said = str(error_of(status(422, "Invalid", causes=causes), "apply"))
    assert said == "apply: said so (spec.rules: Too many: 17)"


def test_the_server_may_say_when_to_come_back():
    by_header = status(429, "TooManyRequests", headers={"Retry-After": "7"})
    assert str(error_of(by_header, "get")) == "get: said so (asks to come back in 7 s)"
    by_body = status(504, "Timeout", retryAfterSeconds=3)
    assert str(error_of(by_body, "get")) == "get: said so (asks to come back in 3 s)"


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"<html>", b"[]", b"7", b"null"])
def test_a_success_that_is_no_object_is_unreachable(body):
    with pytest.raises(Unreachable, match="answered no"):
        plain(200, body).document()


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"[]", b'{"details": [], "reason": 7}'])
@pytest.mark.parametrize("code", [400, 404, 409, 500])
def test_nonsense_in_a_refusal_does_no_harm(code, body):
    assert str(error_of(plain(code, body), "get")).startswith("get: ")
