"""Asks a model server at the address that KServe tells of its InferenceService."""

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta

import httpx

from adapters.kubernetes.client import Cluster
from adapters.kubernetes.documents import is_ours, mapping, text, workload_labels
from adapters.kubernetes.resources import INFERENCE_SERVICE
from domain.comparison import Heard, Reply, SampleRequest, Silence
from domain.comparison_port import Answers
from domain.errors import NotYet, Refused, Unreachable
from domain.workloads import Workload

MOST_BYTES = 256 * 1024
_CONNECT_SECONDS = 2.0
# Nobody took the request: whoever is not there is not ready, and that is judged elsewhere.
_NOT_TAKEN = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class KServeAnswers(Answers):
    """Made by `connect`, which owns the connections.

    It speaks through a transport and not through a client: no proxy of the environment comes
    between, no redirect is followed and no cookie is kept.
    """

    def __init__(self, cluster: Cluster, transport: httpx.AsyncBaseTransport) -> None:
        self._cluster, self._transport = cluster, transport

    async def ask(self, workload: Workload, request: SampleRequest, *, within: timedelta) -> Heard:
        """Raises Refused, too, where the address is none that can be called."""
        address = await self._address(workload)
        seconds = within.total_seconds()
        try:
            async with asyncio.timeout(seconds):
                return await self._send(_post(address, request, seconds))
        except _NOT_TAKEN as error:
            raise Unreachable(f"nobody takes a connection at {workload.name}: {error!r}") from error
        except TimeoutError:
            return Silence(why=f"did not answer within {seconds:g} s")
        except httpx.HTTPError as error:
            return Silence(why=f"broke off: {error!r}")

    async def _address(self, workload: Workload) -> httpx.URL:
        found = await self._cluster.get(INFERENCE_SERVICE, workload.namespace, workload.name)
        told = text(mapping(found, "status"), "address", "url")
        if not told or not is_ours(found or {}, workload_labels(workload)):
            raise NotYet(f"InferenceService {workload.name} has no address yet")
        try:
            url = httpx.URL(told)
        except httpx.InvalidURL as error:
            raise Refused(f"the address of {workload.name} is no URL") from error
        if url.scheme not in {"http", "https"} or not url.host:
            raise Refused(f"the address of {workload.name} is not http or https")
        return url

    async def _send(self, request: httpx.Request) -> Heard:
        response = await self._transport.handle_async_request(request)
        async with aclosing(response):
            body = b""
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MOST_BYTES:
                    return Silence(why=f"answered more than {MOST_BYTES // 1024} KiB")
            return Reply(status=response.status_code, text=body.decode("utf-8", "replace"))


@asynccontextmanager
async def connect(
    cluster: Cluster, *, tls: ssl.SSLContext | None = None
) -> AsyncGenerator[KServeAnswers]:
    """Build the asker; nobody is called yet.

    Connections are not kept: one would bind all requests of a sample to one pod of several, and
    may break in the moment it is used again.
    """
    transport = httpx.AsyncHTTPTransport(
        verify=tls or httpx.create_ssl_context(),
        trust_env=False,
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
    )
    async with transport:
        yield KServeAnswers(cluster, transport)


def _post(address: httpx.URL, request: SampleRequest, seconds: float) -> httpx.Request:
    """The path is the request's alone: an address may carry one of its own."""
    return httpx.Request(
        "POST",
        address.copy_with(path=request.path, query=None, fragment=None),
        headers={
            "User-Agent": "tidegate",
            "Content-Type": "application/json",
            # Unpacked, an answer of a few bytes could fill the memory.
            "Accept-Encoding": "identity",
        },
        content=request.body.encode(),
        extensions={
            "timeout": {
                "connect": min(_CONNECT_SECONDS, seconds / 2),
                "pool": None,
                "read": None,
                "write": None,
            }
        },
    )
