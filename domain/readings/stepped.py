"""One gate over a whole rollout, whose readings count step by step.

PASS is earned anew at each step, and the limits count the readings of one step. FAIL at any step is
for good.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from domain.readings.judge import ReadingJudge
from domain.readings.rules import Reading, ReadingRules
from domain.verdicts import Status, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptReading:
    """A reading as it is stored: the `sequence`-th of a gate about a variant, from 0."""

    gate: str
    variant: str
    sequence: int
    step: int
    reading: Reading


class SteppedJudge:
    """A fold over the readings of one gate about one variant, in the order of their sequence."""

    def __init__(self, gate: str, rules: ReadingRules) -> None:
        self._gate, self._rules = gate, rules
        self._steps: dict[int, ReadingJudge] = {}
        self._verdicts: dict[int, Verdict] = {}
        self._latest_at: datetime | None = None
        self._failed: Verdict | None = None
        self.readings = 0

    @property
    def latest_at(self) -> datetime | None:
        """When the latest reading was taken; no other may be before it."""
        return self._latest_at

    @property
    def conclusive(self) -> int:
        """How many readings succeeded or failed, at all steps."""
        return sum(judge.conclusive for judge in self._steps.values())

    def add(self, step: int, reading: Reading) -> None:
        """Take the next reading in. Raises ValueError when it is not after the last one."""
        if self._latest_at is not None and reading.at <= self._latest_at:
            raise ValueError(f"the reading of {reading.at} came after that of {self._latest_at}")
        judge, before = self._of(step), self.verdict(step)
        judge.add(reading)
        self._latest_at = reading.at
        self.readings += 1
        verdict = judge.verdict()
        look = before.look if verdict.status is before.status else self.readings
        self._verdicts[step] = verdict = replace(verdict, look=look)
        if self._failed is None and verdict.status is Status.FAIL:
            self._failed = verdict

    def verdict(self, step: int) -> Verdict:
        """Asking changes nothing. Its look is the reading that has made its status what it is."""
        return self._failed or self._verdicts.get(step) or self._of(step).verdict()

    def due_at(self, step: int, opened_at: datetime) -> datetime | None:
        """When the next reading is to be taken; None when no more are needed at this step."""
        return None if self._failed else self._of(step).due_at(opened_at)

    def _of(self, step: int) -> ReadingJudge:
        if step not in self._steps:
            self._steps[step] = ReadingJudge(self._gate, self._rules)
        return self._steps[step]
