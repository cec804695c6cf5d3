import dataclasses
import json
import math
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from domain.evidence.counters import Cursor, Reading, Sample, Series, SeriesRole, advance
from domain.evidence.intervals import Interval
from tests.domain.evidence.scenes import unhurried

REQUESTS, ERRORS, BUCKET = SeriesRole.REQUESTS, SeriesRole.ERRORS, SeriesRole.BUCKET


def series(role: SeriesRole, *samples: Sample, key: str = "", bound_ms: float | None = None):
    name = key or f"{role}-{bound_ms}"
    return Series(key=name, role=role, bound_ms=bound_ms, samples=samples)


def both(at: float, value: float, *more: Series) -> Reading:
    """One sample of requests in each arm, and more series in the candidate's."""
    one = series(REQUESTS, (at, value))
    return Reading(candidate=(one, *more), stable=(one,))


def follow(*readings: Reading, cursor: Cursor | None = None) -> tuple[list[Interval], Cursor]:
    intervals: list[Interval] = []
    for reading in readings:
        closed, cursor = advance(cursor, reading, sequence=len(intervals), step=3, weight=25)
        intervals += [closed] if closed else []
    assert cursor is not None
    return intervals, cursor


def test_the_first_reading_opens_and_counts_nothing():
    intervals, cursor = follow(both(10.0, 500.0))
    assert intervals == []
    assert cursor.opened_at == 10.0


def test_the_second_reading_closes_an_interval_of_the_differences():
    (closed,), _ = follow(both(10.0, 500.0), both(11.0, 530.0))
    assert (closed.sequence, closed.step, closed.weight) == (0, 3, 25)
    assert (closed.candidate.requests, closed.stable.requests) == (30, 30)
    assert closed.opened_at.timestamp() == 10.0
    assert closed.closed_at.timestamp() == 11.0


def test_a_reading_without_newer_samples_closes_nothing():
    intervals, cursor = follow(both(10.0, 500.0), both(10.0, 500.0), both(10.0, 500.0))
    assert intervals == []
    assert follow(both(10.0, 500.0), cursor=cursor)[1] == cursor


def test_an_interval_waits_for_the_arm_that_was_not_scraped_and_loses_nothing():
    old, new = series(REQUESTS, (10.0, 5.0)), series(REQUESTS, (11.0, 9.0))
    newer = series(REQUESTS, (12.0, 12.0))
    (closed,), _ = follow(
        Reading(candidate=(old,), stable=(old,)),
        Reading(candidate=(new,), stable=(old,)),
        Reading(candidate=(newer,), stable=(newer,)),
    )
    assert (closed.candidate.requests, closed.stable.requests) == (7, 7)


def test_a_reset_while_the_other_arm_is_missing_is_not_lost_with_the_window():
    still = series(REQUESTS, (10.0, 5.0))
    (closed,), _ = follow(
        both(10.0, 5.0),
        Reading(candidate=(series(REQUESTS, (11.0, 9.0), (12.0, 2.0)),), stable=(still,)),
        Reading(
            candidate=(series(REQUESTS, (13.0, 30.0)),), stable=(series(REQUESTS, (13.0, 6.0)),)
        ),
    )
    assert closed.candidate.requests == 4 + 2 + 28
    assert closed.resets == 1


def test_several_scrapes_merge_into_one_interval():
    window = series(REQUESTS, (10.0, 5.0), (11.0, 9.0), (12.0, 2.0), (13.0, 4.0))
    (closed,), _ = follow(both(10.0, 5.0), Reading(candidate=(window,), stable=(window,)))
    assert closed.candidate.requests == 4 + 2 + 2
    assert closed.resets == 2  # the candidate's and stable's


def test_an_error_series_that_appears_with_the_first_error_counts_from_zero():
    (first, second), _ = follow(
        both(10.0, 100.0),
        both(11.0, 130.0, series(ERRORS, (11.0, 9.0))),
        both(12.0, 160.0, series(ERRORS, (11.0, 9.0), (12.0, 11.0))),
    )
    assert first.candidate.errors == 9
    assert second.candidate.errors == 2


def test_a_series_first_seen_with_its_whole_arm_brings_no_past():
    empty = Reading(candidate=(), stable=(series(REQUESTS, (10.0, 5.0)),))
    (closed,), _ = follow(
        empty,
        both(11.0, 1000.0, series(ERRORS, (11.0, 400.0))),
    )
    assert closed.candidate.requests == 0
    assert closed.candidate.errors == 0
    assert closed.stable.requests == 995


