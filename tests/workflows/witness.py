"""A witness on the stage: sees each call of the ports and each look, and makes some of them fail."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

from activities.analysis import WatchOrder
from activities.shares import SharesOrder
from activities.traffic import SettleOrder
from domain.comparison import ANSWERS
from domain.decision import decide
from domain.errors import FencedOut, TidegateError
from domain.hooks import Hook
from domain.notices import Answer, Notice, Said
from domain.plan import Plan
from domain.progress import Acted, ActState, Hold, Seen
from domain.reading_gates import AnyGate
from domain.traffic import Extras, Slots
from domain.trial import Trial
from domain.verdicts import Status, Verdict
from domain.workloads import Workload, WorkloadPhase, WorkloadStatus
from tests.fakes.router import Write
from tests.fakes.runtime import READY
from tests.plans import verdict
from tests.workflows.stage import Stage, acted, done
from tests.workflows.trial_script import TrialScript

LOADING = WorkloadStatus(phase=WorkloadPhase.LOADING, reason="it has restarted")
LOOKS_A_REPORT = 4
PORTS = {
    "router": ("connect", "disconnect", "observe", "write"),
    "runtime": ("deploy", "status", "scale", "remove"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A write of the route; `ready` are those that were seen ready since the write before it."""

    write: Write
    ready: frozenset[str]


@dataclass(slots=True, kw_only=True)
class Watched:
    """A watch and what it returned; None where it was cut off."""

    run_id: str
    order: WatchOrder
    returned: Seen | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """A removal: what the route and the journal said at that moment."""

    workload: str
    weights: tuple[int, ...]
    told: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class Fault:
    """The next call fails; if `late`, after it has done its work: the answer is lost."""

    error: TidegateError
    late: bool = False


