"""docs/sources.md: what each source gives, and at which bounds, is what the code says."""

import re

import pytest

from domain.gates import Metric, Source
from domain.sources import COUNTS_FAILURES, GIVES
from tests.docs.pages import page, section, tables

TEXT = page("sources")
BOUNDS = [
    (source, metric, " ".join(told.split()))
    for source, metric, told in re.findall(
        r"^- `(\w+)` `(\w+)`: (.*?)\.$", section(TEXT, "Bounds"), re.DOTALL | re.MULTILINE
    )
]


def test_who_gives_what_is_as_told():
    told = {row[0]: [cell == "yes" for cell in row[1:]] for row in tables(TEXT)[0]}
    assert told == {
        str(metric): [metric in GIVES[source] for source in Source] for metric in Metric
    }
    heading = next(line for line in TEXT.splitlines() if line.startswith("| metric"))
    assert re.findall(r"`(\w+)`", heading) == [str(source) for source in Source]


def test_all_bounds_are_told():
    assert {(source, metric) for source, metric, _ in BOUNDS} == {
        (str(source), str(metric))
        for source, given in GIVES.items()
        for metric, bounds in given.items()
        if bounds != COUNTS_FAILURES
    }


@pytest.mark.parametrize(("source", "metric", "told"), BOUNDS)
def test_bounds_are_those_of_the_code(source, metric, told):
    bounds = GIVES[Source(source)][Metric(metric)]
    if bounds is None:
        assert told.startswith("any above 0")
    elif told.startswith("1, 2 and 5 times a power of ten"):
        assert f"up to {max(bounds):.0f};" in told
        assert {float(f"{bound:e}".split("e")[0]) for bound in bounds} == {1, 2, 5}
    else:
        assert [float(one) for one in re.findall(r"[\d.]+", told)] == list(bounds)


def test_every_source_says_what_it_sees():
    listed = re.findall(r"^- \*\*`(\w+)`\*\*", section(TEXT, "Who sees what"), re.MULTILINE)
    assert listed == [str(source) for source in Source]
