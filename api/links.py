"""OpenAPI links: from an answer to the calls that can be made with what it shows.

No link is written down. There is one to each operation that needs nothing beyond what is known, so
that a new operation is linked as soon as it is there.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from api.schemas.fleet import FreezeWindowOut, RolloutGroupOut, RolloutGroupSummary
from api.schemas.gate_templates import (
    GateTemplateOut,
    GateTemplateSummary,
    GlobalGateTemplateOut,
    GlobalGateTemplateSummary,
)
from api.schemas.operations import OperationOut
from api.schemas.registry import ModelVersionOut, RegisteredModelOut, ServingEnvironmentOut
from api.schemas.rollouts import CommandOut, RolloutOut, RolloutSummary
from api.schemas.services import InferenceServiceOut
from api.schemas.traffic import TrafficConfigOut, TrafficVariantOut, Variants
from api.schemas.virtual_models import BackendOut, VirtualModelOut

Json = dict[str, Any]
Places = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """What a body tells, as parameter and place: of the thing itself, and of what it refers to.

    A place is a JSON pointer into the body, or an expression about the request.
    """

    own: Places
    others: Places


_ROLLOUT = _Shown(own={"rollout_id": "/id"}, others={"config_id": "/traffic_config_id"})
_GROUP = _Shown(own={"group_name": "/name"}, others={})
_TEMPLATE = _Shown(own={"template_name": "/name"}, others={})
_GLOBAL_TEMPLATE = _Shown(own={"global_template_name": "/name"}, others={})
_SHOWN: Mapping[type[BaseModel], _Shown] = {
    RegisteredModelOut: _Shown(own={"model_id": "/id", "registered_model_id": "/id"}, others={}),
    ModelVersionOut: _Shown(own={"version_id": "/id"}, others={"model_id": "/registered_model_id"}),
    ServingEnvironmentOut: _Shown(
        own={"environment_id": "/id", "serving_environment_id": "/id"}, others={}
    ),
    InferenceServiceOut: _Shown(
        own={"service_id": "/id", "inference_service_id": "/id", "service": "/id"},
        others={
            "environment_id": "/serving_environment_id",
            "model_id": "/registered_model_id",
            "version_id": "/served_models/0/model_version_id",
        },
    ),
    TrafficConfigOut: _Shown(
        own={
            "config_id": "/id",
            "traffic_config_id": "/id",
            "subject_id": "/id",
            # The one beside stable, as long as nothing was promoted.
            "variant_name": "/variants/1/variant_name",
        },
        others={"service_id": "/inference_service_id", "service": "/inference_service_id"},
    ),
    Variants: _Shown(
        own={"config_id": "/config_id", "variant_name": "/variants/1/variant_name"}, others={}
    ),
    TrafficVariantOut: _Shown(
        own={"config_id": "$request.path.config_id", "variant_name": "/variant_name"},
        others={"version_id": "/model_version_id"},
    ),
    VirtualModelOut: _Shown(
        own={"name": "/name", "subject_id": "/id", "backend_id": "/backends/0/id"}, others={}
    ),
    BackendOut: _Shown(own={"name": "$request.path.name", "backend_id": "/id"}, others={}),
    RolloutOut: _ROLLOUT,
    RolloutSummary: _ROLLOUT,
    CommandOut: _Shown(own={"rollout_id": "/rollout/id"}, others={}),
    FreezeWindowOut: _Shown(own={"window_id": "/id"}, others={}),
    RolloutGroupSummary: _GROUP,
    RolloutGroupOut: _GROUP,
    GateTemplateOut: _TEMPLATE,
    GateTemplateSummary: _TEMPLATE,
    GlobalGateTemplateOut: _GLOBAL_TEMPLATE,
    GlobalGateTemplateSummary: _GLOBAL_TEMPLATE,
    OperationOut: _Shown(own={"operation_id": "/id"}, others={}),
}
_BY_SCHEMA = {schema.__name__: shown for schema, shown in _SHOWN.items()}
_OPERATION = {"operation_id": "/running/operation_id"}
# What problems may name, of operations that can meet them all.
_IN_THE_WAY = {
    "409": _Shown(own={}, others={"rollout_id": "/running/rollout_id", **_OPERATION}),
    "504": _Shown(own={}, others=_OPERATION),
}
_PROJECT = {"Project-ID": "$request.header.Project-ID"}


def link(document: Json) -> None:
    """Put the links into an OpenAPI document: among its components, and into its responses."""
    targets = [_Target(path, method, one, document) for path, method, one in _operations(document)]
    components = document["components"].setdefault("links", {})
    for _, _, operation in _operations(document):
        for status, response in operation["responses"].items():
            group, links = _links_of(document, operation, status, targets)
            components |= {f"{group}.{target}": made for target, made in links.items()}
            if links:
                response["links"] = {
                    target: {"$ref": f"#/components/links/{group}.{target}"} for target in links
                }


class _Target:
    """What a call of an operation needs, and what it can take."""

    def __init__(self, path: str, method: str, operation: Json, document: Json) -> None:
        parameters = operation.get("parameters", [])
        self.id, self.summary = operation["operationId"], operation["summary"]
        self.looks_up = method == "get" and path.endswith("}")
        self._path = {p["name"] for p in parameters if p["in"] == "path"}
        # Of what can be filtered by, only ids refer to something.
        self._query = {p["name"] for p in parameters if p["in"] == "query" and _is_id(p["name"])}
        self._body = _required_fields(operation, document)

    def link(self, values: Places) -> Json | None:
        """The link that gives it these values; None where they do not make a call of it."""
        filled = self._path | (self._query & values.keys())
        made: Json = {"operationId": self.id, "description": self.summary}
        is_told = self._body <= values.keys() and all(_is_id(name) for name in self._body)
        if not self._path and self._body and is_told:
            made["requestBody"] = {name: values[name] for name in sorted(self._body)}
        elif not filled or not self._path <= values.keys():
            return None
        made["parameters"] = {name: values[name] for name in sorted(filled)} | _PROJECT
        return made


def _links_of(
    document: Json, operation: Json, status: str, targets: list[_Target]
) -> tuple[str, Json]:
    """The links from an answer by target, and a name for answers that have the same ones."""
    name, prefix = _shown_by(document, operation["responses"][status])
    shown, group = _BY_SCHEMA.get(name), f"{name}.listed" if prefix else name
    if status in _IN_THE_WAY and _IN_THE_WAY.keys() <= operation["responses"].keys():
        shown, group = _IN_THE_WAY[status], f"Problem.{status}"
    if shown is None:
        return "", {}
    own, others = _expressions(shown.own, prefix), _expressions(shown.others, prefix)
    links = {target.id: target.link(own) for target in targets}
    links |= {
        target.id: target.link(others)
        for target in targets
        if target.looks_up and links[target.id] is None
    }
    return group, {target: made for target, made in links.items() if made is not None}


def _expressions(places: Places, prefix: str) -> Places:
    return {
        name: place if place.startswith("$") else f"$response.body#{prefix}{place}"
        for name, place in places.items()
    }


def _shown_by(document: Json, response: Json) -> tuple[str, str]:
    """The schema of the thing that a response shows, and where: of a list, the first one."""
    for media in response.get("content", {}).values():
        name = _referred(media.get("schema", {}))
        if name in _BY_SCHEMA:
            return name, ""
        schema = document["components"]["schemas"].get(name, {})
        listed = schema.get("properties", {}).get("items", {}).get("items", {})
        if _referred(listed) in _BY_SCHEMA:
            return _referred(listed), "/items/0"
    return "", ""


def _is_id(name: str) -> bool:
    return name.endswith("_id")


def _referred(schema: Json) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _required_fields(operation: Json, document: Json) -> set[str]:
    content = operation.get("requestBody", {}).get("content", {})
    name = _referred(content.get("application/json", {}).get("schema", {}))
    return set(document["components"]["schemas"].get(name, {}).get("required", ()))


def _operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation
