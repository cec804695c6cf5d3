"""Calls of hooks: where they go, how long they take, and what they believe."""

import asyncio
import gzip
import json
import ssl
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from aiohttp import web

from adapters.webhook.connections import Connections
from adapters.webhook.notifier import MOST_BYTES, WebhookNotifier, connect
from adapters.webhook.signature import signed
from domain.allowed_hosts import AllowedHosts
from domain.errors import Forbidden, Refused, Unreachable
from domain.notices import Said, document
from sandbox.ports import free_port
from tests.metrics.servers import serving, until
from tests.notices import a_hook, a_notice

KEY = "a key of the tests, secret to nobody"
# For the name localhost only; its key is in the same file, a secret of nobody.
CERTIFICATE = Path(__file__).parent / "localhost.pem"
QUICK = timedelta(seconds=1)


@pytest.fixture
async def receiver():
    """Serves what the test puts under `answer`; keeps each request with its body."""

    class Receiver:
        def __init__(self):
            self.requests = []
            self.address = ""

        async def answer(self, request):
            return web.Response(text="yes")

        def hook(self, path="/", **changes):
            return a_hook(url=f"http://{self.address}{path}", **changes)

        async def take(self, request):
            self.requests.append((request, await request.read()))
            return await self.answer(request)

    made = Receiver()
    async with serving(made.take) as made.address:
        yield made


@pytest.fixture
async def notifier(receiver):
    async with connect(AllowedHosts.read(receiver.address), KEY) as made:
        yield made


def answers(receiver, made):
    async def answer(request):
        return made()

    receiver.answer = answer


async def call(notifier, hook):
    return await notifier.call(hook, a_notice(hook))


class Recorded(httpx.AsyncBaseTransport):
    """Takes requests as the wire would have them, and answers in order; then 200."""

    def __init__(self, *responses):
        self.requests = []
        self.responses = list(responses)

    async def handle_async_request(self, request):
        self.requests.append(request)
        return self.responses.pop(0) if self.responses else response(200)


def response(status, **headers):
    """As it comes from the wire: its body was not read yet."""
    return httpx.Response(status, headers=headers, stream=httpx.ByteStream(b""))


def names(*turns):
    """A resolver whose answers change, one list of addresses a look-up; the last one stays."""
    left = list(turns)

    async def resolve(host, port):
        found = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(found, Exception):
            raise found
        return found

    return resolve


def recorded(resolve, *responses, allowed="hooks.example.com"):
    transport = Recorded(*responses)
    connections = Connections(transport, AllowedHosts.read(allowed), resolve)
    return transport, WebhookNotifier(connections, KEY.encode())


async def test_a_call_is_a_signed_post_of_the_notice(receiver, notifier):
    hook = receiver.hook("/a%20path?team=a")

    await call(notifier, hook)

    ((request, body),) = receiver.requests
    assert (request.method, request.raw_path) == ("POST", "/a%20path?team=a")
    assert json.loads(body) == document(a_notice(hook))
    assert request.headers["Tidegate-Delivery"] == "run.ask.1"
    assert request.headers["Host"] == receiver.address
    at = datetime.fromtimestamp(int(request.headers["Tidegate-Timestamp"]), UTC)
    assert abs(datetime.now(UTC) - at) < timedelta(minutes=1)
    assert signed(KEY.encode(), body, at).items() <= dict(request.headers).items()


@pytest.mark.parametrize("status", [200, 201, 204])
async def test_each_2xx_is_a_yes(receiver, notifier, status):
    answers(receiver, lambda: web.Response(status=status))

    assert (await call(notifier, receiver.hook())).said is Said.YES


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 412, 422])
async def test_each_4xx_is_a_no(receiver, notifier, status):
    answers(receiver, lambda: web.Response(status=status))

    assert (await call(notifier, receiver.hook())).said is Said.NO


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_trouble_is_told_apart_from_a_no(receiver, notifier, status):
    answers(receiver, lambda: web.Response(status=status))

    with pytest.raises(Unreachable, match=f"ask answered {status}"):
        await call(notifier, receiver.hook())


async def test_an_answer_s_text_is_told_in_one_short_printable_line(receiver, notifier):
    answers(receiver, lambda: web.Response(status=409, body=b"not\n now\x00\x1b \xff" + b"!" * 999))

    detail = (await call(notifier, receiver.hook())).detail

    assert detail.startswith("answered 409: not now?? \N{REPLACEMENT CHARACTER}!!!")
    assert detail.isprintable()
    assert len(detail) < 250


@pytest.mark.parametrize("status", [307, 308])
async def test_a_redirect_within_the_host_is_followed_with_the_whole_body(
    receiver, notifier, status
):
    async def answer(request):
        if request.path == "/old":
            return web.Response(status=status, headers={"Location": "/new"})
        return web.Response()

    receiver.answer = answer

    assert (await call(notifier, receiver.hook("/old"))).said is Said.YES
    assert [request.path for request, _ in receiver.requests] == ["/old", "/new"]
    assert receiver.requests[0][1] == receiver.requests[1][1]


async def test_a_circle_of_redirects_is_left(receiver, notifier):
    answers(receiver, lambda: web.Response(status=307, headers={"Location": "/again"}))

    with pytest.raises(Refused, match="redirects more than 3 times"):
        await call(notifier, receiver.hook())
    assert len(receiver.requests) == 4


@pytest.mark.parametrize(
    ("status", "location", "error", "says"),
    [
        (302, "/new", Refused, "redirects with a 302"),
        (303, "/new", Refused, "redirects with a 303"),
        (304, "", Refused, "redirects with a 304"),
        (307, "", Refused, "redirects with a 307"),
        (307, "https://evil.example.com/", Forbidden, "another host, evil.example.com"),
        (307, "//169.254.169.254/latest", Forbidden, "another host, 169.254.169.254"),
        (307, "http://hooks.example.com/", Forbidden, "from https to http"),
        (307, "https://hooks.example.com:22/", Forbidden, "hooks.example.com:22 is not an allowed"),
        (307, "https://me:pw@hooks.example.com/", Refused, "without a user"),
        (307, "ftp://hooks.example.com/", Refused, "must be http or https"),
        (307, "https://[::1", Refused, "redirects to what is no URL"),
    ],
)
async def test_a_redirect_elsewhere_is_not_followed(status, location, error, says):
    away = response(status, Location=location) if location else response(status)
    transport, notifier = recorded(
        names(["93.184.216.34"]), away, allowed="hooks.example.com:443,evil.example.com"
    )

    with pytest.raises(error, match=says):
        await call(notifier, a_hook())
    assert len(transport.requests) == 1


async def test_a_redirect_s_address_is_checked_anew():
    again = response(307, Location="/again")
    transport, notifier = recorded(names(["93.184.216.34"], ["169.254.169.254"]), again)

    with pytest.raises(Forbidden, match="metadata"):
        await call(notifier, a_hook())
    assert len(transport.requests) == 1


async def test_the_address_that_was_checked_is_the_one_that_is_called():
    transport, notifier = recorded(names(["93.184.216.34"], ["127.0.0.1"]))

    await call(notifier, a_hook())

    (request,) = transport.requests
    assert request.url.host == "93.184.216.34"
    assert request.headers["Host"] == "hooks.example.com"
    assert request.extensions["sni_hostname"] == "hooks.example.com"
    with pytest.raises(Forbidden, match=r"leads to 127\.0\.0\.1, which is a loopback address"):
        await call(notifier, a_hook())
    assert len(transport.requests) == 1


async def test_one_bad_address_among_good_ones_is_enough():
    transport, notifier = recorded(names(["93.184.216.34", "127.0.0.1"]))

    with pytest.raises(Forbidden):
        await call(notifier, a_hook())
    assert transport.requests == []


@pytest.mark.parametrize("trouble", [OSError("no such host"), UnicodeError("label too long"), []])
async def test_a_name_that_leads_nowhere_is_unreachable(trouble):
    _, notifier = recorded(names(trouble))

    with pytest.raises(Unreachable, match=r"hooks\.example\.com"):
        await call(notifier, a_hook())


@pytest.mark.parametrize("url", ["https://[::1", "gopher://hooks.example.com", "https://a@b.c/"])
async def test_a_url_that_should_not_be_there_is_refused(url):
    _, notifier = recorded(names(["93.184.216.34"]))

    with pytest.raises(Refused, match="a hook's URL"):
        await call(notifier, a_hook(url=url))


async def test_an_address_that_takes_no_connection_is_passed_over(receiver):
    port = receiver.address.rpartition(":")[2]
    allowed = AllowedHosts.read("localhost")
    async with connect(allowed, KEY, resolve=names(["127.0.0.9", "127.0.0.1"])) as notifier:
        answer = await call(notifier, a_hook(url=f"http://localhost:{port}/"))

    assert answer.said is Said.YES
    assert receiver.requests[0][0].headers["Host"] == f"localhost:{port}"


async def test_the_system_s_own_resolver_is_used_by_default(receiver):
    port = receiver.address.rpartition(":")[2]
    async with connect(AllowedHosts.read("localhost"), KEY) as notifier:
        assert (await call(notifier, a_hook(url=f"http://localhost:{port}/"))).said is Said.YES


async def test_nobody_there_is_unreachable():
    address = f"127.0.0.1:{free_port()}"
    async with connect(AllowedHosts.read(address), KEY) as notifier:
        with pytest.raises(Unreachable, match="ask cannot be reached"):
            await call(notifier, a_hook(url=f"http://{address}/"))


async def test_a_body_that_drips_ends_with_the_time(receiver, notifier):
    """Each byte arrives in time; all of them would take an hour."""

    async def answer(request):
        dripping = web.StreamResponse()
        await dripping.prepare(request)
        while True:
            await dripping.write(b".")
            await asyncio.sleep(0.05)

    receiver.answer = answer

    with pytest.raises(Unreachable, match="ask did not answer within 1 s"):
        await call(notifier, receiver.hook(timeout=QUICK))


async def test_of_a_giant_body_only_the_beginning_is_read(receiver, notifier):
    cut_off = []

    async def answer(request):
        giant = web.StreamResponse(status=409)
        await giant.prepare(request)
        try:
            while True:
                await giant.write(b"x" * MOST_BYTES)
        finally:
            cut_off.append(giant)

    receiver.answer = answer

    answered = await call(notifier, receiver.hook())

    assert answered.said is Said.NO
    assert len(answered.detail) < 250

    async def was_cut_off():
        return cut_off

    await until(was_cut_off, "the end of the giant body")


async def test_a_packed_body_is_not_unpacked(receiver, notifier):
    packed = gzip.compress(b"x" * 10_000_000)
    answers(
        receiver,
        lambda: web.Response(status=409, body=packed, headers={"Content-Encoding": "gzip"}),
    )

    detail = (await call(notifier, receiver.hook())).detail

    assert "xxxx" not in detail
    assert receiver.requests[0][0].headers["Accept-Encoding"] == "identity"


async def test_no_cookie_goes_from_one_call_to_the_next(receiver, notifier):
    answers(receiver, lambda: web.Response(headers={"Set-Cookie": "who=project-a; Path=/"}))

    for _ in range(2):
        await call(notifier, receiver.hook())

    assert "Cookie" not in receiver.requests[1][0].headers


async def test_no_connection_is_shared_between_calls(receiver, notifier):
    async def answer(request):
        return web.Response(text=str(request.transport.get_extra_info("peername")[1]))

    receiver.answer = answer

    ports = {(await call(notifier, receiver.hook())).detail for _ in range(3)}

    assert len(ports) == 3


async def test_proxies_of_the_environment_are_not_used(receiver, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    async with connect(AllowedHosts.read(receiver.address), KEY) as notifier:
        assert (await call(notifier, receiver.hook())).said is Said.YES


@asynccontextmanager
async def secured():
    """A server with a certificate for the name localhost; yields its port and who trusts it."""
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    served.load_cert_chain(CERTIFICATE)

    async def answer(request):
        return web.Response()

    app = web.Application()
    app.router.add_post("/", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=served).start()
    try:
        yield runner.addresses[0][1], ssl.create_default_context(cafile=CERTIFICATE)
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("host", "trusted", "valid"),
    [("localhost", True, True), ("127.0.0.1", True, False), ("localhost", False, False)],
)
async def test_the_certificate_must_be_for_the_name_of_the_url(host, trusted, valid):
    """The connection goes to an address, for which this certificate would not do."""
    async with secured() as (port, trust):
        allowed = AllowedHosts.read("localhost,127.0.0.1")
        async with connect(
            allowed, KEY, resolve=names(["127.0.0.1"]), tls=trust if trusted else None
        ) as notifier:
            hook = a_hook(url=f"https://{host}:{port}/")
            if valid:
                assert (await call(notifier, hook)).said is Said.YES
            else:
                with pytest.raises(Unreachable, match="certificate verify failed"):
                    await call(notifier, hook)
