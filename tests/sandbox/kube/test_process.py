"""The stand-in as a process: what outlives it, how it begins and how it ends."""

import asyncio
import signal
import stat
import sys
from contextlib import asynccontextmanager

import pytest
import yaml

from sandbox.kube.server import serving
from sandbox.kube.state_file import StateFileUnusable
from tests.sandbox.kube.client import connected
from tests.sandbox.kube.objects import DEFINITIONS, Place, configmap, definition, isvc, owned_by

DEFAULT = Place("default")


@asynccontextmanager
async def running(tmp_path, *more):
    """A stand-in of its own as a process; yields it and a client of it."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sandbox.kube", "--port", "0"),
        *("--state-file", str(tmp_path / "state.db"), *more),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(20):
            ready = (await process.stdout.readline()).decode()
        async with connected(ready.split()[-1]) as client:
            yield process, client
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_what_was_written_survives_a_kill(tmp_path):
    async with running(tmp_path) as (process, kube):
        await kube.post(DEFINITIONS, definition("things", "Thing"))
        thing = {"apiVersion": "tests.dev/v1", "kind": "Thing", "metadata": {"name": "a"}}
        await kube.post("/apis/tests.dev/v1/namespaces/default/things", thing)
        await kube.post(DEFAULT.configmaps(), configmap("gone"))
        await kube.delete(DEFAULT.configmaps("gone"))
        before = await kube.apply(DEFAULT.isvcs("a"), isvc("a"))
        process.kill()

    async with running(tmp_path) as (_, kube):
        after = await kube.get(DEFAULT.isvcs("a"))
        things = await kube.get("/apis/tests.dev/v1/namespaces/default/things")
        again = await kube.apply(DEFAULT.isvcs("a"), isvc("a"))
        changed = await kube.merge(DEFAULT.isvcs("a"), {"spec": {"x": 1}})

        assert after.body == before.body == again.body
        assert things.names == ["a"]
        assert (await kube.get(DEFAULT.configmaps("gone"))).code == 404
        assert int(changed.revision) == int(before.revision) + 1


async def test_a_watch_from_before_a_restart_is_told_to_list_again(tmp_path):
    path = tmp_path / "state.db"
    async with serving(state_file=path) as server, connected(server.url) as kube:
        made = await kube.post(DEFAULT.configmaps(), configmap("a"))
        await kube.merge(DEFAULT.configmaps("a"), {"data": {"k": "v"}})

    async with serving(state_file=path) as server, connected(server.url) as kube:
        async with kube.watch(DEFAULT.configmaps(), resourceVersion=made.revision) as events:
            kind, status = await anext(events)
        listed = await kube.get(DEFAULT.configmaps())
        async with kube.watch(DEFAULT.configmaps(), resourceVersion=listed.revision) as events:
            await kube.delete(DEFAULT.configmaps("a"))
            later, _ = await anext(events)

    assert (kind, status["reason"]) == ("ERROR", "Expired")
    assert later == "DELETED"


async def test_a_clean_up_that_a_restart_cut_off_is_finished(tmp_path):
    path = tmp_path / "state.db"
    async with serving(state_file=path) as server, connected(server.url) as kube:
        owner = await kube.post(DEFAULT.isvcs(), isvc("owner"))
        held = {**owned_by(owner.body), "finalizers": ["tests.dev/hold"]}
        await kube.post(DEFAULT.configmaps(), configmap("child", **held))
        await kube.delete("/api/v1/namespaces/default")

    async with serving(state_file=path) as server, connected(server.url) as kube:
        await kube.merge(DEFAULT.configmaps("child"), {"metadata": {"finalizers": None}})
        async with asyncio.timeout(5):
            while (await kube.get("/api/v1/namespaces/default")).code != 404:  # noqa: ASYNC110  # what is waited for is remote
                await asyncio.sleep(0.01)


async def test_a_state_file_has_one_server(tmp_path):
    path = tmp_path / "state.db"
    async with serving(state_file=path):
        with pytest.raises(StateFileUnusable, match="another server"):
            async with serving(state_file=path):
                pytest.fail("two servers took one state file")


async def test_a_file_that_is_no_state_file_is_refused(tmp_path):
    path = tmp_path / "state.db"
    path.write_text("something else entirely, and long enough to be read as a header" * 20)

    with pytest.raises(StateFileUnusable, match="not a database"):
        async with serving(state_file=path):
            pytest.fail("a text was taken for a state file")


async def test_the_state_file_is_private(tmp_path):
    path = tmp_path / "state.db"
    async with serving(state_file=path):
        modes = {stat.S_IMODE(one.stat().st_mode) for one in tmp_path.iterdir()}

    assert modes == {0o600}


async def test_the_kubeconfig_leads_to_the_server_and_is_private(tmp_path):
    path = tmp_path / "deep" / "kubeconfig"
    async with running(tmp_path, "--kubeconfig", str(path)) as (_, kube):
        content = yaml.safe_load(path.read_text())

        assert content["clusters"][0]["cluster"]["server"] == kube.url
        assert content["contexts"][0]["context"]["namespace"] == "default"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_cleanly_even_with_a_watch_open(tmp_path, number):
    async with running(tmp_path) as (process, kube):
        async with kube.watch(DEFAULT.configmaps(), seconds=60, resourceVersion="1") as events:
            process.send_signal(number)
            assert [event async for event in events] == []
        async with asyncio.timeout(10):
            _, errors = await process.communicate()

        assert process.returncode == 0
        assert errors == b""


async def test_a_taken_port_is_an_error_that_names_it(tmp_path):
    async with running(tmp_path) as (_, kube):
        port = kube.url.rpartition(":")[2]
        second = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "sandbox.kube", "--port", port),
            stderr=asyncio.subprocess.PIPE,
        )
        _, errors = await second.communicate()

        assert second.returncode == 1
        assert port in errors.decode()
        assert "Traceback" not in errors.decode()
