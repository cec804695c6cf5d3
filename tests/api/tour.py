"""A walk through the whole API: every operation is called once, and succeeds."""

import re
from dataclasses import dataclass
from typing import Any

from domain.rollout import Action
from tests.api.caller import PREFIX, Caller, canary, service_of


@dataclass(frozen=True)
class Operation:
    """One operation of the OpenAPI document."""

    method: str
    path: str
    spec: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.spec["operationId"])

    def parameters(self, *places: str) -> set[str]:
        return {p["name"] for p in self.spec.get("parameters", []) if p["in"] in places}

    def arguments(self, path: str) -> dict[str, str] | None:
        """The path's arguments where it is one of this operation."""
        pattern = re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", self.path)
        found = re.fullmatch(pattern, path)
        return found and found.groupdict()


def operations_of(document: dict[str, Any]) -> list[Operation]:
    return [
        Operation(method=method.upper(), path=path, spec=spec)
        for path, methods in document["paths"].items()
        for method, spec in methods.items()
    ]


class Recorder:
    """A client that keeps each answer, with the operation that gave it."""

    def __init__(self, http: Any, document: dict[str, Any]) -> None:
        self._http, self._operations = http, operations_of(document)
        self.answers: list[tuple[Operation, Any]] = []

    async def request(self, method: str, url: str, **options: Any) -> Any:
        answer = await self._http.request(method, url, **options)
        path = answer.request.url.path
        # A fixed path goes before one with arguments, as it does where it is served.
        operation = next(o for o in self._operations if o.method == method and _fits(o, path))
        self.answers.append((operation, answer))
        return answer


def _fits(operation: Operation, path: str) -> bool:
    return operation.arguments(path) is not None


async def toured(http: Any, document: dict[str, Any]) -> Recorder:
    """The answers of the walk, to every operation under our prefix."""
    recorder = Recorder(http, document)
    api = Caller(recorder)
    ids = await api.served()
    await _registry(api, ids)
    await _traffic(api, ids)
    await _metrics(api, ids)
    await _rollout(api, ids)
    await _virtual_model(api)
    await _fleet(api)
    await _gate_templates(api)
    for path in ("/operations", "/rollouts"):
        found = (await api.get(path)).json()["items"][0]
        await api.get(f"{path}/{found['id']}")
    await _farewell(api, ids)
    for operation, answer in recorder.answers:
        assert answer.is_success, (operation.id, answer.text)
    return recorder


async def _registry(api: Caller, ids: dict[str, str]) -> None:
    for path in _registered(ids):
        await api.get(path)
        await api.get(path.rpartition("/")[0])
        await api.patch(path, {"description": "new"})
    await api.get(f"/registered_models/{ids['model']}/versions")


def _registered(ids: dict[str, str]) -> list[str]:
    return [
        f"/model_versions/{ids['v1']}",
        f"/inference_services/{ids['service']}",
        f"/registered_models/{ids['model']}",
        f"/serving_environments/{ids['environment']}",
    ]


async def _traffic(api: Caller, ids: dict[str, str]) -> None:
    config = f"/traffic_configs/{ids['config']}"
    await api.post(f"{config}/canary", {"model_version_id": ids["v2"]})
    for path in ("/traffic_configs", config, f"{config}/variants", f"{config}/variants/canary"):
        await api.get(path)
    await api.patch(f"{config}/canary/weight", {"weight": 30})
    await api.patch(f"{config}/weights", {"weights": {"canary": 40}})
    await api.patch(f"{config}/variants/canary", {"weight": 50})
    await api.post(f"{config}/canary/promote")
    green = {"variant_name": "green", "model_version_id": ids["v3"], "weight": 5}
    await api.post(f"{config}/variants", green)
    await api.delete(f"{config}/variants/green")
    await api.post(f"{config}/variants", green)
    await api.post(f"{config}/promote/green")
    await api.post(f"{config}/rollback")
    await api.patch(config, {"strategy": "ab_test"})