def test_an_error_series_born_inside_the_first_window_of_an_arm_counts_from_zero():
    empty = Reading(candidate=(), stable=(series(REQUESTS, (10.0, 5.0)),))
    window = Reading(
        candidate=(
            series(REQUESTS, (11.0, 1000.0), (12.0, 1030.0)),
            series(ERRORS, (12.0, 8.0)),
        ),
        stable=(series(REQUESTS, (12.0, 9.0)),),
    )
    (closed,), _ = follow(empty, window)
    assert (closed.candidate.requests, closed.candidate.errors) == (30, 8)


def test_a_proxy_that_is_first_seen_beside_another_brings_no_past():
    """It was not scraped for a while, or the store has only just found it."""

    def reading(at, *proxies):
        shown = [
            Series(key=f"{proxy}-{role}", role=role, target=proxy, samples=((at, value),))
            for proxy, requests, errors in proxies
            for role, value in ((REQUESTS, requests), (ERRORS, errors))
        ]
        return Reading(candidate=tuple(shown), stable=tuple(shown))

    (_, second, third), _ = follow(
        reading(10.0, ("a", 1000.0, 5.0)),
        reading(11.0, ("a", 1010.0, 5.0)),
        reading(12.0, ("a", 1020.0, 5.0), ("b", 20_000.0, 6_000.0)),
        reading(13.0, ("a", 1030.0, 5.0), ("b", 20_010.0, 6_001.0)),
    )
    assert (second.candidate.requests, second.candidate.errors) == (10, 0)
    assert (third.candidate.requests, third.candidate.errors) == (20, 1)


def test_nothing_at_all_opens_with_the_first_sample_ever():
    nothing = Reading(candidate=(), stable=())
    intervals, cursor = follow(nothing, nothing, both(10.0, 500.0))
    assert intervals == []
    assert cursor.opened_at == 10.0


def test_a_stale_marker_is_no_sample():
    hole = series(REQUESTS, (11.0, math.nan))
    (closed,), _ = follow(
        both(10.0, 5.0), Reading(candidate=(hole,), stable=(hole,)), both(12.0, 8.0)
    )
    assert closed.candidate.requests == 3


def test_series_of_one_role_add_up():
    def scrape(at: float, first: float, second: float) -> Reading:
        arm = (
            series(REQUESTS, (at, 100 + at)),
            series(ERRORS, (at, first), key="first-try"),
            series(ERRORS, (at, second), key="retry"),
        )
        return Reading(candidate=arm, stable=arm)

    (closed,), _ = follow(scrape(10.0, 1.0, 4.0), scrape(20.0, 3.0, 5.0))
    assert (closed.candidate.requests, closed.candidate.errors) == (10, 3)


def test_a_series_that_comes_back_is_compared_with_where_it_was():
    second = series(REQUESTS, (10.0, 1_000_000.0), key="other-pod")
    back = series(REQUESTS, (900.0, 1_000_070.0), key="other-pod")
    intervals, _ = follow(both(10.0, 5.0, second), both(500.0, 6.0), both(900.0, 7.0, back))
    assert [each.candidate.requests for each in intervals] == [1, 71]


def test_errors_ahead_of_requests_are_clamped_and_carried():
    (first, second), _ = follow(
        both(10.0, 100.0, series(ERRORS, (10.0, 0.0))),
        both(11.0, 102.0, series(ERRORS, (11.0, 5.0))),
        both(12.0, 112.0, series(ERRORS, (12.0, 5.0))),
    )
    assert (first.candidate.requests, first.candidate.errors) == (2, 2)
    assert (second.candidate.requests, second.candidate.errors) == (10, 3)


def buckets(at: float, **grown: float) -> tuple[Series, ...]:
    return tuple(
        series(BUCKET, (at, value), bound_ms=math.inf if name == "inf" else float(name[1:]))
        for name, value in grown.items()
    )


def with_buckets(at: float, requests: float, **grown: float) -> Reading:
    arm = (series(REQUESTS, (at, requests)), *buckets(at, **grown))
    return Reading(candidate=arm, stable=arm)


def test_buckets_are_counted_per_bound_and_the_one_of_infinity_is_all_that_was_timed():
    (closed,), _ = follow(
        with_buckets(10.0, 100.0, b250=50.0, b100=20.0, inf=100.0),
        with_buckets(11.0, 130.0, b250=72.0, b100=32.0, inf=126.0),
    )
    assert closed.bounds_ms == (100.0, 250.0)
    assert closed.candidate.within == (12, 22)
    assert closed.candidate.timed == 26


def test_without_a_bucket_of_infinity_every_request_counts_as_timed():
    (closed,), _ = follow(with_buckets(10.0, 0.0, b100=0.0), with_buckets(11.0, 9.0, b100=4.0))
    assert closed.candidate.timed is None
    assert closed.candidate.within == (4,)


