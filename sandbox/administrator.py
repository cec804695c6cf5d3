"""What a cluster's administrator sets up with kubectl, before Tidegate comes in."""

from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

import httpx

from sandbox.layout import Layout

Object = dict[str, Any]

_MANAGER = "tidegate-sandbox"
_PLURALS = MappingProxyType(
    {
        "AIServiceBackend": "aiservicebackends",
        "Backend": "backends",
        "Gateway": "gateways",
        "InferenceService": "inferenceservices",
    }
)


async def apply(layout: Layout, objects: Sequence[Object]) -> None:
    """Have these objects stand, in this order. Raises httpx.HTTPError."""
    async with httpx.AsyncClient(base_url=layout.kubernetes_url, trust_env=False) as http:
        for one in objects:
            answer = await http.patch(
                _path(one),
                params={"fieldManager": _MANAGER, "force": "true"},
                headers={"Content-Type": "application/apply-patch+yaml"},
                json=one,
            )
            answer.raise_for_status()


def namespace(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _path(one: Object) -> str:
    metadata, kind = one["metadata"], one["kind"]
    if kind == "Namespace":
        return f"/api/v1/namespaces/{metadata['name']}"
    collection = f"/apis/{one['apiVersion']}/namespaces/{metadata['namespace']}/{_PLURALS[kind]}"
    return f"{collection}/{metadata['name']}"
