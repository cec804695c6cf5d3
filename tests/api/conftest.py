"""The API in process around a registry in memory and a scripted workflow engine."""

from contextlib import asynccontextmanager

import httpx
import pytest

from api.analyses import Analyses
from api.assembly import assemble
from api.charts import Charts
from api.gauges import Gauges
from api.outlooks import Outlooks
from api.parts import Parts, TemporalUI
from api.replays import Replays
from api.reports import Reports
from domain.allowed_hosts import AllowedHosts
from domain.evidence.counters import Reading
from domain.prices import TokenPrice
from tests.api.caller import Caller
from tests.api.scripted import ScriptedControl
from tests.api.staging import Outage
from tests.api.traffic import Traffic
from tests.fakes.counters import ScriptedCounters
from tests.fakes.evidence import MemoryEvidence
from tests.fakes.fleet import MemoryFleet
from tests.fakes.gate_templates import MemoryGateTemplates
from tests.fakes.history import ToldHistory
from tests.fakes.metrics import ScriptedMetrics
from tests.fakes.past import ScriptedHistory
from tests.fakes.readings import MemoryReadings
from tests.fakes.registry import MemoryRegistry
from tests.fakes.survey import MemorySurvey

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
def fleet(registry):
    """Freeze windows, groups and queues, to be switched off."""
    return Outage(MemoryFleet(registry))


@pytest.fixture
def templates():
    """Templates of gates, to be switched off."""
    return Outage(MemoryGateTemplates())


@pytest.fixture
def metrics():
    """The metrics store."""
    return ScriptedMetrics()


@pytest.fixture
def survey(registry):
    """What metrics ask of the registry, to be switched off."""
    return Outage(MemorySurvey(registry))


@pytest.fixture
def evidence():
    """The intervals of rollouts, to be switched off."""
    return Outage(MemoryEvidence())


@pytest.fixture
def readings():
    """What gates without statistics have read, to be switched off."""
    return Outage(MemoryReadings())


@pytest.fixture
def history():
    """The counters of the past."""
    return ScriptedHistory()


@pytest.fixture
def counters():
    """The counters of workloads."""
    return ScriptedCounters(lambda _: Reading(candidate=(), stable=()))


@pytest.fixture
def stable_history():
    """What stable's pods did in the last hour."""
    return ToldHistory()


@pytest.fixture
def prices():
    return {"chat": TokenPrice(input=3, output=15)}


@pytest.fixture
async def app(  # noqa: PLR0917 - pytest calls it by name
    outage,
    fleet,
    templates,
    control,
    metrics,
    counters,
    survey,
    evidence,
    readings,
    history,
    stable_history,
    prices,
):
    @asynccontextmanager
    async def parts():
        yield Parts(
            registry=outage,
            fleet=fleet,
            templates=templates,
            control=control,
            gateway_namespace="tidegate",
            temporal_ui=UI,
            reports=Reports(outage, survey, metrics, prices),
            charts=Charts(evidence, readings),
            evidence=evidence,
            readings=readings,
            analyses=Analyses(
                Replays(history, metrics), Outlooks(metrics, counters, stable_history)
            ),
            gauges=Gauges(survey, metrics),
            hooks_allowed=AllowedHosts.read("hooks.example.com"),
            prices=prices,
        )

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
