"""One rollout of the bench's candidate through the public API, with what it tells of itself."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Self

from bench.world import World
from sandbox.caller import Document, Event

WEIGHT = 10
_FIRST_SOAK = 2  # deploy, set weights, soak
_PATIENCE_SECONDS = 60.0

ERRORS = {
    "name": "errors",
    "metric": "error_rate",
    "source": "envoy",
    "against_stable": {"floor": 0.01},
}
"""The default gate, with a floor at which 30 requests a second can prove something."""

LONG_SOAK = {"weight": WEIGHT, "soak_seconds": 600, "pace": "time"}
POLICIES = {
    "probe_interval_seconds": 1,
    "scale_down_delay_seconds": 1,
    "drain_seconds": 1,
    "warm_up_seconds": 0,
    "overdispersion": 1,
}


class Canary:
    """A started rollout. Its events arrive in the background while the `async with` block runs."""

    def __init__(self, world: World, rollout: Document) -> None:
        self.id: str = rollout["id"]
        self.stable: str = rollout["plan"]["stable"]["workload"]
        self.candidate: str = rollout["plan"]["candidate"]["workload"]
        self.slot: int = rollout["plan"]["candidate"]["slot"]
        self.events: list[Event] = []
        self._world = world
        self._news = asyncio.Event()

    @classmethod
    async def start(cls, world: World, **wishes: Any) -> Self:
        """A canary that soaks at 10 % for as long as the gate on errors lets it, if not told."""
        body = {
            "target_version_id": world.candidate_id,
            "steps": [LONG_SOAK],
            "gates": [ERRORS],
            "policies": POLICIES,
            "actor": "bench",
            **wishes,
        }
        path = f"/traffic_configs/{world.seeded.config_id}/rollouts"
        return cls(world, await world.caller.post(path, body))

    async def __aenter__(self) -> Self:
        self._following = asyncio.create_task(self._follow(), name=f"follow {self.id}")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._following.cancel()
        await asyncio.gather(self._following, return_exceptions=True)

    async def soaking(self) -> None:
        """Return once the candidate's first share has settled and its soak has begun."""
        await self.told(lambda each: each.kind == "step_started" and each.step == _FIRST_SOAK)

    async def told(self, is_it: Callable[[Event], bool]) -> Event:
        """The first such event. Raises TimeoutError when none comes within a minute."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while True:
                for event in self.events:
                    if is_it(event):
                        return event
                self._news.clear()
                await self._news.wait()

    async def ended(self) -> Document:
        """The rollout as it stands when its last event was told."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await self._following
        return await self._world.caller.get(f"/rollouts/{self.id}", live=False)

    async def abort(self) -> Document:
        return await self._world.caller.post(f"/rollouts/{self.id}/abort", {"actor": "bench"})

    async def _follow(self) -> None:
        async for event in self._world.caller.events(self.id):
            self.events.append(event)
            self._news.set()


def monotonic_at(event_seconds: float) -> float:
    """A moment of the wall clock (unix seconds) on the clock that load is measured by."""
    return event_seconds - time.time() + time.monotonic()
