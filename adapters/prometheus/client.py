"""One connection to Prometheus: asks from threads, so that a slow store holds up nobody else."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from copy import copy
from datetime import datetime, timedelta
from typing import Any, TypeVar

import requests
from prometheus_api_client import PrometheusConnect
from urllib3.exceptions import HTTPError
from urllib3.util.retry import Retry

from adapters.prometheus.answers import RawSeries, RawValue, read_matrix, read_vector, refusal
from domain.errors import Unreachable
from domain.metrics import Grid

T = TypeVar("T")
CALL_TIMEOUT = timedelta(seconds=10)
CONCURRENT_READS = 8


class PrometheusClient:
    """Made by `connect`, which owns the session and the threads.

    Every question raises Unreachable when the store is down, slow or makes no sense, Refused when
    it calls the query wrong.
    """

    _at: datetime | None = None

    def __init__(
        self, client: PrometheusConnect, threads: ThreadPoolExecutor, timeout: timedelta
    ) -> None:
        self._client = client
        self._threads = threads
        self._timeout = timeout.total_seconds()

    def as_of(self, at: datetime) -> "PrometheusClient":
        """The same connection, whose raw samples end at this moment instead of now."""
        then = copy(self)
        then._at = at  # noqa: SLF001 - it is one of us
        return then

    async def samples(self, query: str) -> tuple[RawSeries, ...]:
        """The raw samples of a query that is a range selector."""
        return await self._run(lambda: read_matrix(self._instant(query, None)))

    async def values(self, query: str, at: datetime) -> tuple[RawValue, ...]:
        """What a query says at one moment."""
        return await self._run(lambda: read_vector(self._instant(query, at)))

    async def series(self, query: str, grid: Grid) -> tuple[RawSeries, ...]:
        """What a query says at each moment of a grid, which ends at a whole second."""
        return await self._run(lambda: read_matrix(self._range(query, grid)))

    async def _run(self, ask: Callable[[], T]) -> T:
        # The library's own timeout is between two bytes; this one is for the whole answer.
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timeout):
                return await loop.run_in_executor(self._threads, _translated, ask)
        except TimeoutError as error:
            raise Unreachable(
                f"the metrics store did not answer within {self._timeout:g} s"
            ) from error

    def _instant(self, query: str, at: datetime | None) -> Any:
        at = at or self._at
        when = {} if at is None else {"time": f"{at.timestamp():.3f}"}
        return self._client.custom_query(query, params={**when, **self._patience})

    def _range(self, query: str, grid: Grid) -> Any:
        first, *_ = grid.moments()
        step = f"{grid.step.total_seconds():g}"
        return self._client.custom_query_range(query, first, grid.end, step, params=self._patience)

    @property
    def _patience(self) -> dict[str, str]:
        return {"timeout": f"{self._timeout:g}s"}


@asynccontextmanager
async def connect(
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    timeout: timedelta = CALL_TIMEOUT,
    concurrent_reads: int = CONCURRENT_READS,
) -> AsyncGenerator[PrometheusClient]:
    """Build the client; the store itself is not asked yet. Leaving does not wait for its answers.

    The library would retry for seconds on its own and so hide that the store is down; whether to
    ask again is decided by the caller.
    """
    with requests.Session() as session:
        session.hooks["response"].append(_require_success)
        client = PrometheusConnect(
            url=url.rstrip("/"),
            headers=dict(headers or {}),
            retry=Retry(total=0, read=False),
            session=session,
            timeout=timeout.total_seconds(),
        )
        threads = ThreadPoolExecutor(concurrent_reads, thread_name_prefix="prometheus")
        try:
            yield PrometheusClient(client, threads, timeout)
        finally:
            threads.shutdown(wait=False, cancel_futures=True)


def _translated(ask: Callable[[], T]) -> T:
    try:
        return ask()
    except (OSError, HTTPError) as error:
        raise Unreachable(f"the metrics store cannot be reached: {error}") from error
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise Unreachable(f"the metrics store answered oddly: {error!r}") from error


def _require_success(response: requests.Response, **_: Any) -> None:
    # The library would fold code and body into one string.
    if response.status_code != requests.codes.ok and not response.is_redirect:
        raise refusal(response.status_code, response.content)
