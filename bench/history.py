"""How long the history of a week-long canary gets: the real workflow, a week in its own time.

Time is skipped by the server, and the watch plays along (tests/workflows/long_watch.py): it returns
in the workflow's time when the real watch would.
"""

import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from temporalio.testing import TimeSkippingConfig, WorkflowEnvironment

from activities.analysis import WatchOrder
from bench.report import Goal, Result, Table
from bench.run import Run
from bootstrap.converting import DATA_CONVERTER
from domain.plan import Plan
from domain.progress import Seen
from domain.rollout import Phase
from domain.steps import Soak
from domain.strategies.canary_steps import Pace
from sandbox.servers.binaries import script
from sandbox.servers.temporal import DYNAMIC_CONFIG
from tests.plans import canary_spec, plan, policies
from tests.workflows.long_watch import events_of, return_at
from tests.workflows.stage import PASSED, Stage
from workflows.search import PHASE, WEIGHT

TITLE = "history events of canaries that take a week, with 15 s probes"
GOAL_EVENTS = 2000
_WEEK = timedelta(days=7)
_SKIPPING = "frontend.WorkflowTimeSkippingEnabled=true"
_MOST_SKIPS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Walked:
    """`events` by kind, less those of the skipping; `lasted` on the workflow's clock."""

    name: str
    events: Counter[str]
    reports: int
    lasted: timedelta


async def measure(run: Run) -> Result:
    shapes = {
        "one soak of a week": (10,),
        "seven soaks of a day": (1, 2, 5, 10, 20, 50, 80),
        "fourteen soaks of half a day": tuple(range(1, 15)),
    }
    walks = []
    async with _skipping() as env:
        for name, weights in shapes.items():
            walks.append(await _walk(env, name, _week_of(*weights)))
            run.say(f"history: {name}, {walks[-1].events.total():,} events")
    worst = max(walk.events.total() for walk in walks)
    return Result(
        goals=(
            Goal(
                promise=f"under {GOAL_EVENTS:,} events",
                found=f"at most {worst:,}",
                met=worst < GOAL_EVENTS,
            ),
        ),
        tables=(_table(walks),),
        notes=("A watch reports at `report_at` of the workflow's own clock, which passed a week.",),
        raw={walk.name: {"events": dict(walk.events), "reports": walk.reports} for walk in walks},
    )


async def _walk(env: WorkflowEnvironment, name: str, walked: Plan) -> Walked:
    """Walk a plan to its promotion."""
    reports = Counter[str]()
    async with Stage(env.client) as stage:
        stage.analysis.report = _watch(reports)
        handle = await stage.start(walked)
        result = await handle.result()
        history = await handle.fetch_history()
    if result.phase is not Phase.PROMOTED:
        raise RuntimeError(f"the canary ended as {result.phase}: {result.reason}")
    first, last = history.events[0], history.events[-1]
    lasted = last.event_time.ToDatetime() - first.event_time.ToDatetime()
    return Walked(name=name, events=events_of(history), reports=reports.total(), lasted=lasted)


def _watch(reports: Counter[str]) -> Callable[[WatchOrder], Awaitable[Seen]]:
    """A watch that sees nothing wrong, and reports when the real one would."""

    async def watch(order: WatchOrder) -> Seen:
        return_at(min(order.report_at, _end_of_soak(order)))
        reports[str(order.progress.step)] += 1
        return PASSED

    return watch


def _end_of_soak(order: WatchOrder) -> datetime:
    soak = order.plan.steps[order.progress.step]
    if not isinstance(soak, Soak):
        raise TypeError(f"a watch is ordered in a soak, not in {soak}")
    return order.progress.acted.at + soak.at_most


def _week_of(*weights: int) -> Plan:
    spec = canary_spec(
        *weights,
        soak=_WEEK / len(weights),
        pace=Pace.TIME,
        policies=policies(deadline=_WEEK * 2, probe_interval=timedelta(seconds=15)),
    )
    return plan(spec)


def _table(walks: list[Walked]) -> Table:
    kinds = ("ACTIVITY", "WORKFLOW_TASK", "TIMER")
    rows = []
    for walk in walks:
        parts = [
            sum(count for name, count in walk.events.items() if name.startswith(kind))
            for kind in kinds
        ]
        total = walk.events.total()
        cells = [total, walk.reports, *parts, total - sum(parts)]
        rows.append((walk.name, f"{walk.lasted / timedelta(days=1):.1f}", *map(str, cells)))
    head = ("canary", "days", "events", "reports", "activities", "workflow tasks", "timers", "rest")
    return Table(caption="events in the history at its end", head=head, rows=tuple(rows))


@asynccontextmanager
async def _skipping() -> AsyncIterator[WorkflowEnvironment]:
    """The real server, with a clock per workflow that jumps over idle time."""
    logging.getLogger("temporalio").setLevel(logging.ERROR)
    extra = [
        word for value in (*DYNAMIC_CONFIG, _SKIPPING) for word in ("--dynamic-config-value", value)
    ]
    async with await WorkflowEnvironment.start_time_skipping_v2(
        dev_server_existing_path=str(script("temporal")),
        dev_server_log_level="error",
        data_converter=DATA_CONVERTER,
        search_attributes=[PHASE, WEIGHT],
        dev_server_extra_args=extra,
        ts_config=TimeSkippingConfig(max_session_skip_count=_MOST_SKIPS),
    ) as env:
        yield env
