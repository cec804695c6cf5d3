import numpy as np
import pytest

from domain.evidence.baseline import (
    FIXED,
    WHERE_UNKNOWN,
    Baseline,
    History,
    PodCounters,
    learnt,
    measured,
    unmeasured,
)
from domain.evidence.counters import Series, SeriesRole
from domain.evidence.judge import judge
from domain.evidence.overdispersion import overdispersion
from tests.domain.evidence.scenes import error_gate, latency_gate, run

PAUSE = 15.0


def counter(increments, *, start=0.0, offset=0.0):
    """A counter scraped every 15 s, which stood at `start` before the first increment."""
    values = start + np.concatenate([[0.0], np.cumsum(increments)])
    return tuple((offset + PAUSE * k, float(value)) for k, value in enumerate(values))


def pods(requests, bad):
    return tuple(
        PodCounters(pod=f"10.0.0.{j}", ended=(counter(n - e), counter(e)), bad=(counter(e),))
        for j, (n, e) in enumerate(zip(requests, bad, strict=True))
    )


def an_hour(seed=0):
    rng = np.random.default_rng(seed)
    requests = rng.poisson(500.0, (3, 240)).astype(float)
    return requests, rng.binomial(requests.astype(int), 0.01).astype(float)


def bucket(bound_ms, values):
    samples = tuple((PAUSE * k, float(value)) for k, value in enumerate(values))
    return Series(key=f"le{bound_ms}", role=SeriesRole.BUCKET, bound_ms=bound_ms, samples=samples)


def test_the_pods_of_an_hour_tell_the_overdispersion_and_where_it_comes_from():
    requests, bad = an_hour()
    phi, source = learnt(pods(requests, bad))
    with_first = np.concatenate([np.zeros((3, 1)), requests], axis=1)
    bad_first = np.concatenate([np.zeros((3, 1)), bad], axis=1)
    assert phi == pytest.approx(overdispersion(with_first, bad_first))
    assert source == "3 stable pods, 60 min"


def test_what_a_counter_stood_at_before_is_none_of_the_history():
    requests, bad = an_hour()
    old = [
        PodCounters(
            pod=str(j),
            ended=(counter(n - e, start=1e6 * j), counter(e, start=5e5)),
            bad=(counter(e, start=5e5),),
        )
        for j, (n, e) in enumerate(zip(requests, bad, strict=True))
    ]
    assert learnt(old) == learnt(pods(requests, bad))


def test_a_restarted_pod_counts_on_from_nothing():
    requests, bad = an_hour()
    whole = pods(requests, bad)
    again = [value - (whole[0].ended[0][120][1] if k > 120 else 0.0) for k, (_, value) in
             enumerate(whole[0].ended[0])]  # fmt: skip
    ended = tuple((PAUSE * k, value) for k, value in enumerate(again))
    first = PodCounters(pod="a", ended=(ended, whole[0].ended[1]), bad=whole[0].bad)
    assert learnt([first, *whole[1:]]) == learnt(whole)


def test_pods_that_are_scraped_at_other_moments_are_compared_alike():
    rng = np.random.default_rng(2)
    requests, bad = an_hour(2)
    shifted = [
        PodCounters(
            pod=str(j),
            ended=(counter(n - e, offset=shift), counter(e, offset=shift)),
            bad=(counter(e, offset=shift),),
        )
        for j, (n, e, shift) in enumerate(zip(requests, bad, rng.uniform(0, 6, 3), strict=True))
    ]
    assert learnt(shifted)[0] == pytest.approx(learnt(pods(requests, bad))[0], rel=0.1)


def test_a_source_without_pods_says_so():
    phi, source = learnt(())
    assert phi == WHERE_UNKNOWN
    assert source == "a default, as the source has no numbers for each of stable's pods"


def test_one_pod_says_so():
    requests, bad = an_hour()
    assert learnt(pods(requests[:1], bad[:1])) == (
        WHERE_UNKNOWN,
        "a default, as stable has one pod, and nothing to compare it with",
    )


def test_too_few_errors_say_so():
    requests, bad = an_hour()
    bad[:] = 0
    bad[1, 7] = 12
    assert learnt(pods(requests, bad)) == (
        WHERE_UNKNOWN,
        "a default, as 12 bad requests of 3 stable pods in 60 min are too few to learn from",
    )


def test_pods_without_requests_say_so():
    idle = np.zeros((2, 240))
    source = "a default, as no pod of stable had requests in 60 min"
    assert learnt(pods(idle, idle)) == (WHERE_UNKNOWN, source)


def test_a_pod_without_a_single_sample_is_no_harm():
    requests, bad = an_hour()
    fresh = PodCounters(pod="fresh", ended=((), ((3600.0, 5.0),)), bad=())
    assert learnt((*pods(requests, bad), fresh)) == learnt(pods(requests, bad))


def test_a_factor_of_the_users_own_is_taken_as_it_is():
    found = measured([error_gate()], History(pods=pods(*an_hour())), fixed_phi=4.0)
    assert found == Baseline(phi=4.0, phi_source=FIXED)
    assert unmeasured("the store is odd", fixed_phi=2.0) == Baseline(phi=2.0, phi_source=FIXED)


def test_where_no_history_can_be_had_the_default_says_why():
    found = unmeasured("the store is odd", fixed_phi=None)
    assert found == Baseline(phi=WHERE_UNKNOWN, phi_source="a default, as the store is odd")


def test_latency_gates_get_the_bounds_that_stable_stayed_under():
    series = (
        bucket(100.0, [1000, 1060]),
        bucket(250.0, [1000, 1092]),
        bucket(1000.0, [1000, 1099.5]),
        bucket(float("inf"), [1000, 1100]),
    )
    gates = [error_gate(), latency_gate()]
    found = measured(gates, History(series=series), fixed_phi=1.0)
    assert found.slow_bounds == {"latency": (100.0, 250.0, 1000.0)}


def test_without_timed_requests_there_are_no_bounds():
    series = (bucket(100.0, [50, 50]), bucket(float("inf"), [70, 70]))
    assert measured([latency_gate()], History(series=series), fixed_phi=1.0).slow_bounds == {}


def test_a_verdict_says_what_its_evidence_was_divided_by():
    baseline = Baseline(phi=2.314, phi_source="3 stable pods, 60 min")
    rows = run([((30, 9), (270, 0))])
    (found,) = judge([error_gate()], rows, step=0, baseline=baseline)
    (same,) = judge([error_gate()], rows, step=0, phi=2.314)
    assert found.evidence == same.evidence
    assert found.reason == (
        f"{same.reason} Evidence is divided by 2.31, as bad requests may cluster "
        "(3 stable pods, 60 min)."
    )
