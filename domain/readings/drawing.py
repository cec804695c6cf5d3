"""The chart of what gates without statistics have read: each reading, and the verdict by then.

A pure fold over the stored readings, as the verdicts themselves are. Long histories are thinned;
the last reading of each step stays, and so does each at which the verdict changed.
"""

from collections.abc import Hashable
from dataclasses import dataclass

from domain.evidence.thinning import ends, thinned
from domain.plan import Plan
from domain.reading_gates import ReadingGate
from domain.readings.outcomes import Conditions, Outcome
from domain.readings.rules import Reading
from domain.readings.stepped import KeptReading, SteppedJudge
from domain.verdicts import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingPoint:
    """A reading at a step, and the gate's verdict behind it.

    Once a gate has failed its verdict stays that, whatever is read later.
    """

    step: int
    reading: Reading
    outcome: Outcome
    status: Status


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingSeries:
    """One gate, of the arm of a trial that `variant` names; empty for the candidate."""

    gate: ReadingGate
    variant: str
    points: tuple[ReadingPoint, ...]


class ReadingDrawing:
    """The series of one gate about one variant, to be fed its readings in their sequence."""

    def __init__(self, gate: ReadingGate, variant: str) -> None:
        self._gate, self._variant = gate, variant
        self._judge = SteppedJudge(gate.name, gate.rules)
        self._conditions = Conditions.of(gate.rules)
        self._points: list[ReadingPoint] = []

    def add(self, kept: KeptReading) -> None:
        """Take the next reading in. Raises ValueError when it is not after the last one."""
        self._judge.add(kept.step, kept.reading)
        self._points.append(
            ReadingPoint(
                step=kept.step,
                reading=kept.reading,
                outcome=self._conditions.outcome(kept.reading),
                status=self._judge.verdict(kept.step).status,
            )
        )

    def series(self, numbers: int) -> ReadingSeries:
        """With as many points as hold `numbers` values, or more where so many must stay."""
        widest = max((len(point.reading.series) for point in self._points), default=0)
        places = thinned(self._required(), numbers // max(widest, 1))
        points = tuple(self._points[place] for place in places)
        return ReadingSeries(gate=self._gate, variant=self._variant, points=points)

    def _required(self) -> list[bool]:
        last_ones = ends(point.step for point in self._points)
        required: list[bool] = []
        before: Hashable = None
        for place, point in enumerate(self._points):
            required.append(point.status != before or place in last_ones)
            before = point.status
        return required


def reading_drawings(plan: Plan) -> dict[tuple[str, str], ReadingDrawing]:
    """The drawing of each gate and variant, by the names that readings are stored under."""
    if plan.trial is None:
        variants = {plan.candidate.name: ""}
    else:
        variants = {arm: arm for arm in plan.trial.arms[1:]}
    return {
        (gate.name, name): ReadingDrawing(gate, shown)
        for gate in plan.reading_gates
        for name, shown in variants.items()
    }
