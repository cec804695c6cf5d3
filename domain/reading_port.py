"""What gates without statistics need from outside."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from domain.readings.stepped import KeptReading


class QueryStore(Protocol):
    """Answers queries that people wrote."""

    async def answer(self, query: str) -> tuple[float, ...]:
        """What the query says now, a number for each of its series; a scalar is one series.

        NaN and infinities are numbers here. Raises Refused for a query that is wrong, or answers no
        numbers, and Unreachable while the store is down.
        """


class ReadingStore(Protocol):
    """Keeps what the gates of a rollout have read: verdicts can be computed anew from it."""

    async def readings(self, rollout_id: UUID) -> Sequence[KeptReading]:
        """All readings so far; those of one gate about one variant in their sequence."""

    async def keep(self, rollout_id: UUID, kept: KeptReading) -> None:
        """Keep a reading. The same one again is success.

        Another one in its place raises Contended: a second watcher is at work.
        """
