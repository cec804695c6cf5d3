"""First and last things on timelines made by hand."""

import pytest

from bench.moments import (
    failures,
    first_at,
    first_bad,
    first_growth,
    last_sent,
    weight_changes,
)
from sandbox.load import GATEWAY, Outcome


def answered(sent_at, variant="v2", status=200, seconds=0.5):
    return Outcome(sent_at=sent_at, seconds=seconds, variant=variant, status=status)


TIMELINE = [
    answered(1.0),
    answered(2.0, status=500, seconds=3.0),  # sent first, answered last
    answered(3.0, status=500, seconds=0.1),
    answered(2.5, "v1", status=500, seconds=0.1),
    answered(4.0, "v1"),
    answered(3.5),
]


def test_the_first_bad_response_is_the_one_that_a_client_has_first():
    assert first_bad(TIMELINE, "v2", since=0) == pytest.approx(3.1)


def test_a_bad_response_to_an_earlier_request_does_not_count():
    assert first_bad(TIMELINE, "v2", since=3.2) is None


def test_bad_responses_of_others_do_not_count():
    assert first_bad(TIMELINE, "v1", since=0) == pytest.approx(2.6)
    assert first_bad(TIMELINE, "v3", since=0) is None


def test_the_last_request_is_the_one_that_was_sent_last_whatever_order_they_ended_in():
    assert last_sent(TIMELINE, "v2") == 3.5
    assert last_sent(TIMELINE, "v3") is None


def test_failures_are_all_but_2xx_also_those_without_an_answer():
    timeline = [
        answered(1),
        answered(2, status=503),
        answered(3, GATEWAY, 0),
        answered(4, status=404),
    ]
    assert [each.sent_at for each in failures(timeline)] == [2, 3, 4]


def test_a_variant_that_is_meant_to_fail_hides_no_failure_of_others():
    timeline = [answered(1, status=500), answered(2, "v1", 500), answered(3, GATEWAY, 0)]
    assert [each.sent_at for each in failures(timeline, but_of="v2")] == [2, 3]


def test_a_counter_grows_where_it_first_exceeds_what_it_stood_at():
    samples = [(1, 5), (2, 5), (3, 5), (4, 7), (5, 9)]
    assert first_growth(samples, since=2.5) == 4
    assert first_growth(samples, since=4) == 5
    assert first_growth(samples, since=5) is None


def test_a_counter_that_appears_with_its_first_error_stood_at_nothing():
    assert first_growth([(3, 2), (4, 6)], since=2.5) == 3
    assert first_growth([], since=2.5) is None


CHANGES = [(1, {"v1": 100}), (2, {"v1": 90, "v2": 10}), (3, {"v1": 100, "v2": 0}), (4, {"v1": 100})]


def test_the_first_moment_of_a_weight():
    assert first_at(CHANGES, "v2", 10, since=0) == 2
    assert first_at(CHANGES, "v2", 0, since=0) == 1, "who is not named has no weight"
    assert first_at(CHANGES, "v2", 0, since=1.5) == 3


def test_a_weight_that_never_came_is_an_error():
    with pytest.raises(LookupError, match="v2 was never seen at 50 %"):
        first_at(CHANGES, "v2", 50, since=0)


def test_a_reference_that_comes_or_goes_at_weight_0_changes_no_weights():
    assert weight_changes(CHANGES) == 2
    assert weight_changes(CHANGES[:1]) == 0
