"""What a ledger keeps: the pair of a candidate and stable, or all arms of a trial."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from domain.evidence.allocation import next_allocation
from domain.evidence.baseline import Baseline
from domain.evidence.counters import ArmsCursor, Cursor, Series, advance, advance_arms
from domain.evidence.intervals import ArmsInterval, Interval
from domain.evidence.judge import Judge
from domain.evidence.trial import TrialJudge
from domain.evidence.trial_intervals import TrialInterval, of_arms
from domain.evidence_port import CounterSource
from domain.gates import Source
from domain.plan import Plan, Variant
from domain.progress import Progress
from domain.steps import Soak
from domain.traffic import Place
from domain.trial import Trial
from domain.trial_verdicts import TrialVerdict
from domain.verdicts import Verdict

AnyInterval = Interval | ArmsInterval
AnyCursor = Cursor | ArmsCursor
SAMPLES_READ, READ_AT_LEAST = 4, timedelta(seconds=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One reading taken in: the interval that it closed, the cursor behind it, when was scraped."""

    interval: AnyInterval | None
    cursor: AnyCursor
    times: tuple[float, ...]


class Book(ABC):
    """The fold over one rollout's intervals."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    @abstractmethod
    async def look(
        self,
        counters: CounterSource,
        progress: Progress,
        cursor: AnyCursor | None,
        sequence: int,
        division: int,
    ) -> Look:
        """Read the counters once. Changes nothing here."""

    @abstractmethod
    def add(self, interval: AnyInterval, meter: str = "") -> None:
        """Take the next interval of a meter in; without a name it is the gateway's."""

    @abstractmethod
    def verdicts(self, progress: Progress) -> tuple[Verdict, ...]:
        """One verdict a gate, of each challenger that is judged where the walk is."""

    def trial(self, progress: Progress) -> TrialVerdict | None:  # noqa: ARG002 - a pair has none
        return None

    def due(self, progress: Progress, now: datetime) -> Mapping[str, int] | None:  # noqa: ARG002
        """The weights that all arms of a trial should have by now; None: those that they have."""
        return None


def window_of(plan: Plan) -> timedelta:
    """How far back counters are read: some probes, in case one comes late."""
    return max(plan.policies.probe_interval * SAMPLES_READ, READ_AT_LEAST)


class PairBook(Book):
    """The candidate beside stable."""

    def __init__(self, plan: Plan, baseline: Baseline) -> None:
        super().__init__(plan)
        self._judge = Judge(
            plan.gates,
            baseline=baseline,
            warm_up=plan.policies.warm_up,
            margins=plan.margins,
        )

    async def look(
        self,
        counters: CounterSource,
        progress: Progress,
        cursor: AnyCursor | None,
        sequence: int,
        division: int,
    ) -> Look:
        plan, soak = self._plan, self._plan.steps[progress.step]
        reading = await counters.read(
            plan.route,
            Source.ENVOY,
            candidate=plan.candidate_at(progress.step),
            stable=Place(position=plan.stable.slot),
            window=window_of(self._plan),
        )
        interval, behind = advance(
            cursor if isinstance(cursor, Cursor) else None,
            reading,
            sequence=sequence,
            step=progress.step,
            weight=soak.weight if isinstance(soak, Soak) else 0,
            division=division,
        )
        times = _times((*reading.candidate, *reading.stable))
        return Look(interval=interval, cursor=behind, times=times)

    def add(self, interval: AnyInterval, meter: str = "") -> None:
        if not isinstance(interval, Interval):
            raise TypeError(f"interval {interval.sequence} is of a trial")
        self._judge.add(interval, meter)

    def verdicts(self, progress: Progress) -> tuple[Verdict, ...]:
        return self._judge.verdicts(progress.step)


class TrialBook(Book):
    """All arms of a trial: each challenger beside stable for its gates, all by their reward."""

    def __init__(self, plan: Plan, trial: Trial, baseline: Baseline) -> None:
        super().__init__(plan)
        self._trial, warm_up = trial, plan.policies.warm_up
        self._judges = {
            one.name: Judge(plan.gates, baseline=baseline, warm_up=warm_up, checks_split=False)
            for one in plan.challengers
        }
        self._fold = TrialJudge(trial.arms, trial.reward, trial.rules, phi=trial.phi)
        self._seen: list[TrialInterval] = []

    async def look(
        self,
        counters: CounterSource,
        progress: Progress,
        cursor: AnyCursor | None,
        sequence: int,
        division: int,
    ) -> Look:
        plan = self._plan
        reading = await self._read(counters, progress)
        interval, behind = advance_arms(
            cursor if isinstance(cursor, ArmsCursor) else None,
            reading,
            sequence=sequence,
            step=progress.step,
            division=division,
            weights=plan.weights_under(progress.traffic_in(plan)),
        )
        times = _times(series for listed in reading.values() for series in listed)
        return Look(interval=interval, cursor=behind, times=times)

    async def _read(
        self, counters: CounterSource, progress: Progress
    ) -> Mapping[str, tuple[Series, ...]]:
        plan, reward, present = self._plan, self._trial.reward, list(self._present(progress))
        reading = await counters.read_arms(
            plan.route,
            reward.source,
            arms={one.name: plan.places_of(one) for one in present},
            window=window_of(self._plan),
        )
        if reward.counters is None:
            return reading
        rewarded = await counters.read_rewards(
            reward.counters,
            workloads={one.name: one.workload.name for one in present},
            window=window_of(self._plan),
        )
        return {name: (*series, *rewarded[name]) for name, series in reading.items()}

    def add(self, interval: AnyInterval, meter: str = "") -> None:
        if not isinstance(interval, ArmsInterval) or meter:
            raise TypeError(f"interval {interval.sequence} is of no trial")
        for name, judge in self._judges.items():
            if (pair := interval.pair(name, self._plan.stable.name)) is not None:
                judge.add(pair)
        rewarded = of_arms(interval, self._trial.reward)
        self._fold.add(rewarded)
        if self._trial.allocation is not None:
            self._seen.append(rewarded)

    def verdicts(self, progress: Progress) -> tuple[Verdict, ...]:
        return tuple(
            replace(verdict, variant=name)
            for name in progress.arms_in(self._plan)
            for verdict in self._judges[name].verdicts(progress.step)
        )

    def trial(self, progress: Progress) -> TrialVerdict:
        return self._fold.verdict(left=progress.traffic_in(self._plan).left)

    def due(self, progress: Progress, now: datetime) -> Mapping[str, int] | None:
        rules = self._trial.allocation
        if rules is None:
            return None
        present = [one.name for one in self._present(progress)]
        return next_allocation(self._seen, present, self._trial.reward, rules, now)

    def _present(self, progress: Progress) -> Iterator[Variant]:
        """Those that get traffic, in the trial's order."""
        left = progress.traffic_in(self._plan).left
        known = {one.name: one for one in (self._plan.stable, *self._plan.challengers)}
        return (known[name] for name in self._trial.arms if name not in left)


def book_of(plan: Plan, baseline: Baseline) -> Book:
    if plan.trial is None:
        return PairBook(plan, baseline)
    return TrialBook(plan, plan.trial, baseline)


def _times(series: Iterable[Series]) -> tuple[float, ...]:
    """When the series that was scraped last was scraped."""
    sampled = (each.samples for each in series if each.samples)
    newest = max(sampled, key=lambda samples: samples[-1][0], default=())
    return tuple(at for at, _ in newest)
