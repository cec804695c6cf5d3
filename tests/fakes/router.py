"""A gateway that keeps every write, and refuses what the real one would refuse."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from domain.errors import Conflict, FencedOut, NotYet, TidegateError
from domain.ports import TrafficRouter
from domain.traffic import (
    NO_EXTRAS,
    Drift,
    Extras,
    Ownership,
    Route,
    RouteState,
    Slots,
    drift_between,
    extras_drift,
)
from domain.workloads import Workload
from tests.fakes.faults import Faults

Key = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """A write that changed the route; `slots` is None for its removal."""

    at: datetime
    route: str
    slots: Slots | None
    owner: Ownership
    insist: bool = False
    extras: Extras = NO_EXTRAS


@dataclass(slots=True, kw_only=True)
class _Held:
    slots: Slots
    owner: Ownership
    extras: Extras = NO_EXTRAS
    manager: str = ""

    @property
    def names(self) -> set[str]:
        return _named(self.slots, self.extras)

    looks_until_obeyed: int = 0


class RecordingRouter(TrafficRouter):
    """Obeys at once unless `lag` (looks until it obeys) or `stuck` say otherwise.

    `writes` keeps each write that changed something, in order.
    """

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.writes: list[Write] = []
        self.connected: dict[Key, Workload] = {}
        self.lag = 0
        self.stuck = False
        self._now = now
        self._routes: dict[Key, _Held] = {}
        self._faults = Faults()

    def fail(self, method: str, *errors: TidegateError) -> None:
        """Raise these on the next calls of that method."""
        self._faults.plan(method, errors)

    def outage(self, method: str, error: TidegateError | None) -> None:
        """Raise this on every call of the method, until None."""
        self._faults.stand(method, error)

    def tamper(self, route: Route, slots: Slots, manager: str) -> None:
        """Change the route behind the engine's back."""
        self._routes[_key(route)].slots = slots
        self._routes[_key(route)].manager = manager

    def lose(self, route: Route) -> None:
        """Delete the route behind the engine's back."""
        self._routes.pop(_key(route), None)

    def weights(self, route: Route) -> tuple[int, ...]:
        """The weights as they stand, by slot; empty where there is no route."""
        held = self._routes.get(_key(route))
        return tuple(slot.weight for slot in held.slots) if held else ()

    async def connect(self, route: Route, workload: Workload) -> None:
        self._faults.strike("connect")
        self.connected[route.namespace, workload.name] = workload

    async def disconnect(self, route: Route, workload: Workload) -> None:
        self._faults.strike("disconnect")
        held = self._routes.get(_key(route))
        if held and workload.name in held.names:
            raise NotYet(f"AIGatewayRoute {route.name} still names {workload.name}")
        self.connected.pop((route.namespace, workload.name), None)

    async def observe(self, route: Route) -> RouteState | None:
        self._faults.strike("observe")
        held = self._routes.get(_key(route))
        if held is None:
            return None
        obeyed = not self.stuck and held.looks_until_obeyed <= 0
        held.looks_until_obeyed -= 1
        detail = "" if obeyed else "the gateway still shows the previous weights"
        return RouteState(
            slots=held.slots,
            owner=held.owner,
            obeyed=obeyed,
            obeyed_detail=detail,
            extras=held.extras,
        )

    async def write(
        self,
        route: Route,
        slots: Slots,
        owner: Ownership,
        *,
        extras: Extras = NO_EXTRAS,
        insist: bool = False,
    ) -> None:
        self._faults.strike("write")
        held = self._routes.get(_key(route))
        if held is not None:
            _require_newest(held.owner, owner)
            is_same = (held.slots, held.extras) == (slots, extras)
            if is_same and held.owner.run_id == owner.run_id:
                return
            if not is_same and held.manager and not insist:
                raise Conflict(f".spec.rules of {route.name} is managed by {held.manager!r}")
        if not insist:
            self._require_connected(route, _named(slots, extras), held)
        self._routes[_key(route)] = _Held(
            slots=slots, owner=owner, extras=extras, looks_until_obeyed=self.lag
        )
        self._record(route, slots, owner, insist=insist, extras=extras)

    async def drift(
        self, route: Route, expected: Slots, extras: Extras = NO_EXTRAS
    ) -> Drift | None:
        self._faults.strike("drift")
        held = self._routes.get(_key(route))
        if held is None:
            return Drift(field="route", expected="present", found="missing")
        moved = drift_between(expected, held.slots, held.manager)
        return moved or extras_drift(extras, held.extras, held.manager)

    async def remove(self, route: Route, owner: Ownership) -> None:
        self._faults.strike("remove")
        held = self._routes.get(_key(route))
        if held is None:
            return
        _require_newest(held.owner, owner)
        del self._routes[_key(route)]
        self._record(route, None, owner)

    def _require_connected(self, route: Route, named: set[str], held: _Held | None) -> None:
        for workload in sorted(named - (held.names if held else set())):
            if (route.namespace, workload) not in self.connected:
                raise NotYet(f"the gateway does not know {workload} yet")

    def _record(
        self,
        route: Route,
        slots: Slots | None,
        owner: Ownership,
        *,
        insist: bool = False,
        extras: Extras = NO_EXTRAS,
    ) -> None:
        write = Write(
            at=self._now(),
            route=route.name,
            slots=slots,
            owner=owner,
            insist=insist,
            extras=extras,
        )
        self.writes.append(write)


def _named(slots: Slots, extras: Extras) -> set[str]:
    """Every workload that a route leads to."""
    return {slot.workload for slot in slots} | extras.workloads


def _key(route: Route) -> Key:
    return (route.namespace, route.name)


def _require_newest(held: Ownership, owner: Ownership) -> None:
    same_moment = owner.token == held.token and owner.run_id != held.run_id
    if owner.token < held.token or same_moment:
        raise FencedOut(f"run {held.run_id} has written since: {held.token} is not {owner.token}")
