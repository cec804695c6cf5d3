"""Server-side apply: who owns a field, who loses it, and what stands in the way."""

import pytest

from tests.sandbox.kube.objects import configmap, isvc, route, split


def managers(body):
    """The owners of an object's fields, as {(manager, operation): fieldsV1}."""
    entries = body["metadata"].get("managedFields", [])
    return {(one["manager"], one["operation"]): one["fieldsV1"] for one in entries}


async def test_an_apply_creates_what_is_absent_and_owns_what_it_states(kube, place):
    made = await kube.apply(place.isvcs("a"), isvc("a", labels={"x": "y"}))

    assert made.code == 201
    assert managers(made.body) == {
        ("engine", "Apply"): {
            "f:metadata": {"f:labels": {"f:x": {}}},
            "f:spec": {"f:predictor": {"f:minReplicas": {}}},
        }
    }
    (entry,) = made.body["metadata"]["managedFields"]
    assert entry["apiVersion"] == "serving.kserve.io/v1beta1"
    assert entry["fieldsType"] == "FieldsV1"


async def test_an_apply_may_come_as_yaml(kube, place):
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: v}\n"

    assert (await kube.apply(place.configmaps("a"), text)).body["data"] == {"k": "v"}


async def test_a_field_that_is_no_longer_applied_goes(kube, place):
    await kube.apply(place.isvcs("a"), isvc("a", predictor={"minReplicas": 1, "timeout": 9}))

    applied = await kube.apply(place.isvcs("a"), isvc("a", predictor={"timeout": 9}))

    assert applied.code == 200
    assert applied.body["spec"] == {"predictor": {"timeout": 9}}


async def test_a_field_that_another_manager_states_too_stays(kube, place):
    await kube.apply(place.configmaps("a"), configmap("a", {"k": "v", "own": "1"}), manager="one")
    await kube.apply(place.configmaps("a"), configmap("a", {"k": "v"}), manager="two")

    left = await kube.apply(place.configmaps("a"), configmap("a", {}), manager="one")

    assert left.body["data"] == {"k": "v"}
    assert managers(left.body)["two", "Apply"] == {"f:data": {"f:k": {}}}


async def test_what_nobody_owns_below_a_dropped_field_goes_with_it(kube, place):
    rule = split(stable=100) | {"matches": [{"headers": [{"name": "x", "value": "y"}]}]}
    made = await kube.apply(place.routes("a"), route("a", rule))
    assert made.body["spec"]["rules"][0]["backendRefs"][0]["priority"] == 0

    dropped = route("a")
    del dropped["spec"]["rules"]
    applied = await kube.apply(place.routes("a"), dropped | {"spec": {"hostnames": ["h"]}})

    assert applied.body["spec"] == {"hostnames": ["h"]}


async def test_another_value_for_an_owned_field_conflicts_and_names_the_owner(kube, place):
    await kube.apply(place.isvcs("a"), isvc("a", predictor={"timeout": 1}), manager="engine")

    refused = await kube.apply(
        place.isvcs("a"), isvc("a", predictor={"timeout": 2}), manager="argo"
    )

    assert (refused.code, refused.body["reason"]) == (409, "Conflict")
    assert refused.body["message"] == (
        'Apply failed with 1 conflict: conflict with "engine": .spec.predictor.timeout'
    )
    assert refused.body["details"]["causes"] == [
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "engine"',
            "field": ".spec.predictor.timeout",
        }
    ]
    assert (await kube.get(place.isvcs("a"))).body["spec"]["predictor"]["timeout"] == 1


async def test_every_conflict_is_named(kube, place):
    await kube.apply(place.configmaps("a"), configmap("a", {"k": "1", "l": "1"}), manager="one")

    refused = await kube.apply(
        place.configmaps("a"), configmap("a", {"k": "2", "l": "2"}), manager="two"
    )

    assert refused.fields == [".data.k", ".data.l"]
    assert refused.body["message"] == (
        'Apply failed with 2 conflicts: conflicts with "one":\n- .data.k\n- .data.l'
    )


