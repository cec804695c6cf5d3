"""What gates without statistics need from outside."""

from collections.abc import Sequence
from typing import Any, Protocol
from uuid import UUID

from domain.readings.stepped import KeptReading
from domain.web_questions import WebCall


class QueryStore(Protocol):
    """Answers queries that people wrote."""

    async def answer(self, query: str) -> tuple[float, ...]:
        """What the query says now, a number for each of its series; a scalar is one series.

        NaN and infinities are numbers here. Raises Refused for a query that is wrong, or answers no
        numbers, and Unreachable while the store is down.
        """


class WebSource(Protocol):
    """Asks URLs that people named, where their hosts are allowed."""

    async def ask(self, call: WebCall) -> Any:
        """The JSON document of a 2xx answer.

        Raises Forbidden for a host, or an address that its name leads to, that may not be called;
        Refused for a redirect, a 4xx, an answer that is too long or no JSON; Unreachable for
        nobody, nothing in time and any other status.
        """


class ReadingStore(Protocol):
    """Keeps what the gates of a rollout have read: verdicts can be computed anew from it."""

    async def readings(self, rollout_id: UUID) -> Sequence[KeptReading]:
        """All readings so far; those of one gate about one variant in their sequence."""

    async def size(self, rollout_id: UUID) -> int:
        """How many readings there are so far, without reading them."""

    async def keep(self, rollout_id: UUID, kept: KeptReading) -> None:
        """Keep a reading. The same one again is success.

        Another one in its place raises Contended: a second watcher is at work.
        """
