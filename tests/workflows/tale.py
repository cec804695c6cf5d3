"""A tale: a random plan, and a random script of what happens while it is walked."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from temporalio.client import WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.service import RPCError

from domain.errors import Contended, NotYet, TidegateError, Unreachable
from domain.notices import Answer
from domain.plan import Plan, Variant
from domain.progress import ActState
from domain.rollout import Action, Command, EventKind, Scope
from domain.traffic import FULL
from domain.verdicts import Status
from tests.fakes.notifier import NO, YES
from tests.workflows.any_plan import ROLE, any_plan
from tests.workflows.stage import Stage
from tests.workflows.trial_script import TrialScript
from tests.workflows.witness import PORTS, Fault, Witness
from workflows.messages import Mode, Reply

MOODS = [*[Status.PASS] * 4, Status.UNDECIDED, Status.UNDECIDED, Status.UNAVAILABLE, Status.FAIL]
FORWARD = [Action.PROMOTE, Action.SKIP, Action.APPROVE, Action.PAUSE, Action.RESUME, Action.RESUME]
BACK = [Action.ABORT, Action.REJECT]
NAMES = [name for names in PORTS.values() for name in names]
# So long, in real time, a tale waits for the next call of a port before its next event.
IMPATIENCE = 0.15
COMPARES_WITHIN = 1.0
ENDS_WITHIN = 45
CATCHES_UP_WITHIN = timedelta(seconds=3)


@dataclass(slots=True)
class Tale:
    """Tells one story; afterwards it knows what was asked for, and what was seen."""

    seed: int
    stage: Stage
    rng: Random = field(init=False)
    plan: Plan = field(init=False)
    witness: Witness = field(init=False)
    asked: dict[str, tuple[Action, Command]] = field(default_factory=dict)
    handles: list[Any] = field(default_factory=list)
    happened: list[str] = field(default_factory=list)
    cut_off: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    _sent: list[asyncio.Task[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = Random(self.seed)
        self.plan = any_plan(self.rng)
        self.witness = Witness(self.stage, self.rng, TrialScript(self.rng))

    async def tell(self) -> None:
        """Walk the plan while the script goes on, to its end."""
        self.handles.append(await self.stage.start(self.plan))
        self.witness.attend()
        self.witness.mood = self.rng.choice(MOODS)
        if self.plan.trial is not None and self.rng.random() < 0.7:
            await self._comparison()
        for event in self._script():
            await self._next_moment()
            if self.has_ended:
                break
            self.happened.append(event.__name__.removeprefix("_"))
            await event()
        await self._come_to_an_end()

    @property
    def has_ended(self) -> bool:
        phases = self.stage.journal.phases
        return bool(phases) and phases[-1] in {"promoted", "rolled_back", "concluded", "failed"}

    @property
    def may_turn_back(self) -> bool:
        over = {EventKind.ROLLBACK_STARTED, EventKind.PROMOTED, EventKind.RETIRED}
        return not over & set(self.stage.journal.kinds) and not self.has_ended

    def _script(self) -> list[Callable[[], Coroutine[Any, Any, None]]]:
        common = [
            *[self._mood] * 5, *[self._forward] * 6, *[self._settling] * 2, *[self._fault] * 3,
            *[self._stumble] * 2, self._recover, self._recover, self._lose, self._tamper,
            self._scale_behind_its_back, self._hooks, self._registry, self._restart,
        ]  # fmt: skip
        if self.plan.trial is not None:
            common += [
                *[self._arm_fails] * 2, *[self._arm_dies] * 2, *[self._arm_is_beaten] * 5,
                *[self._weights_are_due] * 5, self._arms_are_equal,
            ]  # fmt: skip
        seldom = [self._back, self._cancel, self._terminate]
        script = self.rng.choices(common, k=self.rng.randint(2, 10))
        if self.rng.random() < 0.4:
            script.insert(self.rng.randint(len(script) // 2, len(script)), self.rng.choice(seldom))
        return script

    async def _next_moment(self) -> None:
        """Some calls of the ports later, or when nothing goes on."""
        goal = self.witness.calls + self.rng.randint(0, 6)
        for _ in range(round(IMPATIENCE / 0.005)):
            if self.witness.calls >= goal:
                return
            await asyncio.sleep(0.005)

    async def _comparison(self) -> None:
        """Until the arms are being compared, if they are soon."""
        for _ in range(round(COMPARES_WITHIN / 0.005)):
            if self.has_ended or any(
                w.order.progress.arms_in(self.plan) for w in self.witness.watched
            ):
                return
            await asyncio.sleep(0.005)

    async def _come_to_an_end(self) -> None:
        """Trouble is over; if the rollout does not end by itself then, somebody aborts it."""
        self.witness.calm()
        for hook in self.plan.hooks:
            self.stage.notifier.script(hook.name, YES)
        if self.rng.random() < 0.5:
            self.witness.mood, self.witness.script.is_hurried = Status.PASS, True
        for _ in range(60):
            if self.has_ended:
                break
            await asyncio.sleep(0.01)
        else:
            self._send(Action.ABORT, replace(self._command(), expected_step=None))
        with suppress(WorkflowFailureError):
            async with asyncio.timeout(ENDS_WITHIN):
                await self.handles[-1].result()
        await asyncio.gather(*self._sent)

    # What may happen

    async def _mood(self) -> None:
        self.witness.mood = self.rng.choice(MOODS)

    async def _settling(self) -> None:
        states = [ActState.SILENT, ActState.SILENT, ActState.DISOBEYED]
        self.witness.settling.append(self.rng.choice(states))

    async def _fault(self) -> None:
        errors = [Unreachable("no answer"), Contended("in between"), NotYet("soon")]
        fault = Fault(error=self.rng.choice(errors), late=self.rng.random() < 0.5)
        times = self.rng.choice([1, 1, 3])
        self.witness.faults.setdefault(self.rng.choice(NAMES), []).extend([fault] * times)

    async def _stumble(self) -> None:
        self.witness.stumbles(self._one().workload.name)

    async def _recover(self) -> None:
        self.witness.recovers(self._one().workload.name)

    async def _lose(self) -> None:
        workload = self._one().workload
        self.lost.add(workload.name)
        self.stage.runtime.lose(workload)

    async def _arm_fails(self) -> None:
        self.witness.script.failing.add(self.rng.choice(self.plan.challengers).name)

    async def _arm_dies(self) -> None:
        workload = self.rng.choice(self.plan.challengers).workload
        self.lost.add(workload.name)
        self.witness.stumbles(workload.name)
        self.stage.runtime.lose(workload)

    async def _arm_is_beaten(self) -> None:
        if self.plan.trial is not None:
            self.witness.script.eliminate(self.plan.trial)

    async def _arms_are_equal(self) -> None:
        self.witness.script.is_equal = True

    async def _weights_are_due(self) -> None:
        if self.plan.trial is not None:
            self.witness.script.sway(self.plan.trial)

    async def _tamper(self) -> None:
        route, slot = self.plan.route, self.plan.challengers[-1].slot
        if self.may_turn_back and len(self.stage.router.weights(route)) > slot:
            slots = self.plan.slots_at(self.rng.randint(0, FULL))
            self.stage.router.tamper(route, slots, self.rng.choice(["kubectl-edit", ""]))

    async def _scale_behind_its_back(self) -> None:
        self.stage.runtime.tamper(self.plan.candidate.workload, self.rng.randint(1, 9))

    async def _hooks(self) -> None:
        for hook in self.plan.hooks:
            answers: list[Answer | TidegateError] = [YES, NO, Unreachable("no hook")]
            self.stage.notifier.script(hook.name, self.rng.choice(answers))

    async def _registry(self) -> None:
        trouble = Unreachable("no database")
        self.stage.journal.trouble = None if self.stage.journal.trouble else trouble

    async def _restart(self) -> None:
        await self.stage.restart_workers()

    async def _forward(self) -> None:
        self._send(self.rng.choice(FORWARD), self._command())

    async def _back(self) -> None:
        self._send(self.rng.choice(BACK), self._command())

    async def _cancel(self) -> None:
        with suppress(RPCError):
            await self.handles[-1].cancel()

    async def _terminate(self) -> None:
        """Somebody terminates the run; the guardian takes over from it, as the registry says.

        The server's clock is one of its own per run: one that skipped far ahead is left alone.
        """
        if self._ahead > CATCHES_UP_WITHIN:
            return
        with suppress(RPCError):
            await self.handles[-1].terminate("a test")
            self.cut_off.add(self.handles[-1].first_execution_run_id)
        await asyncio.sleep(0.1)  # what it has under way may still be written
        await asyncio.sleep(max(0.0, self._ahead.total_seconds()))
        if self.has_ended:
            return
        promoted = self.stage.journal.phases[-1:] == ["promoting"]
        made_stable = [
            entry.promoted.name for entry in self.stage.journal.entries if entry.promoted
        ]
        self.handles.append(
            await self.stage.start(
                self.plan,
                mode=Mode.RECOVER,
                promoted=promoted,
                chosen=made_stable[-1] if promoted else "",
            )
        )

    @property
    def _ahead(self) -> timedelta:
        """How far the run's last write is ahead of the time that a new run begins at."""
        return self.stage.router.writes[-1].owner.ordered_at - datetime.now(UTC)

    def _one(self) -> Variant:
        candidates = [self.plan.candidate, *self.plan.challengers]
        return self.rng.choice([self.plan.stable, *candidates])

    def _command(self) -> Command:
        """From somebody of a new name, so that each is known again."""
        step = self.rng.randint(0, len(self.plan.steps) - 1)
        names = [one.name for one in self.plan.challengers]
        return Command(
            actor=f"somebody-{len(self.asked)}",
            reason="",
            scope=self.rng.choice([Scope.STEP, Scope.STEP, Scope.FULL]),
            expected_step=step if self.rng.random() < 0.1 else None,
            roles=self.rng.choice([(), (ROLE,), (ROLE,)]),
            variant=self.rng.choice(["", *names, *names]) if self.plan.trial else "",
        )

    def _send(self, action: Action, command: Command) -> None:
        self.asked[command.actor] = (action, command)
        by = "signal" if self.rng.random() < 0.3 else "update"
        self.happened[-1:] = [f"{action} by {by} of {command}"]
        self._sent.append(asyncio.create_task(self._carry(self.handles[-1], by, action, command)))

    @staticmethod
    async def _carry(handle: Any, by: str, action: Action, command: Command) -> None:
        """A command may come too late, or fit nothing."""
        with suppress(RPCError, WorkflowUpdateFailedError):
            if by == "signal":
                await handle.signal(str(action), command)
            else:
                await handle.execute_update(str(action), command, result_type=Reply)
