"""The command line and the cluster of real servers: one at a time, and nothing left behind."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import asynccontextmanager

import psutil
import pytest

from sandbox.cluster import PortTaken, cluster
from sandbox.family import Identity, is_alive
from sandbox.layout import PORT_SETTINGS, PROJECT
from sandbox.probe import http_status
from sandbox.record import AlreadyRunning

DEADLINE_SECONDS = 20


async def test_the_four_servers_start_together_and_leave_nothing(layout):
    parts = {"postgres", "temporal", "envoy", "prometheus"}
    async with cluster(layout, only=parts) as running:
        pids = [running.process(name).pid for name in parts]
        noted = json.loads(layout.run_file.read_text())["processes"]
        assert {one["pid"] for one in noted.values()} == set(pids)
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert not layout.run_file.exists()


async def test_a_taken_port_is_named_with_its_variable_and_its_holder(layout):
    taken = socket.create_server(("127.0.0.1", layout.gateway_port))
    with taken, pytest.raises(PortTaken) as refusal:
        async with cluster(layout, only={"envoy"}):
            pass
    assert f"port {layout.gateway_port} is taken by pid {os.getpid()}" in str(refusal.value)
    assert "TIDEGATE_GATEWAY_PORT chooses another" in str(refusal.value)
    assert not layout.logs_dir.exists()


async def test_an_unknown_part_is_refused(layout):
    with pytest.raises(ValueError, match="no such parts: postgrse"):
        async with cluster(layout, only={"postgrse"}):
            pass


async def test_a_second_cluster_in_the_same_home_is_refused(layout):
    async with cluster(layout, only={"envoy"}) as running:
        with pytest.raises(AlreadyRunning, match=f"pid {os.getpid()}"):
            async with cluster(layout, only={"prometheus"}):
                pass
        assert running.process("envoy").exit_code is None


async def test_ctrl_c_stops_in_order(layout):
    async with up(layout) as (supervisor, envoy):
        supervisor.send_signal(signal.SIGINT)
        assert await supervisor.wait() == 0
        assert not is_alive(envoy)
    assert not layout.run_file.exists()


async def test_ctrl_c_while_starting_stops_what_has_started(layout):
    async with started(layout, "temporal") as supervisor:
        await line_with(supervisor, "starting temporal")
        supervisor.send_signal(signal.SIGINT)
        assert await supervisor.wait() == 0
    assert not layout.run_file.exists()


async def test_a_second_ctrl_c_hurries(layout):
    """Temporal takes more than a second for an orderly stop."""
    async with started(layout, "temporal") as supervisor:
        await line_with(supervisor, "ready after")
        supervisor.send_signal(signal.SIGINT)
        await line_with(supervisor, "stopping")
        supervisor.send_signal(signal.SIGINT)
        await line_with(supervisor, "hurrying")
        assert await supervisor.wait() == 0
    assert not layout.run_file.exists()


async def test_a_second_up_says_that_it_runs_already(layout):
    async with up(layout) as (supervisor, _):
        code, output = await sandbox(layout, "up", "--only", "envoy")
        assert code == 1
        assert f"already runs in {layout.home} (pid {supervisor.pid})" in output


async def test_down_stops_it_from_elsewhere(layout):
    async with up(layout) as (supervisor, envoy):
        assert await sandbox(layout, "down") == (0, "stopped\n")
        assert await supervisor.wait() == 0
        assert not is_alive(envoy)
    assert await sandbox(layout, "down") == (0, "no sandbox is running\n")


async def test_down_finds_what_a_killed_supervisor_left(layout):
    async with up(layout) as (supervisor, envoy):
        supervisor.kill()
        await supervisor.wait()
        assert is_alive(envoy)
        code, output = await sandbox(layout, "down")
        assert (code, output) == (
            0,
            "stopped 1 processes that a killed sandbox had left behind\n",
        )
        assert not is_alive(envoy)


async def test_the_next_start_finds_what_a_killed_supervisor_left(layout):
    said: list[str] = []
    async with up(layout) as (supervisor, envoy):
        supervisor.kill()
        await supervisor.wait()
        async with cluster(layout, only={"envoy"}, say=said.append):
            assert not is_alive(envoy)
    assert said == ["stopped 1 processes that a killed sandbox had left behind"]


@pytest.mark.parametrize("differs", ["started", "command"])
async def test_a_recycled_pid_is_never_signalled(layout, differs):
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])  # noqa: ASYNC220 - returns at once
    try:
        identity = Identity.of(psutil.Process(stranger.pid))
        noted = {
            "pid": identity.pid,
            "started": identity.started,
            "command": list(identity.command),
        }
        noted |= {"started": identity.started - 100} if differs == "started" else {"command": ["x"]}
        record = {"run": "gone", "supervisor": noted, "processes": {"envoy": noted}}
        layout.run_file.write_text(json.dumps(record))
        async with cluster(layout, only=set()):
            pass
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


async def test_a_server_that_dies_is_shown_and_restarted(layout):
    async with up(layout) as (supervisor, envoy):
        envoy.kill()
        assert "envoy was killed by SIGKILL" in await line(supervisor)
        await line_with(supervisor, "restarting envoy (1 of 3)")
        await until_live(layout)


async def test_a_server_that_dies_again_and_again_ends_all(layout):
    async with up(layout) as (supervisor, envoy):
        envoy.kill()
        for count in range(1, 4):
            await line_with(supervisor, f"restarting envoy ({count} of 3)")
            await until_live(layout)
            noted_envoy(layout).kill()
        await line_with(supervisor, "envoy died more than 3 times in 60 s")
        assert await supervisor.wait() == 1
    assert not layout.run_file.exists()


async def test_fetching_again_does_nothing():
    process = await asyncio.create_subprocess_exec(
        *command("fetch"), cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    output, _ = await process.communicate()
    assert (process.returncode, output) == (0, b"")


@asynccontextmanager
async def up(layout):
    """Envoy under `python -m sandbox up`, ready; both processes."""
    async with started(layout, "envoy") as process:
        await line_with(process, "ready after")
        yield process, noted_envoy(layout)


@asynccontextmanager
async def started(layout, part):
    """`python -m sandbox up` of one part until the end of the block."""
    process = await asyncio.create_subprocess_exec(
        *command("up", "--only", part),
        env=environment(layout),
        cwd=PROJECT,
        stdout=subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


def noted_envoy(layout):
    return psutil.Process(json.loads(layout.run_file.read_text())["processes"]["envoy"]["pid"])


async def until_live(layout):
    while await http_status(f"{layout.envoy_admin_url}/ready") != 200:  # noqa: ASYNC110 - it sends no word
        await asyncio.sleep(0.01)


async def sandbox(layout, *arguments):
    process = await asyncio.create_subprocess_exec(
        *command(*arguments),
        env=environment(layout),
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


def command(*arguments):
    return sys.executable, "-m", "sandbox", *arguments


def environment(layout):
    ports = {PORT_SETTINGS[name].variable: str(port) for name, port in layout.ports().items()}
    return {**os.environ, **ports, "TIDEGATE_HOME": str(layout.home)}


async def line(process):
    found = await process.stdout.readline()
    assert found, "the sandbox ended early"
    return found.decode()


async def line_with(process, text):
    while text not in await line(process):
        pass
