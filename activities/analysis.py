"""The watch over a soak: counters become intervals, intervals verdicts, verdicts a decision."""

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from temporalio import activity

from activities.comparing import Beside, ComparingPorts, comparing
from activities.gauges import EvidenceGauges, evidence_gauges
from activities.heartbeats import say, still_wanted
from activities.ledger import Ledger
from activities.reading import ReadingPorts, Readings, reading
from domain.decision import decide
from domain.errors import NO_ANSWER, PermanentError, TransientError
from domain.evidence_port import CounterSource, EvidenceStore, StableHistory
from domain.plan import Plan, Variant
from domain.ports import Journal, TrafficRouter, WorkloadRuntime
from domain.progress import ActState, Hold, Progress, Seen
from domain.rollout import Entry, EventKind
from domain.silence import silent_since, stale_after
from domain.traffic import Drift
from domain.verdicts import Status, Verdict
from domain.workloads import Workload, WorkloadPhase

# With each probe, but no more often than this: a look at the cluster costs half as much as a probe.
CLUSTER_LOOK = timedelta(seconds=2)
# However seldom the probes are: what somebody else changes is to be noticed within 10 seconds.
CLUSTER_LOOK_AT_LEAST = timedelta(seconds=8)
MIN_NAP = timedelta(milliseconds=50)


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
    history: StableHistory
    evidence: EvidenceStore
    runtime: WorkloadRuntime
    router: TrafficRouter
    journal: Journal
    comparing: ComparingPorts
    reading: ReadingPorts


class AnalysisActivities:
    def __init__(self, ports: WatchPorts) -> None:
        self._ports = ports

    @activity.defn(name="analysis.watch")
    async def watch(self, order: WatchOrder) -> Seen:
        """Return what is seen as soon as it calls for something other than holding.

        May be cut off and started again anywhere: its state is the stored intervals.
        """
        rollout, plan, progress, ports = order.rollout_id, order.plan, order.progress, self._ports
        async with (
            comparing(rollout, plan, progress.step, ports.comparing) as answers,
            reading(rollout, plan, progress, ports.reading) as readings,
        ):
            beside: Beside = lambda seen: answers(readings.beside(seen))  # noqa: E731
            watcher = Watcher(order, ports, beside)
            with evidence_gauges(plan) as gauges:
                return await self._watch(order, watcher, readings, gauges)

    async def _watch(
        self, order: WatchOrder, watcher: "Watcher", readings: Readings, gauges: EvidenceGauges
    ) -> Seen:
        # By the engine's clock, as the workflow goes by that: ours may be behind it.
        started_at, began = activity.info().started_time, time.monotonic()
        while True:
            seen = await watcher.look()
            # From its end on: where every look took long, none would ever be new enough.
            seen = replace(seen, at=started_at + timedelta(seconds=time.monotonic() - began))
            say(watcher.headline)
            gauges.tell(seen.verdicts)
            now = datetime.now(UTC)
            decision = decide(order.plan, replace(order.progress, seen=seen), now)
            if not isinstance(decision, Hold) or now >= order.report_at:
                return seen
            if asks_anew(decision, order.progress):
                return seen
            nap = min(watcher.nap(now), decision.until - now)
            await readings.nap(max(nap, MIN_NAP))


def asks_anew(hold: Hold, progress: Progress) -> bool:
    """Whether the workflow must hear at once for which step the fleet is to be asked.

    Evidence that is lost again while the fleet holds the rollout is told with the next report:
    where it comes and goes, each change would add a watch and a question to the history. Leave
    makes the workflow look again, and goes back where that finds nothing to go on for.
    """
    if hold.clears is None and progress.cleared is None:
        return False
    return hold.clears != progress.asking


