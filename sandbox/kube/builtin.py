"""The resources that are there without a definition, read from `builtin.yaml`."""

from pathlib import Path

import yaml

from sandbox.kube.definitions import object_schema
from sandbox.kube.documents import Document
from sandbox.kube.resources import Resource

NAMESPACES = "namespaces."
DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"
FIRST_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")


def builtin_resources() -> list[Resource]:
    text = Path(__file__).with_name("builtin.yaml").read_text(encoding="utf-8")
    return [_resource(entry) for entry in yaml.safe_load(text)]


def _resource(entry: Document) -> Resource:
    kind = entry["kind"]
    return Resource(
        group=entry.get("group", ""),
        version=entry["version"],
        storage_version=entry["version"],
        plural=entry["plural"],
        singular=kind.lower(),
        kind=kind,
        list_kind=f"{kind}List",
        namespaced=entry.get("namespaced", True),
        short_names=tuple(entry.get("short", ())),
        categories=tuple(entry.get("categories", ())),
        has_status=entry.get("status", False),
        has_generation=entry.get("generation", False),
        answers_delete_with_object=entry.get("returns_deleted", False),
        name_rule=entry.get("name_rule", "subdomain"),
        selectable_fields=tuple(entry.get("fields", ())),
        columns=tuple(entry.get("columns", ())),
        schema=object_schema(entry.get("schema", {})),
    )
