"""The chart of a rollout's evidence: what each verdict was by the end of an interval.

A pure fold over the stored intervals, as the verdicts themselves are, so that each point is the
verdict of its moment and the last one that of now. Long histories are thinned; the last moment at
each step and weight stays, and so does each at which a verdict changed: between two points nothing
but numbers moved. All series of a meter have their points at the same moments.
"""

from collections import deque
from collections.abc import Hashable, Iterator, Sequence
from typing import Any

from domain.evidence.chart import (
    ArmPoint,
    ArmSeries,
    Chart,
    GatePoint,
    GateSeries,
    TrialPoint,
    TrialSeries,
)
from domain.evidence.intervals import ArmsInterval, Interval
from domain.evidence.judge import Judge
from domain.evidence.tallies import observe
from domain.evidence.thinning import ends, even, thinned
from domain.evidence.trial import TrialJudge
from domain.evidence.trial_intervals import of_arms
from domain.gates import Gate
from domain.meters import meter_of
from domain.trial import Trial
from domain.trial_verdicts import Outcome, PairVerdict, Standing, TrialVerdict
from domain.verdicts import Status


def series_of(gates: Sequence[Gate], trial: Trial | None) -> int:
    """How many series a chart has."""
    if trial is None:
        return len(gates)
    return len(gates) * (len(trial.arms) - 1) + len(trial.arms) + 1


def draw(
    gates: Sequence[Gate],
    trial: Trial | None,
    intervals: Sequence[Interval | ArmsInterval],
    *,
    points: int,
    **terms: Any,
) -> Chart:
    """The chart of all intervals, with `points` moments, or more where so many must stay."""
    drawing = Drawing(gates, trial, intervals, points=points, **terms)
    for interval in intervals:
        drawing.add(interval)
    return drawing.chart()


def merged(charts: Sequence[Chart], gates: Sequence[Gate]) -> Chart:
    """One chart of those of several meters, the first of which is the gateway's."""
    order = {gate.name: i for i, gate in enumerate(gates)}
    drawn = [series for chart in charts for series in chart.gates]
    if len(charts) > 1:
        drawn.sort(key=lambda series: order[series.gate.name])
    return Chart(
        intervals=sum(chart.intervals for chart in charts),
        gates=tuple(drawn),
        trial=charts[0].trial,
    )


class Drawing:
    """The same, to be fed all of `intervals` one by one: a long history takes seconds.

    It has the gates of one meter, whose intervals these are; `merged` makes one chart of several.
    `beside` are the gateway's where another meter is drawn: no gate passes while those show that
    requests arrive otherwise than weighted.
    `terms` are those of the `Judge` that the verdicts came from.
    """

    def __init__(
        self,
        gates: Sequence[Gate],
        trial: Trial | None,
        intervals: Sequence[Interval | ArmsInterval],
        *,
        points: int,
        meter: str = "",
        beside: Sequence[Interval] = (),
        **terms: Any,
    ) -> None:
        self._points, self._beside = points, deque(beside)
        self._ends = ends(map(_place, intervals))
        self._due = self._ends | even(len(intervals), points)
        stable, *challengers = ("", "") if trial is None else trial.arms
        self._gates = [
            _GateLines(
                *(gates, variant, stable, meter), Judge(gates, checks_split=trial is None, **terms)
            )
            for variant in challengers
        ]
        self._trial = None if trial is None else _TrialLine(trial)
        self._lines = (*self._gates, *((self._trial,) if self._trial else ()))
        self._required: list[bool] = []
        self._count = 0

    def add(self, interval: Interval | ArmsInterval) -> None:
        """Take the next interval in. Raises ValueError when it is not after the last one."""
        while self._beside and self._beside[0].closed_at <= interval.closed_at:
            self._arrive(self._beside.popleft())
        place, self._count = self._count, self._count + 1
        changed = [line.add(interval) for line in self._lines]
        if any(changed) or place in self._due:
            self._required.append(any(changed) or place in self._ends)
            for line in self._lines:
                line.mark(interval)

    def _arrive(self, interval: Interval) -> None:
        for lines in self._gates:
            lines.arrive(interval)

    def chart(self) -> Chart:
        """The chart of what was taken in."""
        places = thinned(self._required, self._points)
        return Chart(
            intervals=self._count,
            gates=tuple(series for lines in self._gates for series in lines.series(places)),
            trial=None if self._trial is None else self._trial.series(places),
        )


def _place(interval: Interval | ArmsInterval) -> Hashable:
    if isinstance(interval, Interval):
        return interval.step, interval.weight
    return interval.step, tuple((one.arm, one.weight) for one in interval.arms)