class Watcher:
    """One life of a watch. `look` may be called for ever."""

    def __init__(
        self, order: WatchOrder, ports: WatchPorts, answers: Beside = lambda seen: seen
    ) -> None:
        self._answers = answers
        self._order, self._plan, self._ports = order, order.plan, ports
        self._step = order.progress.step
        self._ledger = Ledger(order.plan, ports.counters, ports.evidence, ports.history)
        self._began_at = datetime.now(UTC)
        self._seen = self._told = order.progress.seen
        self._unanswered = ""
        self._probe_at = self._cluster_looked_at = datetime.min.replace(tzinfo=UTC)

    async def look(self) -> Seen:
        """Look at what is due: the cluster first, which tells whose traffic the counters count."""
        now = datetime.now(UTC)
        if now >= self._cluster_looked_at + CLUSTER_LOOK:
            self._cluster_looked_at = now
            self._seen = await self._look_at_cluster()
        if now >= self._probe_at:
            if self._plan.is_counted_at(self._step):
                self._seen = await self._look_at_metrics()
            now = datetime.now(UTC)
            self._probe_at = now + self._ledger.nap(now)
        self._seen = self._with_silences(self._answers(self._seen), now)
        await self._tell(now)
        return self._seen

    @property
    def headline(self) -> str:
        """What the last look has found, in a line for people."""
        trial = None if self._seen.trial is None else self._seen.trial.reason
        told = (f"{v.named}: {v.status}. {v.reason}" for v in self._seen.verdicts)
        return " · ".join(filter(None, (self._unanswered, trial, *told)))

    def nap(self, now: datetime) -> timedelta:
        """How long until the next look."""
        return min(self._probe_at, self._cluster_looked_at + CLUSTER_LOOK_AT_LEAST) - now

    async def _look_at_metrics(self) -> Seen:
        rollout, progress, seen = self._order.rollout_id, self._order.progress, self._seen
        is_moved = bool(seen.drift or seen.displaced)
        is_ours = not is_moved and progress.acted.state is not ActState.DISOBEYED
        try:
            is_fresh = await self._ledger.read(rollout, progress, is_ours=is_ours)
        except NO_ANSWER as error:
            return self._without_metrics(str(error))
        now, fresh_at = datetime.now(UTC), self._ledger.fresh_at
        stale = stale_after(self._plan.policies.probe_interval)
        # Once away, the metrics are back with the first fresh sample: a store that has just come up
        # answers for some seconds with what it knew before.
        still_away = self._seen.unavailable_since is not None and not is_fresh
        if still_away or now - fresh_at > stale:
            return self._without_metrics(
                f"no fresh sample of both variants since {fresh_at:%H:%M:%S} UTC"
            )
        return replace(
            self._seen,
            verdicts=self._ledger.verdicts(progress),
            unavailable_since=None,
            trial=self._ledger.trial(progress) or self._seen.trial,
            due=self._ledger.due(progress, now),
        )

    def _without_metrics(self, reason: str) -> Seen:
        since = self._away_since()
        verdicts = tuple(
            verdict
            if verdict.status is Status.FAIL
            else Verdict(
                gate=verdict.gate,
                variant=verdict.variant,
                status=Status.UNAVAILABLE,
                reason=f"The metrics are unavailable since {since:%H:%M:%S} UTC: {reason}",
            )
            for verdict in self._ledger.verdicts(self._order.progress)
        )
        return replace(self._seen, verdicts=verdicts, unavailable_since=since, due=None)

    def _away_since(self) -> datetime:
        """Since when the metrics are away, which cannot be had now.

        What a watch missed that was cut off is known to nobody; that they were last heard before it
        is stored. So once this one has listened in vain for long enough, they are away since then:
        the policy's clock must not start anew with each watch. Before its soak nobody listened.
        """
        now, fresh_at = datetime.now(UTC), self._ledger.fresh_at
        since = self._seen.unavailable_since or now
        if now - max(self._began_at, fresh_at) <= stale_after(self._plan.policies.probe_interval):
            return since
        return min(since, max(fresh_at, self._order.progress.acted.at))

    def _with_silences(self, seen: Seen, now: datetime) -> Seen:
        """What is seen, with since when gates are unavailable."""
        gates = {gate.name for gate in self._plan.all_gates}
        silent_or_not = [verdict for verdict in seen.verdicts if verdict.gate in gates]
        is_patient = now - self._began_at <= stale_after(self._plan.policies.probe_interval)
        since = silent_since(seen.silent_since, silent_or_not, now, is_patient=is_patient)
        return replace(seen, silent_since=since)

    async def _look_at_cluster(self) -> Seen:
        """See both workloads and the route. A cluster that does not answer changes nothing."""
        plan = self._plan
        try:
            unfit = {one.name: await self._unfit(one.workload) for one in self._challengers}
            stable = await self._unfit(plan.stable.workload, bring_up=True)
            drift = await self._drift()
        except NO_ANSWER as error:
            self._unanswered = f"the cluster cannot be looked at: {error}"
            return self._seen
        self._unanswered = ""
        return replace(
            self._seen,
            candidate_not_ready=unfit.get(plan.candidate.name, ""),
            stable_not_ready=stable,
            drift=str(drift) if drift and not drift.is_ours else "",
            displaced=str(drift) if drift and drift.is_ours else "",
            unfit={name: why for name, why in unfit.items() if why and plan.trial is not None},
        )

    @property
    def _challengers(self) -> tuple[Variant, ...]:
        """Those that are to serve: of a trial, who has not left it."""
        if self._plan.trial is None:
            return (self._plan.candidate,)
        present = self._order.progress.arms_in(self._plan)
        return tuple(one for one in self._plan.challengers if one.name in present)

    async def _drift(self) -> Drift | None:
        """What somebody else has changed: of the traffic first, then of who serves it."""
        plan, ports = self._plan, self._ports
        traffic = self._order.progress.traffic_in(plan)
        moved = await ports.router.drift(
            plan.route, plan.slots_under(traffic), plan.extras_of(traffic)
        )
        if moved is not None:
            return moved
        for one in self._challengers:
            scaled = plan.replicas_at(self._step) if plan.trial is None else None
            if (changed := await ports.runtime.drift(one.workload, scaled)) is not None:
                return changed
        return await ports.runtime.drift(plan.stable.workload, None)

    async def _unfit(self, workload: Workload, *, bring_up: bool = False) -> str:
        """Say why a workload cannot serve; nothing where it can."""
        status = await self._ports.runtime.status(workload)
        if status.phase is WorkloadPhase.READY:
            return ""
        said = f"{workload.name} is {status.phase}: {status.reason}"
        if status.phase is WorkloadPhase.MISSING and bring_up:
            await still_wanted()  # what nobody watches any more may be meant to go
            try:
                await self._ports.runtime.deploy(workload)
            except PermanentError as error:  # it is missing all the same: nothing may go on
                return f"{said}; {error}"
        return said

    async def _tell(self, now: datetime) -> None:
        """Record what is new. A registry that is away hears it later: watching goes on."""
        entries = tuple(_news(self._told, self._seen, self._step, self._ledger.sequence, now))
        if not entries:
            return
        with suppress(TransientError):
            await self._ports.journal.record(self._order.rollout_id, entries)
            self._told = self._seen


