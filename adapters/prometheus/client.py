"""One connection to Prometheus: asks from threads, so that a slow store holds up nobody else."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from copy import copy
from datetime import datetime, timedelta
from threading import local
from typing import Any, TypeVar

import requests
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException
from urllib3.exceptions import HTTPError
from urllib3.util.retry import Retry

from adapters.prometheus.answers import (
    RawSeries,
    RawValue,
    read_matrix,
    read_numbers,
    read_vector,
    refusal,
    require_counts,
    warnings_of,
)
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
        self,
        client: PrometheusConnect,
        threads: ThreadPoolExecutor,
        timeout: timedelta,
        heard: "Heard",
    ) -> None:
        self._client, self._heard = client, heard
        self._threads = threads
        self._timeout = timeout.total_seconds()

    def as_of(self, at: datetime) -> "PrometheusClient":
        """The same connection, whose raw samples end at this moment instead of now."""
        then = copy(self)
        then._at = at  # noqa: SLF001 - it is one of us
        return then

    async def samples(self, query: str) -> tuple[RawSeries, ...]:
        """The raw samples of a query that is a range selector on counters.

        All of them or none: Unreachable also when the store warns that it answered in part, for a
        series that is missing now would look newborn later.
        """
        return await self._run(lambda: self._counted(query))

    async def values(self, query: str, at: datetime) -> tuple[RawValue, ...]:
        """What a query says at one moment, all of it or none, as `samples`."""
        return await self._run(lambda: read_vector(self._whole(query, at)))

    async def answer(self, query: str) -> tuple[float, ...]:
        """What a query says now, a number for each of its series; NaN and infinities as they are.

        Raises Refused where it answers something else, too; Unreachable also where the store warns
        that it answered in part: the worst series may be the one that is missing.
        """
        return await self._run(lambda: read_numbers(self._whole(query)))

    async def series(self, query: str, grid: Grid) -> tuple[RawSeries, ...]:
        """What a query says at each moment of a grid, which ends at a whole second."""
        return await self._run(lambda: read_matrix(self._range(query, grid)))

    def _counted(self, query: str) -> tuple[RawSeries, ...]:
        read = read_matrix(self._whole(query))
        require_counts(read)
        return read

    def _whole(self, query: str, at: datetime | None = None) -> Any:
        """The result of a query at that moment or now, which the store does not warn of."""
        result = self._instant(query, at)
        if self._heard.warnings:
            said = "; ".join(self._heard.warnings)
            raise Unreachable(f"the metrics store answered in part: {said}")
        return result

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


class Heard(local):
    """What the last answer said beside its result, in each thread: the library drops it."""

    warnings: tuple[str, ...] = ()

    def __call__(self, response: requests.Response, **_: Any) -> None:
        """Look at a response before the library does, which folds code and body into one string."""
        if response.is_redirect:
            return
        if response.status_code != requests.codes.ok:
            raise refusal(response.status_code, response.content)
        self.warnings = warnings_of(response.content)


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
        heard = Heard()
        session.hooks["response"].append(heard)
        client = PrometheusConnect(
            url=url.rstrip("/"),
            headers=dict(headers or {}),
            retry=Retry(total=0, read=False),
            session=session,
            timeout=timeout.total_seconds(),
        )
        threads = ThreadPoolExecutor(concurrent_reads, thread_name_prefix="prometheus")
        try:
            yield PrometheusClient(client, threads, timeout, heard)
        finally:
            threads.shutdown(wait=False, cancel_futures=True)


def _translated(ask: Callable[[], T]) -> T:
    try:
        return ask()
    except (OSError, HTTPError) as error:
        raise Unreachable(f"the metrics store cannot be reached: {error}") from error
    except PrometheusApiClientException as error:  # a redirect that leads nowhere
        raise Unreachable(f"the metrics store did not answer: {error}") from error
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise Unreachable(f"the metrics store answered oddly: {error!r}") from error
