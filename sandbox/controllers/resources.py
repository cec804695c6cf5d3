"""The resources that the two controllers watch and write."""

from sandbox.controllers.cluster import Resource

INFERENCE_SERVICES = Resource(
    group="serving.kserve.io",
    version="v1beta1",
    plural="inferenceservices",
    kind="InferenceService",
)
SERVICES = Resource(group="", version="v1", plural="services", kind="Service")
ENDPOINT_SLICES = Resource(
    group="discovery.k8s.io", version="v1", plural="endpointslices", kind="EndpointSlice"
)
BACKENDS = Resource(
    group="gateway.envoyproxy.io", version="v1alpha1", plural="backends", kind="Backend"
)
TRAFFIC_POLICIES = Resource(
    group="gateway.envoyproxy.io",
    version="v1alpha1",
    plural="backendtrafficpolicies",
    kind="BackendTrafficPolicy",
)
AI_ROUTES = Resource(
    group="aigateway.envoyproxy.io",
    version="v1beta1",
    plural="aigatewayroutes",
    kind="AIGatewayRoute",
)
AI_BACKENDS = Resource(
    group="aigateway.envoyproxy.io",
    version="v1beta1",
    plural="aiservicebackends",
    kind="AIServiceBackend",
)
HTTP_ROUTES = Resource(
    group="gateway.networking.k8s.io", version="v1", plural="httproutes", kind="HTTPRoute"
)
