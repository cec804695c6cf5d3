"""The OpenAPI document: every status that a call can give, with the schema of its body."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from api.links import link
from api.problems import Problem
from api.rendering import PROBLEM_TYPE

TITLE = "Tidegate"
VERSION = "0.1.0"
SUMMARY = "Progressive delivery for model serving"
_REFERENCE = "#/components/schemas/{model}"
_MEANINGS = {
    400: "A header or an id cannot be read, or the body is no JSON.",
    403: "The cluster's policy says no.",
    404: "There is no such thing in this project.",
    409: "The present state does not allow this; `running` names the rollout or operation at work.",
    413: "The body is too large.",
    422: "Fields break rules; `errors` names each.",
    429: "The workflow engine is overloaded; try again after `Retry-After` seconds.",
    500: "A bug on our side.",
    502: "A system behind this refused.",
    503: "A system behind this does not answer; try again after `Retry-After` seconds.",
    504: "Not done in time: `running` names the operation that goes on, else it was taken back.",
}
READS = (400, 404, 422, 500, 503)
WRITES = (400, 404, 409, 413, 422, 500, 503)
DELETES = (400, 404, 409, 413, 422, 500, 503)
ENGINE = (*WRITES, 403, 429, 502, 504)
# Whose problems are told to wait, and with what header.
_LATER = (429, 503)
_RETRY_AFTER = {
    "description": "Seconds until it is worth asking again.",
    "required": True,
    "schema": {"type": "integer", "minimum": 1},
}
_TAGS = {
    "registry": "Registered models and their immutable versions.",
    "serving": "Where models are served, and which of their versions are.",
    "traffic": (
        "How an inference service's traffic is divided among variants. Each change answers once "
        "the gateway obeys, or is taken back."
    ),
    "virtual models": (
        "A name for clients, and the providers' backends that answer to it: shared out by weight, "
        "tried in the order of their priority."
    ),
    "metrics": "What variants did, in numbers and for charts.",
    "operations": "One-shot changes, looked up: what a 409 or a 504 names as running.",
    "rollouts": "Canaries that advance on their evidence, and what people ask of them.",
    "analysis": "Gates replayed on the past, and what a plan can be expected to take.",
    "fleet": (
        "What holds between rollouts: when none advances, and how many do at once. A rollback is "
        "never held."
    ),
    "gate templates": (
        "Named, versioned sets of gates with arguments: of the project, and global ones for all."
    ),
    "process": "Whether this process works, and what it has done.",
}

Responses = dict[int | str, dict[str, Any]]


def problems(*statuses: int) -> Responses:
    """The `responses` of a route that can fail in these ways."""
    schema = {"$ref": _REFERENCE.format(model=Problem.__name__)}
    return {
        status: {
            "description": _MEANINGS[status],
            "content": {PROBLEM_TYPE: {"schema": schema}},
            **({"headers": {"Retry-After": _RETRY_AFTER}} if status in _LATER else {}),
        }
        for status in sorted(set(statuses))
    }


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, made once."""
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            description=app.description,
            routes=app.routes,
            tags=[{"name": name, "description": words} for name, words in _TAGS.items()],
            servers=[{"url": "/"}],
        )
        _, shared = models_json_schema([(Problem, "serialization")], ref_template=_REFERENCE)
        schemas = made.setdefault("components", {}).setdefault("schemas", {})
        schemas.update(shared["$defs"])
        link(made)
        app.openapi_schema = made
    return app.openapi_schema
