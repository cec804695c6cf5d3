"""Deletes and what follows them: finalizers, dependents, namespaces, definitions."""

import asyncio

import pytest

from tests.sandbox.kube.objects import (
    DEFINITIONS,
    configmap,
    definition,
    isvc,
    owned_by,
    route,
    split,
)


async def gone(kube, path):
    """Wait until nothing is there; controllers of a cluster take their time."""
    async with asyncio.timeout(5):
        while (await kube.get(path)).code != 404:  # noqa: ASYNC110  # what is waited for is remote
            await asyncio.sleep(0.01)
    return True


async def settled(kube):
    """Give the collector the turns that it would need to do something wrong."""
    for _ in range(5):
        await kube.get("/version")


async def test_a_delete_answers_success_with_the_uid_of_what_is_gone(kube, place):
    made = await kube.post(place.isvcs(), isvc("a"))

    deleted = await kube.delete(place.isvcs("a"))

    assert (deleted.code, deleted.body["status"]) == (200, "Success")
    assert deleted.body["details"] == {
        "name": "a",
        "group": "serving.kserve.io",
        "kind": "inferenceservices",
        "uid": made.body["metadata"]["uid"],
    }
    assert (await kube.get(place.isvcs("a"))).code == 404
    assert (await kube.delete(place.isvcs("a"))).code == 404


async def test_a_new_object_of_an_old_name_is_another_one(kube, place):
    first = await kube.post(place.isvcs(), isvc("a"))
    await kube.delete(place.isvcs("a"))

    second = await kube.post(place.isvcs(), isvc("a"))

    assert second.body["metadata"]["uid"] != first.body["metadata"]["uid"]


async def test_a_finalizer_holds_an_object_until_it_is_taken_away(kube, place):
    await kube.post(place.isvcs(), isvc("a", finalizers=["tests.dev/hold"]))

    deleted = await kube.delete(place.isvcs("a"))
    held = await kube.get(place.isvcs("a"))
    released = await kube.merge(place.isvcs("a"), {"metadata": {"finalizers": []}})

    assert deleted.body["kind"] == "InferenceService"
    assert held.body["metadata"]["deletionTimestamp"]
    assert held.body["metadata"]["generation"] == 2
    assert released.code == 200
    assert (await kube.get(place.isvcs("a"))).code == 404


async def test_an_ending_object_takes_no_new_finalizers(kube, place):
    await kube.post(place.isvcs(), isvc("a", finalizers=["tests.dev/hold"]))
    await kube.delete(place.isvcs("a"))

    more = {"metadata": {"finalizers": ["tests.dev/hold", "tests.dev/more"]}}
    refused = await kube.merge(place.isvcs("a"), more)

    assert (refused.code, refused.fields) == (422, ["metadata.finalizers"])


@pytest.mark.parametrize("precondition", ["uid", "resourceVersion"])
async def test_a_delete_of_another_revision_or_object_conflicts(kube, place, precondition):
    made = await kube.post(place.isvcs(), isvc("a"))

    refused = await kube.delete(place.isvcs("a"), {"preconditions": {precondition: "1"}})
    deleted = await kube.delete(
        place.isvcs("a"), {"preconditions": {precondition: made.body["metadata"][precondition]}}
    )

    assert (refused.code, refused.body["reason"]) == (409, "Conflict")
    assert deleted.code == 200


async def test_a_collection_is_deleted_by_its_selector(kube, place):
    await kube.post(place.isvcs(), isvc("a", labels={"app": "x"}))
    await kube.post(place.isvcs(), isvc("b", labels={"app": "y"}))

    deleted = await kube.delete(place.isvcs(), labelSelector="app=x")

    assert deleted.names == ["a"]
    assert (await kube.get(place.isvcs())).names == ["b"]


async def test_dependents_go_after_their_owner(kube, place):
    owner = await kube.post(place.isvcs(), isvc("owner"))
    child = await kube.post(place.routes(), route("child", split(a=1), **owned_by(owner.body)))
    await kube.post(place.configmaps(), configmap("grandchild", **owned_by(child.body)))

    await kube.delete(place.isvcs("owner"))

    assert await gone(kube, place.routes("child"))
    assert await gone(kube, place.configmaps("grandchild"))


