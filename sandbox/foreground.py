"""`up` and `down`: the cluster in the foreground of a terminal, and its stop from another one."""

import asyncio
import signal
import time
from collections.abc import Collection
from contextlib import suppress
from datetime import timedelta

from sandbox.cluster import cluster
from sandbox.layout import Layout
from sandbox.parts import PARTS
from sandbox.record import stop_from_elsewhere

_STOP_PATIENCE = timedelta(seconds=60)
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def up(layout: Layout, only: Collection[str] | None = None) -> int:
    """Runs the cluster, or the parts in `only`; 0 once told to stop, 1 if a part dies for good."""
    hurry = asyncio.Event()
    life = asyncio.create_task(_live(layout, only, hurry))

    def interrupt() -> None:
        if life.cancelling():
            say("hurrying")
            hurry.set()
        else:
            say("stopping; once more to hurry")
            life.cancel()

    for number in _STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, interrupt)
    try:
        return await life
    except asyncio.CancelledError:
        return 0


async def down(layout: Layout) -> int:
    """Stops the cluster of this home, whichever terminal it runs in, or what is left of it."""
    say(await stop_from_elsewhere(layout.run_file, patience=_STOP_PATIENCE))
    return 0


def say(sentence: str) -> None:
    """Prints at once; a terminal that is gone is no reason to stop in disorder."""
    with suppress(OSError):
        print(sentence, flush=True)


async def _live(layout: Layout, only: Collection[str] | None, hurry: asyncio.Event) -> int:
    begin = time.monotonic()
    say("starting " + ", ".join(name for name in PARTS if only is None or name in only))
    async with cluster(layout, only, say=say, hurry=hurry) as running:
        say(_addresses(layout, PARTS if only is None else only))
        say(f"ready after {time.monotonic() - begin:.1f} s; Ctrl-C or `make down` stops it")
        say(f"{await running.failure()}; stopping the others")
    return 1


def _addresses(layout: Layout, parts: Collection[str]) -> str:
    rows = {
        "api": ("API", f"{layout.api_url}/docs"),
        "temporal": ("Temporal UI", layout.temporal_ui_url),
        "envoy": ("gateway", layout.gateway_url),
        "prometheus": ("Prometheus", layout.prometheus_url),
        "kubernetes": ("Kubernetes", f"KUBECONFIG={layout.kubeconfig}"),
    }
    shown = [row for part, row in rows.items() if part in parts]
    shown.append(("logs", str(layout.logs_dir)))
    return "\n".join(f"  {name:<12} {address}" for name, address in shown)
