"""Hooks: tell one what happened, or ask one until it says yes."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

from temporalio import activity

from activities.heartbeats import say
from domain.errors import PermanentError, TransientError
from domain.hooks import Hook
from domain.notices import Answer, Notice, Said
from domain.ports import Notifier


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOrder:
    hook: Hook
    notice: Notice


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmOrder:
    """Ask a hook until `deadline`, a moment, so that a retry does not start the time anew."""

    hook: Hook
    notice: Notice
    deadline: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """Whether a yes was said in time; `detail` is that yes, or the last thing that stood for it."""

    said: bool
    detail: str


class NotifyActivities:
    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier

    @activity.defn(name="notify.call")
    async def call(self, order: CallOrder) -> Answer:
        """Send the notice once; whether it is tried again is the policy of the call."""
        return await self._notifier.call(order.hook, order.notice)

    @activity.defn(name="notify.confirm")
    async def confirm(self, order: ConfirmOrder) -> Confirmation:
        """Ask until the hook says yes, or the deadline passes; each time under the same name.

        Trouble, and even a host that is not allowed, count as a no that may become a yes: they can
        be repaired while the rollout holds.
        """
        while not (confirmation := await self._ask(order)).said:
            say(confirmation.detail)
            left = order.deadline - datetime.now(UTC)
            if left.total_seconds() <= 0:
                return confirmation
            await asyncio.sleep(min(order.hook.ask_every, left).total_seconds())
        return confirmation

    async def _ask(self, order: ConfirmOrder) -> Confirmation:
        try:
            answer = await self._notifier.call(order.hook, order.notice)
        except (TransientError, PermanentError) as error:
            return Confirmation(said=False, detail=str(error))
        detail = f"{order.hook.name} {answer.detail}"
        return Confirmation(said=answer.said is Said.YES, detail=detail)
