"""Probes and metrics of the process."""

import re
from uuid import uuid4

from api.errors import EngineUnreachable
from domain.errors import Unreachable


async def test_the_process_is_alive_whatever_is_down(http, outage, control):
    outage.error = Unreachable()
    control.outage(EngineUnreachable())
    assert (await http.get("/healthz")).status_code == 200


async def test_ready_when_database_and_engine_answer(http):
    assert (await http.get("/readyz")).json() == {"status": "ok"}


async def test_not_ready_names_what_is_down(http, outage, control):
    control.outage(EngineUnreachable())
    answer = await http.get("/readyz")
    assert (answer.status_code, answer.json()["detail"]) == (503, "does not answer: temporal")
    outage.error = Unreachable()
    answer = await http.get("/readyz")
    assert answer.json()["detail"] == "does not answer: database, temporal"


async def test_requests_are_counted_by_route_and_never_by_id(http, api):
    for _ in range(3):
        await api.get(f"/registered_models/{uuid4()}")
    await http.get("/nowhere/secret")
    text = (await http.get("/metrics")).text
    route = "/api/v1/model-registry/registered_models/{model_id}"
    counted = f'tidegate_api_requests_total{{method="GET",route="{route}",status="404"}} 3.0'
    assert counted in text
    assert 'route="unmatched",status="404"} 1.0' in text
    assert "secret" not in text
    assert re.search(r"tidegate_api_requests_in_flight 1\.0", text)
    seconds = f'tidegate_api_request_duration_seconds_count{{method="GET",route="{route}"}} 3.0'
    assert seconds in text


async def test_the_documentation_is_served(http):
    assert (await http.get("/docs")).status_code == 200
    assert (await http.get("/openapi.json")).json()["openapi"].startswith("3.")