def test_a_bucket_behind_its_smaller_neighbour_is_raised_and_made_up_for_later():
    (first, second), _ = follow(
        with_buckets(10.0, 0.0, b100=0.0, b250=0.0),
        with_buckets(11.0, 9.0, b100=5.0, b250=4.0),
        with_buckets(12.0, 18.0, b100=6.0, b250=8.0),
    )
    assert first.candidate.within == (5, 5)
    assert second.candidate.within == (1, 3)


def test_buckets_ahead_of_the_requests_are_clamped_and_carried():
    (first, second), _ = follow(
        with_buckets(10.0, 0.0, b100=0.0),
        with_buckets(11.0, 3.0, b100=5.0),
        with_buckets(12.0, 9.0, b100=6.0),
    )
    assert (first.candidate.within, second.candidate.within) == ((3,), (3,))


def test_an_arm_without_a_histogram_has_timed_nothing():
    stable = (series(REQUESTS, (10.0, 0.0)), *buckets(10.0, b100=0.0, inf=0.0))
    later = (series(REQUESTS, (11.0, 8.0)), *buckets(11.0, b100=4.0, inf=7.0))
    candidate, candidate_later = series(REQUESTS, (10.0, 0.0)), series(REQUESTS, (11.0, 2.0))
    (closed,), _ = follow(
        Reading(candidate=(candidate,), stable=stable),
        Reading(candidate=(candidate_later,), stable=later),
    )
    assert closed.bounds_ms == (100.0,)
    assert (closed.candidate.timed, closed.candidate.within) == (0, (0,))
    assert (closed.stable.timed, closed.stable.within) == (7, (4,))


def test_only_bounds_of_both_arms_are_kept():
    def scrape(at: float, grown: float) -> Reading:
        one = series(REQUESTS, (at, grown))
        return Reading(
            candidate=(one, *buckets(at, b100=grown, b250=grown)),
            stable=(one, *buckets(at, b250=grown, b500=grown)),
        )

    (closed,), _ = follow(scrape(10.0, 0.0), scrape(11.0, 5.0))
    assert closed.bounds_ms == (250.0,)
    assert closed.stable.within == (5,)


def test_a_bucket_without_a_bound_is_an_error_that_names_it():
    with pytest.raises(ValueError, match="nameless"):
        follow(both(10.0, 0.0, series(BUCKET, (10.0, 0.0), key="nameless")))


def test_a_new_step_opens_anew_and_remembers_the_series():
    _, cursor = follow(both(10.0, 100.0, series(ERRORS, (10.0, 7.0))))
    still_open = both(15.0, 200.0)
    closed, cursor = advance(cursor, still_open, sequence=1, step=4, weight=50)
    assert closed is None
    back = both(16.0, 230.0, series(ERRORS, (16.0, 9.0)))
    closed, _ = advance(cursor, back, sequence=1, step=4, weight=50)
    assert closed is not None
    assert (closed.step, closed.weight) == (4, 50)
    assert (closed.candidate.requests, closed.candidate.errors) == (30, 2)


def test_requests_are_counted_as_they_begin_beside_those_that_ended():
    def reading(at, begun, ended):
        arm = (series(SeriesRole.STARTED, (at, begun)), series(REQUESTS, (at, ended)))
        return Reading(candidate=arm, stable=arm)

    (first, second), _ = follow(reading(1.0, 50, 40), reading(2.0, 58, 42), reading(3.0, 58, 50))
    assert (first.candidate.started, first.candidate.requests) == (8, 2)
    assert (second.stable.started, second.stable.requests) == (0, 8)


def test_where_nobody_counts_what_begins_it_is_not_known():
    (closed,), _ = follow(both(10.0, 500.0), both(11.0, 530.0))
    assert closed.candidate.started is None
    (closed,), _ = follow(
        both(10.0, 500.0, series(SeriesRole.STARTED, (10.0, 500.0))),
        both(11.0, 530.0, series(SeriesRole.STARTED, (11.0, 533.0))),
    )
    assert (closed.candidate.started, closed.stable.started) == (33, None)


def test_a_cursor_of_before_requests_were_counted_as_they_begin_goes_on():
    def document(started):
        owed = {"requests": 0.0, "errors": 0.0, **started}
        arm = {"last": {f"{REQUESTS}-None": [10.0, 500.0]}, "given_until": 10.0, "owed": owed}
        kept = {"step": 3, "opened_at": 10.0, "candidate": arm, "stable": arm}
        return TypeAdapter(Cursor).validate_python(kept)

    for started in ({}, {"started": 0.0}):
        more = series(SeriesRole.STARTED, (9.0, 499.0), (10.0, 500.0), (11.0, 531.0))
        (closed,), _ = follow(both(11.0, 530.0, more), cursor=document(started))
        assert closed.candidate.requests == 30
        # The first time, what the window holds is counted: of both arms alike.
        assert closed.candidate.started == 32


