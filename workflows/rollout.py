"""The life of one rollout: walk the plan, or bring the traffic home."""

import asyncio
from typing import assert_never

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from activities.analysis import AnalysisActivities, WatchOrder
from domain.decision import decide as decide_next
from domain.errors import WorkloadFailed
from domain.hooks import HookKind
from domain.plan import Plan
from domain.progress import (
    Acted,
    ActState,
    Advance,
    Decision,
    Finish,
    Hold,
    Pause,
    PutBack,
    Reallocate,
    RollBack,
    Seen,
)
from domain.rollout import EventKind, Phase
from domain.steps import Conclude, Deploy, Promote, Retire, SetScale, SetWeights, Soak, Step
from workflows.acts import Acts, failure_type, root
from workflows.chronicle import Chronicle
from workflows.commands import Commands
from workflows.homecoming import Homecoming
from workflows.interruption import Interruption, or_interrupted
from workflows.messages import Mode, RolloutInput, RolloutResult
from workflows.questions import Questions
from workflows.standing import Standing
from workflows.timeouts import look
from workflows.upkeep import Upkeep
from workflows.waiting import unbroken


@workflow.defn(name="RolloutWorkflow")
class RolloutWorkflow(Commands):
    """One rollout of one traffic config, under the workflow ID `traffic-<config id>`.

    It observes through activities, asks the domain what comes next, and acts through activities.
    """

    @workflow.init
    def __init__(self, order: RolloutInput) -> None:
        self._order = order
        self._chronicle = Chronicle(order.rollout_id)
        self._standing = Standing(order, self._chronicle)
        self._acts = Acts(order.rollout_id, order.plan)
        self._homecoming = Homecoming(self._standing, self._acts, self._chronicle)
        self._questions = Questions(self._standing)
        self._interruption = Interruption(self._standing)
        self._upkeep = Upkeep(self._standing, self._acts, self._interruption)
        self._choose(order.chosen)

    @property
    def _plan(self) -> Plan:
        return self._standing.plan

    @workflow.run
    async def run(self, order: RolloutInput) -> RolloutResult:
        """Walk the plan to its end; traffic is at stable, or at the promoted candidate, then."""
        tasks = [
            asyncio.create_task(self._chronicle.keep()),
            asyncio.create_task(self._standing.hooks.keep()),
        ]
        try:
            if order.mode is Mode.RECOVER:
                recovery = self._homecoming.recover(order.reason, promoted=order.promoted)
                await unbroken(recovery)
            else:
                tasks.append(asyncio.create_task(self._standing.keep_time()))
                await self._walk()
        except (asyncio.CancelledError, Exception) as error:
            # Not BaseException: a collected coroutine's GeneratorExit must issue no command.
            await unbroken(self._end_badly(error, tasks))
            if is_cancelled_exception(error):
                raise
        else:
            await unbroken(self._close(tasks))
        return RolloutResult(phase=self._standing.phase, reason=self._standing.reason)

    async def _end_badly(self, error: BaseException, tasks: "list[asyncio.Task[None]]") -> None:
        """One piece: a cancellation on the way home must not keep its end from the registry."""
        await self._homecoming.end_badly(error)
        await self._close(tasks)

    async def _close(self, tasks: "list[asyncio.Task[None]]") -> None:
        self._questions.drop()
        self._standing.announce(HookKind.POST_ROLLOUT)
        await self._standing.hooks.close()
        await self._chronicle.flush()
        for task in tasks:
            task.cancel()
        await workflow.wait_condition(workflow.all_handlers_finished)

    async def _walk(self) -> None:
        standing = self._standing
        started = f"started by {self._order.actor}"
        run_id = workflow.info().run_id
        standing.enter(Phase.PROGRESSING, EventKind.STARTED, started, run_id=run_id)
        while True:
            await self._begin_step()
            decision = await self._decide()
            self._questions.drop()
            match decision:
                case Advance(to=step, reason=reason, chosen=chosen):
                    self._choose(chosen)
                    standing.leave_step(step, reason)
                case RollBack():
                    return await unbroken(self._homecoming.roll_back(decision))
                case Finish(reason=reason):
                    return self._homecoming.finish(reason)
                case Hold() | Pause() | PutBack() | Reallocate():
                    raise AssertionError("a step ends by advancing, finishing or rolling back")
                case _:
                    assert_never(decision)

    async def _begin_step(self) -> None:
        standing, step = self._standing, self._standing.now_at
        standing.tell(
            EventKind.STEP_STARTED, f"step {standing.step + 1}: {step}", step=standing.step
        )
        try:
            acted = await self._interruption.unless_stopped(self._begin(step))
        except ActivityError as error:
            if failure_type(error) != WorkloadFailed.__name__:
                raise
            acted = Acted(state=ActState.NOT_READY, at=workflow.now(), detail=root(error))
        standing.acted = or_interrupted(acted)

    async def _decide(self) -> Decision:
        """Hold and pause here until the step is over, one way or another."""
        standing = self._standing
        while True:
            if standing.must_put_back:
                await self._upkeep.put_back()
            decision = decide_next(self._plan, standing.progress(), workflow.now())
            match decision:
                case Hold():
                    standing.waiting(decision.reason)
                    self._questions.ask_the_fleet(decision.clears)
                    await self._hold()
                case Pause():
                    standing.pause(decision.cause, decision.reason)
                case PutBack():
                    standing.displaced(decision.reason)
                case Reallocate():
                    await self._upkeep.divide(decision)
                case Advance() if standing.must_look_again and workflow.patched("look-again"):
                    await self._watch()
                case _:
                    return decision

    async def _begin(self, step: Step) -> Acted:
        """Act, once there is a place for this rollout at all."""
        if self._standing.step == 0 and self._plan.asks_the_fleet:
            self._standing.waiting("waiting for the fleet's clearance to begin")
            self._standing.hold(True)
            await self._questions.clear(0)
            if self._standing.cleared != 0:
                detail = "the fleet did not let it begin"
                return Acted(state=ActState.SILENT, at=workflow.now(), detail=detail)
        return await self._act(step)

    async def _act(self, step: Step) -> Acted:
        match step:
            case Deploy():
                acted = await self._acts.deploy()
                self._standing.deployed()
                return acted
            case SetScale(replicas=replicas):
                return self._standing.scaled(await self._acts.scale(replicas))
            case SetWeights():
                self._standing.traffic = None
                return self._standing.settled(await self._acts.set_weights(step), step)
            case Soak(hook=hook):
                self._standing.seen = Seen()
                if hook:
                    self._questions.ask(hook)
            case Promote():
                await self._homecoming.make_stable()
            case Retire(delay=delay):
                await self._homecoming.retire_former(delay)
            case Conclude():
                outcome = await self._homecoming.let_go()
                return Acted(state=ActState.DONE, at=workflow.now(), detail=outcome)
            case _:
                assert_never(step)
        return Acted(state=ActState.DONE, at=workflow.now())

    async def _hold(self) -> None:
        standing = self._standing
        # Whoever waits for the fleet has been told to go on without seeing this step obeyed.
        is_unseen = standing.acted.state is not ActState.DONE and standing.asking is None
        patience = standing.report_after
        match standing.now_at:
            case Soak() if self._plan.is_deployed_at(standing.step):
                if not standing.settles_again or await self._upkeep.settle_again():
                    await self._watch()
            case SetWeights() as step if is_unseen:
                settling = self._acts.settle(step, patience=patience)
                acted = await self._interruption.unless_stopped(settling)
                if acted:
                    standing.acted = standing.settled(acted, step)
            case SetScale(replicas=replicas) if is_unseen:
                look = self._acts.see_replicas(replicas, patience, insist=True)
                standing.acted = (
                    await self._interruption.unless_stopped(look, heeds_news=True) or standing.acted
                )
            case _:
                await self._wait_for_news()

    def _choose(self, name: str) -> None:
        """Make one of several challengers the candidate from here on."""
        if name:
            self._standing.choose(name)
            self._acts.plan = self._plan

    async def _watch(self) -> None:
        """Let a watcher look until it has something to say, or somebody here has."""
        standing, news = self._standing, self._standing.news
        order = WatchOrder(
            rollout_id=self._order.rollout_id,
            plan=self._plan,
            progress=standing.progress(),
            report_at=workflow.now() + standing.report_after,
        )
        watching = workflow.start_activity_method(
            AnalysisActivities.watch,
            order,
            summary=f"watch step {standing.step + 1}",
            **look(self._plan.policies.probe_interval),
        )
        try:
            await workflow.wait_condition(lambda: watching.done() or standing.news != news)
        except asyncio.CancelledError:
            watching.cancel()
            raise
        if watching.done():
            standing.seen, standing.looked_away = await watching, False
        else:
            watching.cancel()
            standing.looked_away = True

    async def _wait_for_news(self) -> None:
        standing, news = self._standing, self._standing.news
        await workflow.wait_condition(lambda: standing.news != news)
