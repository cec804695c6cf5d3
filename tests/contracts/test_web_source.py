"""What every WebSource does: the one over HTTP, and the fake that stands in for it."""

from datetime import timedelta

import pytest
from aiohttp import web

from adapters.webhook.answers import connect
from domain.allowed_hosts import AllowedHosts
from domain.errors import Refused, Unreachable
from domain.web_questions import WebCall
from tests.fakes.readings import ScriptedWeb
from tests.metrics.servers import serving


class Real:
    """A server on this machine, allowed by its address."""

    def __init__(self):
        self.source = None
        self.address = ""
        self.replies = (200, "null")

    def script(self, status, text):
        self.replies = (status, text)

    async def answer(self, request):
        status, text = self.replies
        return web.Response(status=status, text=text)


@pytest.fixture
async def real():
    made = Real()
    async with (
        serving(made.answer) as made.address,
        connect(AllowedHosts.read(made.address)) as made.source,
    ):
        yield made


class Fake:
    def __init__(self):
        self.source = ScriptedWeb()
        self.address = "eval.example.com"

    def script(self, status, text):
        self.source.script((status, text))


@pytest.fixture
def fake():
    return Fake()


@pytest.fixture(params=["real", "fake"])
def stage(request):
    return request.getfixturevalue(request.param)


async def ask(stage):
    call = WebCall(
        url=f"http://{stage.address}/score",
        method="GET",
        headers=(),
        body=b"",
        timeout=timedelta(seconds=5),
    )
    return await stage.source.ask(call)


@pytest.mark.parametrize("status", [200, 201])
async def test_the_document_of_a_success_is_given(stage, status):
    stage.script(status, '{"rows": [{"score": 0.5}]}')
    assert await ask(stage) == {"rows": [{"score": 0.5}]}


@pytest.mark.parametrize("status", [301, 307, 400, 401, 404, 422])
async def test_a_redirect_and_a_4xx_are_refused(stage, status):
    stage.script(status, "{}")
    with pytest.raises(Refused, match=f"{status}"):
        await ask(stage)


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_a_5xx_is_unreachable(stage, status):
    stage.script(status, "{}")
    with pytest.raises(Unreachable, match=f"answered {status}"):
        await ask(stage)


@pytest.mark.parametrize("text", ["", "score: 1", "{"])
async def test_an_answer_that_is_no_json_is_refused(stage, text):
    stage.script(200, text)
    with pytest.raises(Refused, match="no JSON"):
        await ask(stage)
