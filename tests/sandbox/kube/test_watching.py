"""Watches: nothing missed, nothing twice, in order, and an honest end."""

import asyncio

import pytest

from tests.sandbox.kube.objects import DEFINITIONS, configmap, definition


async def next_of(events, count=1):
    """The next events as (type, name)."""
    found: list[tuple[str, str]] = []
    async with asyncio.timeout(5):
        while len(found) < count:
            kind, body = await anext(events)
            found.append((kind, body["metadata"]["name"]))
    return found


async def revision_of(kube, path):
    return (await kube.get(path)).revision


async def test_a_watch_from_a_revision_sees_only_what_comes_after_it(kube, place):
    await kube.post(place.configmaps(), configmap("before"))
    since = await revision_of(kube, place.configmaps())

    async with kube.watch(place.configmaps(), resourceVersion=since) as events:
        await kube.post(place.configmaps(), configmap("a"))
        await kube.merge(place.configmaps("a"), {"data": {"k": "v"}})
        await kube.delete(place.configmaps("a"))
        seen = await next_of(events, 3)

    assert seen == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]


async def test_a_watch_replays_what_happened_since_its_revision(kube, place):
    since = await revision_of(kube, place.configmaps())
    await kube.post(place.configmaps(), configmap("a"))
    await kube.delete(place.configmaps("a"))

    async with kube.watch(place.configmaps(), resourceVersion=since) as events:
        assert await next_of(events, 2) == [("ADDED", "a"), ("DELETED", "a")]


@pytest.mark.parametrize("query", [{}, {"resourceVersion": "0"}])
async def test_a_watch_without_a_revision_begins_with_the_present_state(kube, place, query):
    for name in ("b", "a"):
        await kube.post(place.configmaps(), configmap(name))

    async with kube.watch(place.configmaps(), **query) as events:
        assert await next_of(events, 2) == [("ADDED", "a"), ("ADDED", "b")]
        await kube.post(place.configmaps(), configmap("c"))
        assert await next_of(events) == [("ADDED", "c")]


async def test_a_deleted_object_is_seen_with_the_revision_of_its_end(kube, place):
    made = await kube.post(place.configmaps(), configmap("a", {"k": "v"}))
    await kube.delete(place.configmaps("a"))

    async with kube.watch(place.configmaps(), resourceVersion=made.revision) as events:
        kind, body = await anext(events)

    assert (kind, body["data"]) == ("DELETED", {"k": "v"})
    assert int(body["metadata"]["resourceVersion"]) > int(made.revision)


async def test_a_watch_ends_when_its_time_is_up(kube, place):
    since = await revision_of(kube, place.configmaps())

    async with kube.watch(place.configmaps(), seconds=1, resourceVersion=since) as events:
        assert [event async for event in events] == []


async def test_another_namespace_and_another_kind_are_not_seen(kube, place):
    since = await revision_of(kube, place.configmaps())

    async with kube.watch(place.configmaps(), resourceVersion=since) as events:
        await kube.post(place.secrets(), {"metadata": {"name": "secret"}})
        await kube.post(
            "/api/v1/namespaces/default/configmaps", configmap(f"for-{place.namespace}")
        )
        await kube.post(place.configmaps(), configmap("mine"))

        assert await next_of(events) == [("ADDED", "mine")]


async def test_all_namespaces_can_be_watched_at_once(kube, place):
    since = await revision_of(kube, "/api/v1/configmaps")

    async with kube.watch("/api/v1/configmaps", resourceVersion=since) as events:
        await kube.post(place.configmaps(), configmap("mine"))

        assert await next_of(events) == [("ADDED", "mine")]


async def test_an_object_that_enters_or_leaves_a_selection_is_added_or_deleted(kube, place):
    since = await revision_of(kube, place.configmaps())

    async with kube.watch(
        place.configmaps(), resourceVersion=since, labelSelector="in=yes"
    ) as events:
        await kube.post(place.configmaps(), configmap("a"))
        for value in ("yes", "yes", "no"):
            labels = {"in": value}
            patch = {"metadata": {"labels": labels}, "data": {"was": value}}
            await kube.merge(place.configmaps("a"), patch)
        await kube.merge(place.configmaps("a"), {"metadata": {"labels": {"in": "yes"}}})
        await kube.delete(place.configmaps("a"))

        seen = await next_of(events, 4)

    assert seen == [("ADDED", "a"), ("DELETED", "a"), ("ADDED", "a"), ("DELETED", "a")]


async def test_one_object_can_be_watched_by_its_name(kube, place):
    await kube.post(place.configmaps(), configmap("other"))
    await kube.post(place.configmaps(), configmap("a"))

    async with kube.watch(place.configmaps(), fieldSelector="metadata.name=a") as events:
        assert await next_of(events) == [("ADDED", "a")]
    async with kube.watch(place.configmaps("a")) as events:
        assert await next_of(events) == [("ADDED", "a")]


async def test_a_revision_to_come_is_waited_for_as_on_a_real_server(kube, place):
    async with kube.watch(place.configmaps(), seconds=1, resourceVersion="999999999") as events:
        await kube.post(place.configmaps(), configmap("a"))

        assert [event async for event in events] == []


async def test_a_revision_that_is_no_longer_covered_is_an_expired_event(kube, place):
    """The history of a resource is bounded: it is filled here by one that has no other use."""
    plural = f"old{place.namespace.replace('-', '')}"
    await kube.post(DEFINITIONS, definition(plural, "Old"))
    path = f"/apis/tests.dev/v1/namespaces/{place.namespace}/{plural}"
    body = {"apiVersion": "tests.dev/v1", "kind": "Old", "metadata": {"name": "a"}}
    made = await kube.post(path, body)
    for turn in range(1030):
        await kube.merge(f"{path}/a", {"spec": {"turn": turn}})

    async with kube.watch(path, resourceVersion=made.revision) as events:
        seen = [event async for event in events]

    ((kind, status),) = seen
    assert kind == "ERROR"
    assert (status["kind"], status["code"], status["reason"]) == ("Status", 410, "Expired")
    assert status["message"].startswith(f"too old resource version: {made.revision} (")


async def test_a_streamed_list_ends_its_state_with_a_bookmark(kube, place):
    await kube.post(place.configmaps(), configmap("a"))

    query = {
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "allowWatchBookmarks": "true",
    }
    async with kube.watch(place.configmaps(), **query) as events:
        first, second = await anext(events), await anext(events)

    assert first[0] == "ADDED"
    assert second[0] == "BOOKMARK"
    assert second[1]["kind"] == "ConfigMap"
    assert second[1]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert int(second[1]["metadata"]["resourceVersion"]) > 0


async def test_many_watchers_each_see_every_event_once_and_in_order(kube, place):
    since = await revision_of(kube, place.configmaps())

    async def watched():
        async with kube.watch(place.configmaps(), resourceVersion=since) as events:
            return await next_of(events, 50)

    async def written():
        for number in range(50):
            await kube.post(place.configmaps(), configmap(f"n{number:02}"))

    *seen, _ = await asyncio.gather(*(watched() for _ in range(10)), written())

    assert seen == [[("ADDED", f"n{number:02}") for number in range(50)]] * 10
