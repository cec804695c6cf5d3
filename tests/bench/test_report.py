"""What a report says, on the terminal, in Markdown and as JSON."""

import json
from dataclasses import replace

import pytest

from bench.report import (
    SPREAD_HEAD,
    Goal,
    Result,
    Section,
    Table,
    as_markdown,
    as_text,
    spread_row,
    write,
)

RESULT = Result(
    goals=(
        Goal(promise="under 2 s", found="1.5 s", met=True),
        Goal(promise="no failures", found="3 of 10", met=False),
    ),
    tables=(
        Table(
            caption="all trials",
            head=SPREAD_HEAD,
            rows=(spread_row("fast", [0.1, 0.2, 0.3]), spread_row("none", [])),
        ),
    ),
    notes=("Something odd.",),
    raw={"trials": [0.1, 0.2, 0.3]},
)


SECTION = Section(
    name="abort", title="how fast", seconds=12.3, load_before=0.5, load_after=1.25, result=RESULT
)


def section(**changes):
    return replace(SECTION, **changes)


def test_a_row_of_a_spread_is_in_milliseconds():
    assert spread_row("fast", [0.1, 0.2, 0.3]) == ("fast", "3", "100", "200", "280", "300")


def test_the_terminal_sees_columns_goals_and_the_load():
    text = as_text(section())
    assert "load was 0.50 before and 1.25 after" in text
    assert "   fast  3    100     200  280   300" in text
    assert "met      under 2 s: 1.5 s" in text
    assert "NOT MET  no failures: 3 of 10" in text


@pytest.mark.parametrize("render", [as_text, lambda one: as_markdown([one], {})])
def test_a_measure_that_broke_off_says_why(render):
    said = render(section(result=None, trouble="TimeoutError()"))
    assert "roke off: TimeoutError()" in said


def test_markdown_has_tables_and_circumstances():
    lines = as_markdown([section()], {"seed": 7}).splitlines()
    assert "- seed: 7" in lines
    assert "| ms | n | least | median | p90 | most |" in lines
    assert "| --- | ---: | ---: | ---: | ---: | ---: |" in lines
    assert "| fast | 3 | 100 | 200 | 280 | 300 |" in lines


def test_the_files_hold_every_value(tmp_path):
    path = write(tmp_path / "results", "now", [section()], {"seed": 7})
    assert path.read_text().startswith("# Benchmark")
    document = json.loads(path.with_suffix(".json").read_text())
    assert document["seed"] == 7
    assert document["measures"][0]["result"]["raw"] == {"trials": [0.1, 0.2, 0.3]}
    assert document["measures"][0]["result"]["goals"][1]["met"] is False
