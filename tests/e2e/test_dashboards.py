"""Every query of every panel returns data on the sandbox, and the metrics API tells the same."""

import asyncio
import math

import httpx
import pytest

from sandbox.caller import PROJECT_ID
from tests.deploy.dashboards import interpolated, queries, variables
from tests.e2e.served import ERRORS, LONG
from tests.e2e.waiting import until


@pytest.fixture(scope="module")
async def measured(scene):
    """A model under load whose canary fails now and then, in a soak that has told a verdict."""
    served = await scene.serve("measured", candidate="latency_ms=40&error_rate=0.3")
    # Nothing fails for good: the soak is there to be looked at.
    lenient = {**ERRORS, "against_stable": {"floor": 0.9}}
    async with served.load(rps=40):
        rollout = await served.start(steps=LONG, gates=[lenient])
        await rollout.soaking()
        await rollout.told("verdict", "errors", within=120)
        yield served
        await rollout.command("abort", actor="tests", reason="seen enough")


async def ask(scene, path, **params):
    async with httpx.AsyncClient(base_url=scene.layout.prometheus_url, timeout=20) as http:
        answer = await http.get(f"/api/v1/{path}", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


async def test_every_query_of_every_panel_returns_data(scene, measured):
    chosen = {"project": PROJECT_ID, "model": measured.model}

    async def returns(expression):
        data = await ask(scene, "query", query=interpolated(expression, **chosen))
        return any(math.isfinite(float(one["value"][1])) for one in data["result"])

    assert len(queries()) > 10
    await asyncio.gather(
        *(until(lambda e=e: returns(e), f"{title}: {e}", within=60) for title, e in queries())
    )


async def test_queries_tell_variants_apart(scene, measured):
    chosen = {"project": PROJECT_ID, "model": f"other|{measured.model}"}

    async def tells_both(expression):
        data = await ask(scene, "query", query=interpolated(expression, **chosen))
        return {one["metric"]["variant"] for one in data["result"]} == {"stable", "candidate"}

    # The candidate's own server is scraped some seconds later than stable's.
    told = [(title, e) for title, e in queries() if "by variant" in title]
    await asyncio.gather(
        *(until(lambda e=e: tells_both(e), f"{title}: {e}", within=60) for title, e in told)
    )


async def test_what_the_variables_offer_is_there(scene, measured):
    found = await ask(scene, "label/model/values", **{"match[]": "tidegate_variant_weight"})
    assert measured.model in found
    assert {"project", "model"} <= set(variables())


async def test_the_metrics_api_tells_each_variant_s_numbers(scene, measured):
    async def told():
        found = await scene.get(f"/metrics/deployments/{measured.model}", window="1m", step="5s")
        rows = {row["variant_name"]: row for row in found["variants"]}
        full = all(
            row["requests"] and row["latency_p95_ms"] and row["output_tokens_per_second"]
            for row in rows.values()
        )
        return rows if full and rows["candidate"]["errors"] else None

    rows = await until(told, "numbers of both variants", within=60)
    stable, candidate = rows["stable"], rows["candidate"]
    assert stable["error_rate"] == 0
    assert 0.05 < candidate["error_rate"] < 0.7
    assert stable["requests"] > candidate["requests"]
    assert candidate["time_to_first_token_p50_ms"] > 0
    points = candidate["series"]["requests_per_second"]
    assert len(points) == 12
    assert any(value for _, value in points)


async def test_variants_are_compared_with_stable(scene, measured):
    # Other models of the project have the same variants, so that the service must be named, too.
    named = {"variant": ["stable", "candidate"], "window": "1m"}
    found = await scene.get("/metrics/compare", inference_service=measured.model, **named)
    by_name = {row["variant_name"]: row["against_stable"] for row in found["variants"]}
    assert by_name["stable"] is None
    assert by_name["candidate"]["difference"]["error_rate"] > 0


async def test_tokens_are_added_up_by_variant(scene, measured):
    found = await scene.get("/metrics/tokens", model=measured.model, window="5m")
    by_variant = {group["variant"]: group for group in found["groups"]}
    assert by_variant["stable"]["output_tokens"] > by_variant["candidate"]["output_tokens"] > 0
    assert found["totals"]["cost"] is None
    assert found["totals"]["unpriced_models"] == [measured.model]
