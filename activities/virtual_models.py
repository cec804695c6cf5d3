"""The route of a virtual model: check its backends, write it, see that the gateway obeys."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

from temporalio import activity

from activities.heartbeats import say
from activities.traffic import POLL
from domain.errors import TransientError
from domain.progress import Acted, ActState
from domain.traffic import Ownership
from domain.virtual_models import VirtualRoute
from domain.virtual_port import VirtualModelRouter
from domain.virtual_routes import Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class LayoutOrder:
    """Have the route stand exactly so; with `insist`, whoever holds its rules."""

    route: VirtualRoute
    layout: Layout
    owner: Ownership
    insist: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ObeyOrder:
    """See the gateway put the layout in force."""

    route: VirtualRoute
    layout: Layout
    deadline: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovalOrder:
    route: VirtualRoute
    owner: Ownership


class VirtualModelActivities:
    def __init__(self, router: VirtualModelRouter) -> None:
        self._router = router

    @activity.defn(name="virtual_model.check")
    async def check(self, route: VirtualRoute, layout: Layout) -> None:
        """Raise InvalidTraffic for a backend that the gateway does not know.

        Its controller fails over a route that names one, and then serves no change of any route.
        """
        await self._router.require_known(route, layout.refs)

    @activity.defn(name="virtual_model.write")
    async def write(self, order: LayoutOrder) -> None:
        await self._router.write(order.route, order.layout, order.owner, insist=order.insist)

    @activity.defn(name="virtual_model.settle")
    async def settle(self, order: ObeyOrder) -> Acted:
        """Wait until the gateway has put the layout in force."""
        while waiting_for := await self._not_obeyed(order):
            say(waiting_for)
            if datetime.now(UTC) >= order.deadline:
                return _acted(ActState.DISOBEYED, waiting_for)
            await asyncio.sleep(POLL.total_seconds())
        return _acted(ActState.DONE, "the gateway has taken the route")

    @activity.defn(name="virtual_model.remove")
    async def remove(self, order: RemovalOrder) -> None:
        await self._router.remove(order.route, order.owner)

    async def _not_obeyed(self, order: ObeyOrder) -> str:
        """Say why the layout is not in force yet; nothing once it is."""
        try:
            state = await self._router.observe(order.route)
        except TransientError as error:
            return str(error)
        if state is None or state.layout != order.layout:
            return "the route does not stand as it was written"
        return "" if state.obeyed else state.obeyed_detail or "the gateway has not taken it yet"


def _acted(state: ActState, detail: str) -> Acted:
    return Acted(state=state, at=datetime.now(UTC), detail=detail)
