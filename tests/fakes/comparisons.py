"""Model servers that answer as a test tells them to, and the store of results in memory."""

from collections import defaultdict, deque
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from domain.comparison import Compared, Heard, Reply, SampleRequest
from domain.comparison_port import Answers, ComparisonStore
from domain.errors import Contended, TidegateError
from domain.workloads import Workload

ONE = Reply(status=200, text='{"predictions":[1.0]}')


class ScriptedAnswers(Answers):
    """Everybody answers alike unless scripted otherwise. `asked` keeps whom, and for what."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, SampleRequest]] = []
        self._scripts: dict[str, deque[Heard | TidegateError]] = defaultdict(deque)

    def script(self, workload: Workload, *answers: Heard | TidegateError) -> None:
        """Answer or raise these, one a request; the last one stays."""
        self._scripts[workload.name] = deque(answers)

    async def ask(self, workload: Workload, request: SampleRequest, *, within: timedelta) -> Heard:
        script = self._scripts[workload.name]
        answer = (script.popleft() if len(script) > 1 else script[0]) if script else ONE
        if isinstance(answer, TidegateError):
            raise answer
        self.asked.append((workload.name, request))
        return answer


class MemoryComparisons(ComparisonStore):
    """Takes every rollout for known, unlike the real one. `trouble` is raised by every call."""

    def __init__(self) -> None:
        self.trouble: TidegateError | None = None
        self._kept: dict[UUID, dict[int, Compared]] = defaultdict(dict)

    async def compared(self, rollout_id: UUID) -> Sequence[Compared]:
        if self.trouble:
            raise self.trouble
        kept = self._kept[rollout_id]
        return [kept[sequence] for sequence in sorted(kept)]

    async def keep(self, rollout_id: UUID, compared: Compared) -> None:
        if self.trouble:
            raise self.trouble
        kept = self._kept[rollout_id]
        if kept.get(compared.sequence) == compared:
            return
        if compared.sequence in kept or compared.request in {c.request for c in kept.values()}:
            raise Contended(f"result {compared.sequence} is another's")
        kept[compared.sequence] = compared
