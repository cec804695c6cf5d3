"""The API in process around a registry in memory and a scripted workflow engine."""

from contextlib import asynccontextmanager

import httpx
import pytest

from api.assembly import assemble
from api.parts import Parts, TemporalUI
from tests.api.caller import Caller
from tests.api.scripted import ScriptedControl
from tests.api.staging import Outage
from tests.api.traffic import Traffic
from tests.fakes.registry import MemoryRegistry

UI = TemporalUI(url="http://temporal.test/", namespace="tests")


@pytest.fixture
def registry():
    return MemoryRegistry()


@pytest.fixture
def control(registry):
    return ScriptedControl(registry)


@pytest.fixture
def outage(registry):
    """The registry's database, to be switched off."""
    return Outage(registry)


@pytest.fixture
async def app(outage, control):
    @asynccontextmanager
    async def parts():
        yield Parts(registry=outage, control=control, temporal_ui=UI)

    made = assemble(parts)
    async with made.router.lifespan_context(made):
        yield made


@pytest.fixture
async def http(app):
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://api.test") as client:
        yield client


@pytest.fixture
def api(http):
    """Calls in the name of a project of its own."""
    return Caller(http)


@pytest.fixture
def stranger(http):
    """Calls in the name of another project."""
    return Caller(http)


@pytest.fixture
async def traffic(api):
    """An active config with stable at 100 and versions to add."""
    return Traffic(api, await api.served())
