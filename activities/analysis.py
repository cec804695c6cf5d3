"""The watch over a soak: counters become intervals, intervals verdicts, verdicts a decision."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from temporalio import activity

from activities.heartbeats import say
from domain.decision import Hold, Progress, Seen, decide
from domain.errors import Contended, Refused, TransientError
from domain.evidence.counters import Cursor, advance
from domain.evidence.intervals import Interval
from domain.evidence.judge import Judge
from domain.plan import Plan, Soak
from domain.ports import CounterSource, EvidenceStore, Journal, TrafficRouter, WorkloadRuntime
from domain.rollout import Entry, EventKind
from domain.verdicts import Status, Verdict
from domain.workloads import Workload, WorkloadPhase

# Looks at the cluster are cheaper than drift is harmful: at least this often, whatever the probes.
CLUSTER_LOOK = timedelta(seconds=2)
# So many probes without a fresh sample make the metrics unavailable, not the candidate bad.
STALE_PROBES = 3
STALE_AT_LEAST = timedelta(seconds=10)
MIN_NAP = 0.05
# A week of intervals takes seconds to fold: heartbeats must get through meanwhile.
YIELD_EVERY = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchOrder:
    """Watch the soak that `progress` is in; come back by `report_at` even if nothing happened."""

    rollout_id: UUID
    plan: Plan
    progress: Progress
    report_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchPorts:
    """All that a watcher looks at and writes to."""

    counters: CounterSource
    evidence: EvidenceStore
    runtime: WorkloadRuntime
    router: TrafficRouter
    journal: Journal


class AnalysisActivities:
    def __init__(self, ports: WatchPorts) -> None:
        self._ports = ports

    @activity.defn(name="analysis.watch")
    async def watch(self, order: WatchOrder) -> Seen:
        """Return what is seen as soon as it calls for something other than holding.

        May be cut off and started again anywhere: its state is the stored intervals.
        """
        watcher = Watcher(order, self._ports)
        await watcher.open()
        probe = order.plan.policies.probe_interval.total_seconds()
        while True:
            seen = await watcher.look()
            say(_headline(seen.verdicts))
            now = datetime.now(UTC)
            decision = decide(order.plan, replace(order.progress, seen=seen), now)
            if not isinstance(decision, Hold) or now >= order.report_at:
                return seen
            nap = min(probe, (decision.until - now).total_seconds())
            await asyncio.sleep(max(nap, MIN_NAP))


class Watcher:
    """One life of a watch. `look` may be called for ever."""

    def __init__(self, order: WatchOrder, ports: WatchPorts) -> None:
        self._order, self._plan, self._ports = order, order.plan, ports
        self._step = order.progress.step
        self._judge = Judge(self._plan.gates)
        self._cursor: Cursor | None = None
        self._sequence = 0
        self._fresh_at = datetime.now(UTC)
        self._seen = self._told = order.progress.seen
        self._cluster_look_at = datetime.min.replace(tzinfo=UTC)

    async def open(self) -> None:
        """Take up where the stored intervals end."""
        if not self._plan.gates:
            return
        log = await self._ports.evidence.load(self._order.rollout_id)
        self._judge = Judge(self._plan.gates)
        for interval in log.intervals:
            self._judge.add(interval)
            if interval.sequence % YIELD_EVERY == 0:
                await asyncio.sleep(0)
        self._sequence = len(log.intervals)
        self._cursor = log.cursor  # of an earlier step: it opens anew, and knows every series

    async def look(self) -> Seen:
        """Probe once: the counters, and the cluster if its turn has come."""
        if self._plan.gates:
            self._seen = await self._look_at_metrics()
        now = datetime.now(UTC)
        if now >= self._cluster_look_at:
            self._cluster_look_at = now + CLUSTER_LOOK
            self._seen = await self._look_at_cluster()
        await self._tell(now)
        return self._seen

    async def _look_at_metrics(self) -> Seen:
        try:
            interval = await self._read()
        except Contended:  # another watcher of this rollout stored first: take up behind it
            await self.open()
            return self._seen
        except (TransientError, Refused) as error:
            return self._without_metrics(str(error))
        now = datetime.now(UTC)
        if interval is not None:
            self._fresh_at = now
            self._judge.add(interval)
        stale = max(self._plan.policies.probe_interval * STALE_PROBES, STALE_AT_LEAST)
        if now - self._fresh_at > stale:
            return self._without_metrics(
                f"no fresh sample of both variants since {self._fresh_at:%H:%M:%S} UTC"
            )
        verdicts = self._judge.verdicts(self._step)
        return replace(self._seen, verdicts=verdicts, unavailable_since=None)

    async def _read(self) -> Interval | None:
        """Read the counters, store what they add, and hand it over once it is stored."""
        reading = await self._ports.counters.read(
            self._plan.route,
            self._plan.gates[0].source,
            candidate=self._plan.candidate.slot,
            stable=self._plan.stable.slot,
            window=self._window(),
        )
        soak = self._plan.steps[self._step]
        weight = soak.weight if isinstance(soak, Soak) else 0
        interval, cursor = advance(
            self._cursor, reading, sequence=self._sequence, step=self._step, weight=weight
        )
        if cursor != self._cursor:
            await self._ports.evidence.append(
                self._order.rollout_id, interval=interval, cursor=cursor
            )
        self._cursor = cursor
        self._sequence += interval is not None
        return interval

    def _window(self) -> timedelta:
        """Far enough back to meet the cursor: only the newest sample matters beyond it."""
        return max(self._plan.policies.probe_interval * 4, timedelta(seconds=10))

    def _without_metrics(self, reason: str) -> Seen:
        since = self._seen.unavailable_since or datetime.now(UTC)
        known = self._judge.verdicts(self._step)
        failed = {v.gate: v for v in known if v.status is Status.FAIL}
        verdicts = tuple(
            failed.get(gate.name)
            or Verdict(
                gate=gate.name,
                status=Status.UNAVAILABLE,
                reason=f"The metrics are unavailable since {since:%H:%M:%S} UTC: {reason}",
            )
            for gate in self._plan.gates
        )
        return replace(self._seen, verdicts=verdicts, unavailable_since=since)

    async def _look_at_cluster(self) -> Seen:
        """See both workloads and the route. A cluster that does not answer changes nothing."""
        plan, router = self._plan, self._ports.router
        soak = plan.steps[self._step]
        try:
            candidate = await self._unfit(plan.candidate.workload)
            stable = await self._unfit(plan.stable.workload, bring_up=True)
            drift = (
                await router.drift(plan.route, plan.slots_at(soak.weight))
                if isinstance(soak, Soak)
                else None
            )
        except TransientError:
            return self._seen
        return replace(
            self._seen,
            candidate_not_ready=candidate,
            stable_not_ready=stable,
            drift=str(drift) if drift and not drift.is_ours else "",
            displaced=str(drift) if drift and drift.is_ours else "",
        )

    async def _unfit(self, workload: Workload, *, bring_up: bool = False) -> str:
        """Say why a workload cannot serve; nothing where it can."""
        status = await self._ports.runtime.status(workload)
        if status.phase is WorkloadPhase.MISSING and bring_up:
            await self._ports.runtime.deploy(workload)
        if status.phase is WorkloadPhase.READY:
            return ""
        return f"{workload.name} is {status.phase}: {status.reason}"

    async def _tell(self, now: datetime) -> None:
        """Record what is new. A registry that is away hears it later: watching goes on."""
        entries = tuple(_news(self._told, self._seen, self._step, self._sequence, now))
        if not entries:
            return
        with suppress(TransientError):
            await self._ports.journal.record(self._order.rollout_id, entries)
            self._told = self._seen


def _news(before: Seen, after: Seen, step: int, sequence: int, now: datetime) -> list[Entry]:
    """What changed between two looks, as lines of the rollout's history."""
    key = f"{step}/{sequence}"
    entries: list[Entry] = []
    known = {v.gate: v.status for v in before.verdicts}
    if after.unavailable_since and not before.unavailable_since:
        reason = after.verdicts[0].reason
        entries.append(_entry(f"lost/{key}/{now.timestamp()}", EventKind.METRICS_LOST, reason, now))
    if before.unavailable_since and not after.unavailable_since:
        away = round((now - before.unavailable_since).total_seconds())
        text = f"The metrics are back after {away} s; the evidence goes on where it stood"
        entries.append(_entry(f"back/{key}/{now.timestamp()}", EventKind.METRICS_BACK, text, now))
    for verdict in after.verdicts:
        if verdict.status is not known.get(verdict.gate) and not after.unavailable_since:
            name = f"verdict/{verdict.gate}/{key}/{verdict.status}"
            text = f"{verdict.gate}: {verdict.status}. {verdict.reason}"
            entries.append(
                replace(_entry(name, EventKind.VERDICT, text, now), data={"verdict": verdict})
            )
    for kind, was, found in (
        ("drift", before.drift, after.drift),
        ("stable", before.stable_not_ready, after.stable_not_ready),
    ):
        if found and found != was:
            entries.append(_entry(f"{kind}/{key}/{now.timestamp()}", EventKind.DRIFTED, found, now))
    return [replace(entry, step=step) for entry in entries]


def _entry(key: str, kind: EventKind, message: str, at: datetime) -> Entry:
    return Entry(key=key, kind=kind, message=message, at=at)


def _headline(verdicts: tuple[Verdict, ...]) -> str:
    return " · ".join(f"{v.gate}: {v.status}. {v.reason}" for v in verdicts)
