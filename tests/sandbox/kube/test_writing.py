"""Creating, replacing and patching: metadata, revisions, generations and the status apart."""

import asyncio
import base64
import re

import pytest

from tests.sandbox.kube.client import STRATEGIC
from tests.sandbox.kube.objects import configmap, isvc


async def test_a_new_object_gets_its_metadata_from_the_server(kube, place):
    made = await kube.post(place.isvcs(), isvc("chat", uid="mine", generation=7))

    metadata = made.body["metadata"]
    assert made.code == 201
    assert metadata["namespace"] == place.namespace
    assert metadata["generation"] == 1
    assert metadata["uid"] not in {"", "mine"}
    assert int(metadata["resourceVersion"]) > 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", metadata["creationTimestamp"])


async def test_a_second_object_of_the_same_name_already_exists(kube, place):
    await kube.post(place.isvcs(), isvc("chat"))

    refused = await kube.post(place.isvcs(), isvc("chat"))

    assert (refused.code, refused.body["reason"]) == (409, "AlreadyExists")


async def test_an_object_in_a_missing_namespace_is_not_found(kube):
    refused = await kube.post(
        "/apis/serving.kserve.io/v1beta1/namespaces/ghost/inferenceservices", isvc("a")
    )

    assert refused.code == 404
    assert refused.body["message"] == 'namespaces "ghost" not found'


async def test_a_generated_name_is_the_prefix_and_five_letters(kube, place):
    body = isvc("")
    body["metadata"] = {"generateName": "chat-"}

    made = [await kube.post(place.isvcs(), body) for _ in range(2)]

    names = [one.body["metadata"]["name"] for one in made]
    assert all(re.fullmatch(r"chat-[b-z2-9]{5}", name) for name in names)
    assert len(set(names)) == 2


@pytest.mark.parametrize("name", ["Chat", "-a", "a-", "a_b", "a" * 254, "ä", "a..b", ""])
async def test_a_name_that_is_no_subdomain_is_invalid(kube, place, name):
    refused = await kube.post(place.configmaps(), configmap(name))

    assert (refused.code, refused.body["reason"]) == (422, "Invalid")
    assert "metadata.name" in refused.fields


@pytest.mark.parametrize(
    ("metadata", "field"),
    [
        ({"labels": {"a": "x" * 64}}, "metadata.labels"),
        ({"labels": {"a": "no spaces"}}, "metadata.labels"),
        ({"labels": {"a": 1}}, "metadata.labels.a"),
        ({"labels": {"UPPER.dev/a": "x"}}, "metadata.labels"),
        ({"annotations": {"a b": "x"}}, "metadata.annotations"),
        ({"annotations": {"a": "x" * 262_145}}, "metadata.annotations"),
        ({"finalizers": "one"}, "metadata.finalizers"),
        ({"ownerReferences": [{"kind": "Pod"}]}, "metadata.ownerReferences[0].uid"),
    ],
)
async def test_metadata_that_a_real_server_refuses_is_invalid(kube, place, metadata, field):
    refused = await kube.post(place.configmaps(), configmap("a", **metadata))

    assert refused.code == 422
    assert field in refused.fields


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("{", 400),
        ("[]", 400),
        ('{"metadata":{"name":"a"},"spec":NaN}', 400),
        ('{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"}}', 400),
        ('{"metadata":{"name":"a","namespace":"other"}}', 400),
        ('{"metadata":"a"}', 400),
        ('{"metadata":{"name":"a","resourceVersion":"1"}}', 500),
    ],
)
async def test_a_body_that_is_no_such_object_is_refused(kube, place, body, code):
    assert (await kube.post(place.configmaps(), body)).code == code


async def test_a_body_in_yaml_is_read_and_its_dates_stay_text(kube, place):
    text = "metadata: {name: a, annotations: {since: 2026-01-02}}\ndata: {k: v}\n"

    made = await kube.post(place.configmaps(), text, content_type="application/yaml")

    assert made.code == 201
    assert made.body["metadata"]["annotations"] == {"since": "2026-01-02"}


