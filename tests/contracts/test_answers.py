"""What everybody does who asks model servers: the one over HTTP, and the fake that stands in."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
from aiohttp import web

from adapters.kserve.answers import MOST_BYTES, connect
from adapters.kserve.runtime import KServeRuntime
from domain.comparison import Reply, Silence
from domain.errors import NotYet, Refused, TidegateError, Unreachable
from tests.cluster.builders import workload_in
from tests.comparisons import PREDICT, a_request
from tests.fakes.comparisons import ONE, ScriptedAnswers
from tests.metrics.servers import serving

WITHIN = timedelta(seconds=2)
REQUEST = a_request(7)


class Real:
    """A model server on this machine, whose address the cluster tells."""

    def __init__(self, answers, cluster, hands):
        self.answers, self._cluster, self._hands = answers, cluster, hands
        self.address = ""
        self.reply: web.Response | None = web.Response(text=ONE.text)
        self.heard = []

    async def answer(self, request):
        self.heard.append((request.method, request.path, await request.text()))
        if self.reply is None:
            request.transport.abort()
        return self.reply

    async def stands(self, workload, url=None):
        await KServeRuntime(self._cluster).deploy(workload)
        await self.tells(workload, url or f"http://{self.address}/an/old/path?x=1")

    async def tells(self, workload, url):
        await self._hands.report(workload, address={"url": url})

    async def says(self, workload, answer):
        if isinstance(answer, Reply):
            self.reply = web.Response(status=answer.status, text=answer.text)
        else:
            self.reply = None

    async def goes(self, workload):
        await self.tells(workload, "http://127.0.0.1:1")


@pytest.fixture
async def real(cluster, hands):
    async with connect(cluster) as answers:
        made = Real(answers, cluster, hands)
        async with serving(made.answer) as made.address:
            yield made


class Fake:
    def __init__(self):
        self.answers = ScriptedAnswers()

    @property
    def heard(self):
        return [("POST", asked.path, asked.body) for _, asked in self.answers.asked]

    async def stands(self, workload):
        self.answers.script(workload, ONE)

    async def says(self, workload, answer):
        self.answers.script(workload, answer)

    async def goes(self, workload):
        self.answers.script(workload, Unreachable("nobody takes a connection"))


@pytest.fixture
def fake():
    return Fake()


@pytest.fixture(params=["real", "fake"])
def stage(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def workload(namespace):
    return workload_in(namespace)


async def ask(stage, workload, within=WITHIN):
    return await stage.answers.ask(workload, REQUEST, within=within)


async def test_a_request_is_posted_as_it_is_and_answered(stage, workload):
    await stage.stands(workload)
    assert await ask(stage, workload) == ONE
    assert stage.heard == [("POST", PREDICT, '{"instances":[7]}')]


@pytest.mark.parametrize("status", [302, 400, 500])
async def test_every_status_is_an_answer(stage, workload, status):
    await stage.stands(workload)
    await stage.says(workload, Reply(status=status, text="so it is"))
    assert await ask(stage, workload) == Reply(status=status, text="so it is")


async def test_a_server_that_breaks_off_is_silent(stage, workload):
    await stage.stands(workload)
    await stage.says(workload, Silence(why="broke off: reset"))
    heard = await ask(stage, workload)
    assert isinstance(heard, Silence)
    assert heard.why.startswith("broke off")


async def test_whoever_takes_no_connection_has_not_answered(stage, workload):
    await stage.stands(workload)
    await stage.goes(workload)
    with pytest.raises(Unreachable, match="nobody takes a connection"):
        await ask(stage, workload)


# What only the real one can do


async def test_a_workload_without_an_address_is_not_asked(real, workload):
    with pytest.raises(NotYet, match="has no address yet"):
        await ask(real, workload)


async def test_a_workload_that_is_somebody_elses_is_not_asked(real, workload, namespace):
    await real.stands(workload_in(namespace, project_id=uuid4()))
    with pytest.raises(NotYet):
        await ask(real, workload)
    assert real.heard == []


@pytest.mark.parametrize("address", ["file:///etc/passwd", "http://", "http://[::1", "grpc://a"])
async def test_an_address_that_makes_no_sense_is_refused(real, workload, address):
    await real.stands(workload, address)
    with pytest.raises(Refused, match="address of chat-v1"):
        await ask(real, workload)


async def test_a_redirect_is_not_followed(real, workload):
    await real.stands(workload)
    target = f"http://{real.address}/elsewhere"
    real.reply = web.Response(status=307, headers={"Location": target})
    heard = await ask(real, workload)
    assert isinstance(heard, Reply)
    assert heard.status == 307
    assert len(real.heard) == 1


async def test_an_answer_that_is_too_long_is_not_read(real, workload):
    await real.stands(workload)
    real.reply = web.Response(body=b"a" * (MOST_BYTES + 1))
    assert await ask(real, workload) == Silence(why="answered more than 256 KiB")
    real.reply = web.Response(body=b"a" * MOST_BYTES)
    assert await ask(real, workload) == Reply(status=200, text="a" * MOST_BYTES)


async def test_a_slow_answer_is_not_waited_for(real, workload):
    await real.stands(workload)
    over = asyncio.Event()

    async def slow(request):
        await over.wait()
        return web.Response()

    async with serving(slow) as address:
        await real.tells(workload, f"http://{address}")
        heard = await ask(real, workload, timedelta(seconds=0.2))
        over.set()
    assert heard == Silence(why="did not answer within 0.2 s")


async def test_a_cluster_that_does_not_answer_says_nothing_about_the_workload(
    real, workload, hands
):
    await real.stands(workload)
    await hands.faults("error")
    try:
        with pytest.raises(TidegateError):
            await ask(real, workload)
    finally:
        await hands.faults("none")
    assert real.heard == []
