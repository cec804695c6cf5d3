"""Where the evidence of a rollout comes from and is kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from domain.evidence.baseline import Baseline, History
from domain.evidence.counters import ArmsCursor, Cursor, Reading, Series
from domain.evidence.intervals import ArmsInterval, Interval
from domain.gates import Source
from domain.meters import Meter
from domain.traffic import Place, Route
from domain.trial import RewardCounters


class CounterSource(Protocol):
    """Reads raw counters: the gateway's of places of a route, all others' of workloads."""

    async def read(
        self, route: Route, source: Source, *, candidate: Place, stable: Place, window: timedelta
    ) -> Reading:
        """The samples of the last `window` of each. Raises Unreachable when the store is down."""

    async def read_arms(
        self,
        route: Route,
        source: Source,
        *,
        arms: Mapping[str, Sequence[Place]],
        window: timedelta,
    ) -> dict[str, tuple[Series, ...]]:
        """As `read`, for any number of arms, each of which may be counted at several places."""

    async def read_workloads(
        self, route: Route, meter: Meter, *, workloads: Mapping[str, str], window: timedelta
    ) -> dict[str, tuple[Series, ...]]:
        """The samples of the last `window` of each arm, by the workload that serves it.

        `meter` is none of the gateway's. An arm without a series was not counted yet. Raises
        Unreachable when the store is down, Refused when it calls the query wrong.
        """

    async def read_rewards(
        self, counters: RewardCounters, *, workloads: Mapping[str, str], window: timedelta
    ) -> dict[str, tuple[Series, ...]]:
        """What users of the answers have counted for each arm, by the workload that serves it."""


class StableHistory(Protocol):
    """Reads what stable did before a rollout's evidence begins."""

    async def read(
        self, route: Route, source: Source, *, stable: Place, window: timedelta
    ) -> History:
        """The samples of the last `window`, pod by pod where the source tells pods apart.

        Raises Unreachable when the store is down, Refused when it will not answer such a question.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterLog:
    """The stream of one meter beside the gateway's."""

    intervals: tuple[Interval, ...]
    cursor: Cursor | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceLog:
    """What a rollout's gates have seen so far, and where the counters stood at the last look.

    `intervals` are the gateway's; `meters` has the streams of others by the meter's name. Those of
    a trial are all of its arms', those of any other rollout the candidate's and stable's.
    `baseline` is None where none was measured: the rollout began before there were any.
    """

    intervals: tuple[Interval | ArmsInterval, ...]
    cursor: Cursor | ArmsCursor | None
    baseline: Baseline | None = None
    meters: Mapping[str, MeterLog] = field(default_factory=dict)


class EvidenceStore(Protocol):
    async def load(self, rollout_id: UUID) -> EvidenceLog: ...

    async def size(self, rollout_id: UUID) -> int:
        """How many intervals `load` gives, of all meters; cheap, however many they are."""

    async def append(
        self,
        rollout_id: UUID,
        *,
        interval: Interval | ArmsInterval | None,
        cursor: Cursor | ArmsCursor,
        meter: str = "",
    ) -> None:
        """Keep an interval and the cursor behind it, both or neither.

        Each meter has a stream of its own, which is never a trial's, but for the gateway's (the
        empty name). An interval whose sequence in it is taken raises Contended: a second watcher is
        at work.
        """

    async def keep_baseline(self, rollout_id: UUID, baseline: Baseline) -> Baseline:
        """Keep what was measured before the first interval; the first to write wins.

        Returns the one that stands: who comes later goes by that.
        """
