"""`python -m api` as a process of its own, on a real database and a real workflow engine."""

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from temporalio.client import Client

from adapters.postgres.evidence import PostgresEvidence
from adapters.postgres.journal import PostgresJournal
from bootstrap.converting import DATA_CONVERTER
from domain.registry import ConfigStatus
from domain.rollout import Entry, EventKind, Phase
from sandbox.ports import free_ports
from tests.api.caller import PREFIX, Caller, canary
from tests.api.test_control import _working
from tests.projects import a_cursor, an_interval

PATIENCE_SECONDS = 30


@asynccontextmanager
async def _process(database_url, temporal_address):
    (port,) = free_ports(1)
    settings = {
        "DATABASE_URL": database_url,
        "TEMPORAL_ADDRESS": temporal_address,
        "API_PORT": str(port),
        "LOG_LEVEL": "warning",
    }
    environment = {f"TIDEGATE_{name}": value for name, value in settings.items()}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "api", env={**os.environ, **environment, "PYTHONPATH": "."}
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as http:
            await _alive(http, process)
            yield http
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), PATIENCE_SECONDS) == 0


async def _alive(http, process):
    async with asyncio.timeout(PATIENCE_SECONDS):
        while process.returncode is None:
            try:
                await http.get("/healthz")
            except httpx.TransportError:
                await asyncio.sleep(0.05)
            else:
                return
    raise AssertionError(f"the API ended with {process.returncode}")


@pytest.fixture
async def pool(database_url):
    """What a worker would write with."""
    pool = await asyncpg.create_pool(database_url, min_size=1, max_size=2)
    yield pool
    await pool.close()


@pytest.fixture
def journal(pool):
    return PostgresJournal(pool)


@pytest.fixture
def evidence(pool):
    return PostgresEvidence(pool)


async def _entry(journal, rollout, kind, phase=None):
    now = datetime.now(UTC)
    entry = Entry(key=str(uuid4()), kind=kind, message=f"{kind} it is", at=now, phase=phase)
    await journal.record(UUID(rollout), [entry])


async def test_a_rollout_from_its_start_to_its_end(
    database_url, temporal_server, journal, evidence
):
    temporal = await Client.connect(temporal_server.address, data_converter=DATA_CONVERTER)
    async with (
        _working(temporal),
        _process(database_url, temporal_server.address) as http,
    ):
        api = Caller(http)
        assert (await http.get("/readyz")).status_code == 200
        ids = await api.served()
        await journal.config_status(UUID(ids["config"]), ConfigStatus.ACTIVE, "")

        path = f"/traffic_configs/{ids['config']}/rollouts"
        headers = {"Idempotency-Key": "once"}
        started = await api.post(path, canary(ids["v2"]), headers=headers)
        again = await api.post(path, canary(ids["v2"]), headers=headers)
        assert (started.status_code, again.json()["id"]) == (201, started.json()["id"])
        other = await api.post(path, canary(ids["v3"]), headers=headers)
        assert other.json()["type"] == "urn:tidegate:problem:key-reused"
        rival = await api.post(path, canary(ids["v3"]))
        assert rival.json()["running"]["rollout_id"] == started.json()["id"]
        assert (await api.get("/rollouts")).json()["total"] == 1

        rollout = started.json()["id"]
        shown = (await api.get(f"/rollouts/{rollout}")).json()
        assert shown["live"]["reason"] == "soak"

        heard = asyncio.create_task(_heard(api, rollout))
        await _entry(journal, rollout, EventKind.STARTED, Phase.PROGRESSING)
        await evidence.append(UUID(rollout), interval=an_interval(0), cursor=a_cursor(None))
        (series,) = (await api.get(f"/rollouts/{rollout}/evidence")).json()["gates"]
        (point,) = series["points"]
        assert point["candidate_requests"] == an_interval(0).candidate.requests
        assert point["status"] == "undecided"
        reply = await api.post(f"/rollouts/{rollout}/abort", {"actor": "ada"})
        assert reply.json()["message"] == "for ada"
        await _entry(journal, rollout, EventKind.ROLLED_BACK, Phase.ROLLED_BACK)
        assert await asyncio.wait_for(heard, PATIENCE_SECONDS) == ["started", "rolled_back"]

        late = await api.post(f"/rollouts/{rollout}/abort", {})
        assert (late.status_code, "rolled_back" in late.json()["detail"]) == (409, True)


async def test_a_rollout_pins_a_template_of_the_real_database(
    database_url, temporal_server, journal
):
    temporal = await Client.connect(temporal_server.address, data_converter=DATA_CONVERTER)
    async with _working(temporal), _process(database_url, temporal_server.address) as http:
        api, stranger = Caller(http), Caller(http)
        ids = await api.served()
        await journal.config_status(UUID(ids["config"]), ConfigStatus.ACTIVE, "")
        limit = {"name": "limit", "type": "number", "example": 0.02}
        gate = {"name": "errors", "metric": "error_rate", "limit": "{{args.limit}}"}
        template = {"name": "slo", "arguments": [limit], "gates": [gate]}
        await api.made("/gate_templates", template)
        assert (await stranger.get("/gate_templates/slo")).status_code == 404

        wish = canary(ids["v2"], gate_templates=[{"name": "slo", "arguments": {"limit": 0.05}}])
        made = await api.made(f"/traffic_configs/{ids['config']}/rollouts", wish)
        await api.made("/gate_templates", template | {"description": "of another kind"})
        plan = (await api.get(f"/rollouts/{made['id']}")).json()["plan"]
        assert [gate["limit"] for gate in plan["gates"]] == [0.05]
        assert plan["gate_templates"] == [
            {"name": "slo", "scope": "project", "version": 1, "arguments": {"limit": 0.05}}
        ]
        await temporal.get_workflow_handle(made["workflow_id"]).terminate()


async def test_reads_work_while_temporal_is_down(database_url):
    (nobody,) = free_ports(1)
    async with _process(database_url, f"127.0.0.1:{nobody}") as http:
        api = Caller(http)
        made = await api.made("/registered_models", {"name": "chat"})
        assert (await api.get(f"/registered_models/{made['id']}")).json() == made
        ready = await http.get("/readyz")
        assert (ready.status_code, ready.json()["detail"]) == (503, "does not answer: temporal")


async def test_two_projects_on_the_real_database_do_not_meet(database_url):
    (nobody,) = free_ports(1)
    async with _process(database_url, f"127.0.0.1:{nobody}") as http:
        mine, theirs = Caller(http), Caller(http)
        made = await mine.made("/registered_models", {"name": "chat"})
        await theirs.made("/registered_models", {"name": "chat"})
        assert (await theirs.get(f"/registered_models/{made['id']}")).status_code == 404
        assert (await theirs.get("/registered_models")).json()["total"] == 1


async def _heard(api, rollout):
    headers = {"Project-ID": api.project, "Accept": "text/event-stream"}
    url = f"{PREFIX}/rollouts/{rollout}/events"
    async with api.http.stream("GET", url, headers=headers) as answer:
        return [
            line.removeprefix("event: ")
            async for line in answer.aiter_lines()
            if line.startswith("event: ")
        ]
