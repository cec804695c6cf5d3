"""The gates that are judged on one meter's intervals, behind their warm-up."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import chain
from operator import itemgetter
from typing import Protocol, TypeVar

from domain.evidence.intervals import Interval
from domain.evidence.shape import Shape
from domain.evidence.warm_up import WarmUp
from domain.verdicts import Status, Verdict

T = TypeVar("T")


class GateFold(Protocol):
    """One gate, fed interval by interval."""

    @property
    def has_failed(self) -> bool: ...

    def add(self, interval: Interval) -> None: ...

    def verdict(self, step: int, *, in_full: bool = True) -> Verdict: ...

    def status(self, step: int) -> Status: ...


class MeterFold:
    """The gates that are judged on one meter; `places` are theirs among all gates."""

    def __init__(
        self, places: list[int], folds: Sequence[GateFold], warm_up: WarmUp, shape: Shape
    ) -> None:
        self.places, self._folds, self._warm_up, self._shape = places, folds, warm_up, shape
        self._last = -1
        self.closed_at: datetime | None = None

    @property
    def look(self) -> int:
        """How many intervals are stored up to the latest one, that included."""
        return self._last + 1

    @property
    def is_warming_up(self) -> bool:
        return self._warm_up.goes_on

    def add(self, interval: Interval) -> None:
        if interval.sequence <= self._last:
            raise ValueError(f"interval {interval.sequence} came after {self._last}")
        self._last, self.closed_at = interval.sequence, interval.closed_at
        if self._warm_up.takes(interval):
            return
        self._shape.add(interval)
        for fold in self._folds:
            fold.add(interval)

    def shape_odds(self) -> float:
        """Odds against "the times are distributed as stable's"."""
        return self._shape.odds()

    def failed(self) -> list[int]:
        """The places of the gates that have failed, in the warm-up or behind it."""
        watched = zip(self.places, self._warm_up.statuses(), self._folds, strict=True)
        return [place for place, early, fold in watched if fold.has_failed or early is Status.FAIL]

    def verdicts(self, step: int, *, in_full: bool) -> list[Verdict]:
        pairs = zip(self._warm_up.verdicts(), self._folds, strict=True)
        return [early or fold.verdict(step, in_full=in_full) for early, fold in pairs]

    def statuses(self, step: int) -> list[Status]:
        pairs = zip(self._warm_up.statuses(), self._folds, strict=True)
        return [early or fold.status(step) for early, fold in pairs]


def in_order(placed: Iterable[Iterable[tuple[int, T]]]) -> list[T]:
    """What stands at each place, from what each meter says of its own."""
    return [one for _, one in sorted(chain.from_iterable(placed), key=itemgetter(0))]
