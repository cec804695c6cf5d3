"""Three providers of models outside the cluster, for virtual models to send requests to.

Each is a simulated server that answers to any model name, and says in the header `x-served-by` who
it is. What a virtual model names is the AIServiceBackend `<provider>-backend`, which an
administrator has put into the gateway's namespace.
"""

from types import MappingProxyType

from bootstrap.settings import Settings
from sandbox.administrator import Object, apply, namespace
from sandbox.layout import Layout

NAMESPACE = "providers"
FAILING_MODEL = "gpt-5-down"
"""A model name that the provider `openai` answers with a 500, always."""

_FAST = "latency_ms=20&jitter_ms=5"
PROVIDERS = MappingProxyType(
    {
        "aws-anthropic": f"sim://anthropic?{_FAST}",
        "gcp-anthropic": f"sim://anthropic?{_FAST}",
        "openai": f"sim://openai?{_FAST}&error_rate=1&error_model={FAILING_MODEL}",
    }
)


def backend_name(provider: str) -> str:
    """The AIServiceBackend through which the gateway reaches a provider."""
    return f"{provider}-backend"


async def provide(layout: Layout) -> None:
    """Have all providers, at once; they answer some seconds later. Raises httpx.HTTPError."""
    objects = [namespace(NAMESPACE)]
    for provider, uri in PROVIDERS.items():
        objects += [_server(provider, uri), _address(provider), _service_backend(provider)]
    await apply(layout, objects)


def _server(provider: str, uri: str) -> Object:
    model = {"modelFormat": {"name": "vLLM"}, "storageUri": uri}
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": provider, "namespace": NAMESPACE},
        "spec": {"predictor": {"model": model}},
    }


def _address(provider: str) -> Object:
    hostname = f"{provider}-predictor.{NAMESPACE}.svc.cluster.local"
    return {
        "apiVersion": "gateway.envoyproxy.io/v1alpha1",
        "kind": "Backend",
        "metadata": {"name": backend_name(provider), "namespace": _gateway_namespace()},
        "spec": {"endpoints": [{"fqdn": {"hostname": hostname, "port": 80}}]},
    }


def _service_backend(provider: str) -> Object:
    name = backend_name(provider)
    target = {"group": "gateway.envoyproxy.io", "kind": "Backend", "name": name}
    return {
        "apiVersion": "aigateway.envoyproxy.io/v1beta1",
        "kind": "AIServiceBackend",
        "metadata": {"name": name, "namespace": _gateway_namespace()},
        "spec": {"schema": {"name": "OpenAI"}, "backendRef": target},
    }


def _gateway_namespace() -> str:
    return str(Settings.model_fields["gateway_namespace"].default)
