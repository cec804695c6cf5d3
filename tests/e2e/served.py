"""One model that is served: its traffic config, its objects on the cluster, its callers."""

from datetime import timedelta

from adapters.kubernetes.resources import (
    AI_GATEWAY_ROUTE,
    AI_SERVICE_BACKEND,
    BACKEND,
    HTTP_ROUTE,
    INFERENCE_SERVICE,
    SERVICE,
)
from sandbox.load import Load
from sandbox.seed import ENVIRONMENT as NAMESPACE
from tests.e2e.followed import Followed
from tests.e2e.waiting import until

# The floor is high so that a few dozen requests are evidence enough for a PASS.
ERRORS = {"name": "errors", "metric": "error_rate", "against_stable": {"floor": 0.05}}
LATENCY = {
    "name": "latency",
    "metric": "latency",
    "slow_over_ms": 250,
    "against_stable": {"floor": 0.05},
}
# Nothing here warms up, and stable has one pod: evidence counts at once and in full.
FAST = {
    "probe_interval_seconds": 1,
    "scale_down_delay_seconds": 1,
    "drain_seconds": 1,
    "warm_up_seconds": 0,
    "overdispersion": 1,
}
STEPS = ({"weight": 20, "soak_seconds": 60}, {"weight": 50, "soak_seconds": 60})
PATIENCE = timedelta(seconds=60)
# A soak that no evidence ends: it is there to be interrupted.
LONG = ({"weight": 20, "soak_seconds": 600, "pace": "time"},)


class Division:
    """How a config said that its traffic is divided."""

    def __init__(self, config):
        self.config = config
        self.weights = Variants.weights_of(config)

    def workload(self, name):
        found = (v for v in self.config["variants"] if v["variant_name"] == name)
        return next(found)["kserve_isvc_name"]


class Variants:
    """The variants of one config, changed as a person would; each answer is the new division."""

    def __init__(self, scene, config_id, versions):
        self._scene, self._versions = scene, versions
        self._path = f"/traffic_configs/{config_id}"

    @staticmethod
    def weights_of(config):
        return {v["variant_name"]: v["weight"] for v in config["variants"]}

    async def add(self, name, version, **more):
        body = {"variant_name": name, "model_version_id": self._versions[version], **more}
        return await self._done("POST", "/variants", body)

    async def set_weights(self, **weights):
        return await self._done("PATCH", "/weights", {"weights": weights})

    async def promote(self, name):
        return await self._done("POST", f"/promote/{name}")

    async def roll_back(self):
        return await self._done("POST", "/rollback")

    async def delete(self, name):
        return await self._done("DELETE", f"/variants/{name}")

    async def _done(self, method, path, body=None):
        answer = await self._scene.call(method, self._path + path, body, timeout=120)
        assert answer.status_code < 300, answer.text
        return Division(answer.json())


class Served:
    def __init__(self, scene, config, versions, *, is_predictive=False):
        self.scene = scene
        self.versions = versions
        self._is_predictive = is_predictive
        self._kind = HTTP_ROUTE if is_predictive else AI_GATEWAY_ROUTE
        self.config_id = config["id"]
        self.service_id = config["inference_service_id"]
        self.variants = Variants(scene, config["id"], versions)
        self.model = config["inference_service_name"]
        self.route = config["ai_gateway_route_name"]
        self.stable = config["variants"][0]["kserve_isvc_name"]

    def load(self, rps=25, **headers):
        """Calls of this model; a slow machine is no reason to give one up."""
        return Load(
            self.scene.layout.gateway_url,
            self.model,
            rps,
            timeout=PATIENCE,
            headers={name.replace("_", "-"): value for name, value in headers.items()},
            predictive=self._is_predictive,
        )

    async def ask(self, version="v2", *, headers=None, policies=None, **wish):
        """The API's answer to a wish for a rollout."""
        body = {
            "target_version_id": version and self.versions.get(version, version),
            "steps": STEPS,
            "gates": [ERRORS],
            "policies": {**FAST, **(policies or {})},
            "actor": "tests",
            **wish,
        }
        path = f"/traffic_configs/{self.config_id}/rollouts"
        return await self.scene.call("POST", path, body, headers=headers)

    async def start(self, version="v2", **wish):
        answer = await self.ask(version, **wish)
        assert answer.status_code == 201, answer.text
        return Followed(self.scene, answer.json())

    async def follow(self, rollout_id):
        return Followed(self.scene, await self.scene.get(f"/rollouts/{rollout_id}"))

    async def config(self):
        return await self.scene.get(f"/traffic_configs/{self.config_id}")

    async def division(self):
        return Division(await self.config())

    async def workloads(self):
        """The InferenceServices that serve this model."""
        return await self.names(INFERENCE_SERVICE)

    async def weights(self):
        """The weights as the cluster holds them, by workload."""
        return _weights(await self.route_found())

    async def route_found(self):
        """The route as the cluster holds it."""
        return await self.scene.hands.get(self._kind, NAMESPACE, self.route)

    async def set_weights(self, manager, **weights):
        """Change the weights behind the engine's back, as this field manager; by version."""
        found = await self.scene.hands.get(AI_GATEWAY_ROUTE, NAMESPACE, self.route)
        rules = found["spec"]["rules"]
        for ref in rules[0]["backendRefs"]:
            ref["weight"] = next(w for v, w in weights.items() if f"-{v}-" in ref["name"])
        change = {"spec": {"rules": rules}}
        await self.scene.hands.patch(
            AI_GATEWAY_ROUTE, NAMESPACE, self.route, change, manager=manager
        )

    async def at_rest(self, workload, version):
        """One variant carries everything, in the registry and on the cluster; nothing else is left."""
        config = await self.config()
        assert [
            (one["role"], one["model_version_name"], one["weight"], one["kserve_isvc_name"])
            for one in config["variants"]
            if one["status"] != "retired"
        ] == [("stable", version, 100, workload)]
        assert set((await self.weights()).items()) <= {(workload, 100), (workload, 0)}
        connected = () if self._is_predictive else (BACKEND, AI_SERVICE_BACKEND)
        for resource in (INFERENCE_SERVICE, *connected):
            assert await self.names(resource) == [workload], resource.kind
        assert len((await self.route_found())["spec"]["rules"]) == 1
        made = await self.scene.hands.get(HTTP_ROUTE, NAMESPACE, self.route)
        assert set(_weights(made)) == {workload}

        # What belongs to an InferenceService is collected a moment after it, as in any cluster.
        async def collected():
            return await self.names(SERVICE) == [f"{workload}-predictor"]

        await until(collected, f"only the Service of {workload} is left", within=10)

    async def leave(self):
        """Take the model's workloads off the cluster, behind the engine's back."""
        for name in await self.workloads():
            await self.scene.hands.discard(INFERENCE_SERVICE, NAMESPACE, name)

    async def names(self, resource):
        """Of this kind, the objects that serve this model."""
        listed = await self.scene.hands.call("GET", resource.path(NAMESPACE))
        named = (one["metadata"]["name"] for one in listed["items"])
        return sorted(name for name in named if name.startswith(f"{self.model}-v"))


def _weights(route):
    """Weights by workload, summed: they must make 100."""
    weights: dict[str, int] = {}
    for rule in route["spec"]["rules"]:
        for ref in rule.get("backendRefs", []):
            name = ref["name"].removesuffix("-predictor")
            weights[name] = weights.get(name, 0) + ref["weight"]
    assert sum(weights.values()) == 100, weights
    return weights
