"""The clients that the system uses see a real server: kubernetes-asyncio in all its forms."""

import asyncio

import pytest
from kubernetes_asyncio import client, config, watch
from kubernetes_asyncio.client.rest import ApiException
from kubernetes_asyncio.dynamic import DynamicClient

from tests.sandbox.kube.objects import definition, isvc, route, split

ISVC = ("serving.kserve.io", "v1beta1")
MERGE = {"_content_type": "application/merge-patch+json"}
APPLY = {"_content_type": "application/apply-patch+yaml", "field_manager": "engine"}


@pytest.fixture
async def api(kube_server, tmp_path):
    """A client configured by the kubeconfig that the server writes."""
    path = tmp_path / "kubeconfig"
    kube_server.write_kubeconfig(path)
    settings = client.Configuration()
    await config.load_kube_config(str(path), client_configuration=settings)
    async with client.ApiClient(settings) as found:
        yield found


@pytest.fixture
async def dynamic(api, tmp_path):
    return await DynamicClient(api, cache_file=str(tmp_path / "discovery.json"))


@pytest.fixture
def custom(api):
    return client.CustomObjectsApi(api)


@pytest.fixture
def isvcs(place):
    """The arguments that name a namespace's InferenceServices."""
    return (*ISVC, place.namespace, "inferenceservices")


async def test_custom_objects_are_created_read_listed_and_deleted(custom, isvcs):
    await custom.create_namespaced_custom_object(*isvcs, isvc("a"))

    found = await custom.get_namespaced_custom_object(*isvcs, "a")
    listed = await custom.list_namespaced_custom_object(*isvcs)
    everywhere = await custom.list_cluster_custom_object(*ISVC, "inferenceservices")
    await custom.delete_namespaced_custom_object(*isvcs, "a")

    assert listed["items"] == [found]
    assert found in everywhere["items"]
    with pytest.raises(ApiException) as missing:
        await custom.get_namespaced_custom_object(*isvcs, "a")
    assert missing.value.status == 404


async def test_a_list_is_patched_as_json_patch_and_a_dict_as_it_is_told(custom, isvcs):
    await custom.create_namespaced_custom_object(*isvcs, isvc("a"))

    operation = {"op": "add", "path": "/spec/x", "value": 1}
    await custom.patch_namespaced_custom_object(*isvcs, "a", [operation])
    patched = await custom.patch_namespaced_custom_object(*isvcs, "a", {"spec": {"y": 2}}, **MERGE)

    assert (patched["spec"]["x"], patched["spec"]["y"]) == (1, 2)


async def test_the_status_is_patched_through_its_endpoint(custom, isvcs):
    await custom.create_namespaced_custom_object(*isvcs, isvc("a"))

    state = {"status": {"url": "http://a"}}
    await custom.patch_namespaced_custom_object_status(*isvcs, "a", state, **MERGE)

    assert (await custom.get_namespaced_custom_object(*isvcs, "a"))["status"] == state["status"]


async def test_an_apply_that_creates_answers_201_which_this_client_returns_as_nothing(
    custom, isvcs
):
    """A trap on real clusters too: whoever applies must read again, or use the dynamic client."""
    made = await custom.patch_namespaced_custom_object(*isvcs, "a", isvc("a"), **APPLY)
    again = await custom.patch_namespaced_custom_object(*isvcs, "a", isvc("a"), **APPLY)

    assert made is None
    assert again["metadata"]["managedFields"][0]["manager"] == "engine"


async def test_a_conflict_is_an_exception_with_the_status_body(custom, isvcs):
    await custom.patch_namespaced_custom_object(*isvcs, "a", isvc("a"), **APPLY)

    other = isvc("a", predictor={"minReplicas": 2})
    with pytest.raises(ApiException) as refused:
        await custom.patch_namespaced_custom_object(
            *isvcs, "a", other, **{**APPLY, "field_manager": "other"}
        )

    assert refused.value.status == 409
    assert "FieldManagerConflict" in str(refused.value.body)


async def test_list_and_watch_leave_no_gap(custom, isvcs):
    listed = await custom.list_namespaced_custom_object(*isvcs)
    revision = listed["metadata"]["resourceVersion"]
    await custom.create_namespaced_custom_object(*isvcs, isvc("a"))

    async def changed():
        await custom.patch_namespaced_custom_object(*isvcs, "a", {"spec": {"x": 1}}, **MERGE)
        await custom.delete_namespaced_custom_object(*isvcs, "a")

    seen = []
    async with watch.Watch() as events:
        changes = asyncio.create_task(changed())
        stream = events.stream(
            custom.list_namespaced_custom_object,
            *isvcs,
            resource_version=revision,
            timeout_seconds=5,
        )
        async for event in stream:
            seen.append((event["type"], event["object"]["metadata"]["name"]))
            if event["type"] == "DELETED":
                break
        await changes

    assert seen == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]


