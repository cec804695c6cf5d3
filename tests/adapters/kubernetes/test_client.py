"""The client against a real API server: what it reads, writes and makes of refusals."""

import asyncio
from datetime import timedelta

import pytest
import yaml

from adapters.kubernetes.client import connect
from adapters.kubernetes.resources import AI_GATEWAY_ROUTE, BACKEND, Resource
from domain.errors import (
    AlreadyExists,
    Conflict,
    Contended,
    InvalidSpec,
    NotFound,
    Refused,
    Unreachable,
)


def backend(namespace, name="b", *, port=80, hostname="b.test"):
    endpoint = {"fqdn": {"hostname": hostname, "port": port}}
    return {
        "apiVersion": BACKEND.api_version,
        "kind": BACKEND.kind,
        "metadata": {"name": name, "namespace": namespace, "labels": {"made-by": "us"}},
        "spec": {"endpoints": [endpoint]},
    }


def at_version_of(found, manifest):
    version = found["metadata"]["resourceVersion"]
    return {**manifest, "metadata": {**manifest["metadata"], "resourceVersion": version}}


async def test_an_apply_that_creates_answers_with_the_object(cluster, namespace):
    made = await cluster.apply(BACKEND, backend(namespace))
    assert made["metadata"]["uid"]
    assert made == await cluster.get(BACKEND, namespace, "b")


async def test_what_is_not_there_reads_as_none(cluster, namespace):
    assert await cluster.get(BACKEND, namespace, "absent") is None
    assert await cluster.get(BACKEND, "no-such-namespace", "absent") is None


async def test_a_kind_that_nobody_serves_is_not_an_absent_object(cluster, namespace):
    unknown = Resource(group="a.test", version="v1", plural="ghosts", kind="Ghost")
    with pytest.raises(Unreachable, match="does not serve this kind"):
        await cluster.get(unknown, namespace, "b")


async def test_writing_into_a_namespace_that_is_not_there_is_not_found(cluster):
    with pytest.raises(NotFound, match="no-such-namespace"):
        await cluster.apply(BACKEND, backend("no-such-namespace"))


async def test_objects_are_listed_by_their_labels(cluster, namespace):
    for name in ("one", "two"):
        await cluster.apply(BACKEND, backend(namespace, name))
    found = await cluster.list(BACKEND, namespace, {"made-by": "us"})
    assert [one["metadata"]["name"] for one in found] == ["one", "two"]
    assert list(await cluster.list(BACKEND, namespace, {"made-by": "others"})) == []


async def test_the_second_of_two_creators_learns_that_it_lost(cluster, namespace):
    outcomes = await asyncio.gather(
        *(cluster.create(BACKEND, backend(namespace, port=port)) for port in (1, 2)),
        return_exceptions=True,
    )
    assert sorted(type(one).__name__ for one in outcomes) == ["AlreadyExists", "dict"]
    with pytest.raises(AlreadyExists):
        await cluster.create(BACKEND, backend(namespace))


async def test_what_was_created_can_be_applied_over(cluster, namespace):
    await cluster.create(BACKEND, backend(namespace, port=1))
    applied = await cluster.apply(BACKEND, backend(namespace, port=2))
    assert applied["spec"]["endpoints"][0]["fqdn"]["port"] == 2


async def test_a_write_over_a_version_that_has_passed_is_contended(cluster, namespace):
    read = await cluster.apply(BACKEND, backend(namespace, port=1))
    await cluster.apply(BACKEND, backend(namespace, port=2))
    with pytest.raises(Contended):
        await cluster.apply(BACKEND, at_version_of(read, backend(namespace, port=3)))
    with pytest.raises(Contended):
        await cluster.apply(BACKEND, at_version_of(read, backend(namespace, port=3)), force=True)


async def test_a_field_that_another_manager_holds_is_a_conflict_that_names_both(
    cluster, hands, namespace
):
    await cluster.apply(BACKEND, backend(namespace))
    theirs = {"spec": backend(namespace, port=9)["spec"]}
    await hands.patch(BACKEND, namespace, "b", theirs, manager="argocd")
    with pytest.raises(Conflict, match=r"\.spec\.endpoints.*argocd") as caught:
        await cluster.apply(BACKEND, backend(namespace, port=2))
    assert type(caught.value) is Conflict
    forced = await cluster.apply(BACKEND, backend(namespace, port=2), force=True)
    assert forced["spec"]["endpoints"][0]["fqdn"]["port"] == 2


async def test_an_object_that_breaks_a_rule_is_refused_with_the_field(cluster, namespace):
    with pytest.raises(Refused, match="port"):
        await cluster.apply(BACKEND, backend(namespace, port="eighty"))
    wrong = {**backend(namespace), "apiVersion": "v1", "kind": "Backend"}
    with pytest.raises(Refused):
        await cluster.apply(BACKEND, wrong)


async def test_only_the_object_that_was_read_is_deleted(cluster, namespace):
    read = await cluster.apply(BACKEND, backend(namespace, port=1))
    changed = await cluster.apply(BACKEND, backend(namespace, port=2))
    with pytest.raises(Contended):
        await cluster.delete(BACKEND, read)
    await cluster.delete(BACKEND, changed)
    assert await cluster.get(BACKEND, namespace, "b") is None
    await cluster.delete(BACKEND, changed)


async def test_a_server_in_trouble_is_unreachable(cluster, hands, namespace):
    await hands.faults("error", path_prefix="/apis/gateway.envoyproxy.io")
    try:
        with pytest.raises(Unreachable, match="told to fail"):
            await cluster.get(BACKEND, namespace, "b")
        assert await cluster.get(AI_GATEWAY_ROUTE, namespace, "r") is None
    finally:
        await hands.faults("none")


async def test_a_server_that_keeps_silent_is_unreachable(kubeconfig, hands, namespace):
    await hands.faults("hang")
    try:
        async with connect(kubeconfig, timeout=timedelta(milliseconds=100)) as impatient:
            with pytest.raises(Unreachable, match=r"did not answer within 0\.1 s"):
                await impatient.get(BACKEND, namespace, "b")
    finally:
        await hands.faults("none")


async def test_a_server_that_is_not_there_is_unreachable(tmp_path, kubeconfig, unused_tcp_port):
    document = yaml.safe_load(kubeconfig.read_text())
    document["clusters"][0]["cluster"]["server"] = f"http://127.0.0.1:{unused_tcp_port}"
    nowhere = tmp_path / "kubeconfig"
    nowhere.write_text(yaml.safe_dump(document))
    async with connect(nowhere) as client:
        with pytest.raises(Unreachable, match="cannot be reached"):
            await client.get(BACKEND, "default", "b")


@pytest.mark.parametrize("content", [None, "", "no: kubeconfig", "- [", "clusters: 7\n"])
async def test_an_unusable_kubeconfig_is_named(tmp_path, content):
    path = tmp_path / "kubeconfig"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InvalidSpec, match="kubeconfig"):
        async with connect(path):
            pass


async def test_without_a_kubeconfig_a_pod_is_expected():
    with pytest.raises(InvalidSpec, match="kubeconfig"):
        async with connect(None):
            pass
