"""`up` and `down`: the cluster in the foreground of a terminal, and its stop from another one."""

import time
from asyncio import Event
from collections.abc import Collection
from contextlib import suppress
from datetime import timedelta

import httpx

from sandbox.cluster import cluster
from sandbox.greeting import addresses, first_steps, variables
from sandbox.interrupts import stoppable
from sandbox.layout import Layout
from sandbox.parts import PARTS
from sandbox.providers import provide
from sandbox.record import stop_from_elsewhere
from sandbox.seed import SeedFailed, seed

_STOP_PATIENCE = timedelta(seconds=60)


async def up(layout: Layout, only: Collection[str] | None = None) -> int:
    """Runs the cluster, or the parts in `only`; 0 once told to stop, 1 if a part dies for good."""
    return await stoppable(lambda hurry: _live(layout, only, hurry), say=say, stopped=0)


async def down(layout: Layout) -> int:
    """Stops the cluster of this home, whichever terminal it runs in, or what is left of it."""
    say(await stop_from_elsewhere(layout.run_file, patience=_STOP_PATIENCE))
    return 0


def say(sentence: str) -> None:
    """Prints at once; a terminal that is gone is no reason to stop in disorder."""
    with suppress(OSError):
        print(sentence, flush=True)


async def _live(layout: Layout, only: Collection[str] | None, hurry: Event) -> int:
    begin = time.monotonic()
    say("starting " + ", ".join(name for name in PARTS if only is None or name in only))
    async with cluster(layout, only, say=say, hurry=hurry) as running:
        greeting = await _filled(layout) if only is None else ""
        say(addresses(layout, PARTS if only is None else only))
        if greeting:
            say(greeting)
        say(f"ready after {time.monotonic() - begin:.1f} s; Ctrl-C or `make down` stops it")
        say(f"{await running.failure()}; stopping the others")
    return 1


async def _filled(layout: Layout) -> str:
    """What to try first in a sandbox with something in it, or why there is nothing in it.

    A cluster that cannot be seeded stays up: its owner has changed it, or wants to see why.
    """
    try:
        seeded = await seed(layout)
        await provide(layout)
        layout.first_steps_file.write_text(variables(layout, seeded))
        return first_steps(layout, seeded)
    except (SeedFailed, httpx.HTTPError) as error:
        return f"\n  {error}\n"
