"""The router that a route's protocol chooses."""

from domain.ports import TrafficRouter
from domain.traffic import NO_EXTRAS, Drift, Extras, Ownership, Route, RouteState, Slots
from domain.workloads import Protocol, Workload


class RouterByProtocol(TrafficRouter):
    """`generative` carries OpenAI's protocol, `predictive` the others."""

    def __init__(self, *, generative: TrafficRouter, predictive: TrafficRouter) -> None:
        self._generative, self._predictive = generative, predictive

    def _of(self, route: Route) -> TrafficRouter:
        return self._generative if route.protocol is Protocol.OPENAI else self._predictive

    async def connect(self, route: Route, workload: Workload) -> None:
        await self._of(route).connect(route, workload)

    async def disconnect(self, route: Route, workload: Workload) -> None:
        await self._of(route).disconnect(route, workload)

    async def observe(self, route: Route) -> RouteState | None:
        return await self._of(route).observe(route)

    async def write(
        self,
        route: Route,
        slots: Slots,
        owner: Ownership,
        *,
        extras: Extras = NO_EXTRAS,
        insist: bool = False,
    ) -> None:
        await self._of(route).write(route, slots, owner, extras=extras, insist=insist)

    async def drift(
        self, route: Route, expected: Slots, extras: Extras = NO_EXTRAS
    ) -> Drift | None:
        return await self._of(route).drift(route, expected, extras)

    async def remove(self, route: Route, owner: Ownership) -> None:
        await self._of(route).remove(route, owner)
