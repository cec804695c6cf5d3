"""The kinds of object that the engine touches, and the paths under which the API serves them."""

from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One namespaced kind at one version."""

    group: str
    version: str
    plural: str
    kind: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}/{self.version}" if self.group else self.plural

    def path(self, namespace: str, name: str | None = None) -> str:
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        collection = f"{root}/namespaces/{quote(namespace, safe='')}/{self.plural}"
        return collection if name is None else f"{collection}/{quote(name, safe='')}"


SERVICE = Resource(group="", version="v1", plural="services", kind="Service")
POD = Resource(group="", version="v1", plural="pods", kind="Pod")
INFERENCE_SERVICE = Resource(
    group="serving.kserve.io",
    version="v1beta1",
    plural="inferenceservices",
    kind="InferenceService",
)
AI_GATEWAY_ROUTE = Resource(
    group="aigateway.envoyproxy.io",
    version="v1beta1",
    plural="aigatewayroutes",
    kind="AIGatewayRoute",
)
AI_SERVICE_BACKEND = Resource(
    group="aigateway.envoyproxy.io",
    version="v1beta1",
    plural="aiservicebackends",
    kind="AIServiceBackend",
)
BACKEND = Resource(
    group="gateway.envoyproxy.io", version="v1alpha1", plural="backends", kind="Backend"
)
BACKEND_TRAFFIC_POLICY = Resource(
    group="gateway.envoyproxy.io",
    version="v1alpha1",
    plural="backendtrafficpolicies",
    kind="BackendTrafficPolicy",
)
HTTP_ROUTE = Resource(
    group="gateway.networking.k8s.io", version="v1", plural="httproutes", kind="HTTPRoute"
)
