"""`traffic`: requests through the gateway until Ctrl-C, and who answers them."""

import asyncio
from collections import Counter

from sandbox.foreground import say
from sandbox.interrupts import stoppable
from sandbox.layout import Layout
from sandbox.load import Load, report
from sandbox.probe import http_status
from sandbox.seed import MODEL

_REPORT_EVERY_SECONDS = 5


async def traffic(layout: Layout, rate: float) -> int:
    """Sends `rate` requests a second until told to stop; 1 if there is no gateway to send to."""
    if await http_status(layout.gateway_url) is None:
        say(f"no gateway answers at {layout.gateway_url}; `make up` starts one")
        return 1
    load = Load(layout.gateway_url, MODEL, rate)
    say(f"{rate:g} requests/s for {MODEL} to {layout.gateway_url}; Ctrl-C stops")
    code = await stoppable(lambda _: _send(load), say=lambda _: None, stopped=0)
    say(report(load))
    return code


async def _send(load: Load) -> int:
    async with load:
        while True:
            start = len(load.timeline)
            await asyncio.sleep(_REPORT_EVERY_SECONDS)
            say(_split(load.timeline.counts(start)))


def _split(counts: Counter[tuple[str, str]]) -> str:
    """The shares of the servers, with what failed."""
    total = counts.total()
    if not total:
        return "  no answers"
    parts = []
    for server in sorted({name for name, _ in counts}):
        served = sum(count for (name, _), count in counts.items() if name == server)
        failed = served - counts[server, "2xx"]
        parts.append(
            f"{server} {100 * served / total:.1f} %" + (f" ({failed} failed)" * bool(failed))
        )
    return f"  {total} answers in {_REPORT_EVERY_SECONDS} s: {', '.join(parts)}"
