"""A gateway for virtual models that keeps every write, and refuses what the real one would."""

from collections.abc import Sequence
from dataclasses import dataclass

from domain.errors import Conflict, FencedOut, InvalidTraffic, NotYet, TidegateError, Violation
from domain.traffic import Ownership
from domain.virtual_models import VirtualRoute
from domain.virtual_port import VirtualModelRouter
from domain.virtual_routes import Layout, Ref, VirtualRouteState
from tests.fakes.faults import Faults

Key = tuple[str, str]


@dataclass(slots=True, kw_only=True)
class _Held:
    layout: Layout
    model: str
    owner: Ownership
    manager: str = ""


class RecordingVirtualRouter(VirtualModelRouter):
    """Obeys at once unless `stuck`. Knows the backends in `known`; without any, all of them.

    `writes` keeps the layout of each write that changed something, None for a removal.
    """

    def __init__(self) -> None:
        self.writes: list[Layout | None] = []
        self.known: set[Key] = set()
        self.stuck = False
        self._routes: dict[Key, _Held] = {}
        self._faults = Faults()

    def fail(self, method: str, *errors: TidegateError) -> None:
        """Raise these on the next calls of that method."""
        self._faults.plan(method, errors)

    def outage(self, method: str, error: TidegateError | None) -> None:
        """Raise this on every call of the method, until None."""
        self._faults.stand(method, error)

    def tamper(self, route: VirtualRoute, refs: tuple[Ref, ...], manager: str) -> None:
        """Change the route behind the engine's back."""
        held = self._routes[_key(route)]
        held.layout = Layout(refs=refs, levels=held.layout.levels)
        held.manager = manager

    async def require_known(self, route: VirtualRoute, refs: Sequence[Ref]) -> None:
        self._faults.strike("require_known")
        for ref in refs:
            if self.known and (ref.namespace, ref.name) not in self.known:
                rule = f"there is no AIServiceBackend {ref.name!r} in namespace {ref.namespace!r}"
                raise InvalidTraffic(Violation("ai_service_backend_name", rule))

    async def observe(self, route: VirtualRoute) -> VirtualRouteState | None:
        self._faults.strike("observe")
        held = self._routes.get(_key(route))
        if held is None:
            return None
        return VirtualRouteState(
            layout=held.layout,
            model=held.model,
            obeyed=not self.stuck,
            obeyed_detail="the gateway still shows the previous backends" if self.stuck else "",
        )

    async def write(
        self, route: VirtualRoute, layout: Layout, owner: Ownership, *, insist: bool = False
    ) -> None:
        self._faults.strike("write")
        held = self._routes.get(_key(route))
        if held is not None:
            _require_newest(held.owner, owner)
            same = (held.layout, held.model) == (layout, route.model)
            if same and held.owner.run_id == owner.run_id:
                return
            if held.manager and held.layout != layout and not insist:
                raise Conflict(f".spec.rules of {route.name} is managed by {held.manager!r}")
            if self.stuck and held.layout.levels != layout.levels:
                raise NotYet(f"the policy of {route.name} is not in force yet")
        self._routes[_key(route)] = _Held(layout=layout, model=route.model, owner=owner)
        self.writes.append(layout)

    async def remove(self, route: VirtualRoute, owner: Ownership) -> None:
        self._faults.strike("remove")
        held = self._routes.get(_key(route))
        if held is None:
            return
        _require_newest(held.owner, owner)
        del self._routes[_key(route)]
        self.writes.append(None)


def _key(route: VirtualRoute) -> Key:
    return (route.namespace, route.name)


def _require_newest(held: Ownership, owner: Ownership) -> None:
    same_moment = owner.token == held.token and owner.run_id != held.run_id
    if owner.token < held.token or same_moment:
        raise FencedOut(f"run {held.run_id} has written since: {held.token} is not {owner.token}")
