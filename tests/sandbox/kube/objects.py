"""Valid objects of the kinds that a rollout writes; tests name only what matters to them."""

SERVING = "/apis/serving.kserve.io/v1beta1"
AI_GATEWAY = "/apis/aigateway.envoyproxy.io/v1beta1"
ENVOY_GATEWAY = "/apis/gateway.envoyproxy.io/v1alpha1"
GATEWAY_API = "/apis/gateway.networking.k8s.io/v1"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


class Place:
    """The paths of one namespace."""

    def __init__(self, namespace):
        self.namespace = namespace

    def isvcs(self, name=""):
        return _path(SERVING, self.namespace, "inferenceservices", name)

    def routes(self, name=""):
        return _path(AI_GATEWAY, self.namespace, "aigatewayroutes", name)

    def backends(self, name=""):
        return _path(ENVOY_GATEWAY, self.namespace, "backends", name)

    def service_backends(self, name=""):
        return _path(AI_GATEWAY, self.namespace, "aiservicebackends", name)

    def http_routes(self, name=""):
        return _path(GATEWAY_API, self.namespace, "httproutes", name)

    def configmaps(self, name=""):
        return _path("/api/v1", self.namespace, "configmaps", name)

    def services(self, name=""):
        return _path("/api/v1", self.namespace, "services", name)

    def pods(self, name=""):
        return _path("/api/v1", self.namespace, "pods", name)

    def secrets(self, name=""):
        return _path("/api/v1", self.namespace, "secrets", name)


def _path(root, namespace, plural, name):
    return "/".join(part for part in (root, "namespaces", namespace, plural, name) if part)


def isvc(name, *, predictor=None, **metadata):
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": name, **metadata},
        "spec": {"predictor": {"minReplicas": 1} if predictor is None else predictor},
    }


def route(name, *rules, **metadata):
    return {
        "apiVersion": "aigateway.envoyproxy.io/v1beta1",
        "kind": "AIGatewayRoute",
        "metadata": {"name": name, **metadata},
        "spec": {"rules": list(rules)},
    }


def split(**weights):
    """One rule that splits traffic between AIServiceBackends."""
    return {"backendRefs": [{"name": name, "weight": weight} for name, weight in weights.items()]}


def backend(name, *endpoints):
    return {
        "apiVersion": "gateway.envoyproxy.io/v1alpha1",
        "kind": "Backend",
        "metadata": {"name": name},
        "spec": {"endpoints": list(endpoints)},
    }


def fqdn(hostname, port=80):
    return {"fqdn": {"hostname": hostname, "port": port}}


def service_backend(name, *, schema="OpenAI", **reference):
    target = {"group": "gateway.envoyproxy.io", "kind": "Backend", "name": name, **reference}
    return {
        "apiVersion": "aigateway.envoyproxy.io/v1beta1",
        "kind": "AIServiceBackend",
        "metadata": {"name": name},
        "spec": {"schema": {"name": schema}, "backendRef": target},
    }


def configmap(name, data=None, **metadata):
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, **metadata},
        "data": data or {},
    }


def owned_by(owner, **more):
    """The metadata of a dependent of this object."""
    reference = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        **more,
    }
    return {"ownerReferences": [reference]}


def definition(plural, kind, group="tests.dev", *, schema=None, **version):
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": plural, "kind": kind},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema or {"type": "object"}},
                    **version,
                }
            ],
        },
    }
