"""The sandbox as a context manager: whole or in part, for `make up`, the demo and the tests."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path

from sandbox.layout import PORT_SETTINGS, Layout
from sandbox.parts import PARTS
from sandbox.ports import holder, is_free
from sandbox.record import Say, claim
from sandbox.supervisor import Supervisor


class PortTaken(Exception):
    """A port that the sandbox needs is another program's; nothing was started."""


@asynccontextmanager
async def cluster(
    layout: Layout,
    only: Collection[str] | None = None,
    *,
    say: Say = print,
    hurry: asyncio.Event | None = None,
) -> AsyncIterator[Supervisor]:
    """Runs the parts named in `only` (all of `PARTS` by default), ready when the block begins.

    Raises AlreadyRunning, PortTaken, StartFailed, BinaryMissing. When `hurry` is set, stopping
    grants no more time.
    """
    names = [name for name in PARTS if only is None or name in only]
    _refuse_unknown(only or ())
    record = await claim(layout.run_file, say)
    try:
        check_ports(layout, names)
        _set_old_logs_aside(layout.logs_dir)
        parts = [PARTS[name].build(layout, say) for name in names]
        supervisor = Supervisor(parts, record=record, logs=layout.logs_dir, say=say, hurry=hurry)
        try:
            await supervisor.start()
            yield supervisor
        finally:
            await supervisor.stop()
    finally:
        record.release()


def check_ports(layout: Layout, names: Collection[str]) -> None:
    """Raises PortTaken, naming every taken port of the parts `names` and who holds it."""
    taken = []
    ports = layout.ports()
    for field in (field for name in names for field in PARTS[name].ports):
        if not is_free(ports[field]):
            by = holder(ports[field]) or "another program"
            variable = PORT_SETTINGS[field].variable
            taken.append(f"port {ports[field]} is taken by {by}; {variable} chooses another")
    if taken:
        raise PortTaken("\n".join(taken))


def _set_old_logs_aside(folder: Path) -> None:
    """Keeps the logs of the last run, and of no earlier one, as <name>.log.1."""
    for log in folder.glob("*.log"):
        log.replace(log.with_suffix(".log.1"))


def _refuse_unknown(names: Collection[str]) -> None:
    unknown = sorted(set(names) - PARTS.keys())
    if unknown:
        raise ValueError(f"no such parts: {', '.join(unknown)}; there are {', '.join(PARTS)}")
