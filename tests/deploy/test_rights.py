"""The worker's role is what its adapters call, no more and no less, as seen on the wire."""

import ast
import sys
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from adapters.aigateway.router import AIGatewayRouter
from adapters.aigateway.virtual_models import AIGatewayVirtualModels
from adapters.gatewayapi.router import HTTPRouteRouter
from adapters.gateways.manifests import Gateway, policy_name
from adapters.kserve.answers import connect as connect_answers
from adapters.kserve.runtime import KServeRuntime
from adapters.kubernetes.client import Cluster, connect
from adapters.kubernetes.resources import BACKEND, BACKEND_TRAFFIC_POLICY, HTTP_ROUTE, SERVICE
from domain.errors import NotYet
from domain.workloads import Protocol, WorkloadPhase
from sandbox.kube.kubeconfig import write_kubeconfig
from sandbox.kube.server import serving
from tests.cluster import virtual
from tests.cluster.builders import ORDERED_AT, owner, route_in, slots, workload_in
from tests.cluster.hands import GATEWAY, Hands
from tests.comparisons import a_request
from tests.deploy.files import ROOT, of_kind

NAMESPACE = "default"
LATER = ORDERED_AT + timedelta(minutes=1)
ADAPTERS = ROOT / "adapters"
ROLLOUTS = [
    ADAPTERS / "kserve" / "answers.py",
    ADAPTERS / "kserve" / "runtime.py",
    ADAPTERS / "gateways" / "router.py",
    ADAPTERS / "aigateway" / "router.py",
]
VIRTUAL_MODELS = [ADAPTERS / "aigateway" / "virtual_models.py"]
SHARED = [ADAPTERS / "gateways" / "objects.py"]
PASSED_ON = {"Host", "Content-Length", "Transfer-Encoding", "Connection"}


@asynccontextmanager
async def recording(url, rights):
    """A proxy in front of the API server that notes which right each call takes."""

    async def handle(request):
        headers = {key: value for key, value in request.headers.items() if key not in PASSED_ON}
        async with session.request(
            request.method, url + request.path_qs, data=await request.read(), headers=headers
        ) as answer:
            rights.update(rights_of(request.method, request.path, answer.status))
            return web.Response(
                body=await answer.read(), status=answer.status, content_type=answer.content_type
            )

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app)
    async with aiohttp.ClientSession() as session:
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


def rights_of(method, path, status):
    """As an API server authorises: (group, resource, verb); an apply that creates takes two."""
    match path.strip("/").split("/"):
        case ["api", _, "namespaces", _, plural, *name]:
            group = ""
        case ["apis", group, _, "namespaces", _, plural, *name]:
            pass
        case _:
            raise AssertionError(f"no resource of a namespace: {path}")
    assert len(name) <= 1, f"a subresource: {path}"
    verbs = {
        "GET": ["get"] if name else ["list"],
        "POST": ["create"],
        "PATCH": ["patch", "create"] if status == 201 else ["patch"],
        "DELETE": ["delete"] if name else ["deletecollection"],
    }[method]
    return {(group, plural, verb) for verb in verbs}


class Noted(Cluster):
    """Notes from which lines it is called, to see that no call of an adapter was left out."""

    def __init__(self, cluster, lines):
        self.__dict__.update(cluster.__dict__)
        self._lines = lines

    def _note(self):
        frame = sys._getframe(2)
        self._lines.add((Path(frame.f_code.co_filename).name, frame.f_lineno))

    async def get(self, *words):
        self._note()
        return await super().get(*words)

    async def list(self, *words):
        self._note()
        return await super().list(*words)

    async def create(self, *words):
        self._note()
        return await super().create(*words)

    async def apply(self, *words, **options):
        self._note()
        return await super().apply(*words, **options)

    async def delete(self, *words):
        self._note()
        return await super().delete(*words)


def calls_in(path):
    """The lines on which an adapter calls the cluster."""
    return {
        (path.name, node.lineno)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).startswith(("self._cluster.", "cluster."))
    }


async def used_in(life, tmp_path):
    """The rights and the lines that a whole life takes."""
    rights: set[tuple[str, str, str]] = set()
    lines: set[tuple[str, int]] = set()
    async with (
        serving() as kube,
        recording(kube.url, rights) as url,
        Hands(kube.url) as hands,
    ):
        write_kubeconfig(tmp_path / "kubeconfig", url)
        async with connect(tmp_path / "kubeconfig") as client:
            await life(Noted(client, lines), hands)
    return rights, lines


@pytest.fixture
async def used(tmp_path):
    """What a route with two variants takes."""
    return await used_in(live, tmp_path)


@pytest.fixture
async def used_by_virtual_models(tmp_path):
    return await used_in(live_virtually, tmp_path)