async def test_a_body_in_an_unknown_format_is_an_unsupported_media_type(kube, place):
    refused = await kube.post(
        place.configmaps(), "k8s", content_type="application/vnd.kubernetes.protobuf"
    )

    assert (refused.code, refused.body["reason"]) == (415, "UnsupportedMediaType")


async def test_a_put_replaces_the_whole_object(kube, place):
    made = await kube.post(place.isvcs(), isvc("a", predictor={"old": 1}, labels={"x": "y"}))

    put = await kube.put(
        place.isvcs("a"), isvc("a", predictor={"new": 1}, resourceVersion=made.revision)
    )

    assert put.code == 200
    assert put.body["spec"] == {"predictor": {"new": 1}}
    assert "labels" not in put.body["metadata"]
    for kept in ("uid", "creationTimestamp"):
        assert put.body["metadata"][kept] == made.body["metadata"][kept]


async def test_a_put_from_an_older_revision_conflicts(kube, place):
    made = await kube.post(place.isvcs(), isvc("a"))
    await kube.merge(place.isvcs("a"), {"spec": {"x": 1}})

    refused = await kube.put(place.isvcs("a"), isvc("a", resourceVersion=made.revision))

    assert (refused.code, refused.body["reason"]) == (409, "Conflict")


async def test_writers_that_compare_and_swap_lose_no_update(kube, place):
    await kube.post(place.isvcs(), isvc("a", predictor={"count": 0}))

    async def counted():
        for _ in range(10):
            code = 409
            while code == 409:
                body = (await kube.get(place.isvcs("a"))).body
                body["spec"]["predictor"]["count"] += 1
                code = (await kube.put(place.isvcs("a"), body)).code
            assert code == 200

    await asyncio.gather(*(counted() for _ in range(5)))

    assert (await kube.get(place.isvcs("a"))).body["spec"]["predictor"]["count"] == 50


async def test_a_put_of_a_custom_object_must_name_its_revision(kube, place):
    await kube.post(place.isvcs(), isvc("a"))
    await kube.post(place.configmaps(), configmap("a"))

    refused = await kube.put(place.isvcs("a"), isvc("a"))
    unconditional = await kube.put(place.configmaps("a"), configmap("a", {"k": "v"}))

    assert (refused.code, refused.fields) == (422, ["metadata.resourceVersion"])
    assert unconditional.code == 200


async def test_a_put_creates_nothing(kube, place):
    assert (await kube.put(place.isvcs("a"), isvc("a", resourceVersion="1"))).code == 404


async def test_a_put_of_another_object_of_the_same_name_conflicts(kube, place):
    made = await kube.post(place.configmaps(), configmap("a"))

    refused = await kube.put(place.configmaps("a"), configmap("a", uid="another"))

    assert refused.code == 409
    assert made.body["metadata"]["uid"] in refused.body["message"]


async def test_a_merge_patch_changes_what_it_names_and_removes_nulls(kube, place):
    made = await kube.post(place.isvcs(), isvc("a", predictor={"timeout": 1, "minReplicas": 1}))

    patched = await kube.merge(
        place.isvcs("a"), {"spec": {"predictor": {"timeout": 2, "minReplicas": None}}}
    )

    assert patched.body["spec"] == {"predictor": {"timeout": 2}}
    assert int(patched.revision) > int(made.revision)


async def test_a_merge_patch_replaces_lists_whole(kube, place):
    await kube.post(place.isvcs(), isvc("a", predictor={"model": {"args": ["a", "b"]}}))

    patched = await kube.merge(
        place.isvcs("a"), {"spec": {"predictor": {"model": {"args": ["c"]}}}}
    )

    assert patched.body["spec"]["predictor"]["model"]["args"] == ["c"]


