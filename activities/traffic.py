"""The route of a traffic config: write it, see that the gateway obeys, connect and disconnect."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from temporalio import activity

from activities.heartbeats import say
from activities.settling import View
from activities.shares import QUIET_LOOKS, SharesOrder, ShareWatch, seen
from domain.errors import NO_ANSWER, NotYet, WorkloadFailed
from domain.evidence_port import CounterSource
from domain.gates import Source
from domain.ports import TrafficRouter, WorkloadRuntime
from domain.progress import Acted, ActState
from domain.settling import Agreement, Comparison, Due, comparisons
from domain.traffic import NO_EXTRAS, Extras, Ownership, Route, Slots
from domain.workloads import Workload, WorkloadPhase

POLL = timedelta(seconds=0.25)
SHARE_POLL = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectOrder:
    route: Route
    workload: Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftOrder:
    """Have the route stand exactly so.

    Each of `bearing` carries traffic afterwards and must be ready first. With `insist`, the order
    is a way home: rules that another manager took are taken back, and a bearing workload that is
    gone is brought up again and waited for. Where the route does not know the workload
    `if_absent`, `slots_without` is written instead: a way home adds nobody.
    """

    route: Route
    slots: Slots
    owner: Ownership
    bearing: tuple[Workload, ...]
    insist: bool = False
    if_absent: str = ""
    slots_without: Slots | None = None
    extras: Extras = NO_EXTRAS


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleOrder:
    """See the traffic obey: the candidate's slot at `weight` percent, `previous` before.

    Of the split, `mirrored_before` percent were copied; how much is now, the extras say.
    """

    route: Route
    slots: Slots
    source: Source
    candidate_slot: int
    stable_slot: int
    weight: int
    previous: int
    probe_interval: timedelta
    deadline: datetime
    extras: Extras = NO_EXTRAS
    mirrored_before: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveOrder:
    route: Route
    owner: Ownership


class TrafficActivities:
    def __init__(
        self, router: TrafficRouter, runtime: WorkloadRuntime, counters: CounterSource
    ) -> None:
        self._router = router
        self._runtime = runtime
        self._counters = counters

    @activity.defn(name="traffic.connect")
    async def connect(self, order: ConnectOrder) -> None:
        await self._router.connect(order.route, order.workload)

    @activity.defn(name="traffic.disconnect")
    async def disconnect(self, order: ConnectOrder) -> None:
        await self._router.disconnect(order.route, order.workload)

    @activity.defn(name="traffic.shift")
    async def shift(self, order: ShiftOrder) -> Slots:
        """Write the weights and give back the slots as written.

        Raises WorkloadFailed if a bearer is not ready (NotYet on insist).
        """
        for workload in order.bearing:
            await self._require_ready(workload, bring_up=order.insist)
        slots, extras = order.slots, order.extras
        if order.slots_without is not None:
            state = await self._router.observe(order.route)
            if state is None or order.if_absent not in {slot.workload for slot in state.slots}:
                slots, extras = order.slots_without, extras.without(order.if_absent)
        await self._router.write(
            order.route, slots, order.owner, extras=extras, insist=order.insist
        )
        return slots

    async def _require_ready(self, workload: Workload, *, bring_up: bool) -> None:
        status = await self._runtime.status(workload)
        if status.phase is WorkloadPhase.READY:
            return
        message = f"{workload.name} is to carry traffic but is {status.phase}: {status.reason}"
        if not bring_up:
            raise WorkloadFailed(message)
        if status.phase is WorkloadPhase.MISSING:
            await self._runtime.deploy(workload)
        raise NotYet(message)

    @activity.defn(name="traffic.settle")
    async def settle(self, order: SettleOrder) -> Acted:
        """Wait until the gateway has put the slots in force and the requests show it."""
        if disobeyed := await self._disobeyed(order):
            return disobeyed
        if views := [View(compared) for compared in _compared(order)]:
            return await self._watch(order, views)
        return seen(ActState.DONE, "the gateway knows the candidate")

    @activity.defn(name="traffic.settle_shares")
    async def settle_shares(self, order: SharesOrder) -> Acted:
        """Wait until the gateway has put the slots in force; look whether the requests show it."""
        if disobeyed := await self._disobeyed(order):
            return disobeyed
        watch = ShareWatch(order, self._counters)
        while True:
            if acted := await watch.look():
                return acted
            await asyncio.sleep(min(order.probe_interval, SHARE_POLL).total_seconds())

    @activity.defn(name="traffic.remove")
    async def remove(self, order: RemoveOrder) -> None:
        """Have the route gone; the model is no longer served under its name."""
        await self._router.remove(order.route, order.owner)

    async def _disobeyed(self, order: SettleOrder | SharesOrder) -> Acted | None:
        """Wait until the slots are in force; say so if they are not in time."""
        while waiting_for := await self._not_obeyed(order):
            say(waiting_for)
            if datetime.now(UTC) >= order.deadline:
                return seen(ActState.DISOBEYED, waiting_for)
            await asyncio.sleep(POLL.total_seconds())
        return None

    async def _not_obeyed(self, order: SettleOrder | SharesOrder) -> str:
        """Say why the slots are not in force yet; nothing once they are."""
        try:
            state = await self._router.observe(order.route)
        except NO_ANSWER as error:
            return str(error)
        if state is None or state.slots != order.slots or state.extras != order.extras:
            return "the route does not stand as it was written"
        return "" if state.obeyed else state.obeyed_detail or "the gateway has not taken it yet"

    async def _watch(self, order: SettleOrder, views: Sequence[View]) -> Acted:
        looks = 0
        while True:
            found = [await view.look(order, self._counters) for view in views]
            said = "; ".join(view.said for view in views)
            say(said)
            if all(verdict is Agreement.AGREES for verdict in found):
                return seen(ActState.DONE, said)
            looks += any(view.has_news for view in views)
            if looks > QUIET_LOOKS and all(view.is_quiet_enough for view in views):
                return seen(ActState.DONE, "no request came by; the gateway confirms the route")
            if datetime.now(UTC) >= order.deadline:
                is_disobeyed = any(view.is_disobeyed for view in views)
                return seen(ActState.DISOBEYED if is_disobeyed else ActState.SILENT, said)
            await asyncio.sleep(min(order.probe_interval, SHARE_POLL).total_seconds())


def _compared(order: SettleOrder) -> tuple[Comparison, ...]:
    return comparisons(
        Due(weight=order.weight, copies=sum(one.percent for one in order.extras.mirrors)),
        Due(weight=order.previous, copies=order.mirrored_before),
        candidate=order.candidate_slot,
        stable=order.stable_slot,
    )
