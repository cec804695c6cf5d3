"""docs/gates.md: the numbers are those that the judge gives."""

import inspect
import re
from datetime import UTC, datetime, timedelta
from math import comb

import pytest
from pydantic import BaseModel

from api import charts
from api.problems import TABLE
from api.routes.rollouts import rollout_evidence
from api.schemas.evidence import ArmPointOut, GatePointOut, ReadingPointOut, TrialPointOut
from api.schemas.plans import WARM_UP_SECONDS
from api.schemas.verdicts import (
    AbsoluteOut,
    ForecastOut,
    QualityOut,
    SamplesOut,
    VerdictEffectOut,
    VerdictEvidenceOut,
    VerdictOut,
)
from domain.evidence import arrivals, overdispersion, split_watch
from domain.evidence.arrivals import REQUESTS_HANG, SPLIT_IN_DOUBT
from domain.evidence.baseline import WHERE_UNKNOWN
from domain.evidence.intervals import Counts, Interval
from domain.evidence.judge import judge
from domain.evidence.quality import SHAPE_CHANGED, WARMING_UP
from domain.evidence.warm_up import CATASTROPHE
from domain.gates import AgainstStable, Gate, Metric
from domain.verdicts import Status
from tests.docs.pages import page, search, section, tables

TEXT = page("gates")
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
ROUNDED = 0.1


def gate(name="errors", **rules):
    return Gate(name=name, metric=Metric.ERROR_RATE, **rules)


def verdict(gates, requests, *, candidate=0.0, stable=0.0, weight=10):
    """The first gate's verdict when this many requests came as often, and failed, as expected."""
    beside = round(requests * (100 - weight) / weight)
    interval = Interval(
        sequence=0,
        step=2,
        weight=weight,
        opened_at=NOON,
        closed_at=NOON + timedelta(seconds=100),
        candidate=Counts(requests=requests, errors=int(requests * candidate + 0.5)),
        stable=Counts(requests=beside, errors=int(beside * stable + 0.5)),
    )
    return judge(gates, (interval,), step=2)[0]


def fewest(status, gates, **rates):
    """The fewest requests of the candidate with this verdict, to 2 %."""
    requests = 1
    while verdict(gates, requests, **rates).status is not status:
        requests = int(requests * 1.02) + 1
    return requests


def number(text):
    return float(text.replace(",", ""))


def fraction(text):
    return 0.0 if text == "never" else float(text.split(" ")[0]) / 100


@pytest.mark.parametrize("row", tables(section(TEXT, "How many requests a PASS takes"))[0])
def test_requests_for_a_pass_without_errors(row):
    floor = fraction(row[0])
    for told, gates in (
        (number(row[1]), (gate(against_stable=AgainstStable(floor=floor)),)),
        (number(row[2]), (gate(limit=floor),)),
    ):
        assert verdict(gates, int(told)).status is Status.PASS
        assert verdict(gates, int(told) - 1).status is Status.UNDECIDED


def test_the_rule_of_thumb_is_that_table():
    by_floor, by_limit = map(float, search(r"\*\*([\d.]+) / floor\*\*.*?([\d.]+) / limit", TEXT))
    for row in tables(section(TEXT, "How many requests a PASS takes"))[0]:
        assert number(row[1]) == pytest.approx(by_floor / fraction(row[0]), rel=0.03)
        assert number(row[2]) == pytest.approx(by_limit / fraction(row[0]), rel=0.03)


@pytest.mark.parametrize("row", tables(section(TEXT, "How many requests a PASS takes"))[1])
def test_requests_for_a_pass_with_as_many_errors_as_stable(row):
    rate = fraction(row[0])
    columns = [(1.5, 10), (1.5, 50), (2.0, 10), (2.0, 50)]
    for told, (ratio, weight) in zip(row[1:], columns, strict=True):
        gates = (gate(against_stable=AgainstStable(pass_ratio=ratio)),)
        needed = fewest(Status.PASS, gates, candidate=rate, stable=rate, weight=weight)
        assert number(told) == pytest.approx(needed, rel=ROUNDED)


