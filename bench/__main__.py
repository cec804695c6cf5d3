"""`python -m bench [name ...]`: measures, prints tables, writes bench/results/."""

import argparse
import asyncio
import platform
import random
import signal
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from bench import abort, history, idle, lossless, reaction, reads, up
from bench.report import Result, Section, as_text, write
from bench.run import Run, load_average

RESULTS = Path(__file__).parent / "results"
_INTERRUPTED = 130

Measure = Callable[[Run], Awaitable[Result]]

# What needs a quiet machine, or none of the shared cluster, comes first.
MEASURES: Mapping[str, tuple[str, Measure]] = {
    "up": (up.TITLE, up.measure),
    "history": (history.TITLE, history.measure),
    "reads": (reads.TITLE, reads.measure),
    "reaction": (reaction.TITLE, reaction.measure),
    "abort": (abort.TITLE, abort.measure),
    "lossless": (lossless.TITLE, lossless.measure),
    "idle": (idle.TITLE, idle.measure),
}


def main() -> int:
    options = _parser().parse_args()
    try:
        return asyncio.run(_main(options))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return _INTERRUPTED


async def _main(options: argparse.Namespace) -> int:
    task = asyncio.current_task()
    if task is not None:  # a terminated run stops its servers, as an interrupted one does
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    began = datetime.now(UTC)
    circumstances = _circumstances(began, options)
    print("\n".join(f"{name}: {value}" for name, value in circumstances.items()), flush=True)
    sections: list[Section] = []
    async with AsyncExitStack() as stack:
        run = Run(seed=options.seed, quick=options.quick, say=_say, _stack=stack)
        for name in options.names or MEASURES:
            sections.append(await _section(run, name))
            print(as_text(sections[-1]), flush=True)
    path = write(RESULTS, f"{began:%Y%m%dT%H%M%SZ}", sections, circumstances)
    print(f"{path} and the .json beside it hold all of it")
    return int(any(section.result is None for section in sections))


async def _section(run: Run, name: str) -> Section:
    """Run one measure. One that breaks off is told, and the others go on."""
    title, measure = MEASURES[name]
    before, began = load_average(), time.monotonic()
    result, trouble = None, ""
    try:
        result = await measure(run)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other measures can go on
        traceback.print_exc()
        trouble = repr(error)
    return Section(
        name=name,
        title=title,
        seconds=time.monotonic() - began,
        load_before=before,
        load_after=load_average(),
        result=result,
        trouble=trouble,
    )


def _circumstances(began: datetime, options: argparse.Namespace) -> dict[str, Any]:
    return {
        "began": f"{began:%F %T} UTC",
        "seed": options.seed,
        "quick": options.quick,
        "processors": psutil.cpu_count(),
        "load": f"{load_average():.2f}",
        "python": platform.python_version(),
        "system": platform.platform(),
    }


def _say(sentence: str) -> None:
    print(f"   {sentence}", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*MEASURES, []], help="measures; all if none")
    parser.add_argument("--quick", action="store_true", help="a smoke: two trials, short looks")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    return parser


if __name__ == "__main__":
    sys.exit(main())
