"""Each test of a contract runs twice: in memory, and on a database of its own."""

from dataclasses import dataclass

import pytest

from adapters.postgres.comparisons import PostgresComparisons
from adapters.postgres.evidence import PostgresEvidence
from adapters.postgres.fleet import PostgresFleet
from adapters.postgres.gate_templates import PostgresGateTemplates
from adapters.postgres.journal import PostgresJournal
from adapters.postgres.pool import open_pool
from adapters.postgres.readings import PostgresReadings
from adapters.postgres.registry import PostgresChores, PostgresRegistry
from adapters.postgres.rollouts import PostgresPatrol
from adapters.postgres.survey import PostgresSurvey
from domain.comparison_port import ComparisonStore
from domain.evidence_port import EvidenceStore
from domain.fleet_port import Fleet
from domain.gate_templates.port import GateTemplates
from domain.ports import Chores, Journal, Patrol, Registry, Survey
from domain.reading_port import ReadingStore
from tests.cluster.fixtures import cluster, hands, kube, kubeconfig, namespace
from tests.fakes.comparisons import MemoryComparisons
from tests.fakes.evidence import MemoryEvidence
from tests.fakes.fleet import MemoryFleet
from tests.fakes.gate_templates import MemoryGateTemplates
from tests.fakes.journal import MemoryJournal
from tests.fakes.readings import MemoryReadings
from tests.fakes.registry import MemoryRegistry
from tests.fakes.survey import MemorySurvey

__all__ = ["cluster", "hands", "kube", "kubeconfig", "namespace"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    registry: Registry
    journal: Journal
    evidence: EvidenceStore
    comparisons: ComparisonStore
    readings: ReadingStore
    patrol: Patrol
    chores: Chores
    survey: Survey
    fleet: Fleet
    templates: GateTemplates


@pytest.fixture
def memory_stores():
    registry = MemoryRegistry()
    return Stores(
        registry=registry,
        journal=MemoryJournal(registry),
        evidence=MemoryEvidence(),
        comparisons=MemoryComparisons(),
        readings=MemoryReadings(),
        patrol=registry,
        chores=registry,
        survey=MemorySurvey(registry),
        fleet=MemoryFleet(registry),
        templates=MemoryGateTemplates(),
    )


@pytest.fixture
async def postgres_stores(database_url):
    pool = await open_pool(database_url)
    yield Stores(
        registry=PostgresRegistry(pool),
        journal=PostgresJournal(pool),
        evidence=PostgresEvidence(pool),
        comparisons=PostgresComparisons(pool),
        readings=PostgresReadings(pool),
        patrol=PostgresPatrol(pool),
        chores=PostgresChores(pool),
        survey=PostgresSurvey(pool),
        fleet=PostgresFleet(pool),
        templates=PostgresGateTemplates(pool),
    )
    await pool.close()


@pytest.fixture(params=["memory", "postgres"])
def stores(request):
    return request.getfixturevalue(f"{request.param}_stores")


@pytest.fixture
def registry(stores):
    return stores.registry


@pytest.fixture
def journal(stores):
    return stores.journal


@pytest.fixture
def evidence(stores):
    return stores.evidence


@pytest.fixture
def comparisons(stores):
    return stores.comparisons


@pytest.fixture
def readings(stores):
    return stores.readings


@pytest.fixture
def patrol(stores):
    return stores.patrol


@pytest.fixture
def chores(stores):
    return stores.chores


@pytest.fixture
def fleet(stores):
    return stores.fleet


@pytest.fixture
def templates(stores):
    return stores.templates
