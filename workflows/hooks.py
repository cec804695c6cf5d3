"""A rollout's hooks: those that are asked may hold it, those that are told never do."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from activities.notify import CallOrder, Confirmation, ConfirmOrder, NotifyActivities
from domain.hooks import Hook, HookKind
from domain.notices import MOST_EVENTS, Notice, Said, Situation
from domain.rollout import Entry
from domain.story import line
from domain.traffic import Route
from workflows.acts import root
from workflows.timeouts import HOOKS_ARE_TOLD_WITHIN, asking, telling
from workflows.waiting import first

GivenUp = Callable[[Hook, str], None]


class Hooks:
    """Asks and tells the hooks of one rollout; without hooks it does nothing at all.

    `keep` runs as a task beside the walk and tells what was announced; nothing awaits it but
    `close`, which waits for a bounded time, once the traffic is where it shall stay. `given_up` is
    called for what a hook was never told; it must not announce that to hooks in turn.
    """

    def __init__(
        self, hooks: Sequence[Hook], *, rollout_id: UUID, route: Route, given_up: GivenUp
    ) -> None:
        self._hooks, self._rollout_id, self._route = hooks, rollout_id, route
        self._outboxes = [_Outbox(hook, given_up) for hook in hooks if not hook.kind.is_asked]
        self._numbered = 0

    def announce(self, kind: HookKind, reason: str, situation: Situation) -> None:
        """Have each hook of this kind told, in the background."""
        for outbox in self._outboxes:
            if outbox.hook.kind is kind:
                outbox.put(self._notice(outbox.hook, reason, situation))

    def happened(self, entry: Entry, situation: Situation) -> None:
        """Have the `event` hooks told a line of the history, in the background.

        What happens while one is being told goes in one delivery afterwards.
        """
        told = replace(entry, joined=None, promoted=None, left=None, data={})
        for outbox in self._outboxes:
            if outbox.hook.kind is HookKind.EVENT and not outbox.adds(told, situation):
                notice = self._notice(outbox.hook, entry.message, situation)
                outbox.put(replace(notice, events=(told,)))

    async def confirm(self, hook: Hook, reason: str, situation: Situation) -> Confirmation:
        """Ask a hook until it says yes. Cancel it to stop asking.

        A no is final: it was asked again for as long as the hook says.
        """
        return await self._ask(hook, self._notice(hook, reason, situation))

    async def keep(self) -> None:
        """Tell what is announced, each hook at its own pace, for ever; run as a task."""
        await asyncio.gather(*(outbox.keep() for outbox in self._outboxes))

    async def close(self, within: timedelta = HOOKS_ARE_TOLD_WITHIN) -> None:
        """Return once every hook was told everything, or has had its time."""
        if not self._all_told():
            await first(self._all_told, within)
        for outbox in self._outboxes:
            outbox.give_up("the rollout is over")

    def _all_told(self) -> bool:
        return all(outbox.is_empty for outbox in self._outboxes)

    def _notice(self, hook: Hook, reason: str, situation: Situation) -> Notice:
        self._numbered += 1
        return Notice(
            delivery=f"{workflow.info().run_id}.{hook.name}.{self._numbered}",
            hook=hook.name,
            kind=hook.kind,
            rollout_id=self._rollout_id,
            project_id=self._route.project_id,
            config_id=self._route.config_id,
            model=self._route.model,
            situation=situation,
            reason=reason,
            at=workflow.now(),
        )

    async def _ask(self, hook: Hook, notice: Notice) -> Confirmation:
        order = ConfirmOrder(hook=hook, notice=notice, deadline=workflow.now() + hook.ask_for)
        try:
            return await workflow.execute_activity_method(
                NotifyActivities.confirm, order, summary=f"ask {hook.name}", **asking(hook)
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise asyncio.CancelledError from error
            return Confirmation(said=False, detail=f"{hook.name} was not asked: {root(error)}")


class _Outbox:
    """What one hook has yet to be told, in order."""

    def __init__(self, hook: Hook, given_up: GivenUp) -> None:
        self.hook, self._given_up = hook, given_up
        self._waiting: list[Notice] = []
        self._is_telling = False

    @property
    def is_empty(self) -> bool:
        return not self._waiting and not self._is_telling

    def put(self, notice: Notice) -> None:
        self._waiting.append(notice)

    def adds(self, entry: Entry, situation: Situation) -> bool:
        """Whether the entry found a place in a notice that is still here."""
        if not self._waiting or len(self._waiting[-1].events) >= MOST_EVENTS:
            return False
        last = self._waiting[-1]
        self._waiting[-1] = replace(
            last,
            events=(*last.events, entry),
            situation=situation,
            reason=entry.message,
            at=workflow.now(),
        )
        return True

    async def keep(self) -> None:
        while True:
            await workflow.wait_condition(lambda: bool(self._waiting))
            self._is_telling = True
            if trouble := await self._tell(self._waiting.pop(0)):
                self._given_up(self.hook, trouble)
            self._is_telling = False

    async def _tell(self, notice: Notice) -> str:
        """Say what went wrong; nothing where it was told."""
        try:
            answer = await workflow.execute_activity_method(
                NotifyActivities.call,
                CallOrder(hook=self.hook, notice=notice),
                summary=line(f"tell {self.hook.name}: {notice.reason}"),
                **telling(self.hook),
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            return root(error)
        return "" if answer.said is Said.YES else f"{self.hook.name} {answer.detail}"

    def give_up(self, why: str) -> None:
        """Let go of what is still here."""
        if not self.is_empty:
            self._given_up(self.hook, f"{self.hook.name} was not told everything: {why}")
        self._waiting.clear()
