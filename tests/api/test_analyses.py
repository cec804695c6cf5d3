"""Analyses beside each other: who waits for whom, what is kept, and what its askers are told."""

import asyncio
import math
from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from api import analyses, charts
from api.analyses import Analyses
from api.errors import AnalysisUnfinished, ChartUnfinished
from api.outlooks import Outlooks
from api.problems import TABLE
from api.replays import Replays
from api.schemas.outlooks import AnalysisPlanIn
from domain.evidence.counters import Reading
from tests.api.caller import canary
from tests.api.test_analysis import Slow, a_backtest
from tests.fakes.counters import ScriptedCounters
from tests.fakes.history import ToldHistory
from tests.fakes.past import ScriptedHistory
from tests.plans import plan


def asked_again_after(error):
    return TABLE[error].retry_after_seconds or math.inf


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def analyses_of(metrics, clock):
    def made(history=None, *, patience_seconds=20.0):
        counters = ScriptedCounters(lambda _: Reading(candidate=(), stable=()))
        return Analyses(
            Replays(history or ScriptedHistory(), metrics),
            Outlooks(metrics, counters, ToldHistory()),
            patience_seconds=patience_seconds,
            timer=clock,
        )

    return made


@pytest.fixture
async def ids(api):
    return await api.served()


@pytest.fixture
async def stable(api, ids, registry):
    config = await registry.config(UUID(api.project), UUID(ids["config"]))
    return config.stable


@pytest.fixture
def ask_plan(stable):
    """Of one project, always the same."""
    project, planned = uuid4(), plan()
    wish = AnalysisPlanIn.model_validate(
        canary(str(uuid4()), traffic_config_id=str(stable.config_id))
    )

    async def ask(of):
        return await of.plan(project, wish, planned, stable, datetime.now(UTC))

    return ask


async def begun():
    """Until all that was asked is waited for."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_no_plan_waits_for_a_backtest(analyses_of, ask_plan):
    history = Slow()
    of = analyses_of(history)
    replaying = asyncio.create_task(of.backtest(uuid4(), a_backtest()))
    await begun()
    assert await ask_plan(of)
    assert not replaying.done()
    history.open.set()
    await replaying


async def test_no_backtest_waits_for_a_plan(analyses_of, ask_plan, metrics):
    of = analyses_of()
    metrics.gate.clear()
    planning = asyncio.create_task(ask_plan(of))
    await begun()
    assert await of.backtest(uuid4(), a_backtest())
    assert not planning.done()
    metrics.gate.set()
    await planning


async def test_one_too_many_is_told_that_it_was_not_begun(api, ids, metrics):
    async def plan_over(seconds):
        wish = canary(ids["v2"], traffic_config_id=ids["config"], window_seconds=seconds)
        return await api.post("/analysis/plan", wish)

    metrics.gate.clear()
    asked = [asyncio.create_task(plan_over(60 + i)) for i in range(analyses.MOST_WAITING + 1)]
    (refused,), waiting = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
    problem = refused.result().json()
    assert (problem["status"], problem["type"][-19:]) == (503, "analysis-unfinished")
    assert "it was not begun" in problem["detail"]
    assert "goes on" not in problem["detail"]
    metrics.gate.set()
    assert {answer.status_code for answer in await asyncio.gather(*waiting)} == {200}


@pytest.mark.parametrize(
    ("kept", "error"),
    [
        (analyses.KEPT_SECONDS, AnalysisUnfinished),
        (charts.KEPT_SECONDS, ChartUnfinished),
    ],
)
def test_what_was_not_done_in_time_is_kept_for_longer_than_until_it_is_asked_again(kept, error):
    assert kept > 2 * asked_again_after(error)


async def test_a_plan_that_outlasts_the_patience_is_there_for_who_comes_back(
    analyses_of, ask_plan, metrics, clock
):
    patience = 0.01
    of = analyses_of(patience_seconds=patience)
    metrics.gate.clear()
    with pytest.raises(AnalysisUnfinished):
        await ask_plan(of)
    clock.now += patience
    metrics.gate.set()
    answer = b""
    while not answer:  # each time it is waited for a little
        with suppress(AnalysisUnfinished):
            answer = await ask_plan(of)
    clock.now += 2 * asked_again_after(AnalysisUnfinished)
    assert await ask_plan(of) == answer
    assert len(metrics.asked) == 1


async def test_a_plan_that_is_told_at_once_is_soon_looked_at_anew(
    analyses_of, ask_plan, metrics, clock
):
    of = analyses_of()
    await ask_plan(of)
    clock.now += analyses.PLAN_KEPT_SECONDS - 0.1
    await ask_plan(of)
    assert len(metrics.asked) == 1
    clock.now += 0.2
    await ask_plan(of)
    assert len(metrics.asked) == 2