async def test_a_patch_from_an_older_revision_conflicts(kube, place):
    made = await kube.post(place.isvcs(), isvc("a"))
    await kube.merge(place.isvcs("a"), {"spec": {"x": 1}})

    patch = {"metadata": {"resourceVersion": made.revision}, "spec": {"y": 1}}
    refused = await kube.merge(place.isvcs("a"), patch)

    assert (refused.code, refused.body["reason"]) == (409, "Conflict")
    assert "y" not in (await kube.get(place.isvcs("a"))).body["spec"]


async def test_a_json_patch_is_carried_out_in_order(kube, place):
    await kube.post(place.isvcs(), isvc("a", predictor={"model": {"args": ["a"]}}))

    patched = await kube.json_patch(
        place.isvcs("a"),
        {"op": "test", "path": "/spec/predictor/model/args/0", "value": "a"},
        {"op": "add", "path": "/spec/predictor/model/args/-", "value": "b"},
        {"op": "replace", "path": "/spec/predictor/model/args/0", "value": "c"},
    )

    assert patched.body["spec"]["predictor"]["model"]["args"] == ["c", "b"]


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ({"op": "test", "path": "/spec/predictor/minReplicas", "value": 9}, 422),
        ({"op": "remove", "path": "/spec/nothing"}, 422),
        ({"op": "replace", "path": "/spec/no/where", "value": 1}, 422),
        ({"op": "replace", "path": "", "value": 5}, 422),
        ({"op": "replace", "path": "/metadata/name", "value": "b"}, 422),
        ({"op": "replace", "path": "/metadata/resourceVersion", "value": "1"}, 409),
        ({"op": "fly", "path": "/spec"}, 400),
        ({"path": "/spec"}, 400),
    ],
)
async def test_a_json_patch_that_cannot_be_carried_out_changes_nothing(
    kube, place, operation, code
):
    made = await kube.post(place.isvcs(), isvc("a"))

    refused = await kube.json_patch(
        place.isvcs("a"), {"op": "add", "path": "/spec/x", "value": 1}, operation
    )

    assert refused.code == code
    assert (await kube.get(place.isvcs("a"))).body == made.body


async def test_a_strategic_merge_patch_merges_keyed_lists_of_built_in_kinds(kube, place):
    ports = [{"port": 80, "name": "http"}, {"port": 90}]
    await kube.post(place.services(), {"metadata": {"name": "a"}, "spec": {"ports": ports}})

    patch = {"spec": {"ports": [{"port": 90, "name": "grpc"}, {"port": 80, "$patch": "delete"}]}}
    patched = await kube.call("PATCH", place.services("a"), patch, content_type=STRATEGIC)

    assert patched.body["spec"]["ports"] == [{"port": 90, "protocol": "TCP", "name": "grpc"}]


async def test_a_strategic_merge_patch_of_a_custom_object_is_refused(kube, place):
    await kube.post(place.isvcs(), isvc("a"))

    refused = await kube.call("PATCH", place.isvcs("a"), {}, content_type=STRATEGIC)

    assert refused.code == 415


async def test_generation_counts_changes_of_the_spec_only(kube, place):
    await kube.post(place.isvcs(), isvc("a"))

    labelled = await kube.merge(place.isvcs("a"), {"metadata": {"labels": {"x": "y"}}})
    ready = await kube.merge(place.isvcs("a") + "/status", {"status": {"url": "http://a"}})
    changed = await kube.merge(place.isvcs("a"), {"spec": {"x": 1}})

    generations = [one.body["metadata"]["generation"] for one in (labelled, ready, changed)]
    assert generations == [1, 1, 2]


async def test_a_write_that_changes_nothing_keeps_the_revision(kube, place):
    made = await kube.post(place.isvcs(), isvc("a"))

    same = await kube.merge(place.isvcs("a"), {"spec": {"predictor": {"minReplicas": 1}}})
    put = await kube.put(place.isvcs("a"), made.body)

    assert same.revision == put.revision == made.revision


