"""Gates on the answers of a query, asked of the store that the other gates are judged by."""

import asyncio
import json
from contextlib import asynccontextmanager

from tests.e2e.served import ERRORS, LONG
from tests.e2e.together import together
from tests.e2e.traffic import failed, served_from_now_on

# Whatever the candidate answers is held against it.
FAILING = {
    "name": "quality",
    "query": 'sum(vllm:prompt_tokens_total{model_name="{{candidate.workload}}"})',
    "failure_condition": "result[0] > 0",
    "interval_seconds": 1,
    "failure_limit": 2,
}
SILENT = FAILING | {"name": "silent", "query": 'nobody_counts{model="{{candidate.workload}}"}'}
NEXT_TO_NOTHING = 1e-9
DEAR = {
    "name": "cost",
    "cost": {"per": "request", "limit": NEXT_TO_NOTHING},
    "interval_seconds": 1,
    "failure_limit": 1,
}


class Evaluation:
    """A server that says how good a model is: at first that it is."""

    def __init__(self):
        self.score = 0.99
        self.asked = []
        self.port = 0

    def gate(self):
        url = f"http://127.0.0.1:{self.port}/of/{{{{candidate.workload}}}}"
        return {
            "name": "evals",
            "web": {"url": url, "json_path": "$.rows[*].score", "headers": {"X-Key": "s3cret"}},
            "success_condition": "result[0] >= 0.95",
            "interval_seconds": 1,
            "failure_limit": 1,
        }

    async def answer(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        self.asked.append(head.decode())
        body = json.dumps({"rows": [{"score": 1}, {"score": self.score}]}).encode()
        lines = ("HTTP/1.1 200 OK", f"Content-Length: {len(body)}", "Connection: close", "", "")
        writer.write("\r\n".join(lines).encode() + body)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def evaluation():
    it = Evaluation()
    server = await asyncio.start_server(it.answer, "127.0.0.1", 0)
    async with server:
        it.port = server.sockets[0].getsockname()[1]
        yield it


async def read(rollout):
    """The gate without statistics of the rollout's chart, and its points."""
    (series,) = (await rollout.scene.get(f"/rollouts/{rollout.id}/evidence"))["readings"]
    return series["gate"], series["points"]


@together
async def test_a_query_whose_answers_fail_rolls_back_with_its_reason(scene):
    served = await scene.serve("misjudged")
    async with served.load(50) as load:
        rollout = await served.start(gates=[ERRORS, FAILING])
        ended = await rollout.ended("rolled_back")
        assert await served_from_now_on(load) == {rollout.stable}

    assert failed(load) == set()
    assert "3 failures: failure_limit is 2" in ended["phase_reason"]
    await served.at_rest(rollout.stable, "v1")
    await rollout.told("verdict", "quality: fail")


@together
async def test_a_query_without_an_answer_neither_passes_nor_fails(scene):
    served = await scene.serve("unanswered")
    short, policies = ({"weight": 20, "soak_seconds": 20},), {"on_undecided": "rollback"}
    async with served.load(50) as load:
        wish = {"gates": [ERRORS, SILENT], "steps": short, "policies": policies}
        rollout = await served.start(**wish)
        await rollout.told("verdict", "errors: pass")
        ended = await rollout.ended("rolled_back")

    assert failed(load) == set()
    assert "undecided at the end" in ended["phase_reason"]
    assert "inconclusive: no series" in ended["phase_reason"]
    told = [event["message"] for event in await rollout.events("verdict")]
    assert not [one for one in told if one.startswith(("silent: pass", "silent: fail"))]


@together
async def test_a_dry_run_fails_and_the_rollout_is_promoted_all_the_same(scene):
    served = await scene.serve("tried")
    async with served.load(50) as load:
        rollout = await served.start(gates=[ERRORS, FAILING | {"dry_run": True}])
        await rollout.ended("promoted")

    assert failed(load) == set()
    await rollout.told("verdict", "quality: fail")
    await served.at_rest(rollout.candidate, "v2")


@together
async def test_a_url_whose_numbers_become_bad_rolls_back(scene):
    served = await scene.serve("evaluated")
    async with evaluation() as evals, served.load(50) as load:
        rollout = await served.start(gates=[ERRORS, evals.gate()], steps=LONG)
        await rollout.told("verdict", "evals: pass")
        evals.score = 0.2
        ended = await rollout.ended("rolled_back")
        assert await served_from_now_on(load) == {rollout.stable}

    assert failed(load) == set()
    assert "2 failures: failure_limit is 1" in ended["phase_reason"]
    assert f"/of/{rollout.candidate}" in evals.asked[0]
    assert "s3cret" in evals.asked[0]
    await served.at_rest(rollout.stable, "v1")
    gate, points = await read(rollout)
    assert gate["web"]["headers"] == {"X-Key": "(hidden)"}
    first, last = points[0], points[-1]
    assert (first["values"], first["outcome"], first["status"]) == ([1, 0.99], "success", "pass")
    assert (last["values"], last["outcome"], last["status"]) == ([1, 0.2], "failure", "fail")


@together
async def test_a_candidate_that_costs_more_than_the_limit_rolls_back(scene):
    served = await scene.serve("priced")
    async with served.load(50) as load:
        rollout = await served.start(gates=[ERRORS, DEAR], steps=LONG)
        ended = await rollout.ended("rolled_back")
        assert await served_from_now_on(load) == {rollout.stable}

    assert failed(load) == set()
    assert "2 failures: failure_limit is 1" in ended["phase_reason"]
    _, points = await read(rollout)
    assert points[-1]["status"] == "fail"
    assert points[-1]["values"][0] > NEXT_TO_NOTHING
