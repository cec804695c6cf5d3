"""`make up` to the first request served, and the memory of the whole sandbox.

After set-up the verb runs two commands, `sandbox fetch` and `sandbox up`: these are timed.
"""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from bench.report import Goal, Result, Table
from bench.run import Run
from bench.samples import median
from bench.world import home
from sandbox.caller import calling
from sandbox.layout import PORT_SETTINGS, PROJECT, Layout
from sandbox.load import Load
from sandbox.ports import free_ports
from sandbox.probe import answers
from sandbox.seed import MODEL, seed
from sandbox.servers.prometheus import find_binary

TITLE = "`make up` to the first request served, and the memory of the sandbox"
GOAL_SECONDS = 15.0
GOAL_MB = 1024.0
_TRIALS = 2
_RATE = 100
_POLL_SECONDS = 0.05
_PATIENCE_SECONDS = 60.0
_REST_SECONDS = 3.0
_MB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """Seconds from the first command to each milestone; `ready` is when the API is, too."""

    fetched: float
    served: float
    ready: float


async def measure(run: Run) -> Result:
    """Each trial starts in an empty home, then once more in what it left."""
    cold: list[Started] = []
    warm: list[Started] = []
    memory: dict[str, dict[str, float]] = {}
    for number in range(count := run.trials(_TRIALS)):
        with home() as folder:
            environment = _environment(folder)
            async with _up(environment) as started:
                cold.append(started)
            async with _up(environment) as started:
                warm.append(started)
                if number == count - 1:
                    memory = await _memory(Layout.from_environment(environment))
        run.say(
            f"up {number + 1} of {count}: {cold[-1].served:.1f} s, again {warm[-1].served:.1f} s"
        )
    return _result(cold, warm, memory)


@asynccontextmanager
async def _up(environment: Mapping[str, str]) -> AsyncIterator[Started]:
    """Run the two commands; serving when the block begins, gone when it ends."""
    layout = Layout.from_environment(environment)
    begin = time.monotonic()
    fetch = await _sandbox(layout, environment, "fetch")
    if await fetch.wait():
        raise RuntimeError(f"sandbox fetch failed; see {layout.home}")
    fetched = time.monotonic() - begin
    process = await _sandbox(layout, environment, "up")
    try:
        await _first_answer(layout, process)
        served = time.monotonic() - begin
        await _until(answers(f"{layout.api_url}/readyz"))
        yield Started(fetched=fetched, served=served, ready=time.monotonic() - begin)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), _PATIENCE_SECONDS)


