"""Calls of the API in the name of one project, and what a rollout needs, built through it."""

from typing import Any
from uuid import uuid4

PREFIX = "/api/v1/model-registry"


class Caller:
    def __init__(self, http: Any) -> None:
        self.http = http
        self.project = str(uuid4())

    async def call(self, method: str, path: str, **options: Any) -> Any:
        headers = {"Project-ID": self.project, **options.pop("headers", {})}
        return await self.http.request(method, PREFIX + path, headers=headers, **options)

    async def get(self, path: str, **options: Any) -> Any:
        return await self.call("GET", path, **options)

    async def post(self, path: str, json: Any = None, **options: Any) -> Any:
        return await self.call("POST", path, json=json, **options)

    async def patch(self, path: str, json: Any = None, **options: Any) -> Any:
        return await self.call("PATCH", path, json=json, **options)

    async def delete(self, path: str) -> Any:
        return await self.call("DELETE", path)

    async def made(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """What was created, or the test's end."""
        response = await self.post(path, body)
        assert response.status_code == 201, response.text
        created: dict[str, Any] = response.json()
        return created

    async def served(self, **service: Any) -> dict[str, str]:
        """Ids of a model with versions v1, v2 and v3, the first served with a traffic config.

        `service` is what the inference service is asked for beyond that.
        """
        model = (await self.made("/registered_models", {"name": "chat"}))["id"]
        ids = {"model": model}
        for name in ("v1", "v2", "v3"):
            body = {"name": name, "uri": f"sim://chat-{name}", "model_format": "vLLM"}
            ids[name] = (await self.made(f"/registered_models/{model}/versions", body))["id"]
        ids["environment"] = (await self.made("/serving_environments", {"name": "prod"}))["id"]
        ids["service"] = (await self.made("/inference_services", service_of(ids, **service)))["id"]
        config = {"inference_service_id": ids["service"]}
        ids["config"] = (await self.made("/traffic_configs", config))["id"]
        return ids


def service_of(ids: dict[str, str], **changes: Any) -> dict[str, Any]:
    """The body of an inference service that serves v1."""
    return {
        "name": "chat",
        "serving_environment_id": ids["environment"],
        "registered_model_id": ids["model"],
        "model_version_ids": [ids["v1"]],
        **changes,
    }


def canary(version: str, **changes: Any) -> dict[str, Any]:
    steps = [{"weight": 10, "soak_seconds": 60}, {"weight": 50, "soak_seconds": 60}]
    return {"target_version_id": version, "steps": steps, **changes}