class _GateLines:
    """All gates of one challenger that are judged on a meter."""

    def __init__(
        self, gates: Sequence[Gate], variant: str, stable: str, meter: str, judge: Judge
    ) -> None:
        self._all, self._variant, self._stable = gates, variant, stable
        self._meter, self._judge = meter, judge
        self._drawn = [i for i, gate in enumerate(gates) if meter_of(gate).name == meter]
        self._statuses: tuple[Status, ...] = ()
        self._moments: list[tuple[GatePoint, ...]] = []

    def add(self, interval: Interval | ArmsInterval) -> bool:
        """Whether a verdict has changed by it."""
        pair = self._pair(interval)
        if pair is None:
            return False
        self._judge.add(pair, self._meter)
        before, self._statuses = self._statuses, self._judge.statuses(pair.step)
        return self._statuses != before

    def arrive(self, interval: Interval) -> None:
        """Take in how the gateway's requests arrived; makes no point."""
        self._judge.arrive(interval)

    def mark(self, interval: Interval | ArmsInterval) -> None:
        """Make a point for each gate; none for an arm that is not in the trial any more."""
        pair = self._pair(interval)
        self._moments.append(() if pair is None else tuple(self._points(pair)))

    def _points(self, pair: Interval) -> Iterator[GatePoint]:
        verdicts = self._judge.verdicts(pair.step, in_full=False)
        for i in self._drawn:
            yield GatePoint(
                at=pair.closed_at,
                step=pair.step,
                weight=pair.weight,
                seen=observe(self._all[i], pair),
                verdict=verdicts[i],
            )

    def series(self, places: Sequence[int]) -> Iterator[GateSeries]:
        kept = [moment for place in places if (moment := self._moments[place])]
        for place, i in enumerate(self._drawn):
            points = tuple(moment[place] for moment in kept)
            yield GateSeries(gate=self._all[i], variant=self._variant, points=points)

    def _pair(self, interval: Interval | ArmsInterval) -> Interval | None:
        if isinstance(interval, Interval):
            return interval
        return interval.pair(self._variant, self._stable)


class _TrialLine:
    """All arms of a trial by their reward."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self._fold = TrialJudge(trial.arms, trial.reward, trial.rules, phi=trial.phi)
        self._stands: tuple[Outcome, tuple[Standing, ...], bool] | None = None
        self._arms: list[dict[str, ArmPoint]] = []
        self._moments: list[TrialPoint] = []

    def add(self, interval: Interval | ArmsInterval) -> bool:
        """Whether the verdict has changed by it."""
        if not isinstance(interval, ArmsInterval):
            raise TypeError(f"interval {interval.sequence} is of no trial")
        self._fold.add(of_arms(interval, self._trial.reward))
        before, self._stands = self._stands, self._fold.stands()
        return self._stands != before

    def mark(self, interval: Interval | ArmsInterval) -> None:
        """Make a point for the trial, and one for each arm that is in the interval."""
        if not isinstance(interval, ArmsInterval):
            raise TypeError(f"interval {interval.sequence} is of no trial")
        verdict, at, step = self._fold.numbers(), interval.closed_at, interval.step
        arms, off_by = {arm.arm: arm for arm in verdict.arms}, self._fold.off_by()
        self._arms.append(
            {
                counts.arm: ArmPoint(
                    at=at,
                    step=step,
                    counts=counts,
                    verdict=arms[counts.arm],
                    off_by=off_by.get(counts.arm),
                )
                for counts in of_arms(interval, self._trial.reward).arms
            }
        )
        self._moments.append(
            TrialPoint(
                at=at,
                step=step,
                outcome=verdict.outcome,
                winner=verdict.winner,
                split=verdict.split,
                strongest=_strongest(verdict),
                alike=_alike(verdict),
            )
        )

    def series(self, places: Sequence[int]) -> TrialSeries:
        needed = self._fold.numbers()
        return TrialSeries(
            odds_needed=needed.odds_needed,
            margin_odds_needed=needed.margin_odds_needed,
            arms=tuple(
                ArmSeries(
                    arm=arm,
                    points=tuple(
                        self._arms[place][arm] for place in places if arm in self._arms[place]
                    ),
                )
                for arm in self._trial.arms
            ),
            points=tuple(self._moments[place] for place in places),
        )


def _strongest(verdict: TrialVerdict) -> PairVerdict | None:
    beaten = (
        PairVerdict(better=arm.beaten_by, other=arm.arm, odds=arm.beaten_at_odds)
        for arm in verdict.arms
        if arm.beaten_by is not None and arm.beaten_at_odds is not None
    )
    return max(verdict.pairs or beaten, key=lambda pair: pair.odds, default=None)


def _alike(verdict: TrialVerdict) -> float | None:
    within = (pair.within_margin for pair in verdict.pairs if pair.within_margin is not None)
    return min(within, default=None)
