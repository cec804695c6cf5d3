"""Gets, lists, selectors, pages and what is answered where nothing is."""

import pytest

from tests.sandbox.kube.objects import configmap, isvc


async def test_an_object_is_read_back_as_it_was_written(kube, place):
    await kube.post(place.isvcs(), isvc("chat", predictor={"timeout": 5, "unknown": [1]}))

    found = await kube.get(place.isvcs("chat"))

    assert found.code == 200
    assert found.body["kind"] == "InferenceService"
    assert found.body["spec"] == {"predictor": {"timeout": 5, "unknown": [1]}}


async def test_a_missing_object_is_a_not_found_status(kube, place):
    missing = await kube.get(place.isvcs("nope"))

    assert missing.code == 404
    assert missing.body["kind"] == "Status"
    assert missing.body["reason"] == "NotFound"
    assert missing.body["message"] == 'inferenceservices.serving.kserve.io "nope" not found'
    assert missing.body["details"] == {
        "name": "nope",
        "group": "serving.kserve.io",
        "kind": "inferenceservices",
    }


@pytest.mark.parametrize(
    "path",
    [
        "/apis/no.such/v1/namespaces/default/things",
        "/apis/serving.kserve.io/v1/namespaces/default/inferenceservices",
        "/api/v1/namespaces/default/things",
        "/api/v1/namespaces/default/configmaps/a/status",
        "/api/v1/namespaces/default/namespaces",
        "/apis/no.such",
        "/nothing",
    ],
)
async def test_an_unknown_path_is_plain_text_as_on_a_real_server(kube, path):
    missing = await kube.get(path)

    assert missing == (404, "404 page not found\n")


async def test_a_list_names_its_kind_and_a_revision_to_watch_from(kube, place):
    made = await kube.post(place.isvcs(), isvc("chat"))

    found = await kube.get(place.isvcs())

    assert found.body["kind"] == "InferenceServiceList"
    assert found.body["apiVersion"] == "serving.kserve.io/v1beta1"
    assert int(found.revision) >= int(made.revision)
    assert found.names == ["chat"]


async def test_a_list_over_all_namespaces_is_ordered_by_namespace_and_name(kube, place):
    for name in ("b", "a"):
        await kube.post(place.configmaps(), configmap(name))

    everywhere = await kube.get("/api/v1/configmaps")

    places = [
        (one["metadata"]["namespace"], one["metadata"]["name"]) for one in everywhere.body["items"]
    ]
    assert places == sorted(places)
    assert {(place.namespace, "a"), (place.namespace, "b")} <= set(places)


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("", ["gold", "none", "silver"]),
        ("tier=gold", ["gold"]),
        ("tier==gold", ["gold"]),
        ("tier!=gold", ["none", "silver"]),
        ("tier in (gold, silver),app", ["gold"]),
        ("tier notin (gold)", ["none", "silver"]),
        ("tier", ["gold", "silver"]),
        ("!tier", ["none"]),
        ("size>2", ["silver"]),
        ("size<2", ["gold"]),
        ("tidegate.dev/role=stable", ["silver"]),
    ],
)
async def test_labels_select(kube, place, selector, expected):
    labels = {
        "gold": {"tier": "gold", "app": "x", "size": "1"},
        "silver": {"tier": "silver", "size": "3", "tidegate.dev/role": "stable"},
        "none": {},
    }
    for name, given in labels.items():
        await kube.post(place.configmaps(), configmap(name, labels=given))

    found = await kube.get(place.configmaps(), labelSelector=selector)

    assert found.names == expected


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("metadata.name=a", ["a"]),
        ("metadata.name!=a", ["b"]),
        ("metadata.name==a,metadata.namespace=other", []),
    ],
)
async def test_fields_select(kube, place, selector, expected):
    for name in ("a", "b"):
        await kube.post(place.configmaps(), configmap(name))

    found = await kube.get(place.configmaps(), fieldSelector=selector)

    assert found.names == expected


async def test_a_built_in_field_selects_by_its_value(kube, place):
    pod = {"metadata": {"name": "here"}, "spec": {"nodeName": "n1", "containers": []}}
    await kube.post(place.pods(), pod)
    await kube.post(place.pods(), {"metadata": {"name": "nowhere"}, "spec": {"containers": []}})

    assert (await kube.get(place.pods(), fieldSelector="spec.nodeName=n1")).names == ["here"]
    assert (await kube.get(place.pods(), fieldSelector="spec.nodeName=")).names == ["nowhere"]


@pytest.mark.parametrize(
    "query",
    [
        {"labelSelector": "a in ("},
        {"labelSelector": "=x"},
        {"fieldSelector": "spec.predictor=x"},
        {"fieldSelector": "metadata.name"},
        {"limit": "many"},
        {"continue": "%%%"},
        {"resourceVersion": "abc"},
    ],
)
async def test_what_cannot_be_understood_is_a_bad_request(kube, place, query):
    refused = await kube.get(place.isvcs(), **query)

    assert (refused.code, refused.body["reason"]) == (400, "BadRequest")


async def test_pages_follow_one_another_and_keep_the_first_revision(kube, place):
    for name in "abc":
        await kube.post(place.configmaps(), configmap(name))

    first = await kube.get(place.configmaps(), limit=2)
    await kube.post(place.configmaps(), configmap("d"))
    second = await kube.get(
        place.configmaps(), limit=2, **{"continue": first.body["metadata"]["continue"]}
    )

    assert (first.names, second.names) == (["a", "b"], ["c", "d"])
    assert first.body["metadata"]["remainingItemCount"] == 1
    assert second.revision == first.revision
    assert "continue" not in second.body["metadata"]


async def test_a_list_at_a_revision_to_come_is_a_timeout_that_says_so(kube, place):
    refused = await kube.get(place.isvcs(), resourceVersion="999999999")

    assert (refused.code, refused.body["reason"]) == (504, "Timeout")
    assert refused.body["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


async def test_a_name_that_is_not_of_this_machine_reaches_nothing(kube):
    async with kube.session.get(f"{kube.url}/version", headers={"Host": "evil.example"}) as answer:
        assert answer.status == 400


async def test_discovery_lists_a_resource_with_its_short_name_and_status(kube):
    found = await kube.get("/apis/serving.kserve.io/v1beta1")

    entries = {entry["name"]: entry for entry in found.body["resources"]}
    assert entries["inferenceservices"]["shortNames"] == ["isvc"]
    assert entries["inferenceservices"]["namespaced"] is True
    assert "watch" in entries["inferenceservices"]["verbs"]
    assert entries["inferenceservices/status"]["verbs"] == ["get", "patch", "update"]


async def test_groups_are_listed_with_their_preferred_version(kube):
    groups = (await kube.get("/apis")).body["groups"]

    preferred = {group["name"]: group["preferredVersion"]["version"] for group in groups}
    assert preferred["serving.kserve.io"] == "v1beta1"
    assert preferred["gateway.networking.k8s.io"] == "v1"
    assert "" not in preferred


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/livez"])
async def test_health_is_answered(kube, path):
    assert await kube.get(path) == (200, "ok")
