"""Real servers for all tests: each is started once in a session, and only if a test asks for it."""

import gc
import itertools
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest
from temporalio.client import Client
from xdist.scheduler import LoadScopeScheduling

from sandbox.layout import Layout
from sandbox.servers import envoy, postgres, prometheus, temporal

_TEMPLATE = "migrated"
_clone_numbers = itertools.count(1)
# Whole clusters would starve each other on two cores: they have one worker, which begins with them.
_CLUSTERS = ("tests/e2e/", "tests/sandbox/demo/")


def pytest_collection_modifyitems(config, items):
    """Among several workers the longest work comes first."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: _group(item.nodeid) != "clusters")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Among several workers a module stays whole: its tests share servers."""
    return _Groups(config, log)


class _Groups(LoadScopeScheduling):  # type: ignore[misc]  # the plugin has no types
    # The way that the plugin documents; its own groups get lost in pytest 9 (they live in `_nodeid`).
    def _split_scope(self, nodeid):
        return _group(nodeid)


def _group(nodeid):
    module = nodeid.partition("::")[0]
    return "clusters" if module.startswith(_CLUSTERS) else module


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport():
    """A failed test is told as such: its lines are parsed."""
    with _uncollected():
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish():
    """The failures are listed at the end: plugins are imported, and so parsed, before that."""
    with _uncollected():
        return (yield)


@contextmanager
def _uncollected():
    """Python 3.11 stops parsing with a SystemError, which ends the session, where a collection of
    garbage in the middle of that runs Python code (gh-106905).
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.fixture(scope="session")
def servers_dir():
    """Not pytest's own temporary folder: PostgreSQL, run as `nobody`, could not enter that."""
    directory = Path(tempfile.mkdtemp(prefix="tidegate-tests-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def layout():
    """A sandbox of its own: free ports, a home of its own, nothing running yet."""
    home = Path(tempfile.mkdtemp(prefix="tidegate-home-"))
    home.chmod(0o755)
    yield Layout.for_tests(home)
    shutil.rmtree(home)


@pytest.fixture(scope="session")
async def postgres_server(servers_dir):
    """A PostgreSQL server; `postgres_server.url(database)` is a DSN of its superuser."""
    async with postgres.running(servers_dir / "postgres") as server:
        yield server


@pytest.fixture(scope="session")
async def migrated_template(postgres_server):
    """The name of a database with the whole schema and no rows, to be cloned."""
    await postgres.migrate(postgres_server.url(_TEMPLATE))
    return _TEMPLATE


@pytest.fixture
async def database_url(postgres_server, migrated_template):
    """A DSN of a migrated, empty database of the test's own."""
    name = f"test_{next(_clone_numbers)}"
    admin = await asyncpg.connect(postgres_server.url("postgres"))
    try:
        await admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{migrated_template}"')
        yield postgres_server.url(name)
        await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    finally:
        await admin.close()


@pytest.fixture(scope="session")
async def temporal_server(servers_dir):
    """A Temporal dev server in memory, tuned and with our search attributes; see `.address`."""
    async with temporal.running(servers_dir) as server:
        yield server


@pytest.fixture(scope="session")
async def temporal_client(temporal_server):
    """A client of `temporal_server` that knows none of our types."""
    return await Client.connect(temporal_server.address)


@pytest.fixture(scope="session")
async def envoy_server(servers_dir):
    """A gateway without routes; a test writes its own with `envoy.write_resources`."""
    async with envoy.running(servers_dir / "envoy") as server:
        yield server


@pytest.fixture(scope="session")
async def prometheus_server(servers_dir, envoy_server):
    """Scrapes `envoy_server`, and what tests write into its `targets_dir`, every second."""
    async with prometheus.running(
        servers_dir / "prometheus",
        downloads=Layout.from_environment().downloads,
        scrapes=(prometheus.envoy_scrape(envoy_server.admin_port),),
    ) as server:
        yield server
