"""What people and controllers do to objects behind the engine's back, through the API itself."""

from datetime import UTC, datetime

import aiohttp

from adapters.kubernetes.resources import (
    AI_GATEWAY_ROUTE,
    AI_SERVICE_BACKEND,
    HTTP_ROUTE,
    INFERENCE_SERVICE,
    SERVICE,
)

MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"
GATEWAY = "tidegate"


class Hands:
    def __init__(self, url):
        self._url = url
        self._session = aiohttp.ClientSession()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self._session.close()

    async def call(self, method, path, body=None, **options):
        status, document = await self.ask(method, path, body, **options)
        assert status < 300, document
        return document

    async def ask(self, method, path, body=None, *, content_type="application/json", **query):
        """The status of the answer, whatever it is, and its document."""
        async with self._session.request(
            method,
            self._url + path,
            json=body,
            params=query,
            headers={"Content-Type": content_type},
        ) as answer:
            return answer.status, await answer.json()

    async def get(self, resource, namespace, name):
        return await self.call("GET", resource.path(namespace, name))

    async def create(self, resource, namespace, name, *, manager="kubectl", **parts):
        metadata = {"name": name, **parts.pop("metadata", {})}
        body = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}
        path = resource.path(namespace)
        return await self.call("POST", path, {**body, **parts}, fieldManager=manager)

    async def patch(self, resource, namespace, name, change, *, manager="kubectl-edit"):
        path = resource.path(namespace, name)
        return await self.call("PATCH", path, change, content_type=MERGE, fieldManager=manager)

    async def set_status(self, resource, namespace, name, status, *, manager="controller"):
        path = f"{resource.path(namespace, name)}/status"
        change = {"status": status}
        return await self.call("PATCH", path, change, content_type=MERGE, fieldManager=manager)

    async def delete(self, resource, namespace, name):
        return await self.call("DELETE", resource.path(namespace, name))

    async def discard(self, resource, namespace, name):
        """Delete the object, unless somebody else was first."""
        status, document = await self.ask("DELETE", resource.path(namespace, name))
        assert status < 300 or status == 404, document

    async def hold(self, resource, namespace, name):
        """Put a finalizer on the object, as a controller does that wants to clean up after it."""
        await self.patch(resource, namespace, name, {"metadata": {"finalizers": ["a.test/hold"]}})

    async def let_go(self, resource, namespace, name):
        await self.patch(resource, namespace, name, {"metadata": {"finalizers": None}})

    async def faults(self, mode, *, seconds=30, path_prefix="/apis"):
        body = {"mode": mode, "seconds": seconds, "path_prefix": path_prefix}
        await self.call("PUT", "/sandbox/faults", body)

    # KServe

    async def serve(self, workload):
        """Make the Service that KServe makes for a workload."""
        ports = [{"name": "http", "port": 80, "targetPort": 8080}]
        name = f"{workload.name}-predictor"
        await self.create(SERVICE, workload.namespace, name, spec={"ports": ports})

    async def report(self, workload, **status):
        await self.set_status(INFERENCE_SERVICE, workload.namespace, workload.name, status)

    # Envoy AI Gateway and Envoy Gateway

    async def accept(self, resource, namespace, name):
        await self.set_status(resource, namespace, name, {"conditions": [condition("Accepted")]})

    async def accept_backend(self, workload):
        await self.accept(AI_SERVICE_BACKEND, workload.namespace, workload.name)

    async def obey(self, route):
        """Make of an AIGatewayRoute what the gateway makes of it, and say that it is in force."""
        found = await self.get(AI_GATEWAY_ROUTE, route.namespace, route.name)
        await self.accept(AI_GATEWAY_ROUTE, route.namespace, route.name)
        await self.make_http_route(route, found)
        await self.take_http_route(route)

    async def make_http_route(self, route, found):
        rules = [
            {
                "name": rule["name"],
                "matches": rule["matches"],
                "backendRefs": [
                    {
                        "group": "gateway.envoyproxy.io",
                        "kind": "Backend",
                        "name": ref["name"],
                        "weight": ref["weight"],
                    }
                    for ref in rule["backendRefs"]
                ],
            }
            for rule in found["spec"]["rules"]
        ]
        body = {
            "apiVersion": HTTP_ROUTE.api_version,
            "kind": HTTP_ROUTE.kind,
            "metadata": {"name": route.name},
            "spec": {"parentRefs": [{"name": GATEWAY}], "rules": [*rules, {"name": "not-found"}]},
        }
        path = HTTP_ROUTE.path(route.namespace, route.name)
        await self.call("PATCH", path, body, content_type=APPLY, fieldManager="ai-gateway")

    async def take_http_route(self, route, **changed):
        """Have the Gateway say of the HTTPRoute as it is that it is in force."""
        made = await self.get(HTTP_ROUTE, route.namespace, route.name)
        generation = made["metadata"]["generation"]
        stated = [
            condition(kind, observedGeneration=generation, **changed.get(kind, {}))
            for kind in ("Accepted", "ResolvedRefs")
        ]
        parent = {
            "parentRef": {"name": GATEWAY},
            "controllerName": "a.test/c",
            "conditions": stated,
        }
        await self.set_status(HTTP_ROUTE, route.namespace, route.name, {"parents": [parent]})


def condition(kind, status="True", **more):
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    stated = {"reason": kind, "message": "", "lastTransitionTime": now, **more}
    return {"type": kind, "status": status, **stated}