async def test_a_forced_apply_takes_the_field_from_its_owner(kube, place):
    await kube.apply(place.configmaps("a"), configmap("a", {"k": "1", "l": "1"}), manager="one")

    forced = await kube.apply(
        place.configmaps("a"), configmap("a", {"k": "2"}), manager="two", force="true"
    )

    assert forced.body["data"] == {"k": "2", "l": "1"}
    assert managers(forced.body) == {
        ("one", "Apply"): {"f:data": {"f:l": {}}},
        ("two", "Apply"): {"f:data": {"f:k": {}}},
    }


async def test_the_same_value_is_shared_without_a_conflict(kube, place):
    first = await kube.apply(place.configmaps("a"), configmap("a", {"k": "1"}), manager="one")

    second = await kube.apply(place.configmaps("a"), configmap("a", {"k": "1"}), manager="two")

    assert second.code == 200
    assert int(second.revision) > int(first.revision)
    assert set(managers(second.body)) == {("one", "Apply"), ("two", "Apply")}


async def test_applying_the_same_again_writes_nothing(kube, place):
    config = route("a", split(stable=90, candidate=10))
    first = await kube.apply(place.routes("a"), config)

    again = await kube.apply(place.routes("a"), config)

    assert again.body == first.body


async def test_defaults_fill_a_rule_and_bump_no_generation_when_applied_again(kube, place):
    config = route("a", {"backendRefs": [{"name": "stable"}]})

    made = await kube.apply(place.routes("a"), config)
    again = await kube.apply(place.routes("a"), config)

    assert made.body["spec"]["rules"] == [
        {"backendRefs": [{"name": "stable", "weight": 1, "priority": 0}]}
    ]
    assert again.body["metadata"]["generation"] == 1


async def test_rules_are_one_field_with_one_owner(kube, place):
    await kube.apply(place.routes("a"), route("a", split(stable=100)), manager="engine")

    other = route("a", split(stable=100), split(extra=1))
    refused = await kube.apply(place.routes("a"), other, manager="argo")

    assert refused.fields == [".spec.rules"]


async def test_a_list_with_keys_is_merged_by_item(kube, place):
    def with_env(**values):
        env = [{"name": name, "value": value} for name, value in values.items()]
        return isvc("a", predictor={"model": {"env": env}})

    await kube.apply(place.isvcs("a"), with_env(A="1", B="1"), manager="one")
    await kube.apply(place.isvcs("a"), with_env(B="1", C="2"), manager="two")
    left = await kube.apply(place.isvcs("a"), with_env(A="1"), manager="one")
    gone = await kube.apply(place.isvcs("a"), with_env(C="2"), manager="two")

    names = [
        [item["name"] for item in one.body["spec"]["predictor"]["model"]["env"]]
        for one in (left, gone)
    ]
    assert names == [["A", "B", "C"], ["A", "C"]]
    assert managers(gone.body)["one", "Apply"]["f:spec"]["f:predictor"]["f:model"] == {
        "f:env": {'k:{"name":"A"}': {".": {}, "f:name": {}, "f:value": {}}}
    }


async def test_items_of_the_same_key_are_refused(kube, place):
    env = [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]

    refused = await kube.apply(place.isvcs("a"), isvc("a", predictor={"model": {"env": env}}))

    assert (refused.code, refused.fields) == (422, ["spec.predictor.model.env[1]"])


async def test_an_update_is_recorded_with_what_it_changed(kube, place):
    await kube.apply(place.isvcs("a"), isvc("a", predictor={"timeout": 1}))

    patched = await kube.merge(
        place.isvcs("a"), {"spec": {"predictor": {"timeout": 2}}}, agent="kubectl-edit/v1.32"
    )

    assert managers(patched.body) == {
        ("kubectl-edit", "Update"): {"f:spec": {"f:predictor": {"f:timeout": {}}}}
    }


