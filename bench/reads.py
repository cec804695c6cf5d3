"""The API's reads beside a bare FastAPI + asyncpg handler that does the same query."""

import json
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from adapters.postgres.pool import open_pool
from adapters.postgres.registry import PostgresRegistry
from bench.report import Goal, Result, Table
from bench.run import Run
from bench.samples import median, quantile
from bench.wire import Ask, Connection, hammer
from bench.world import home
from domain.rollout import Phase, Rollout
from sandbox.caller import PREFIX
from sandbox.layout import HOST, PROJECT
from sandbox.ports import free_ports
from sandbox.probe import answers
from sandbox.process import ProcessSpec, running
from sandbox.servers import postgres
from tests.projects import NOW, Project, a_project

TITLE = "the API's reads beside a bare FastAPI + asyncpg handler with the same query and fields"
GOAL_RATIO = 3.0
_ROWS = 150
_PAGE = 100
_CONCURRENCIES = (1, 16)
_ROUNDS = 4
_ROUND_SECONDS = 0.6
_WARM_UP_SECONDS = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One read at both servers, and what was measured of it, per concurrency."""

    name: str
    ours: Ask
    bare: Ask
    found: dict[int, "Compared"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Seconds per answer, over all rounds; `window` is how long each side was asked in all."""

    ours: list[float]
    bare: list[float]
    window: float

    @property
    def ratio(self) -> float:
        return median(self.ours) / median(self.bare)

    @property
    def throughput_ratio(self) -> float:
        """How many times more answers the bare one gives in the same time."""
        return len(self.bare) / len(self.ours)


async def measure(run: Run) -> Result:
    async with _served() as pairs:
        sizes = []
        for pair in pairs:
            ours, bare = await _answer(pair.ours), await _answer(pair.bare)
            _require_same_fields(pair.name, ours, bare)
            sizes.append(f"{pair.name} {len(ours)} and {len(bare)}")
            for connections in _CONCURRENCIES:
                pair.found[connections] = await _compare(run, pair, connections)
            run.say(f"reads: {pair.name} done")
    worst = max(each.ratio for pair in pairs for each in pair.found.values())
    return Result(
        goals=(
            Goal(
                promise=f"medians under {GOAL_RATIO:g} times",
                found=f"at most {worst:.2f} times",
                met=worst < GOAL_RATIO,
            ),
        ),
        tables=(_table(pairs),),
        notes=(
            "Both are uvicorn processes with the same settings, asked in turns.",
            f"Bytes of the answers, ours and bare: {', '.join(sizes)}.",
        ),
        raw={
            f"{pair.name}, {connections}": {
                "ours_median_seconds": median(each.ours),
                "bare_median_seconds": median(each.bare),
                "ours_per_second": len(each.ours) / each.window,
                "bare_per_second": len(each.bare) / each.window,
            }
            for pair in pairs
            for connections, each in pair.found.items()
        },
    )


async def _compare(run: Run, pair: Pair, connections: int) -> Compared:
    """Ask both in turns, so that whatever else the machine does hits both."""
    seconds = run.seconds(_ROUND_SECONDS)
    for ask in (pair.ours, pair.bare):
        await hammer(ask, connections=connections, seconds=_WARM_UP_SECONDS)
    ours: list[float] = []
    bare: list[float] = []
    for number in range(_ROUNDS):
        turns = [(pair.ours, ours), (pair.bare, bare)]
        for ask, found in turns if number % 2 else reversed(turns):
            found.extend(await hammer(ask, connections=connections, seconds=seconds))
    return Compared(ours=ours, bare=bare, window=_ROUNDS * seconds)


async def _answer(ask: Ask) -> bytes:
    async with Connection(ask) as connection:
        return await connection.ask()


def _require_same_fields(name: str, ours: bytes, bare: bytes) -> None:
    """A comparison with an answer that says less would flatter nobody but us."""
    listed = [_fields(json.loads(body)) for body in (ours, bare)]
    if listed[0] != listed[1]:
        raise RuntimeError(f"{name}: not the same fields: {listed[0] ^ listed[1]}")


