"""What every Notifier does: the one over HTTP, and the fake that stands in for it."""

import pytest
from aiohttp import web

from adapters.webhook.notifier import connect
from domain.allowed_hosts import AllowedHosts
from domain.errors import Forbidden, Unreachable
from domain.notices import Said
from tests.fakes.notifier import NO, YES, ScriptedNotifier
from tests.metrics.servers import serving
from tests.notices import a_hook, a_notice

KEY = "a key of the tests, secret to nobody"


RESPONSES = {"/yes": (200, "go ahead"), "/no": (409, "not now"), "/trouble": (503, "")}


class Real:
    """A receiver on this machine, allowed by its address; the path says how it answers."""

    def __init__(self):
        self.notifier = None
        self.address = ""
        self.heard = []

    def hook(self, name):
        return a_hook(name, url=f"http://{self.address}/{name}")

    async def answer(self, request):
        status, text = RESPONSES[request.path]
        if status < 500:
            self.heard.append((await request.json())["delivery"])
        return web.Response(status=status, text=text)


@pytest.fixture
async def real():
    made = Real()
    async with (
        serving(made.answer) as made.address,
        connect(AllowedHosts.read(made.address), KEY) as made.notifier,
    ):
        yield made


class Fake:
    def __init__(self):
        self.notifier = ScriptedNotifier()
        self.notifier.script("yes", YES)
        self.notifier.script("no", NO)
        self.notifier.script("trouble", Unreachable("trouble answered 503"))

    def hook(self, name):
        return a_hook(name)

    @property
    def heard(self):
        return [notice.delivery for notice in self.notifier.heard]


@pytest.fixture
def fake():
    return Fake()


@pytest.fixture(params=["real", "fake"])
def stage(request):
    return request.getfixturevalue(request.param)


async def call(stage, hook):
    return await stage.notifier.call(hook, a_notice(hook))


async def test_a_hook_says_yes(stage):
    assert (await call(stage, stage.hook("yes"))).said is Said.YES
    assert stage.heard == ["run.yes.1"]


async def test_a_hook_says_no_and_why(stage):
    answer = await call(stage, stage.hook("no"))

    assert (answer.said, answer.status) == (Said.NO, 409)
    assert answer.detail == "answered 409: not now"


async def test_trouble_at_the_hook_is_no_answer(stage):
    with pytest.raises(Unreachable, match="trouble answered 503"):
        await call(stage, stage.hook("trouble"))


async def test_what_is_sent_again_has_the_same_name(stage):
    for _ in range(2):
        await call(stage, stage.hook("yes"))

    assert stage.heard == ["run.yes.1", "run.yes.1"]


async def test_a_host_that_is_not_allowed_is_not_called(stage):
    elsewhere = a_hook("yes", url="https://hooks.example.net/yes")

    with pytest.raises(Forbidden, match=r"hooks\.example\.net:443 is not an allowed host"):
        await call(stage, elsewhere)
    assert stage.heard == []