async def test_the_status_endpoint_writes_the_status_only(kube, place):
    await kube.post(place.isvcs(), {**isvc("a"), "status": {"url": "http://early"}})

    patch = {
        "status": {"url": "http://a"},
        "spec": {"hacked": 1},
        "metadata": {"labels": {"l": "x"}},
    }
    await kube.merge(place.isvcs("a") + "/status", patch)

    found = (await kube.get(place.isvcs("a"))).body
    assert found["status"] == {"url": "http://a"}
    assert "hacked" not in found["spec"]
    assert "labels" not in found["metadata"]


async def test_the_main_endpoint_leaves_the_status_alone(kube, place):
    await kube.post(place.isvcs(), isvc("a"))
    await kube.merge(place.isvcs("a") + "/status", {"status": {"url": "http://a"}})

    patched = await kube.merge(place.isvcs("a"), {"status": {"url": "http://evil"}})
    put = await kube.put(place.isvcs("a"), isvc("a", resourceVersion=patched.revision))

    assert patched.body["status"] == put.body["status"] == {"url": "http://a"}


async def test_the_status_can_be_put_with_its_revision(kube, place):
    made = await kube.post(place.isvcs(), isvc("a"))
    state = {**made.body, "status": {"url": "http://a"}}

    put = await kube.put(place.isvcs("a") + "/status", state)
    late = await kube.put(place.isvcs("a") + "/status", state | {"status": {"url": "http://b"}})

    assert (put.code, late.code) == (200, 409)


@pytest.mark.parametrize("verb", ["create", "update", "apply", "delete"])
async def test_a_dry_run_answers_as_if_and_stores_nothing(kube, place, verb):
    made = await kube.post(place.isvcs(), isvc("a"))
    calls = {
        "create": lambda: kube.post(place.isvcs(), isvc("b"), dryRun="All"),
        "update": lambda: kube.merge(place.isvcs("a"), {"spec": {"dry": 1}}, dryRun="All"),
        "apply": lambda: kube.apply(place.isvcs("c"), isvc("c"), dryRun="All"),
        "delete": lambda: kube.delete(place.isvcs("a"), dryRun="All"),
    }

    answer = await calls[verb]()

    assert answer.code in {200, 201}
    left = (await kube.get(place.isvcs())).body["items"]
    assert left == [made.body]


async def test_a_dry_run_of_an_unknown_kind_is_invalid(kube, place):
    assert (await kube.post(place.isvcs(), isvc("a"), dryRun="Some")).code == 422


async def test_one_and_true_are_not_the_same_value(kube, place):
    made = await kube.post(place.isvcs(), isvc("a", predictor={"flag": 1}))

    changed = await kube.merge(place.isvcs("a"), {"spec": {"predictor": {"flag": True}}})

    assert changed.body["spec"]["predictor"]["flag"] is True
    assert int(changed.revision) > int(made.revision)
    assert changed.body["metadata"]["generation"] == 2


async def test_plain_text_in_a_secret_becomes_data(kube, place):
    made = await kube.post(place.secrets(), {"metadata": {"name": "a"}, "stringData": {"k": "v"}})

    assert made.body["data"] == {"k": base64.b64encode(b"v").decode()}
    assert made.body["type"] == "Opaque"
    assert "stringData" not in made.body


async def test_a_body_over_three_megabytes_is_too_large(kube, place):
    refused = await kube.post(place.configmaps(), configmap("a", {"k": "x" * 3_200_000}))

    assert (refused.code, refused.body["reason"]) == (413, "RequestEntityTooLarge")


@pytest.mark.parametrize(
    ("method", "name"), [("POST", "a"), ("PUT", ""), ("PATCH", ""), ("OPTIONS", "a")]
)
async def test_a_verb_that_a_path_does_not_know_is_not_allowed(kube, place, method, name):
    refused = await kube.call(method, place.isvcs(name), {})

    assert (refused.code, refused.body["reason"]) == (405, "MethodNotAllowed")
