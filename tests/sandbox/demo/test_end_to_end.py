"""The whole demo as a person starts it: three canaries on live traffic, and nothing left behind."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from sandbox.layout import PROJECT, Layout

READY_SECONDS = 60


@pytest.mark.timeout(200)
async def test_end_to_end_three_canaries_end_as_they_must(home):
    async with demo(home) as process:
        output = (await process.stdout.read()).decode()
        assert await process.wait() == 0, output
    assert "All 3 ended as they must" in output
    assert output.count("; 0 failed") == 3
    assert "do not arrive as weighted" not in output
    assert output.splitlines()[-1] == f"logs and state, kept until the next demo: {home / 'demo'}"
    assert left_over(home) == []


async def test_ctrl_c_ends_the_demo_in_order(home):
    async with demo(home) as process:
        await line_with(process, "step 1 of 8")
        process.send_signal(signal.SIGINT)
        rest = (await process.stdout.read()).decode()
        assert await process.wait() == 128 + signal.SIGINT
    assert rest.splitlines()[-1].startswith("logs and state")
    assert "Traceback" not in rest
    assert left_over(home) == []


async def test_a_part_that_dies_for_good_ends_the_demo_with_its_name(home):
    async with demo(home) as process:
        await line_with(process, "step 1 of 8")
        for count in range(1, 4):
            kill_envoy(home)
            await line_with(process, f"restarting envoy ({count} of 3)")
            await until_noted(home)
        kill_envoy(home)
        rest = (await process.stdout.read()).decode()
        assert await process.wait() == 1
    assert "the demo cannot go on: envoy died more than 3 times in 60 s" in rest
    assert "Traceback" not in rest
    assert left_over(home) == []


@pytest.fixture
def home():
    """A home that has the downloads of the project's own sandbox and nothing else."""
    directory = Path(tempfile.mkdtemp(prefix="tidegate-demo-"))
    directory.chmod(0o755)
    (directory / "downloads").symlink_to(Layout.from_environment().downloads)
    yield directory
    shutil.rmtree(directory)


@asynccontextmanager
async def demo(home):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sandbox", "demo"),
        env={**os.environ, "TIDEGATE_HOME": str(home)},
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        limit=2**20,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def line_with(process, text):
    async with asyncio.timeout(READY_SECONDS):
        while text.encode() not in (line := await process.stdout.readline()):
            assert line, "the demo ended early"


def kill_envoy(home):
    os.kill(noted_envoy(home), signal.SIGKILL)


async def until_noted(home):
    while not psutil.pid_exists(noted_envoy(home)):  # noqa: ASYNC110 - the file sends no word
        await asyncio.sleep(0.01)


def noted_envoy(home):
    return json.loads((home / "demo" / "up.json").read_text())["processes"]["envoy"]["pid"]


def left_over(home):
    """Every process that was started for this home: they all inherit its variable."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("TIDEGATE_HOME") == str(home):
                found.append(process.cmdline())
        except (psutil.Error, OSError):
            continue
    return found
