"""docs/analysis.md names every field, and the limits are the code's."""

from api import analyses, backtests, replays
from api.problems import TABLE
from api.schemas.analysis import (
    LONGEST_RANGE,
    MOST_HEALTHY,
    MOST_WEIGHTS,
    OTHER_WEIGHTS,
    AnalysisPlanIn,
    BacktestIn,
    FiredOut,
    HealthyOut,
    OutlookOut,
    ReplayOut,
)
from api.schemas.rollouts import RolloutIn
from domain.evidence.planning import HORIZON
from tests.docs.pages import page, search, section, tables

TEXT = page("analysis")
BACKTEST = section(TEXT, "Backtest: the past, replayed")
PLAN = section(TEXT, "Plan: what a rollout can be expected to find")


def first_cells(table):
    return [row[0] for row in table]


def number(text):
    return int(text.replace(",", ""))


def names(model):
    return {field.alias or name for name, field in model.model_fields.items()}


def test_every_field_of_a_backtest_is_told():
    asked, fired = tables(BACKTEST)
    assert set(first_cells(asked)) == names(BacktestIn)
    assert first_cells(fired) == list(FiredOut.model_fields)
    for model in (HealthyOut, ReplayOut):
        answered = set(model.model_fields) - {"since", "until", "gates"}
        assert {name for name in answered if f"`{name}`" in BACKTEST} == answered


def test_every_field_of_a_plan_is_told():
    asked, outlook = tables(PLAN)
    assert set(first_cells(asked)) == names(AnalysisPlanIn) - names(RolloutIn)
    assert first_cells(outlook) == list(OutlookOut.model_fields)


def test_limits_are_the_code_s():
    assert search(r"(\d+) days later at most", BACKTEST) == (str(LONGEST_RANGE.days),)
    assert search(r"up to (\d+) ranges", BACKTEST) == (str(MOST_HEALTHY),)
    (probe,) = search(r"as the rollout did, else (\d+)", BACKTEST)
    assert int(probe) == backtests.DEFAULT_PROBE.total_seconds()
    (patience,) = search(r"Beyond (\d+) s the answer is a 503", BACKTEST)
    assert int(patience) == analyses.PATIENCE_SECONDS
    looks, samples = search(r"More than ([\d,]+) looks .*? more than ([\d,]+) samples", BACKTEST)
    assert (number(looks), number(samples)) == (backtests.MOST_LOOKS, replays.MOST_SAMPLES)
    (weights,) = search(r"up to (\d+) weights", PLAN)
    assert int(weights) == MOST_WEIGHTS
    told = search(r"step's; (\d+), (\d+), (\d+) and (\d+) by default", PLAN)
    assert tuple(map(int, told)) == OTHER_WEIGHTS
    (window,) = search(r"looked at, ([\d,]+) by default", PLAN)
    assert number(window) == AnalysisPlanIn.model_fields["window_seconds"].default
    assert search(r"within (\d+) days; `reason`", PLAN) == (str(HORIZON.days),)


def test_the_kinds_of_problems_are_the_api_s():
    kinds = {kind.slug for kind in TABLE.values()}
    assert {"analysis-unfinished", "too-many-samples", "metrics-unreachable"} <= kinds
    for slug in ("analysis-unfinished", "too-many-samples", "metrics-unreachable"):
        assert f"`{slug}`" in BACKTEST
