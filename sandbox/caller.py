"""Calls Tidegate's API as a person with curl would: JSON in, JSON out, events as they come.

It knows the wire and nothing of what stands behind it.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

import httpx

from sandbox.layout import Layout

PREFIX = "/api/v1/model-registry"
PROJECT_ID = "00000000-0000-4000-8000-000000000001"
"""The project that the sandbox's own things belong to."""

Document = dict[str, Any]

_ANSWERS_WITHIN = timedelta(seconds=30)
# The API sends a comment every 10 s: silence for longer means that the connection is dead.
_STREAM_SILENCE = timedelta(seconds=25)
_RECONNECT_SECONDS = 0.5
_PAGE = 100


class CallFailed(Exception):
    """The API refused or did not answer; the message says what it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of a rollout's history, as the API tells it."""

    id: int
    kind: str
    message: str
    at: datetime
    step: int | None
    data: Mapping[str, Any]

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        return cls(
            id=document["id"],
            kind=document["kind"],
            message=document["message"],
            at=datetime.fromisoformat(document["at"]),
            step=document["step"],
            data=document["data"],
        )


class Caller:
    """Paths are relative to the registry's prefix."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def get(self, path: str, **query: Any) -> Document:
        """Raises CallFailed."""
        return _document(await self._send("GET", path, params=query))

    async def post(self, path: str, body: Mapping[str, Any]) -> Document:
        """Raises CallFailed."""
        return _document(await self._send("POST", path, json=body))

    async def find(self, path: str, name: str, **query: Any) -> Document | None:
        """The item of this name in a list, whatever page it is on."""
        offset: int | None = 0
        while offset is not None:
            page = await self.get(path, limit=_PAGE, offset=offset, **query)
            for item in page["items"]:
                if item["name"] == name:
                    found: Document = item
                    return found
            offset = page["next_offset"]
        return None

    async def events(self, rollout_id: str) -> AsyncIterator[Event]:
        """All events of a rollout as they happen, each once, until its last.

        Takes up again where the connection broke. Raises CallFailed when the API refuses.
        """
        last = 0
        while True:
            try:
                async for event in self._stream(rollout_id, last):
                    last = event.id
                    yield event
                if await self._is_told(rollout_id, last):
                    return
            except httpx.TransportError:
                await asyncio.sleep(_RECONNECT_SECONDS)

    async def _stream(self, rollout_id: str, last: int) -> AsyncIterator[Event]:
        """One connection to the stream of server-sent events."""
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(last)}
        patience = httpx.Timeout(
            _ANSWERS_WITHIN.total_seconds(), read=_STREAM_SILENCE.total_seconds()
        )
        path = f"{PREFIX}/rollouts/{rollout_id}/events"
        async with self._http.stream("GET", path, headers=headers, timeout=patience) as answer:
            if answer.is_error:
                await answer.aread()
                raise CallFailed(_refusal(answer))
            async for line in answer.aiter_lines():
                # Each event is a single line of JSON; `id` and `event` repeat what is in it.
                if line.startswith("data:"):
                    yield Event.parse(json.loads(line.removeprefix("data:")))

    async def _is_told(self, rollout_id: str, last: int) -> bool:
        """Whether the rollout has ended and nothing came after the event `last`."""
        rollout = await self.get(f"/rollouts/{rollout_id}", live=False)
        rest = await self.get(f"/rollouts/{rollout_id}/events", after=last, limit=1)
        return rollout["ended_at"] is not None and not rest["items"]

    async def _send(self, method: str, path: str, **parts: Any) -> httpx.Response:
        try:
            return await self._http.request(method, PREFIX + path, **parts)
        except httpx.TransportError as error:
            raise CallFailed(f"{method} {path}: {error!r}") from error


@asynccontextmanager
async def calling(layout: Layout) -> AsyncIterator[Caller]:
    """A caller of this sandbox's API, in the sandbox's project."""
    # A kept connection may be closed by the server just as it is used again, and a POST is lost.
    each_anew = httpx.Limits(max_keepalive_connections=0)
    async with httpx.AsyncClient(
        limits=each_anew,
        base_url=layout.api_url,
        headers={"Project-ID": PROJECT_ID},
        timeout=_ANSWERS_WITHIN.total_seconds(),
        trust_env=False,
    ) as http:
        yield Caller(http)


def _document(answer: httpx.Response) -> Document:
    if answer.is_error:
        raise CallFailed(_refusal(answer))
    document: Document = answer.json()
    return document


def _refusal(answer: httpx.Response) -> str:
    """What went wrong, from the problem details where there are any."""
    request = f"{answer.request.method} {answer.request.url.path}"
    try:
        problem = answer.json()
        said = problem.get("detail") or problem.get("title") or answer.text
    except (ValueError, AttributeError):
        said = answer.text[:500]
    return f"{request} answered {answer.status_code}: {said}"
