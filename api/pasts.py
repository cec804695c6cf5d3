"""What a backtest comes to: the ranges of the past that it replays, and the gates on them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from domain.evidence.replaying import Stretch
from domain.gates import Gate
from domain.meters import Meter
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
    def has_workloads(self) -> bool:
        """Whether it is known who served both arms."""
        return bool(self.candidate.workload and self.stable.workload)

    @property
    def stretches(self) -> tuple[Stretch, ...]:
        return tuple(piece.stretch for piece in self.pieces)

    @property
    def since(self) -> datetime:
        return self.pieces[0].stretch.since

    @property
    def until(self) -> datetime:
        return self.pieces[-1].stretch.until


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """All that is asked for.

    `unread` names those of the gates that only count among the chances of a false alarm.
    """

    gates: tuple[Gate, ...]
    unread: tuple[str, ...] = ()
    phi: float
    warm_up: timedelta
    probe: timedelta
    past: Past
    healthy: tuple[Past, ...]