def _news(before: Seen, after: Seen, step: int, sequence: int, now: datetime) -> list[Entry]:
    """What changed between two looks, as lines of the rollout's history."""
    key = f"{step}/{sequence}"
    entries: list[Entry] = []
    known = {(v.variant, v.gate): _standing(v) for v in before.verdicts}
    if after.unavailable_since and not before.unavailable_since:
        reason = next((v.reason for v in after.verdicts), "The metrics are unavailable")
        entries.append(_entry(f"lost/{key}/{now.timestamp()}", EventKind.METRICS_LOST, reason, now))
    if before.unavailable_since and not after.unavailable_since:
        away = round((now - before.unavailable_since).total_seconds())
        text = f"The metrics are back after {away} s; the evidence goes on where it stood"
        entries.append(_entry(f"back/{key}/{now.timestamp()}", EventKind.METRICS_BACK, text, now))
    for verdict in after.verdicts:
        is_new = _standing(verdict) != known.get((verdict.variant, verdict.gate))
        is_silent = after.unavailable_since and verdict.status is Status.UNAVAILABLE
        if is_new and not is_silent:
            what = verdict.named
            # Readings come in while no interval closes, and may change it back and forth meanwhile.
            doubt = "/doubt" if verdict.doubt else ""
            name = f"verdict/{what}/{key}/{verdict.look}/{verdict.status}{doubt}"
            text = f"{what}: {verdict.status}. {verdict.reason}"
            entries.append(
                replace(_entry(name, EventKind.VERDICT, text, now), data={"verdict": verdict})
            )
    trial, outcome = after.trial, before.trial and before.trial.outcome
    if trial is not None and trial.outcome is not outcome:
        name, text = f"trial/{key}/{trial.outcome}", f"trial: {trial.outcome}. {trial.reason}"
        told = _entry(name, EventKind.VERDICT, text, now)
        entries.append(replace(told, data={"trial": trial}))
    for kind, was, found in (
        ("drift", before.drift, after.drift),
        ("stable", before.stable_not_ready, after.stable_not_ready),
    ):
        if found and found != was:
            entries.append(_entry(f"{kind}/{key}/{now.timestamp()}", EventKind.DRIFTED, found, now))
    return [replace(entry, step=step) for entry in entries]


def _standing(verdict: Verdict) -> tuple[Status, bool]:
    """What of a verdict is told anew when it changes: its numbers change with every probe."""
    return verdict.status, bool(verdict.doubt)


def _entry(key: str, kind: EventKind, message: str, at: datetime) -> Entry:
    return Entry(key=key, kind=kind, message=message, at=at)
