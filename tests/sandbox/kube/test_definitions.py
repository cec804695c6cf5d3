"""Custom resources: how a definition becomes one, and the rules that the shipped ones hold."""

import pytest

from tests.sandbox.kube.objects import (
    DEFINITIONS,
    backend,
    definition,
    fqdn,
    isvc,
    route,
    service_backend,
    split,
)


@pytest.fixture
def plural(place):
    return f"things{place.namespace.replace('-', '')}"


async def test_a_definition_is_established_and_served_at_once(kube, place, plural):
    made = await kube.post(DEFINITIONS, definition(plural, "Thing"))

    path = f"/apis/tests.dev/v1/namespaces/{place.namespace}/{plural}"
    body = {"apiVersion": "tests.dev/v1", "kind": "Thing", "metadata": {"name": "a"}, "x": 1}
    thing = await kube.post(path, body)

    conditions = {one["type"]: one["status"] for one in made.body["status"]["conditions"]}
    assert conditions == {"NamesAccepted": "True", "Established": "True"}
    assert made.body["status"]["acceptedNames"]["listKind"] == "ThingList"
    assert (thing.code, thing.body["x"]) == (201, 1)


async def test_a_definition_that_changes_changes_what_is_valid(kube, place, plural):
    await kube.post(DEFINITIONS, definition(plural, "Thing"))
    path = f"/apis/tests.dev/v1/namespaces/{place.namespace}/{plural}"
    body = {"apiVersion": "tests.dev/v1", "kind": "Thing", "metadata": {"name": "a"}, "x": "1"}
    stricter = {"type": "object", "properties": {"x": {"type": "integer"}}}

    patch = {"op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema", "value": stricter}
    await kube.json_patch(f"{DEFINITIONS}/{plural}.tests.dev", patch)

    assert (await kube.post(path, body)).fields == ["x"]


async def test_an_object_is_read_in_each_version_that_is_served(kube, place, plural):
    both = definition(plural, "Thing")
    (first,) = both["spec"]["versions"]
    both["spec"]["versions"] = [{**first, "name": "v1alpha1", "storage": False}, first]
    await kube.post(DEFINITIONS, both)
    root = "/apis/tests.dev/{}/namespaces/" + f"{place.namespace}/{plural}"
    body = {"apiVersion": "tests.dev/v1", "kind": "Thing", "metadata": {"name": "a"}}
    await kube.post(root.format("v1"), body)

    one = await kube.get(root.format("v1alpha1") + "/a")
    several = await kube.get(root.format("v1alpha1"))

    assert one.body["apiVersion"] == several.body["apiVersion"] == "tests.dev/v1alpha1"
    assert several.body["items"] == [one.body]


async def test_a_resource_without_a_status_endpoint_keeps_status_as_any_field(kube, place, plural):
    await kube.post(DEFINITIONS, definition(plural, "Thing"))
    path = f"/apis/tests.dev/v1/namespaces/{place.namespace}/{plural}"
    body = {"apiVersion": "tests.dev/v1", "kind": "Thing", "metadata": {"name": "a"}}

    made = await kube.post(path, {**body, "status": {"up": True}})

    assert made.body["status"] == {"up": True}
    assert (await kube.get(f"{path}/a/status")).code == 404


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"metadata": {"name": "other.tests.dev"}}, "metadata.name"),
        ({"spec": {"group": "tests.dev"}}, "spec.names"),
    ],
)
async def test_a_definition_that_says_too_little_or_the_wrong_name_is_invalid(kube, change, field):
    refused = await kube.post(DEFINITIONS, {**definition("wrongs", "Wrong"), **change})

    assert refused.code == 422
    assert field in refused.fields


REF = {"name": "a", "weight": 1}
POOL = {"name": "p", "group": "inference.networking.k8s.io", "kind": "InferencePool"}


@pytest.mark.parametrize(
    ("rules", "field"),
    [
        ([split(a=1)] * 16, "spec.rules"),
        ([{"backendRefs": [REF] * 129}], "spec.rules[0].backendRefs"),
        ([split(a=-1)], "spec.rules[0].backendRefs[0].weight"),
        ([split(a=0.5)], "spec.rules[0].backendRefs[0].weight"),
        ([split(a="10")], "spec.rules[0].backendRefs[0].weight"),
        ([split(a=2**31)], "spec.rules[0].backendRefs[0].weight"),
        ([{"backendRefs": [{"weight": 1}]}], "spec.rules[0].backendRefs[0].name"),
        ([{"backendRefs": [{**REF, "group": POOL["group"]}]}], "spec.rules[0].backendRefs[0]"),
        ([{"backendRefs": [{**POOL, "kind": "Service"}]}], "spec.rules[0].backendRefs[0].kind"),
        ([{"backendRefs": [POOL, REF]}], "spec.rules[0]"),
        ([{"name": "route-not-found"}], "spec.rules[0].name"),
        (
            [{"matches": [{"headers": [{"name": "x"}]}]}],
            "spec.rules[0].matches[0].headers[0].value",
        ),
        ([{"timeouts": {"request": "soon"}}], "spec.rules[0].timeouts.request"),
    ],
)
async def test_a_route_beyond_its_rules_is_invalid(kube, place, rules, field):
    refused = await kube.post(place.routes(), route("a", *rules))

    assert (refused.code, refused.body["reason"]) == (422, "Invalid")
    assert field in refused.fields