def _fields(document: dict[str, Any]) -> set[str]:
    """Of the answer and of the items that it lists."""
    items = document.get("items") or [{}]
    return {*document, *items[0]}


def _table(pairs: list[Pair]) -> Table:
    rows = []
    for pair in pairs:
        for connections, each in pair.found.items():
            cells = [_ms(median(each.ours)), _ms(median(each.bare)), f"{each.ratio:.2f}"]
            cells += [_ms(quantile(each.ours, 0.9)), _ms(quantile(each.bare, 0.9))]
            cells += [f"{len(side) / each.window:.0f}" for side in (each.ours, each.bare)]
            rows.append(
                (f"{pair.name}, {connections} at once", *cells, f"{each.throughput_ratio:.2f}")
            )
    head = (
        "read", "ms", "bare ms", "times", "p90", "bare p90", "per s", "bare per s", "times",
    )  # fmt: skip
    return Table(caption="medians, p90 and throughput", head=head, rows=tuple(rows))


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.2f}"


@asynccontextmanager
async def _served() -> AsyncIterator[list[Pair]]:
    """A database with rollouts, and both servers on it. Temporal is not needed for reads."""
    api_port, bare_port = free_ports(2)
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(home())
        server = await stack.enter_async_context(postgres.running(folder / "postgres"))
        url = server.url("reads")
        await postgres.migrate(url)
        project, rollout_id = await _filled(url)
        environment = {"TIDEGATE_DATABASE_URL": url, "TIDEGATE_API_PORT": str(api_port)}
        for spec in (
            _spec("api", ("-m", "api"), f"http://{HOST}:{api_port}/healthz", environment),
            _spec(
                "bare",
                ("-m", "bench.bare_api", "--port", str(bare_port)),
                f"http://{HOST}:{bare_port}/openapi.json",
                environment,
            ),
        ):
            await stack.enter_async_context(running(spec, log=folder / f"{spec.name}.log"))
        yield _pairs(project, rollout_id, api_port, bare_port)


async def _filled(url: str) -> tuple[Project, str]:
    """A project with ended rollouts, so that none of them is asked of its workflow."""
    pool = await open_pool(url)
    try:
        registry = PostgresRegistry(pool)
        project = await a_project().store(registry)
        rollouts = [await _ended(project, registry, number) for number in range(_ROWS)]
    finally:
        await pool.close()
    return project, str(rollouts[-1].id)


async def _ended(project: Project, registry: PostgresRegistry, number: int) -> Rollout:
    at = NOW + timedelta(minutes=number)
    ended = {"phase": Phase.ROLLED_BACK, "phase_reason": "errors", "ended_at": at}
    return await project.start(registry, created_at=at, **ended)


def _pairs(project: Project, rollout_id: str, api_port: int, bare_port: int) -> list[Pair]:
    headers = {"Project-ID": str(project.id)}
    paths = {
        "GET rollout": f"/rollouts/{rollout_id}",
        f"GET {_PAGE} rollouts": f"/rollouts?limit={_PAGE}",
        "GET traffic config": f"/traffic_configs/{project.config.id}",
    }
    return [
        Pair(
            name=name,
            ours=Ask(url=f"http://{HOST}:{api_port}{PREFIX}{path}", headers=headers),
            bare=Ask(url=f"http://{HOST}:{bare_port}{path}", headers=headers),
        )
        for name, path in paths.items()
    ]


def _spec(
    name: str, arguments: tuple[str, ...], ready: str, environment: dict[str, str]
) -> ProcessSpec:
    return ProcessSpec(
        name=name,
        argv=(sys.executable, *arguments),
        cwd=Path(PROJECT),
        environment={**environment, "PYTHONPATH": str(PROJECT)},
        ready=answers(ready),
    )