@dataclass(slots=True)
class Witness:
    """`mood` is what every gate says; `settling` the next answers about weights that are seen.

    `script` is what the arms of a trial show beside that.
    """

    stage: Stage
    rng: Random
    script: TrialScript
    mood: Status = Status.UNDECIDED
    settling: list[ActState] = field(default_factory=list)
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    unready: set[str] = field(default_factory=set)
    written: list[Written] = field(default_factory=list)
    watched: list[Watched] = field(default_factory=list)
    settled: list[tuple[SettleOrder | SharesOrder, Acted]] = field(default_factory=list)
    removed: list[Removed] = field(default_factory=list)
    yeses: set[tuple[str, int]] = field(default_factory=set)
    joined: set[tuple[str, int | None]] = field(default_factory=set)
    calls: int = 0
    _ready: set[str] = field(default_factory=set)
    _soaks: dict[datetime, float] = field(default_factory=dict)

    def attend(self) -> None:
        """Stand between the activities and the fakes from now on."""
        stage = self.stage
        for port, names in PORTS.items():
            fake = getattr(stage, port)
            for name in names:
                setattr(fake, name, self._seen(name, getattr(fake, name)))
        stage.notifier.call = self._hooked(stage.notifier.call)  # type: ignore[method-assign] # it stands between
        stage.settles, stage.analysis.report = self._settle, self._watch

    def calm(self) -> None:
        """No more trouble: whatever is asked now works."""
        self.faults.clear()
        self.settling.clear()
        for name in sorted(self.unready):
            self.recovers(name)
        self.stage.journal.trouble = None

    def stumbles(self, name: str) -> None:
        self.unready.add(name)
        self.stage.runtime.script(name, LOADING)

    def recovers(self, name: str) -> None:
        self.unready.discard(name)
        self.stage.runtime.script(name, READY)

    def _seen(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        async def seen(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            await asyncio.sleep(self.rng.choice([0, 0, 0.002, 0.01]))
            fault = self._fault(name)
            if fault and not fault.late:
                raise fault.error
            answer = await self._witnessed(name, call, args, kwargs)
            if fault:
                raise fault.error
            await asyncio.sleep(self.rng.choice([0, 0, 0.005]))
            return answer

        return seen

    def _hooked(self, call: Callable[..., Any]) -> Callable[..., Any]:
        async def hooked(hook: Hook, notice: Notice) -> Answer:
            answer: Answer = await call(hook, notice)
            if answer.said is Said.YES:
                self.yeses.add((hook.name, notice.situation.step))
            return answer

        return hooked

    def _fault(self, name: str) -> Fault | None:
        planned = self.faults.get(name)
        return planned.pop(0) if planned else None

    async def _witnessed(self, name: str, call: Any, args: Any, kwargs: Any) -> Any:
        """Do it, and take down how things stood; nothing else happens in between."""
        stage, writes = self.stage, len(self.stage.router.writes)
        if name == "remove":
            self.removed.append(
                Removed(
                    workload=args[0].name,
                    weights=stage.router.weights(stage.plan.route),
                    told=tuple(map(str, stage.journal.kinds)),
                )
            )
        answer = await call(*args, **kwargs)
        if name == "status" and answer.phase is WorkloadPhase.READY:
            self._ready.add(args[0].name)
            self.joined.add((args[0].name, args[1] if len(args) > 1 else None))
        if len(stage.router.writes) > writes:
            write = Written(write=stage.router.writes[-1], ready=frozenset(self._ready))
            self.written.append(write)
            self._ready.clear()
        return answer

    def _settle(self, order: SettleOrder | SharesOrder) -> Acted:
        if isinstance(order, SharesOrder):
            is_seen, others = order.slots != order.before, ActState.DISOBEYED
        else:
            copies = order.extras.mirrors or order.mirrored_before
            is_seen, others = bool(order.weight or order.previous or copies), ActState.SILENT
        state = self.settling.pop(0) if self.settling and is_seen else ActState.DONE
        if state is ActState.SILENT:
            state = others  # quiet shares are told as done
        answer = done() if state is ActState.DONE else acted(state, f"{state} by the script")
        self.settled.append((order, answer))
        return answer

    async def _watch(self, order: WatchOrder) -> Seen:
        """Look as the real watch does, at what the script says and at the fakes as they are."""
        run_id = self.stage.router.writes[-1].owner.run_id
        watched = Watched(run_id=run_id, order=order)
        self.watched.append(watched)
        since, seen = order.progress.acted.at, order.progress.seen
        looks, began = 0, self._soaks.setdefault(since, time.monotonic())
        while True:
            await asyncio.sleep(0.01)
            # The server's time may be far ahead of ours; while an activity runs it goes as fast.
            now = since + timedelta(seconds=time.monotonic() - began)
            looks, seen = looks + 1, self._look(order, seen, now)
            decision = decide(order.plan, replace(order.progress, seen=seen), now)
            if not isinstance(decision, Hold) or looks == LOOKS_A_REPORT:
                watched.returned = seen
                return seen

    def _look(self, order: WatchOrder, before: Seen, now: datetime) -> Seen:
        plan, step = order.plan, order.progress.step
        compared = [verdict(self.mood, ANSWERS)] * bool(plan.comparison_at(step))
        is_away = plan.is_counted_at(step) and self.mood is Status.UNAVAILABLE
        drift = self._route_drift(plan.slots_under(order.progress.traffic_in(plan)))
        replicas = plan.replicas_at(step)
        have = self.stage.runtime.replicas.get(plan.candidate.workload.name, 1)
        seen = Seen(
            verdicts=(*(_said(gate, self.mood) for gate in gates_at(plan, step)), *compared),
            unavailable_since=(before.unavailable_since or now) if is_away else None,
            candidate_not_ready=self._unfit(plan.candidate.workload),
            stable_not_ready=self._unfit(plan.stable.workload, bring_up=True),
            drift=drift if self.manager else "" if replicas in {None, have} else "replicas",
            displaced="" if self.manager else drift,
            trial=before.trial,
        )
        return seen if plan.trial is None else self._of_arms(order, seen, plan.trial)

    def _of_arms(self, order: WatchOrder, seen: Seen, trial: Trial) -> Seen:
        """The same look at a trial, where each arm shows something of its own."""
        plan, progress = order.plan, order.progress
        traffic, present = progress.traffic_in(plan), progress.arms_in(plan)
        left = traffic.arms.left if traffic.arms else ()
        troubles = {v.name: self._unfit(v.workload) for v in plan.challengers if v.name in present}
        counts = traffic.arms is not None and seen.unavailable_since is None
        return replace(
            seen,
            verdicts=tuple(
                replace(_said(gate, self.script.status(name, self.mood)), variant=name)
                for name in present
                for gate in gates_at(plan, progress.step)
            ),
            candidate_not_ready=troubles.get(plan.candidate.name, ""),
            unfit={name: why for name, why in troubles.items() if why},
            trial=self.script.verdict(trial, left) if counts else seen.trial,
            due=self.script.due(trial, left) if counts else None,
        )

    @property
    def manager(self) -> str:
        route = self.stage.plan.route
        held = self.stage.router._routes.get((route.namespace, route.name))
        return held.manager if held else ""

    def _route_drift(self, slots: Slots) -> str:
        route = self.stage.plan.route
        have, want = self.stage.router.weights(route), tuple(slot.weight for slot in slots)
        return "" if have == want else f"the weights are {have}, were written as {want}"

    def _unfit(self, workload: Workload, *, bring_up: bool = False) -> str:
        key = (workload.namespace, workload.name)
        if key not in self.stage.runtime.deployed:
            if bring_up:
                self.stage.runtime.deployed[key] = workload
            return f"{workload.name} is missing"
        return f"{workload.name} is loading" if workload.name in self.unready else ""


async def nothing_is_new_when_written_again(stage: Stage, written: list[Written]) -> None:
    """Every order is absolute: given once more, late, it changes nothing or is refused."""
    before = (len(stage.router.writes), stage.router.weights(stage.plan.route))
    for one in written:
        extras: Extras = one.write.extras
        try:
            assert one.write.slots is not None
            await stage.router.write(
                stage.plan.route, one.write.slots, one.write.owner, extras=extras, insist=True
            )
        except FencedOut:
            continue
    assert before == (len(stage.router.writes), stage.router.weights(stage.plan.route))


def gates_at(plan: Plan, step: int) -> tuple[AnyGate, ...]:
    return (*plan.gates_at(step), *plan.reading_gates_at(step))


def _said(gate: AnyGate, mood: Status) -> Verdict:
    """A dry run always fails: whoever heeds it rolls back what is fine."""
    return verdict(Status.FAIL if gate.dry_run else mood, gate.name)