@pytest.mark.parametrize("row", tables(section(TEXT, "How many requests a FAIL takes"))[0])
def test_requests_for_a_fail(row):
    gates = (gate(against_stable=AgainstStable()),)
    needed = fewest(Status.FAIL, gates, stable=fraction(row[0]), candidate=fraction(row[1]))
    assert number(row[2]) == pytest.approx(needed, rel=ROUNDED)


def test_four_rules_ask_for_as_much_more_as_told():
    (told,) = search(r"with four rules a FAIL takes about (\d+) % more", TEXT)
    one, four = (
        fewest(
            Status.FAIL,
            tuple(gate(f"gate-{i}", against_stable=AgainstStable()) for i in range(rules)),
            candidate=0.02,
            stable=0.01,
        )
        for rules in (1, 4)
    )
    assert four / one == pytest.approx(1 + int(told) / 100, rel=ROUNDED)


def test_five_failures_are_proof_and_good_ones_before_do_not_hide_ten():
    gates = (gate(against_stable=AgainstStable()),)
    assert verdict(gates, 5, candidate=1.0).status is Status.FAIL
    past = [_interval(i, bad=0) for i in range(1000)]
    assert judge(gates, past, step=2)[0].status is not Status.FAIL
    assert judge(gates, [*past, _interval(1000, bad=10)], step=2)[0].status is Status.FAIL


def _interval(sequence, *, bad):
    opened = NOON + timedelta(seconds=sequence)
    return Interval(
        sequence=sequence,
        step=2,
        weight=10,
        opened_at=opened,
        closed_at=opened + timedelta(seconds=1),
        candidate=Counts(requests=10, errors=bad),
        stable=Counts(requests=90, errors=0),
    )


def test_the_sentence_of_the_example_is_the_judge_s():
    quoted = " ".join(re.findall(r"^> (.+)$", section(TEXT, "The four verdicts"), re.MULTILINE))
    gates = (gate(against_stable=AgainstStable()),)
    assert verdict(gates, 10_000, candidate=7 / 10_000, stable=40 / 90_000).reason.startswith(
        quoted
    )


def test_a_fixed_threshold_is_as_bad_as_told():
    breaks = 1 - 0.995**60
    rolled_back = 1 - sum(comb(30, k) * breaks**k * (1 - breaks) ** (30 - k) for k in range(5))
    told = search(r"breaks the rule in (\d+) %.*?in (\d+) % of all cases", TEXT)
    assert (f"{100 * breaks:.0f}", f"{100 * rolled_back:.0f}") == told


@pytest.mark.parametrize(
    ("place", "shape"),
    [(0, GatePointOut), (1, TrialPointOut), (2, ArmPointOut), (3, ReadingPointOut)],
)
def test_every_field_of_a_point_is_told(place, shape):
    table = tables(section(TEXT, "The evidence over time"))[place]
    assert [row[0] for row in table] == list(shape.model_fields)


def test_the_limits_of_a_chart_are_those_that_are_told():
    text = section(TEXT, "The evidence over time")
    asked = inspect.signature(rollout_evidence).parameters["points"].default
    told = search(r"`points`, (\d+) unless you say so and at most ([\d,]+)", text)
    assert tuple(map(number, told)) == (asked, charts.MOST_POINTS)
    all_told = search(r"at most ([\d,]+) points by choice: with more than (\w+) series", text)
    assert number(all_told[0]) == charts.MOST_POINTS_IN_ALL == charts.MOST_POINTS * 5
    assert all_told[1] == "five"
    (patience,) = search(r"more than (\d+) s the answer is a 503", text)
    assert number(patience) == charts.PATIENCE_SECONDS
    kept = search(r"more than ([\d,]+) intervals is kept for (\d+) s", text)
    assert tuple(map(number, kept)) == (charts.FEW_INTERVALS, charts.KEPT_SECONDS)
    most, days = search(r"Beyond ([\d,]+) intervals \((\d+) days\)", text)
    assert number(most) == charts.MOST_INTERVALS
    assert number(days) == charts.MOST_INTERVALS * 15 // 86_400
    kinds = {kind.slug for kind in TABLE.values()}
    assert set(search(r"of the kind `([\w-]+)`", text)) <= kinds


