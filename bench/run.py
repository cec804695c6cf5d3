"""One run of the benchmark: its seed, how thorough it is, and the cluster that measures share."""

import os
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from random import Random

from bench.world import World, world
from sandbox.record import Say


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    seed: int
    quick: bool
    say: Say
    _stack: AsyncExitStack
    _worlds: list[World] = field(default_factory=list)

    def trials(self, thorough: int) -> int:
        """How often to try: so often, or twice for a smoke."""
        return 2 if self.quick else thorough

    def seconds(self, thorough: float) -> float:
        """How long to look: so long, or a quarter for a smoke."""
        return thorough / 4 if self.quick else thorough

    def random(self, name: str) -> Random:
        """Draws of a measure's own, the same whichever measures run before it."""
        return Random(f"{self.seed}/{name}")

    async def world(self) -> World:
        """The seeded cluster, started at the first call; it ends with the run."""
        if not self._worlds:
            self.say("starting a seeded cluster")
            self._worlds.append(await self._stack.enter_async_context(world(self.say)))
        return self._worlds[0]


def load_average() -> float:
    """Of the last minute: how many processes wanted a processor."""
    return os.getloadavg()[0]