async def _rollout(api: Caller, ids: dict[str, str]) -> None:
    config = f"/traffic_configs/{ids['config']}"
    await api.post("/analysis/plan", canary(ids["v3"], traffic_config_id=ids["config"]))
    await api.made(f"{config}/rollouts", canary(ids["v3"]))
    rollout = (await api.get("/rollouts")).json()["items"][0]["id"]
    for action in Action:
        await api.post(f"/rollouts/{rollout}/{action}")
    await api.get(f"/rollouts/{rollout}/events")
    await api.get(f"/rollouts/{rollout}/evidence")
    await _analysis(api, ids)
    # The second call finds by its key what the first has begun.
    for again in ("restart", "retry"):
        headers = {"Idempotency-Key": "again"}
        await api.call("POST", f"/rollouts/{rollout}/{again}", headers=headers)


async def _analysis(api: Caller, ids: dict[str, str]) -> None:
    past = {"from": "2026-11-20T00:00:00Z", "to": "2026-11-20T01:00:00Z"}
    slots = {"traffic_config_id": ids["config"], "candidate_slot": 7, "stable_slot": 0}
    await api.post("/analysis/backtest", {**slots, **past, "healthy_ranges": [past]})


async def _metrics(api: Caller, ids: dict[str, str]) -> None:
    for path in (f"/deployments/{ids['service']}", f"/compare/{ids['service']}"):
        await api.get(f"/metrics{path}")
    await api.get("/metrics/compare?inference_service=chat")
    await api.get("/metrics/tokens")


async def _virtual_model(api: Caller) -> None:
    model = "/virtual_models/claude"
    await api.made("/virtual_models", {"name": "claude"})
    made = await api.made(f"{model}/backends", {"ai_service_backend_name": "aws"})
    await api.get(f"{model}/backends")
    await api.patch(f"{model}/backends/{made['backends'][0]['id']}", {"weight": 3})
    for method, path, body in (
        ("GET", "/virtual_models", None),
        ("GET", model, None),
        ("PATCH", model, {"description": "new"}),
        ("DELETE", f"{model}/backends/{made['backends'][0]['id']}", None),
        ("DELETE", model, None),
    ):
        await api.call(method, path, json=body)


async def _fleet(api: Caller) -> None:
    await api.made("/rollout_groups", {"name": "gpu-pool-a", "limit": 1})
    week = {"days": ["friday"], "starts": "18:00", "ends": "08:00"}
    wish = {"name": "weekend", "weekly": week, "groups": ["gpu-pool-a"]}
    window = f"/freeze_windows/{(await api.made('/freeze_windows', wish))['id']}"
    group = "/rollout_groups/gpu-pool-a"
    for path, change in ((window, {"reason": "nobody is there"}), (group, {"limit": 2})):
        await api.get(path.rpartition("/")[0])
        await api.get(path)
        await api.patch(path, change)
    for path in (window, group):
        await api.delete(path)


async def _gate_templates(api: Caller) -> None:
    gates = [{"name": "errors", "metric": "error_rate", "limit": 0.02}]
    for folder in ("/gate_templates", "/global/gate_templates"):
        await api.made(folder, {"name": "slo", "gates": gates})
        for path in (folder, f"{folder}/slo", f"{folder}/slo/versions"):
            await api.get(path)
        await api.patch(f"{folder}/slo", {"retired": False})


async def _farewell(api: Caller, ids: dict[str, str]) -> None:
    """Things of their own, for what there is to delete."""
    model = (await api.made("/registered_models", {"name": "brief"}))["id"]
    body = {"name": "v1", "uri": "sim://brief", "model_format": "vLLM"}
    version = (await api.made(f"/registered_models/{model}/versions", body))["id"]
    own = {**ids, "model": model, "v1": version}
    service = (await api.made("/inference_services", service_of(own, name="brief")))["id"]
    config = await api.made("/traffic_configs", {"inference_service_id": service})
    environment = await api.made("/serving_environments", {"name": "brief"})
    for path in (
        f"/traffic_configs/{config['id']}",
        f"/inference_services/{service}",
        f"/model_versions/{version}",
        f"/registered_models/{model}",
        f"/serving_environments/{environment['id']}",
    ):
        await api.delete(path)


def missed(recorder: Recorder, document: dict[str, Any]) -> set[str]:
    """The operations under our prefix that the walk did not call."""
    ours = {o.id for o in operations_of(document) if o.path.startswith(PREFIX)}
    return ours - {operation.id for operation, _ in recorder.answers}
