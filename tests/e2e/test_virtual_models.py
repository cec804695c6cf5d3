"""Usage examples 4 and 5 of the plan, counted by who answered: a split of providers, a fallback."""

import asyncio
import math
from collections import Counter

import httpx
import pytest

from sandbox.providers import FAILING_MODEL, provide
from tests.e2e.waiting import until

BEDROCK_NAME = "anthropic.claude-sonnet-4-20250514-v1:0"
AT_ONCE = 10
VERTEX_NAME = "claude-sonnet-4@20250514"


class Gateway:
    def __init__(self, url):
        self._http = httpx.AsyncClient(base_url=url, timeout=30, trust_env=False)

    async def ask(self, model):
        """The status of one request, who answered, and as which model."""
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
        answer = await self._http.post("/v1/chat/completions", json=body)
        named = answer.json().get("model", "") if answer.status_code == 200 else ""
        return answer.status_code, answer.headers.get("x-served-by", ""), named

    async def answers(self, model, provider, named):
        """Wait until it does: a provider may be starting, a new name is on its way.

        What the gateway's objects tell of a weight they do not tell of a name.
        """

        async def does():
            return await self.ask(model) == (200, provider, named)

        await until(does, f"{model} answered by {provider} as {named}")

    async def counted(self, model, times):
        """Who answered how often, ten requests at a time."""
        counts: Counter[tuple[int, str, str]] = Counter()
        for _ in range(times // AT_ONCE):
            counts.update(await asyncio.gather(*(self.ask(model) for _ in range(AT_ONCE))))
        return counts

    async def close(self):
        await self._http.aclose()


@pytest.fixture
async def gateway(scene):
    """With the providers in place."""
    await provide(scene.layout)
    made = Gateway(scene.layout.gateway_url)
    yield made
    await made.close()


async def changed(scene, method, path, status, **body):
    answer = await scene.call(method, path, body or None)
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


def near(count, total, share):
    """Five standard deviations of a binomial draw: chance fails this once in two million runs."""
    return abs(count - total * share) < 5 * math.sqrt(total * share * (1 - share))


async def test_example_4_divides_a_name_among_providers(scene, gateway):
    path, name = "/virtual_models", "claude-4-sonnet"
    assert (await gateway.ask(name))[0] == 404
    await changed(
        scene, "POST", path, 201, name=name, description="Claude 4 Sonnet across providers"
    )
    aws = await changed(
        scene,
        "POST",
        f"{path}/{name}/backends",
        201,
        ai_service_backend_id="aws-anthropic-backend",
        model_name_override=BEDROCK_NAME,
        weight=50,
        priority=0,
    )

    await gateway.answers(name, "aws-anthropic", BEDROCK_NAME)
    both = await changed(
        scene,
        "POST",
        f"{path}/{name}/backends",
        201,
        ai_service_backend_id="gcp-anthropic-backend",
        model_name_override=VERTEX_NAME,
        weight=50,
        priority=0,
    )
    assert both["backends"][0]["id"] == aws["backends"][0]["id"]

    counts = await gateway.counted(name, 400)
    assert set(counts) == {
        (200, "aws-anthropic", BEDROCK_NAME),
        (200, "gcp-anthropic", VERTEX_NAME),
    }
    assert near(counts[200, "gcp-anthropic", VERTEX_NAME], 400, 0.5)

    gcp = both["backends"][1]["id"]
    await changed(scene, "PATCH", f"{path}/{name}/backends/{gcp}", 200, weight=150)
    counts = await gateway.counted(name, 400)
    assert near(counts[200, "gcp-anthropic", VERTEX_NAME], 400, 0.75)

    await changed(scene, "DELETE", f"{path}/{name}/backends/{gcp}", 200)
    assert set(await gateway.counted(name, 50)) == {(200, "aws-anthropic", BEDROCK_NAME)}
    await changed(scene, "DELETE", f"{path}/{name}", 204)
    assert (await gateway.ask(name))[0] == 404


async def test_example_5_falls_back_to_a_cheaper_model_of_the_same_provider(scene, gateway):
    path, name = "/virtual_models", "gpt-5-nano"
    await changed(scene, "POST", path, 201, name=name)
    primary = await changed(
        scene,
        "POST",
        f"{path}/{name}/backends",
        201,
        ai_service_backend_id="openai-backend",
        model_name_override="gpt-5-nano",
        weight=100,
        priority=0,
    )
    await changed(
        scene,
        "POST",
        f"{path}/{name}/backends",
        201,
        ai_service_backend_id="openai-backend",
        model_name_override="gpt-5-nano-mini",
        weight=0,
        priority=1,
    )

    await gateway.answers(name, "openai", "gpt-5-nano")
    assert set(await gateway.counted(name, 100)) == {(200, "openai", "gpt-5-nano")}

    # The primary's model goes down: every client gets its answer from the other model.
    backend = f"{path}/{name}/backends/{primary['backends'][0]['id']}"
    await changed(scene, "PATCH", backend, 200, model_name_override=FAILING_MODEL)
    await gateway.answers(name, "openai", "gpt-5-nano-mini")
    assert set(await gateway.counted(name, 100)) == {(200, "openai", "gpt-5-nano-mini")}

    await changed(scene, "PATCH", backend, 200, model_name_override=None)
    await gateway.answers(name, "openai", "gpt-5-nano")
    assert set(await gateway.counted(name, 100)) == {(200, "openai", "gpt-5-nano")}
    await changed(scene, "DELETE", f"{path}/{name}", 204)


async def test_a_backend_that_nobody_has_set_up_is_refused_and_changes_nothing(scene, gateway):
    path, name = "/virtual_models", "meta/llama-3.1"
    await changed(scene, "POST", path, 201, name=name)
    body = {"ai_service_backend_name": "nobody"}
    answer = await scene.call("POST", f"{path}/{name}/backends", body)
    assert answer.status_code == 400
    assert answer.json()["errors"] == [
        {
            "field": "ai_service_backend_name",
            "rule": "there is no AIServiceBackend 'nobody' in namespace 'tidegate'",
        }
    ]
    assert (await scene.get(f"{path}/{name}"))["status"] == "empty"
    await changed(scene, "DELETE", f"{path}/{name}", 204)