async def test_namespaces_are_created_read_and_listed(api, place):
    core = client.CoreV1Api(api)

    found = await core.read_namespace(place.namespace)
    listed = await core.list_namespace()

    assert found.status.phase == "Active"
    assert {"default", "kube-system", place.namespace} <= {
        one.metadata.name for one in listed.items
    }


async def test_typed_objects_go_there_and_back(api, place):
    core = client.CoreV1Api(api)
    leases = client.CoordinationV1Api(api)

    configmap = client.V1ConfigMap(metadata=client.V1ObjectMeta(name="a"), data={"k": "v"})
    await core.create_namespaced_config_map(place.namespace, configmap)
    await core.patch_namespaced_config_map("a", place.namespace, {"data": {"l": "w"}})
    body = client.V1Lease(
        metadata=client.V1ObjectMeta(name="leader"),
        spec=client.V1LeaseSpec(holder_identity="me", lease_duration_seconds=5),
    )
    await leases.create_namespaced_lease(place.namespace, body)

    found = await core.read_namespaced_config_map("a", place.namespace)
    lease = await leases.read_namespaced_lease("leader", place.namespace)
    assert found.data == {"k": "v", "l": "w"}
    assert lease.spec.holder_identity == "me"
    assert lease.metadata.creation_timestamp.tzinfo is not None


async def test_a_service_a_pod_and_an_event_are_known_to_the_typed_client(api, place):
    core = client.CoreV1Api(api)
    metadata = client.V1ObjectMeta(name="a")
    service = client.V1Service(
        metadata=metadata, spec=client.V1ServiceSpec(ports=[client.V1ServicePort(port=80)])
    )
    pod = client.V1Pod(
        metadata=metadata,
        spec=client.V1PodSpec(containers=[client.V1Container(name="c", image="i")]),
    )
    event = client.CoreV1Event(
        metadata=client.V1ObjectMeta(generate_name="a."),
        involved_object=client.V1ObjectReference(kind="Pod", name="a", namespace=place.namespace),
        reason="Failed",
    )

    await core.create_namespaced_service(place.namespace, service)
    await core.create_namespaced_pod(place.namespace, pod)
    await core.create_namespaced_event(place.namespace, event)
    await core.patch_namespaced_pod_status("a", place.namespace, {"status": {"phase": "Running"}})
    found = await core.list_namespaced_event(
        place.namespace, field_selector="involvedObject.name=a,involvedObject.kind=Pod"
    )
    deleted = await core.delete_namespaced_pod("a", place.namespace)

    assert [one.reason for one in found.items] == ["Failed"]
    assert deleted.status.phase == "Running"


async def test_the_dynamic_client_discovers_applies_and_lists(dynamic, place):
    routes = await dynamic.resources.get(
        api_version="aigateway.envoyproxy.io/v1beta1", kind="AIGatewayRoute"
    )

    made = await dynamic.server_side_apply(
        routes,
        body=route("a", split(stable=100)),
        name="a",
        namespace=place.namespace,
        field_manager="engine",
    )
    listed = await routes.get(namespace=place.namespace)

    assert made.spec.rules[0].backendRefs[0].weight == 100
    assert [one.metadata.name for one in listed.items] == ["a"]


async def test_the_dynamic_client_watches(dynamic, place):
    resource = await dynamic.resources.get(
        api_version="serving.kserve.io/v1beta1", kind="InferenceService"
    )
    for name in "ab":
        await resource.create(body=isvc(name), namespace=place.namespace)

    seen = []
    async with watch.Watch() as watcher:
        events = dynamic.watch(resource, namespace=place.namespace, timeout=5, watcher=watcher)
        async for event in events:
            seen.append((event["type"], event["object"].metadata.name))
            if len(seen) == 2:
                break

    assert seen == [("ADDED", "a"), ("ADDED", "b")]


async def test_a_definition_is_discovered_as_soon_as_it_is_there(api, place, tmp_path):
    plural = f"widgets{place.namespace.replace('-', '')}"
    definitions = client.ApiextensionsV1Api(api)

    made = await definitions.create_custom_resource_definition(definition(plural, plural.title()))
    dynamic = await DynamicClient(api, cache_file=str(tmp_path / "later.json"))
    found = await dynamic.resources.get(api_version="tests.dev/v1", kind=plural.title())

    assert {one.type for one in made.status.conditions} == {"NamesAccepted", "Established"}
    assert found.name == plural


async def test_the_version_is_one_that_clients_can_compare(api):
    version = await client.VersionApi(api).get_code()

    assert (version.major, version.minor) == ("1", "32")
    assert version.git_version.startswith("v1.32.")