async def test_a_dependent_with_another_living_owner_stays_and_forgets_the_dead_one(kube, place):
    owners = [(await kube.post(place.isvcs(), isvc(name))).body for name in ("a", "b")]
    references = [owned_by(one)["ownerReferences"][0] for one in owners]
    await kube.post(place.configmaps(), configmap("child", ownerReferences=references))

    await kube.delete(place.isvcs("a"))
    await settled(kube)

    child = await kube.get(place.configmaps("child"))
    assert child.body["metadata"]["ownerReferences"] == references[1:]


async def test_an_object_that_is_born_without_its_owner_goes(kube, place):
    owner = (await kube.post(place.isvcs(), isvc("owner"))).body
    await kube.delete(place.isvcs("owner"))

    await kube.post(place.configmaps(), configmap("late", **owned_by(owner)))

    assert await gone(kube, place.configmaps("late"))


async def test_orphans_stay_without_their_owner(kube, place):
    owner = (await kube.post(place.isvcs(), isvc("owner"))).body
    await kube.post(place.configmaps(), configmap("child", **owned_by(owner)))

    await kube.delete(place.isvcs("owner"), {"propagationPolicy": "Orphan"})

    assert await gone(kube, place.isvcs("owner"))
    child = await kube.get(place.configmaps("child"))
    assert child.code == 200
    assert (
        "ownerReferences" not in child.body["metadata"]
        or not child.body["metadata"]["ownerReferences"]
    )


async def test_in_the_foreground_an_owner_waits_for_the_dependents_that_block_it(kube, place):
    owner = (await kube.post(place.isvcs(), isvc("owner"))).body
    held = {**owned_by(owner, blockOwnerDeletion=True), "finalizers": ["tests.dev/hold"]}
    await kube.post(place.configmaps(), configmap("child", **held))

    await kube.delete(place.isvcs("owner"), propagationPolicy="Foreground")
    await settled(kube)
    waiting = await kube.get(place.isvcs("owner"))
    await kube.merge(place.configmaps("child"), {"metadata": {"finalizers": []}})

    assert waiting.body["metadata"]["finalizers"] == ["foregroundDeletion"]
    assert await gone(kube, place.configmaps("child"))
    assert await gone(kube, place.isvcs("owner"))


async def test_an_unknown_propagation_is_invalid(kube, place):
    await kube.post(place.isvcs(), isvc("a"))

    assert (await kube.delete(place.isvcs("a"), {"propagationPolicy": "Slowly"})).code == 422


async def test_a_namespace_takes_its_content_with_it(kube, place):
    await kube.post(place.isvcs(), isvc("a"))
    await kube.post(place.configmaps(), configmap("held", finalizers=["tests.dev/hold"]))
    namespace = f"/api/v1/namespaces/{place.namespace}"

    ending = await kube.delete(namespace)
    assert await gone(kube, place.isvcs("a"))
    late = await kube.post(place.isvcs(), isvc("late"))
    await kube.merge(place.configmaps("held"), {"metadata": {"finalizers": None}})

    assert ending.body["status"]["phase"] == "Terminating"
    assert (late.code, late.body["reason"]) == (403, "Forbidden")
    assert await gone(kube, namespace)


async def test_a_definition_takes_its_objects_and_its_resource_with_it(kube, place):
    plural = f"short{place.namespace.replace('-', '')}"
    await kube.post(DEFINITIONS, definition(plural, "Short"))
    path = f"/apis/tests.dev/v1/namespaces/{place.namespace}/{plural}"
    body = {"apiVersion": "tests.dev/v1", "kind": "Short", "metadata": {"name": "a"}}
    assert (await kube.post(path, body)).code == 201

    await kube.delete(f"{DEFINITIONS}/{plural}.tests.dev")

    assert await gone(kube, f"{DEFINITIONS}/{plural}.tests.dev")
    assert await kube.get(path) == (404, "404 page not found\n")