async def live(cluster, hands):
    runtime = KServeRuntime(cluster)
    router = AIGatewayRouter(cluster, Gateway(name=GATEWAY, namespace=NAMESPACE))
    route = route_in(NAMESPACE)
    stable, candidate = workload_in(NAMESPACE, "chat-v1"), workload_in(NAMESPACE, "chat-v2")
    for one in (stable, candidate):
        await runtime.deploy(one)
        assert (await runtime.status(one)).phase is WorkloadPhase.LOADING
        with pytest.raises(NotYet):
            await router.connect(route, one)
        await hands.serve(one)
        with pytest.raises(NotYet):
            await router.connect(route, one)
        await hands.accept_backend(one)
        await router.connect(route, one)
    await changed_by_others_and_put_right(router, hands, route, stable)

    await router.write(route, slots(chat_v1=100), owner(1))
    await router.write(route, slots(chat_v1=90, chat_v2=10), owner(2))
    await hands.obey(route)
    state = await router.observe(route)
    assert state is not None
    assert state.obeyed
    assert await router.drift(route, slots(chat_v1=90, chat_v2=10)) is None
    await router.write(route, slots(chat_v1=100), owner(3), insist=True)
    await hands.obey(route)

    await runtime.scale(candidate, 2)
    assert await runtime.drift(candidate, 2) is None
    await live_predictively(cluster, hands, stable)
    await router.disconnect(route, candidate)
    await runtime.remove(candidate)
    await router.remove(route, owner(4))


async def live_predictively(cluster, hands, stable):
    router = HTTPRouteRouter(cluster, Gateway(name=GATEWAY, namespace=NAMESPACE))
    route = route_in(NAMESPACE, name="predictive", protocol=Protocol.V1)
    await router.connect(route, stable)
    await router.write(route, slots(chat_v1=100), owner(1))
    await router.write(route, slots(chat_v1=100), owner(1, run="run-2", started_at=LATER))
    await router.remove(route, owner(2, run="run-2", started_at=LATER))
    async with connect_answers(cluster) as answers:
        with pytest.raises(NotYet, match="no address"):
            await answers.ask(stable, a_request(), within=timedelta(seconds=1))


async def live_virtually(cluster, hands):
    """A virtual model whose second provider becomes a fallback, then leaves."""
    router = AIGatewayVirtualModels(cluster, Gateway(name=GATEWAY, namespace=NAMESPACE))
    route = virtual.virtual_route_in(NAMESPACE)
    aws, gcp = virtual.ref_in(NAMESPACE, "aws"), virtual.ref_in(NAMESPACE, "gcp", priority=1)
    for name in ("aws", "gcp"):
        await virtual.add_backend(hands, NAMESPACE, name)
    await router.require_known(route, [aws, gcp])
    await router.write(route, virtual.layout(aws), owner(1))
    await virtual.obey(hands, route)
    fallback = virtual.layout(aws, gcp, levels=2)
    with pytest.raises(NotYet):
        await router.write(route, fallback, owner(2))
    await virtual.take_policy(hands, route)
    await router.write(route, fallback, owner(2))
    await virtual.obey(hands, route)
    state = await router.observe(route)
    assert state is not None
    assert state.obeyed
    with pytest.raises(NotYet):
        await router.remove(route, owner(3))
    await hands.delete(HTTP_ROUTE, NAMESPACE, route.name)
    await router.remove(route, owner(3))


async def changed_by_others_and_put_right(router, hands, route, workload):
    """What exists already is patched, which takes another right than creating it."""
    elsewhere = {"spec": {"endpoints": [{"fqdn": {"hostname": "elsewhere.test", "port": 80}}]}}
    await hands.patch(BACKEND, NAMESPACE, workload.name, elsewhere, manager="tidegate")
    name = policy_name(route)
    changed = {"spec": {"loadBalancer": {"type": "Random", "zoneAware": None}}}
    await hands.patch(BACKEND_TRAFFIC_POLICY, NAMESPACE, name, changed, manager="tidegate")
    assert await hands.get(SERVICE, NAMESPACE, f"{workload.name}-predictor")
    await router.connect(route, workload)


def granted_by(role):
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


async def test_the_worker_s_role_is_what_its_adapters_call(used):
    rights, _ = used
    granted = granted_by(of_kind("ClusterRole", "tidegate-worker"))
    assert granted - rights == set(), "granted, but no adapter calls it"
    assert rights - granted == set(), "called, but not granted"


async def test_its_role_beside_the_gateway_is_what_virtual_models_take(used_by_virtual_models):
    rights, _ = used_by_virtual_models
    granted = granted_by(of_kind("Role", "tidegate-worker-virtual-models"))
    assert granted - rights == set(), "granted, but no adapter calls it"
    assert rights - granted == set(), "called, but not granted"


async def test_no_call_of_an_adapter_was_left_out(used, used_by_virtual_models):
    lines = used[1] | used_by_virtual_models[1]
    calls = set().union(*(calls_in(path) for path in (*ROLLOUTS, *VIRTUAL_MODELS, *SHARED)))
    assert len(calls) > 10
    assert calls - lines == set()


def test_no_other_adapter_speaks_to_the_cluster():
    speakers = {
        path
        for path in (ROOT / "adapters").rglob("*.py")
        if "self._cluster" in path.read_text() or "Cluster(" in path.read_text()
    }
    client = ROOT / "adapters" / "kubernetes" / "client.py"
    assert speakers == {*ROLLOUTS, *VIRTUAL_MODELS, client}


def test_the_role_is_bound_in_one_namespace_at_a_time_and_to_the_worker_alone():
    assert of_kind("ClusterRoleBinding") == []
    bindings = of_kind("RoleBinding")
    assert {one["roleRef"]["name"] for one in bindings} == {
        "tidegate-worker",
        "tidegate-worker-virtual-models",
    }
    for binding in bindings:
        assert [one["name"] for one in binding["subjects"]] == ["tidegate-worker"]