async def test_a_named_manager_of_an_update_is_taken_before_the_user_agent(kube, place):
    made = await kube.post(place.configmaps(), configmap("a", {"k": "v"}), fieldManager="human")

    assert managers(made.body) == {("human", "Update"): {"f:data": {".": {}, "f:k": {}}}}


async def test_an_apply_over_an_update_conflicts_and_says_when_it_was(kube, place):
    await kube.post(place.configmaps(), configmap("a", {"k": "1"}), fieldManager="human")

    refused = await kube.apply(place.configmaps("a"), configmap("a", {"k": "2"}))

    (cause,) = refused.body["details"]["causes"]
    assert cause["field"] == ".data.k"
    assert cause["message"].startswith('conflict with "human" using v1 at 20')


async def test_the_status_has_owners_of_its_own(kube, place):
    await kube.apply(place.isvcs("a"), isvc("a"))
    state = {**isvc("a"), "status": {"url": "http://a"}}

    ready = await kube.apply(place.isvcs("a") + "/status", state, manager="controller")
    again = await kube.apply(place.isvcs("a"), isvc("a", predictor={"timeout": 1}))

    (entry,) = [one for one in ready.body["metadata"]["managedFields"] if "subresource" in one]
    assert (entry["manager"], entry["subresource"]) == ("controller", "status")
    assert entry["fieldsV1"] == {"f:status": {"f:url": {}}}
    assert again.body["status"] == {"url": "http://a"}


async def test_an_applied_status_creates_nothing(kube, place):
    assert (await kube.apply(place.isvcs("a") + "/status", isvc("a"))).code == 404


async def test_an_apply_from_an_older_revision_conflicts(kube, place):
    made = await kube.apply(place.isvcs("a"), isvc("a"))
    await kube.merge(place.isvcs("a"), {"metadata": {"labels": {"x": "y"}}})

    config = isvc("a", predictor={"timeout": 9}, resourceVersion=made.revision)
    refused = await kube.apply(place.isvcs("a"), config, force="true")

    assert (refused.code, refused.body["reason"]) == (409, "Conflict")


async def test_an_apply_for_an_object_that_is_gone_conflicts_when_it_names_its_uid(kube, place):
    refused = await kube.apply(place.isvcs("a"), isvc("a", uid="some-uid"))

    assert refused.code == 409


@pytest.mark.parametrize(
    ("change", "query", "code"),
    [
        ({}, {"manager": ""}, 422),
        ({}, {"manager": "m" * 129}, 422),
        ({"kind": "Pod"}, {}, 400),
        ({"apiVersion": None}, {}, 400),
        ({"metadata": {"name": "b"}}, {}, 400),
        ({"metadata": {"name": "a", "managedFields": [{"manager": "me"}]}}, {}, 400),
        ({"metadata": {"name": "a", "namespace": "other"}}, {}, 400),
    ],
)
async def test_an_apply_that_is_not_well_formed_is_refused(kube, place, change, query, code):
    config = {name: one for name, one in {**isvc("a"), **change}.items() if one is not None}

    refused = await kube.apply(place.isvcs("a"), config, **query)

    assert refused.code == code
    assert (await kube.get(place.isvcs("a"))).code == 404


async def test_an_apply_without_a_manager_says_what_is_missing(kube, place):
    refused = await kube.apply(place.isvcs("a"), isvc("a"), manager="")

    assert (refused.body["reason"], refused.fields) == ("Invalid", ["fieldManager"])
    assert refused.body["message"] == (
        'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for '
        "apply patch"
    )


async def test_only_an_apply_may_be_forced(kube, place):
    await kube.post(place.isvcs(), isvc("a"))

    refused = await kube.merge(place.isvcs("a"), {}, force="true")

    assert (refused.code, refused.fields) == (422, ["force"])
