"""What `kubectl get` prints: columns filled by their paths, for lists, single objects, watches."""

import json
from datetime import timedelta

import pytest

from sandbox.kube.jsonpaths import found_at
from sandbox.kube.tables import short, wanted_form
from tests.sandbox.kube.objects import configmap, isvc

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"

DOCUMENT = {
    "spec": {"a.b": 1, "list": [{"k": "x", "v": 1}, {"k": "y", "v": 2}], "empty": []},
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (".spec.list[0].v", [1]),
        (".spec.list[-1].v", [2]),
        (".spec.list[-1:].k", ["y"]),
        (".spec.list[0:1].k", ["x"]),
        (".spec.list[*].v", [1, 2]),
        ('.spec.list[?(@.k=="y")].v', [2]),
        (".spec.list[?(@.k=='z')].v", []),
        (".spec['a.b']", [1]),
        (".spec.empty[-1:].k", []),
        (".spec.nothing.at.all", []),
        (".spec.list.k", []),
        (".spec..list", []),
    ],
)
def test_a_path_leads_to_what_is_there(path, expected):
    assert found_at(DOCUMENT, path) == expected


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (timedelta(seconds=-1), "0s"),
        (timedelta(seconds=119), "119s"),
        (timedelta(minutes=3, seconds=20), "3m20s"),
        (timedelta(minutes=3), "3m"),
        (timedelta(minutes=179), "179m"),
        (timedelta(hours=3, minutes=5), "3h5m"),
        (timedelta(hours=47), "47h"),
        (timedelta(days=2), "2d"),
    ],
)
def test_an_age_is_written_as_kubectl_writes_it(age, expected):
    assert short(age) == expected


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (TABLE, True),
        ("application/json", False),
        ("application/json," + TABLE, False),
        ("", False),
    ],
)
def test_a_table_is_for_who_asks_for_it_first(accept, expected):
    assert wanted_form(accept, {}).is_table is expected


async def table(kube, path, **query):
    async with kube.session.get(kube.url + path, params=query, headers={"Accept": TABLE}) as answer:
        return [json.loads(line) async for line in answer.content]


async def test_the_columns_of_a_definition_are_filled_from_each_object(kube, place):
    await kube.post(place.isvcs(), isvc("a"))
    conditions = [{"type": "Other", "status": "False"}, {"type": "Ready", "status": "True"}]
    state = {"status": {"url": "http://a", "conditions": conditions}}
    await kube.merge(place.isvcs("a") + "/status", state)
    await kube.post(place.isvcs(), isvc("b"))

    (shown,) = await table(kube, place.isvcs())

    assert shown["kind"] == "Table"
    assert [one["name"] for one in shown["columnDefinitions"]] == ["Name", "URL", "Ready", "Age"]
    assert [row["cells"][:3] for row in shown["rows"]] == [
        ["a", "http://a", "True"],
        ["b", "<none>", "<none>"],
    ]
    assert shown["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    assert shown["rows"][0]["object"]["metadata"]["name"] == "a"


async def test_one_object_is_a_table_of_one_row_and_may_come_whole(kube, place):
    await kube.post(place.configmaps(), configmap("a", {"k": "v"}))

    (shown,) = await table(kube, place.configmaps("a"), includeObject="Object")

    (row,) = shown["rows"]
    assert row["cells"][0] == "a"
    assert row["object"]["data"] == {"k": "v"}


async def test_a_watch_shows_each_event_as_a_row(kube, place):
    await kube.post(place.configmaps(), configmap("a"))

    (event,) = await table(kube, place.configmaps(), watch="true", timeoutSeconds="0")

    assert event["type"] == "ADDED"
    assert event["object"]["rows"][0]["cells"][0] == "a"
