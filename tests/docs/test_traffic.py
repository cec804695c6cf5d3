"""The page on traffic: its refusals, numbers and names are those of the code."""

from api.errors import ClusterUnreachable, Unfinished
from api.operations import PATIENCE
from api.problems import TABLE
from api.schemas.traffic import CanaryIn, TrafficConfigPatch
from domain.division import CANARY_WEIGHTS, FORMER_KEPT, MOST_VARIANTS
from domain.errors import (
    AlreadyRunning,
    Conflict,
    Forbidden,
    InvalidTraffic,
    NotSettled,
    Refused,
    WorkloadFailed,
)
from domain.registry import DEFAULT_ROLLBACK_WINDOW, TrafficStrategy
from tests.docs.pages import page, search, section, tables
from workflows.timeouts import BRIEF_WRITE, CHANGE_IS_SEEN_WITHIN, CHANGE_SETTLES_WITHIN

TEXT = page("traffic")
KINDS = (
    InvalidTraffic,
    Forbidden,
    AlreadyRunning,
    Conflict,
    Refused,
    WorkloadFailed,
    ClusterUnreachable,
    NotSettled,
    Unfinished,
)


def test_every_refusal_is_told_with_its_status():
    (rows,) = tables(section(TEXT, "How a change is made"))
    told = [(int(row[0]), row[1]) for row in rows]
    assert told == [(TABLE[kind].status, TABLE[kind].slug) for kind in KINDS]


def test_the_numbers_are_those_of_the_code():
    assert search(r"for up to (\d+) seconds", TEXT) == (f"{CHANGE_IS_SEEN_WITHIN.seconds}",)
    assert search(r"elsewhere for (\d+) seconds", TEXT) == (f"{CHANGE_SETTLES_WITHIN.seconds}",)
    brief = BRIEF_WRITE["schedule_to_close_timeout"].seconds
    assert search(r"did not answer for (\d+) seconds", TEXT) == (f"{brief}",)
    assert search(r"longer than (\d+) seconds", TEXT) == (f"{PATIENCE.seconds}",)
    assert search(r"at most (\d+) variants", TEXT) == (f"{MOST_VARIANTS}",)
    assert search(r"The last (\d+) former", TEXT) == (f"{FORMER_KEPT}",)
    first, last, default = search(r"\((\d+) to (\d+) %, (\d+) by default\)", TEXT)
    assert (int(first), int(last)) == (CANARY_WEIGHTS[0], CANARY_WEIGHTS[-1])
    assert int(default) == CanaryIn.model_fields["initial_weight"].default
    assert DEFAULT_ROLLBACK_WINDOW.total_seconds() == 3600


def test_every_setting_of_a_config_is_told():
    rows = tables(section(TEXT, "Settings of a config"))[-1]
    assert [row[0] for row in rows] == list(TrafficConfigPatch.model_fields)
    assert all(f"`{strategy}`" in rows[0][1] for strategy in TrafficStrategy)
