"""One whole cluster for all end-to-end tests; each test brings a model of its own."""

import asyncio
import json
import shutil
import tempfile
from pathlib import Path

import pytest

from sandbox.cluster import cluster
from sandbox.layout import Layout
from sandbox.seed import seed
from tests.e2e.scene import Scene

# The first of the stories that run together, or the first after them, waits for many.
LONGEST_SECONDS = 300
# Beside what every sandbox is told: where web gates may ask, and what tokens of a model cost.
SETTINGS = {
    "TIDEGATE_HOOKS_ALLOWED_HOSTS": "127.0.0.1",
    "TIDEGATE_HOOKS_SIGNING_KEY": "the key of a sandbox that ends with its tests",
    "TIDEGATE_TOKEN_PRICES": json.dumps({"priced": {"input": 3, "output": 15}}),
}


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(LONGEST_SECONDS))


@pytest.fixture(scope="session")
def home():
    """Not pytest's own temporary folder: PostgreSQL, run as `nobody`, could not enter that."""
    directory = Path(tempfile.mkdtemp(prefix="tidegate-e2e-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
async def scene(home):
    layout = Layout.for_tests(home)
    with pytest.MonkeyPatch.context() as settings:
        for name, value in SETTINGS.items():
            settings.setenv(name, value)
        async with cluster(layout) as running:
            await seed(layout)
            async with Scene(layout, running) as whole:
                yield whole
                await _abandoned(whole.begun.values())


@pytest.fixture(scope="module")
async def alone(scene):
    """The scene, once all stories that run together have ended: what follows would disturb them."""
    await asyncio.gather(*scene.begun.values(), return_exceptions=True)
    async with scene.stage() as stage:
        yield stage


async def _abandoned(stories):
    """After an interruption some stories may still be told."""
    for story in stories:
        story.cancel()
    await asyncio.gather(*stories, return_exceptions=True)
