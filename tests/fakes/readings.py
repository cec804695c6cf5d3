"""The store of readings in memory, and queries that are answered as a test says."""

import json
from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from domain.errors import Contended, Refused, TidegateError, Unreachable
from domain.reading_port import QueryStore, ReadingStore, WebSource
from domain.readings.stepped import KeptReading
from domain.web_questions import WebCall

Place = tuple[str, str, int]


class ScriptedQueries(QueryStore):
    """Answers 1.0 unless scripted otherwise. `asked` keeps what was asked, trouble included."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._script: deque[tuple[float, ...] | TidegateError] = deque([(1.0,)])

    def script(self, *answers: tuple[float, ...] | TidegateError) -> None:
        """Answer or raise these, one a query; the last one stays."""
        self._script = deque(answers)

    async def answer(self, query: str) -> tuple[float, ...]:
        self.asked.append(query)
        answer = self._script.popleft() if len(self._script) > 1 else self._script[0]
        if isinstance(answer, TidegateError):
            raise answer
        return answer


class ScriptedWeb(WebSource):
    """Answers `{"score": 1}` unless scripted otherwise: (status, text), or an error to raise."""

    def __init__(self) -> None:
        self.asked: list[WebCall] = []
        self._script: deque[tuple[int, str] | TidegateError] = deque([(200, '{"score": 1}')])

    def script(self, *answers: tuple[int, str] | TidegateError) -> None:
        """Give these, one a call; the last one stays."""
        self._script = deque(answers)

    async def ask(self, call: WebCall) -> Any:
        self.asked.append(call)
        answer = self._script.popleft() if len(self._script) > 1 else self._script[0]
        if isinstance(answer, TidegateError):
            raise answer
        status, text = answer
        if status >= 500:
            raise Unreachable(f"answered {status}")
        if status >= 300:
            raise Refused(f"answered {status}")
        try:
            return json.loads(text)
        except ValueError as error:
            raise Refused("answered what is no JSON") from error


class MemoryReadings(ReadingStore):
    """Takes every rollout for known, unlike the real one. `trouble` is raised by every call."""

    def __init__(self) -> None:
        self.trouble: TidegateError | None = None
        self._kept: dict[UUID, dict[Place, KeptReading]] = defaultdict(dict)

    async def readings(self, rollout_id: UUID) -> Sequence[KeptReading]:
        if self.trouble:
            raise self.trouble
        return [kept for _, kept in sorted(self._kept[rollout_id].items())]

    async def size(self, rollout_id: UUID) -> int:
        return len(await self.readings(rollout_id))

    async def keep(self, rollout_id: UUID, kept: KeptReading) -> None:
        if self.trouble:
            raise self.trouble
        place = (kept.gate, kept.variant, kept.sequence)
        stands = self._kept[rollout_id].setdefault(place, kept)
        if repr(stands) != repr(kept):
            raise Contended(f"reading {kept.sequence} of {kept.gate} is another's")
