"""What stable did before, as a test tells it."""

from datetime import timedelta

from domain.errors import TidegateError
from domain.evidence.baseline import History
from domain.evidence_port import StableHistory
from domain.gates import Source
from domain.traffic import Place, Route
from tests.fakes.faults import Faults


class ToldHistory(StableHistory):
    """Answers `history`; `windows` and `sources` keep what was asked."""

    def __init__(self, history: History | None = None) -> None:
        self.history = history or History()
        self.windows: list[timedelta] = []
        self.sources: list[Source] = []
        self._faults = Faults()

    def fail(self, *errors: TidegateError) -> None:
        """Raise these on the next readings."""
        self._faults.plan("read", errors)

    async def read(
        self, route: Route, source: Source, *, stable: Place, window: timedelta
    ) -> History:
        self.windows.append(window)
        self.sources.append(source)
        self._faults.strike("read")
        return self.history
