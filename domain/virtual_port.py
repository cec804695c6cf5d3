"""Routes of virtual models, as the engine asks for them; see `domain.ports`."""

from collections.abc import Sequence
from typing import Protocol

from domain.traffic import Ownership
from domain.virtual_models import VirtualRoute
from domain.virtual_routes import Layout, Ref, VirtualRouteState


class VirtualModelRouter(Protocol):
    """Routes a virtual model's name to providers: Envoy AI Gateway."""

    async def require_known(self, route: VirtualRoute, refs: Sequence[Ref]) -> None:
        """Raise InvalidTraffic for a backend that the gateway does not know.

        NotYet for one that it has not looked at yet.
        """

    async def observe(self, route: VirtualRoute) -> VirtualRouteState | None:
        """The route as it stands, None where there is none."""

    async def write(
        self, route: VirtualRoute, layout: Layout, owner: Ownership, *, insist: bool = False
    ) -> None:
        """Have the route stand exactly so, compared and swapped.

        Raises FencedOut when a newer owner has written, Contended when somebody wrote in between,
        Conflict when another manager holds the rules; `insist` takes them back from it. Raises
        NotYet while the gateway is not ready to fall back as the layout needs it.
        """

    async def remove(self, route: VirtualRoute, owner: Ownership) -> None:
        """Have the route gone. Removing what is not there is success."""
