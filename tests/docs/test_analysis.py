"""docs/analysis.md names every field, and the limits are the code's."""

from datetime import timedelta

from api import analyses, backtests, outlooks, past_readings, replays
from api.problems import TABLE
from api.schemas.analysis import (
    LONGEST_RANGE,
    MOST_HEALTHY,
    BacktestIn,
    FiredOut,
    HealthyOut,
    LeftOutOut,
    ReplayOut,
)
from api.schemas.outlooks import (
    MOST_WEIGHTS,
    OTHER_WEIGHTS,
    AnalysisPlanIn,
    AnalysisPlanOut,
    GateOutlookOut,
    GateTrafficOut,
    OutlookOut,
    ReadingOutlookOut,
    StepOutlookOut,
    TrafficSeenOut,
)
from api.schemas.reading_gates import KINDS
from api.schemas.rollouts import RolloutIn
from domain.evidence.baseline import BEFORE
from domain.evidence.planning import HORIZON
from domain.gates import Source
from tests.docs.pages import page, search, section, tables

TEXT = page("analysis")
BACKTEST = section(TEXT, "Backtest: the past, replayed")
PLAN = section(TEXT, "Plan: what a rollout can be expected to find")
SEEN = section(TEXT, "What is seen of stable")
STEPS = section(TEXT, "What is told of each step")


SLUGS = {"analysis-unfinished", "too-many-samples", "too-many-queries", "metrics-unreachable"}


def first_cells(table):
    return [row[0] for row in table]


def number(text):
    return int(text.replace(",", ""))


def names(model):
    return {field.alias or name for name, field in model.model_fields.items()}


def test_every_field_of_a_backtest_is_told():
    asked, needed, fired = tables(BACKTEST)
    assert set(first_cells(asked)) == names(BacktestIn)
    assert first_cells(fired) == list(FiredOut.model_fields)
    told = {name.strip("`") for row in needed for name in row[0].split(", ")}
    assert {*Source, *KINDS} <= told
    assert all(f"`{name}`" in BACKTEST for name in ("left_out", *LeftOutOut.model_fields))
    for model in (HealthyOut, ReplayOut):
        answered = set(model.model_fields) - {"since", "until", "gates"}
        assert {name for name in answered if f"`{name}`" in BACKTEST} == answered


def test_every_field_of_a_plan_is_told():
    (asked,) = tables(PLAN)
    assert set(first_cells(asked)) == names(AnalysisPlanIn) - names(RolloutIn)
    (counted,) = tables(SEEN)
    assert first_cells(counted) == list(GateTrafficOut.model_fields)
    step, outlook, reading = tables(STEPS)
    assert first_cells(step) == list(StepOutlookOut.model_fields)
    assert first_cells(outlook) == list(OutlookOut.model_fields)
    assert first_cells(reading) == list(ReadingOutlookOut.model_fields)
    for model in (TrafficSeenOut, GateOutlookOut, AnalysisPlanOut):
        told = {name for name in model.model_fields if f"`{name}`" in PLAN + SEEN + STEPS}
        assert told == set(model.model_fields)


def test_limits_are_the_code_s():
    assert search(r"(\d+) days later at most", BACKTEST) == (str(LONGEST_RANGE.days),)
    assert search(r"up to (\d+) ranges", BACKTEST) == (str(MOST_HEALTHY),)
    (probe,) = search(r"as the rollout did, else (\d+)", BACKTEST)
    assert int(probe) == backtests.DEFAULT_PROBE.total_seconds()
    (patience,) = search(r"Beyond (\d+) s the answer is a 503", BACKTEST)
    assert int(patience) == analyses.PATIENCE_SECONDS
    (kept,) = search(r"what it finds is kept for (\d+) s", BACKTEST)
    assert int(kept) == analyses.KEPT_SECONDS
    (waiting,) = search(r"finds (\d+) others at it or waiting", BACKTEST)
    assert int(waiting) == analyses.MOST_WAITING
    looks, samples = search(r"More than ([\d,]+) looks .*? more than ([\d,]+) samples", BACKTEST)
    assert (number(looks), number(samples)) == (backtests.MOST_LOOKS, replays.MOST_SAMPLES)
    queries, of_query, of_cost, at_once = search(
        r"at most ([\d,]+) queries in all, (\d+) for one of a `query` and (\d+) for one of a `cost`"
        r".*? asked (\d+) at once, costs one by one",
        BACKTEST,
    )
    assert number(queries) == past_readings.MOST_QUERIES
    assert (int(of_query), int(of_cost)) == (past_readings.OF_QUERY, past_readings.OF_COST)
    assert (int(at_once), past_readings.COSTS_AT_ONCE) == (past_readings.AT_ONCE, 1)
    (hours,) = search(r"stable did in the (\d+) hour before it", BACKTEST)
    assert timedelta(hours=int(hours)) == BEFORE
    (patience,) = search(r"Beyond (\d+) s the answer is a 503", STEPS)
    assert int(patience) == analyses.PATIENCE_SECONDS
    (stays,) = search(r"More than ([\d,]+) stays in all are refused", STEPS)
    assert number(stays) == outlooks.MOST_STAYS
    (weights,) = search(r"up to (\d+) weights", PLAN)
    assert int(weights) == MOST_WEIGHTS
    told = search(r"step's; (\d+), (\d+), (\d+) and (\d+) by default", PLAN)
    assert tuple(map(int, told)) == OTHER_WEIGHTS
    (window,) = search(r"looked at, ([\d,]+) by default", PLAN)
    assert number(window) == AnalysisPlanIn.model_fields["window_seconds"].default
    assert search(r"within (\d+) days; `reason`", STEPS) == (str(HORIZON.days),)
    (hours,) = search(r"the last (\d+) hours are looked at", SEEN)
    assert int(hours) * 3600 == outlooks.OTHERS_LOOK_BACK.total_seconds()


def test_the_kinds_of_problems_are_the_api_s():
    kinds = {kind.slug for kind in TABLE.values()}
    assert kinds >= SLUGS
    for slug in SLUGS:
        assert f"`{slug}`" in BACKTEST