async def _sandbox(
    layout: Layout, environment: Mapping[str, str], command: str
) -> asyncio.subprocess.Process:
    with (layout.home / f"bench-{command}.log").open("ab") as log:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "sandbox", command),
            cwd=PROJECT,
            env={**os.environ, **environment, "PYTHONPATH": str(PROJECT)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


async def _first_answer(layout: Layout, process: asyncio.subprocess.Process) -> None:
    """Return when the gateway has served a request."""
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Is the tide in?"}]}
    url = f"{layout.gateway_url}/v1/chat/completions"
    async with asyncio.timeout(_PATIENCE_SECONDS), aiohttp.ClientSession() as http:
        while process.returncode is None:
            try:
                async with http.post(url, json=body) as answer:
                    if answer.ok:
                        return
            except aiohttp.ClientError:
                pass  # nobody listens yet
            await asyncio.sleep(_POLL_SECONDS)
    raise RuntimeError(f"sandbox up ended with exit code {process.returncode}")


async def _until(is_ready: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while True:
            if await is_ready():
                return
            await asyncio.sleep(_POLL_SECONDS)


def _environment(folder: Path) -> dict[str, str]:
    """A home of its own on free ports, with the Prometheus that set-up has fetched."""
    prometheus = find_binary(Layout.from_environment().downloads)
    ports = zip(PORT_SETTINGS.values(), free_ports(len(PORT_SETTINGS)), strict=True)
    return {
        "TIDEGATE_HOME": str(folder),
        "TIDEGATE_PROMETHEUS_BIN": str(prometheus),
        **{setting.variable: str(port) for setting, port in ports},
    }


async def _memory(layout: Layout) -> dict[str, dict[str, float]]:
    """MB of PSS by part: at rest with the seed, and the largest total seen during a rollout."""
    seeded = await seed(layout)
    await asyncio.sleep(_REST_SECONDS)
    found = {"at rest": _pss(layout)}
    path = f"/traffic_configs/{seeded.config_id}/rollouts"
    body = {
        "target_version_id": seeded.versions["v2"],
        "steps": [{"weight": 10, "soak_seconds": 3}, {"weight": 50, "soak_seconds": 3}],
        "gates": [],
        "policies": {
            "probe_interval_seconds": 1,
            "scale_down_delay_seconds": 1,
            "warm_up_seconds": 0,
        },
    }
    samples = []
    async with Load(layout.gateway_url, MODEL, _RATE), calling(layout) as caller:
        rollout: dict[str, Any] = await caller.post(path, body)
        while rollout["ended_at"] is None:
            samples.append(_pss(layout))
            await asyncio.sleep(1)
            rollout = await caller.get(f"/rollouts/{rollout['id']}", live=False)
    found["during a rollout"] = max(samples, key=lambda sample: sum(sample.values()))
    return found


def _pss(layout: Layout) -> dict[str, float]:
    """MB by part, each with all that it has started; the supervisor without the parts."""
    noted = json.loads(layout.run_file.read_text())
    by_part = {name: psutil.Process(each["pid"]) for name, each in noted["processes"].items()}
    found = {"supervisor": _own_pss(psutil.Process(noted["supervisor"]["pid"]))}
    for name, process in by_part.items():
        children = process.children(recursive=True)
        if name == "controllers":
            found["model servers"] = sum(map(_own_pss, children))
            children = []
        found[name] = _own_pss(process) + sum(map(_own_pss, children))
    return found


def _own_pss(process: psutil.Process) -> float:
    """A process that has just ended has none."""
    try:
        return float(process.memory_full_info().pss) / _MB
    except psutil.NoSuchProcess:
        return 0.0


def _result(
    cold: list[Started], warm: list[Started], memory: dict[str, dict[str, float]]
) -> Result:
    served = median([each.served for each in cold])
    most = max(sum(parts.values()) for parts in memory.values())
    return Result(
        goals=(
            Goal(
                promise=f"first request served within {GOAL_SECONDS:g} s",
                found=f"{served:.1f} s (median, in an empty home)",
                met=served < GOAL_SECONDS,
            ),
            Goal(
                promise=f"under {GOAL_MB:g} MB", found=f"{most:.0f} MB of PSS", met=most < GOAL_MB
            ),
        ),
        tables=(_times(cold, warm), _parts(memory)),
        raw={
            "cold": [asdict(each) for each in cold],
            "warm": [asdict(each) for each in warm],
            "memory_mb": memory,
        },
    )


def _times(cold: list[Started], warm: list[Started]) -> Table:
    rows = []
    for name, trials in (("in an empty home", cold), ("in the home of an earlier one", warm)):
        served = [each.served for each in trials]
        fetched, ready = (
            median([getattr(each, name) for each in trials]) for name in ("fetched", "ready")
        )
        values = (fetched, min(served), median(served), max(served), ready)
        rows.append((name, *(f"{value:.1f}" for value in values)))
    head = ("seconds", "of it fetch", "least", "median", "most", "API ready")
    return Table(caption="from the command to the first answer", head=head, rows=tuple(rows))


def _parts(memory: dict[str, dict[str, float]]) -> Table:
    names = sorted({name for parts in memory.values() for name in parts})
    rows = [(name, *(f"{parts.get(name, 0):.0f}" for parts in memory.values())) for name in names]
    rows.append(("all", *(f"{sum(parts.values()):.0f}" for parts in memory.values())))
    return Table(caption="memory (PSS)", head=("MB", *memory), rows=tuple(rows))
