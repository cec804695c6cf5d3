"""The image's content in a folder of its own, and the two processes run from it on real servers."""

import asyncio
import os
import re
import shutil
import signal
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import httpx
import pytest
from temporalio.client import Client

from sandbox.kube.server import serving
from sandbox.ports import free_ports
from tests.deploy.files import ROOT, copied
from workflows.messages import GUARDIAN_ID

PATIENCE_SECONDS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """What the image holds: our files in `app`, the packages of runtime.txt alone in `packages`."""

    app: Path
    packages: Path

    def command(self, *words):
        # -S: no site-packages, and so nothing that the image does not have.
        return [sys.executable, "-S", *words]

    def environment(self, **settings):
        variables = {f"TIDEGATE_{name}": value for name, value in settings.items()}
        return {"PATH": os.environ["PATH"], "PYTHONPATH": str(self.packages), **variables}

    async def run(self, *words, **settings):
        """Run to the end; what it said and its exit code."""
        process = await asyncio.create_subprocess_exec(
            *self.command(*words),
            cwd=self.app,
            env=self.environment(**settings),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await asyncio.wait_for(process.communicate(), PATIENCE_SECONDS)
        return said.decode(), process.returncode

    @asynccontextmanager
    async def running(self, *words, log, **settings):
        with log.open("wb") as file:
            process = await asyncio.create_subprocess_exec(
                *self.command(*words),
                cwd=self.app,
                env=self.environment(**settings),
                stdout=file,
                stderr=file,
            )
        try:
            yield
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            code = await asyncio.wait_for(process.wait(), PATIENCE_SECONDS)
        assert code == 0, log.read_text()


@pytest.fixture(scope="session")
def installation(tmp_path_factory):
    home = tmp_path_factory.mktemp("image")
    installed = Installation(app=home / "app", packages=home / "packages")
    installed.packages.mkdir()
    for path in copied():
        _copy(ROOT / path, installed.app / path)
    for name in re.findall(r"^([A-Za-z0-9._-]+)==", _runtime(), flags=re.MULTILINE):
        _link(name, installed.packages)
    return installed


def _runtime():
    return (ROOT / "requirements" / "runtime.txt").read_text()


def _copy(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def _link(name, packages):
    """Make one distribution importable, if the lock file has it for this platform."""
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return
    tops = {file.parts[0] for file in found.files or () if ".." not in file.parts}
    for top in tops - {"__pycache__"}:
        link = packages / top
        if not link.exists():
            link.symlink_to(found.locate_file(top))


@dataclass(frozen=True, slots=True, kw_only=True)
class Production:
    """The worker and the API at work. The cluster has no controllers."""

    temporal_address: str
    worker_url: str
    api_url: str


@pytest.fixture
async def production(installation, database_url, temporal_server, tmp_path):
    metrics_port, api_port = free_ports(2)
    running = Production(
        temporal_address=temporal_server.address,
        worker_url=f"http://127.0.0.1:{metrics_port}",
        api_url=f"http://127.0.0.1:{api_port}",
    )
    settings = {
        # As the migration job needs it; asyncpg must understand it too.
        "DATABASE_URL": f"{database_url}?sslmode=disable",
        "TEMPORAL_ADDRESS": temporal_server.address,
        "KUBECONFIG": str(tmp_path / "kubeconfig"),
        "WORKER_METRICS_PORT": str(metrics_port),
        "API_PORT": str(api_port),
    }
    async with (
        serving() as kube,
        installation.running("worker.py", log=tmp_path / "worker.log", **settings),
        installation.running("-m", "api", log=tmp_path / "api.log", **settings),
    ):
        kube.write_kubeconfig(tmp_path / "kubeconfig")
        await answers(f"{running.worker_url}/metrics")
        await answers(f"{running.api_url}/readyz")
        yield running
        # The server is shared, and other tests serve the same queue.
        temporal = await Client.connect(temporal_server.address)
        await temporal.get_workflow_handle(GUARDIAN_ID).terminate()


async def answers(url):
    async with asyncio.timeout(PATIENCE_SECONDS), httpx.AsyncClient() as http:
        while True:
            try:
                if (await http.get(url)).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)