def test_a_pod_that_takes_the_place_of_another_counts_from_nothing():
    def pod(name, *samples):
        return series(REQUESTS, *samples, key=name)

    def reading(*pods):
        return Reading(candidate=pods, stable=(series(REQUESTS, pods[-1].samples[-1]),))

    (first, second), _ = follow(
        reading(pod("a", (1.0, 100.0))),
        reading(pod("a", (2.0, 130.0))),
        reading(pod("a", (2.0, 130.0)), pod("b", (3.0, 4.0))),
    )
    assert (first.candidate.requests, second.candidate.requests) == (30, 4)


def test_the_cursor_survives_json():
    _, cursor = follow(
        with_buckets(10.0, 0.0, b100=0.0, b250=0.0, inf=0.0),
        with_buckets(11.0, 9.0, b100=5.0, b250=4.0, inf=9.0),
    )
    text = json.dumps(dataclasses.asdict(cursor), allow_nan=False)
    assert TypeAdapter(Cursor).validate_json(text) == cursor


GROWTH = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 60), st.integers(0, 45), st.integers(0, 45)),
    min_size=1,
    max_size=25,
)


def scrapes(growth, *, reset_at: int | None = None) -> list[Reading]:
    """A reading per scrape; at `reset_at` every counter starts anew just after the scrape."""
    totals = list(accumulate(growth, lambda a, b: tuple(map(sum, zip(a, b, strict=True)))))
    past = totals[reset_at] if reset_at is not None else (0, 0, 0, 0)

    def reading(index: int, total: tuple[int, ...]) -> Reading:
        began = past if reset_at is not None and index > reset_at else (-900,) * 4
        requests, errors, small, large = (a - b for a, b in zip(total, began, strict=True))
        arm = (
            series(REQUESTS, (index, requests)),
            series(ERRORS, (index, errors)),
            series(BUCKET, (index, small), bound_ms=100.0),
            series(BUCKET, (index, large), bound_ms=250.0),
        )
        return Reading(candidate=arm, stable=arm)

    return [reading(index, total) for index, total in enumerate(totals)]


def merged(readings: list[Reading]) -> Reading:
    """What a later look sees: all the samples of these scrapes at once."""

    def arm(each: list[tuple[Series, ...]]) -> tuple[Series, ...]:
        return tuple(
            dataclasses.replace(same[0], samples=tuple(s for one in same for s in one.samples))
            for same in zip(*each, strict=True)
        )

    return Reading(
        candidate=arm([one.candidate for one in readings]),
        stable=arm([one.stable for one in readings]),
    )


def totals_of(intervals: list[Interval], cursor: Cursor) -> tuple[float, ...]:
    """What was given out and what is still owed, per counter of the candidate."""
    owed = cursor.candidate.owed
    within = dict(owed.within)
    given = [each.candidate for each in intervals]
    return (
        sum(each.requests for each in given) + owed.requests,
        sum(each.errors for each in given) + owed.errors,
        sum(each.within[0] for each in given) + within[100.0],
        sum(each.within[1] for each in given) + within[250.0],
    )


@unhurried
@given(growth=GROWTH, data=st.data())
def test_splitting_the_scrapes_anywhere_gives_the_same_totals(growth, data):
    every = [(0, 0, 0, 0), *growth]
    one_by_one = totals_of(*follow(*scrapes(every)))
    cuts = sorted(data.draw(st.sets(st.integers(2, len(every)))) | {1, len(every)})
    looks = [scrapes(every)[a:b] for a, b in zip([0, *cuts[:-1]], cuts, strict=True)]
    assert totals_of(*follow(*(merged(look) for look in looks))) == one_by_one
    assert one_by_one == tuple(map(sum, zip(*every, strict=True)))


@unhurried
@given(growth=GROWTH, data=st.data())
def test_a_reset_in_the_middle_changes_nothing_but_the_count_of_resets(growth, data):
    every = [(0, 0, 0, 0), *growth]
    plain, _ = follow(*scrapes(every))
    began_anew, _ = follow(*scrapes(every, reset_at=data.draw(st.integers(0, len(growth)))))
    assert [dataclasses.replace(each, resets=0) for each in began_anew] == plain


@unhurried
@given(growth=GROWTH)
def test_the_counts_of_an_interval_agree_with_each_other(growth):
    for closed in follow(*scrapes([(0, 0, 0, 0), *growth]))[0]:
        counts = closed.candidate
        assert 0 <= counts.errors <= counts.requests
        assert 0 <= counts.within[0] <= counts.within[1] <= counts.requests