@pytest.mark.parametrize(
    "rules",
    [
        [split(a=1)] * 15,
        [{"backendRefs": [REF] * 128}],
        [split(stable=100, candidate=0)],
        [{"backendRefs": [POOL]}],
        [{"name": "main", "timeouts": {"request": "60s"}, "modelsOwnedBy": "us", "later": True}],
    ],
)
async def test_a_route_within_its_rules_is_accepted(kube, place, rules):
    assert (await kube.post(place.routes(), route("a", *rules))).code == 201


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (service_backend("a", schema="Llama"), "spec.schema.name"),
        (service_backend("a", kind="Service"), "spec.backendRef.kind"),
        (service_backend("a", group=""), "spec.backendRef.group"),
        ({**service_backend("a"), "spec": {}}, "spec.backendRef"),
    ],
)
async def test_a_service_backend_beyond_its_rules_is_invalid(kube, place, body, field):
    refused = await kube.post(place.service_backends(), body)

    assert refused.code == 422
    assert field in refused.fields


async def test_an_unsupported_value_is_answered_with_the_supported_ones(kube, place):
    refused = await kube.post(place.service_backends(), service_backend("a", schema="Llama"))

    (cause,) = refused.body["details"]["causes"]
    assert cause["reason"] == "FieldValueNotSupported"
    assert cause["message"].startswith('Unsupported value: "Llama": supported values: "OpenAI", ')
    assert refused.body["message"].startswith(
        'AIServiceBackend.aigateway.envoyproxy.io "a" is invalid: spec.schema.name: '
    )


@pytest.mark.parametrize(
    ("endpoint", "field"),
    [
        (fqdn("a.b", port=0), "spec.endpoints[0].fqdn.port"),
        (fqdn("not a host"), "spec.endpoints[0].fqdn.hostname"),
        ({"fqdn": {"hostname": "a.b"}}, "spec.endpoints[0].fqdn.port"),
        ({}, "spec.endpoints[0]"),
        ({**fqdn("a.b"), "ip": {"address": "1.2.3.4", "port": 80}}, "spec.endpoints[0]"),
    ],
)
async def test_a_backend_beyond_its_rules_is_invalid(kube, place, endpoint, field):
    refused = await kube.post(place.backends(), backend("a", endpoint))

    assert refused.code == 422
    assert field in refused.fields


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (isvc("1a"), "metadata.name"),
        (isvc("a.b"), "metadata.name"),
        (isvc("a", predictor=[]), "spec.predictor"),
        (isvc("a", predictor={"minReplicas": "one"}), "spec.predictor.minReplicas"),
        (
            isvc("a", predictor={"model": {"modelFormat": {}}}),
            "spec.predictor.model.modelFormat.name",
        ),
        ({**isvc("a"), "spec": {}}, "spec.predictor"),
    ],
)
async def test_an_inference_service_beyond_its_rules_is_invalid(kube, place, body, field):
    refused = await kube.post(place.isvcs(), body)

    assert refused.code == 422
    assert field in refused.fields


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        ({"backendRefs": [{"name": "a"}] * 17}, "spec.rules[0].backendRefs"),
        (
            {"backendRefs": [{"name": "a", "weight": 1_000_001}]},
            "spec.rules[0].backendRefs[0].weight",
        ),
    ],
)
async def test_an_http_route_is_stricter_than_the_route_that_makes_it(kube, place, rule, field):
    body = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "a"},
        "spec": {"rules": [rule]},
    }

    refused = await kube.post(place.http_routes(), body)

    assert refused.fields == [field]


async def test_every_violation_is_named_at_once(kube, place):
    refused = await kube.post(place.routes(), route("a", split(a=-1, b=-2)))

    assert refused.fields == [
        "spec.rules[0].backendRefs[0].weight",
        "spec.rules[0].backendRefs[1].weight",
    ]
    assert refused.body["message"].count("should be greater than or equal to 0") == 2


async def test_an_invalid_change_leaves_the_object_as_it_was(kube, place):
    made = await kube.post(place.routes(), route("a", split(a=1)))

    refused = await kube.json_patch(
        place.routes("a"),
        {"op": "replace", "path": "/spec/rules/0/backendRefs/0/weight", "value": -1},
    )

    assert refused.code == 422
    assert (await kube.get(place.routes("a"))).body == made.body
