"""docs/runbook.md and its neighbours: spans of time and fixed names are those of the code."""

from datetime import timedelta

from activities.analysis import CLUSTER_LOOK
from activities.guard import ROUND
from domain.rollout import Phase
from domain.silence import STALE_AT_LEAST, STALE_PROBES
from tests.docs.pages import page, search
from workflows.timeouts import (
    ABORT_ANSWERS_WITHIN,
    INSIST_AGAIN_AFTER,
    ROLLBACK_SETTLES_WITHIN,
    WAY_HOME,
)


def test_a_way_home_is_tried_as_often_as_told():
    search(r"The write is tried again every two seconds, for ever", page("runbook"))
    two_seconds = timedelta(seconds=2)
    assert WAY_HOME["retry_policy"].maximum_interval == INSIST_AGAIN_AFTER == two_seconds


def test_drift_is_looked_for_as_often_as_told():
    search(r"Every two seconds of a soak the route is compared", page("runbook"))
    assert timedelta(seconds=2) == CLUSTER_LOOK


def test_the_guardian_is_as_quick_as_told():
    search(r"within seconds the guardian", page("runbook"))
    assert timedelta(seconds=5) > 2 * ROUND  # it takes two rounds to be sure


def test_metrics_are_away_when_told():
    for name, words in (
        ("gates", r"three probe intervals \((\d+) s at least\)"),
        ("runbook", r"three probes \((\d+) s at least\)"),
    ):
        (seconds,) = search(words, page(name))
        assert (3, timedelta(seconds=int(seconds))) == (STALE_PROBES, STALE_AT_LEAST)


def test_a_rollback_without_metrics_takes_as_long_as_told():
    search(r"takes up to two minutes longer", page("gates"))
    assert timedelta(minutes=2) == ROLLBACK_SETTLES_WITHIN


def test_an_abort_answers_when_told():
    (seconds,) = search(r"or after (\d+) s that it is on its way", page("rollouts"))
    assert timedelta(seconds=int(seconds)) == ABORT_ANSWERS_WITHIN


def test_phases_that_are_asked_for_exist():
    (phase,) = search(r"""RolloutPhase = "(\w+)\"""", page("runbook"))
    assert Phase(phase)