def test_every_field_of_a_verdict_is_told():
    (table,) = tables(section(TEXT, "What a verdict says"))
    assert [row[0] for row in table] == list(VerdictOut.model_fields)
    parts: tuple[type[BaseModel], ...] = (
        VerdictEffectOut,
        AbsoluteOut,
        VerdictEvidenceOut,
        SamplesOut,
        QualityOut,
        ForecastOut,
    )
    told = {row[0]: set(re.findall(r"`(\w+)`", row[1])) for row in table}
    for name, part in zip(
        ("effect", "absolute", "evidence", "samples", "quality", "forecast"), parts, strict=True
    ):
        known = {field.serialization_alias or key for key, field in part.model_fields.items()}
        assert told[name] <= known, name


def test_every_flag_is_told():
    text = section(TEXT, "What a verdict says")
    flag = r"`([\w ]+)`"
    told = search(
        rf"`flags` are {flag}, {flag}, {flag}, `resets` with their number, and {flag}:", text
    )
    assert told == (WARMING_UP, SPLIT_IN_DOUBT, REQUESTS_HANG, SHAPE_CHANGED)


def test_the_forecast_of_the_example_is_the_judge_s():
    slow = [
        Interval(
            sequence=k,
            step=2,
            weight=5,
            opened_at=NOON + timedelta(seconds=5 * k),
            closed_at=NOON + timedelta(seconds=5 * k + 5),
            candidate=Counts(requests=3, errors=0),
            stable=Counts(requests=57, errors=1),
        )
        for k in range(40)
    ]
    (found,) = judge((gate(against_stable=AgainstStable()),), slow, step=2)
    (quoted,) = re.findall(r"^> (.+)$", section(TEXT, "What a verdict says"), re.MULTILINE)
    assert found.reason.endswith(f"{quoted}.")


def test_every_verdict_is_told():
    told = [row[0].lower() for row in tables(section(TEXT, "The four verdicts"))[0]]
    assert told == [str(status) for status in Status]


def test_what_is_said_of_the_overdispersion_is_what_it_takes():
    said = section(TEXT, "Overdispersion")
    assert f"{overdispersion.LEAST_BAD} bad requests among them" in said
    assert f"from one scrape to {overdispersion.BLOCKS[-1]}" in said
    bounds = (overdispersion.SMALLEST, overdispersion.LARGEST)
    assert "it lies within {:g} and {:g}".format(*bounds) in said
    assert f"phi is {WHERE_UNKNOWN}, and the verdict" in said


def test_what_is_said_of_the_warm_up_is_what_it_does():
    said = section(TEXT, "Warm-up")
    assert f"(`{WARM_UP_SECONDS:g}`" in said or f"({WARM_UP_SECONDS:g} by" in said
    assert f"more than **{CATASTROPHE:.0%}**".replace("%", " %") in said
    for phi, enough in ((1.0, 7), (WHERE_UNKNOWN, 10)):
        found = [_failing(n, phi) for n in range(1, 12)]
        assert found.index(Status.FAIL) + 1 == enough


def _failing(requests, phi):
    """The verdict of a warm-up when this many requests of the candidate failed, and none else."""
    only = Interval(
        sequence=0,
        step=2,
        weight=10,
        opened_at=NOON,
        closed_at=NOON + timedelta(seconds=1),
        candidate=Counts(requests=requests, errors=requests),
        stable=Counts(requests=9 * requests, errors=0),
    )
    gates = [gate(against_stable=AgainstStable())]
    return judge(gates, (only,), step=2, phi=phi, warm_up=timedelta(minutes=1))[0].status


def test_what_is_said_of_the_split_is_what_it_takes():
    said = " ".join(section(TEXT, "The split of requests").split())
    assert f"reach {split_watch.ODDS_NEEDED:g}:1" in said
    assert f"by more than {split_watch.TOLERATED:.0%}".replace("%", " %") in said
    assert f"When {arrivals.HANGING_AT_LEAST} requests or more, and a tenth" in said
    assert arrivals.HANGING_SHARE == 0.1
    assert arrivals.BEYOND_STABLE == 2
    assert "and twice stable's share" in said
