"""What a backtest comes to: the ranges of the past that it replays, and the gates on them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from domain.evidence.replaying import Stretch
from domain.gates import Gate
from domain.meters import Meter
from domain.promql_text import Value
from domain.question_names import names_of
from domain.reading_gates import AnyGate, ReadingGate
from domain.traffic import Place, Route


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One of the two that are compared. Who is meant by a slot alone has no name or workload."""

    slot: int
    name: str = ""
    workload: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One stretch, and where the gateway counted both arms in it."""

    stretch: Stretch
    candidate: tuple[Place, ...]
    stable: tuple[Place, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """One range to replay, in order. `margins` are those of its plan's steps.

    `bounds` are those, in milliseconds, at which a rollout that has a baseline counted slow
    answers, by meter; of none where stable's history had nothing to give.
    """

    rollout_id: UUID | None
    route: Route
    candidate: Arm
    stable: Arm
    pieces: tuple[Piece, ...]
    checks_split: bool = False
    margins: tuple[tuple[int, float], ...] = ()
    bounds: tuple[tuple[Meter, tuple[float, ...]], ...] = ()

    @property
    def stretches(self) -> tuple[Stretch, ...]:
        return tuple(piece.stretch for piece in self.pieces)

    def names(self, stretch: Stretch) -> Mapping[str, Value]:
        """What the placeholders of a query stand for in a stretch, as far as that is known."""
        return names_of(
            self.route,
            candidate=(self.candidate.name, self.candidate.workload),
            stable=(self.stable.name, self.stable.workload),
            weight=None if self.rollout_id is None else stretch.weight,
        )

    @property
    def since(self) -> datetime:
        return self.pieces[0].stretch.since

    @property
    def until(self) -> datetime:
        return self.pieces[-1].stretch.until


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A gate that cannot be replayed, and why."""

    gate: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """All that is asked for.

    `left_out` may name some of the gates with statistics, which are then not replayed, but count
    among the chances of a false alarm as they do in a rollout.
    """

    gates: tuple[Gate, ...]
    readings: tuple[ReadingGate, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    phi: float
    phi_source: str = ""
    warm_up: timedelta
    probe: timedelta
    past: Past
    healthy: tuple[Past, ...]

    @property
    def pasts(self) -> tuple[Past, ...]:
        """All ranges, the one that is asked about first."""
        return (self.past, *self.healthy)

    @property
    def unread(self) -> tuple[str, ...]:
        """The gates that are not replayed, by name."""
        return tuple(one.gate for one in self.left_out)

    @property
    def replayed(self) -> tuple[AnyGate, ...]:
        """The gates that are, those with statistics first."""
        unread = self.unread
        return (*(gate for gate in self.gates if gate.name not in unread), *self.readings)
