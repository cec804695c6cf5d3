"""When a rollout may advance: freeze windows around the clock's changes, turns, and both."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.fleet import (
    FleetPolicies,
    Weekday,
    clearance,
    frozen,
    in_force_until,
    ordinal,
    place,
    queue_length,
    times_violations,
)
from tests.fleets import HOUR, a_group, a_queue, a_span, a_week, a_window
from tests.projects import NOW

BERLIN = "Europe/Berlin"
IDS = [uuid4() for _ in range(6)]
WEEK = tuple(Weekday)
# 2026-11-21, the day of NOW, is a Saturday.


def at(text, zone="UTC"):
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


@pytest.mark.parametrize(
    ("now", "until"),
    [
        (NOW - timedelta(microseconds=1), None),
        (NOW, NOW + HOUR),
        (NOW + HOUR - timedelta(microseconds=1), NOW + HOUR),
        (NOW + HOUR, None),
    ],
)
def test_a_span_holds_from_its_start_until_just_before_its_end(now, until):
    assert in_force_until(a_span(), now) == until


@pytest.mark.parametrize(
    ("week", "now", "until"),
    [
        # On its day, from its start until just before its end.
        (a_week("saturday", starts="09:00", ends="17:00"), "2026-11-21 08:59", None),
        (a_week("saturday", starts="09:00", ends="17:00"), "2026-11-21 09:00", "2026-11-21 17:00"),
        (a_week("saturday", starts="09:00", ends="17:00"), "2026-11-21 17:00", None),
        (a_week("sunday", starts="09:00", ends="17:00"), "2026-11-21 12:00", None),
        # Over midnight, into a day that is not named.
        (a_week("friday"), "2026-11-20 17:59", None),
        (a_week("friday"), "2026-11-20 18:00", "2026-11-21 08:00"),
        (a_week("friday"), "2026-11-21 07:59", "2026-11-21 08:00"),
        (a_week("friday"), "2026-11-21 08:00", None),
        (a_week("friday"), "2026-11-21 18:00", None),
        # Days that follow each other are one freeze.
        (
            a_week("saturday", "sunday", starts="00:00", ends="00:00"),
            "2026-11-21 12:00",
            "2026-11-23 00:00",
        ),
        (a_week(*WEEK, starts="00:00", ends="23:59"), "2026-11-21 12:00", "2026-11-21 23:59"),
        (
            a_week("saturday", "sunday", "monday", starts="12:00", ends="12:00"),
            "2026-11-21 12:00",
            "2026-11-24 12:00",
        ),
    ],
)
def test_a_weekly_window_holds_on_the_days_on_which_it_starts(week, now, until):
    assert in_force_until(week, at(now)) == (at(until) if until else None)


@pytest.mark.parametrize(
    ("week", "now", "until"),
    [
        # In summer 18:00 in Berlin is 16:00 UTC, in winter 17:00.
        (a_week("friday", zone=BERLIN), "2026-07-03 15:59", None),
        (a_week("friday", zone=BERLIN), "2026-07-03 16:00", "2026-07-04 06:00"),
        (a_week("friday", zone=BERLIN), "2026-11-20 16:59", None),
        (a_week("friday", zone=BERLIN), "2026-11-20 17:00", "2026-11-21 07:00"),
        # The night in which the clock goes forward is an hour shorter, that back an hour longer.
        (a_week("saturday", zone=BERLIN), "2026-03-28 17:00", "2026-03-29 06:00"),
        (a_week("saturday", zone=BERLIN), "2026-10-24 16:00", "2026-10-25 07:00"),
        # 02:30 does not exist on 29 March: the earlier reading starts it, the later one ends it.
        (
            a_week("sunday", starts="02:30", ends="05:00", zone=BERLIN),
            "2026-03-29 00:30",
            "2026-03-29 03:00",
        ),
        (
            a_week("saturday", starts="20:00", ends="02:30", zone=BERLIN),
            "2026-03-28 20:00",
            "2026-03-29 01:30",
        ),
        # 02:30 comes twice on 25 October: the first one starts it, the second one ends it.
        (
            a_week("sunday", starts="02:30", ends="05:00", zone=BERLIN),
            "2026-10-25 00:30",
            "2026-10-25 04:00",
        ),
        (
            a_week("saturday", starts="20:00", ends="02:30", zone=BERLIN),
            "2026-10-24 20:00",
            "2026-10-25 01:30",
        ),
        # It is Saturday in Auckland while it is Friday in UTC.
        (
            a_week("saturday", starts="00:00", ends="06:00", zone="Pacific/Auckland"),
            "2026-11-20 12:00",
            "2026-11-20 17:00",
        ),
    ],
)
def test_local_times_follow_the_clocks_of_their_zone(week, now, until):
    assert in_force_until(week, at(now)) == (at(until) if until else None)


moments = st.datetimes(
    min_value=datetime(2020, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone itself
    max_value=datetime(2035, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone itself
    timezones=st.just(UTC),
)
minutes = st.times().map(lambda t: t.replace(second=0, microsecond=0).isoformat("minutes"))
zones = st.sampled_from(["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"])
days = st.lists(st.sampled_from(WEEK), min_size=1, max_size=6, unique=True)


@given(now=moments, days=days, starts=minutes, ends=minutes, zone=zones)
def test_a_freeze_lies_ahead_ends_and_holds_all_the_while(now, days, starts, ends, zone):
    week = a_week(*days, starts=starts, ends=ends, zone=zone)
    until = in_force_until(week, now)
    if until is None:
        local = now.astimezone(ZoneInfo(zone))
        inside = starts < ends and starts <= local.strftime("%H:%M") < ends
        assert not (inside and WEEK[local.weekday()] in days)
        return
    assert now < until <= now + timedelta(days=8)
    assert in_force_until(week, now + (until - now) / 2) == until
    assert in_force_until(week, until) is None


def test_a_window_covers_its_project_or_the_groups_that_it_names():
    everywhere, there = a_window(name="all"), a_window(name="there", groups=("a", "b"))

    for windows, group in (([everywhere], None), ([everywhere], "c"), ([there], "b")):
        assert frozen(windows, group, NOW)
    assert frozen([there], "c", NOW) is None
    assert frozen([there], None, NOW) is None


def test_of_several_freezes_the_last_to_end_is_told():
    short, long = (
        a_window(name="short"),
        a_window(name="long", times=a_span(ends_at=NOW + 9 * HOUR)),
    )

    freeze = frozen([short, long, a_window()], None, NOW)
    assert freeze
    assert (freeze.name, freeze.until) == ("long", NOW + 9 * HOUR)
    assert frozen([], None, NOW) is None


@pytest.mark.parametrize(
    ("times", "fields"),
    [
        (a_span(), []),
        (a_span(ends_at=NOW), ["ends_at"]),
        (a_week("monday"), []),
        (a_week("monday", zone="Mars/Olympus"), ["weekly.time_zone"]),
        (a_week("monday", zone="../etc/passwd"), ["weekly.time_zone"]),
        (a_week(), ["weekly.days"]),
        (a_week(*WEEK, starts="00:00", ends="00:00"), ["weekly"]),
        (a_week(*WEEK, starts="00:00", ends="23:59"), []),
    ],
)
def test_times_that_make_no_sense_are_told_by_field(times, fields):
    assert [violation.field for violation in times_violations(times)] == fields


@pytest.mark.parametrize(
    ("asked", "limit", "expected"),
    [
        (0, 1, [1]),
        (3, 1, [0, 1, 2]),
        (4, 2, [0, 0, 1, 2]),
        (3, 5, [0, 0, 0]),
    ],
)
def test_the_first_that_asked_have_their_turn_and_the_rest_a_place(asked, limit, expected):
    queue = a_queue(*IDS[:asked])
    ids = IDS[:asked] or IDS[:1]
    assert [place(queue, limit, rollout_id) for rollout_id in ids] == expected


@given(
    moves=st.lists(st.tuples(st.sampled_from(IDS), st.booleans()), max_size=40),
    limit=st.integers(min_value=1, max_value=4),
)
def test_whoever_comes_and_goes_no_more_than_the_limit_advance_and_nobody_loses_a_turn(
    moves, limit
):
    queue: list[UUID] = []
    had: set[UUID] = set()
    for rollout_id, leaves in moves:
        if leaves and rollout_id in queue:
            queue.remove(rollout_id)
        elif not leaves and rollout_id not in queue:
            queue.append(rollout_id)
        entries = a_queue(*queue)
        have = {one for one in IDS if place(entries, limit, one) == 0}
        assert len(have) == min(limit, len(queue))
        assert had & set(queue) <= have
        assert [place(entries, limit, one) for one in queue[limit:]] == [
            *range(1, len(queue) - limit + 1)
        ]
        had = have


def test_one_that_is_neither_frozen_nor_in_a_queue_is_cleared():
    given = clearance(FleetPolicies(windows=()), IDS[0], NOW)

    assert (given.cleared, given.reason, given.until, given.place) == (True, "", None, 0)


def test_a_freeze_holds_whoever_has_its_turn():
    window, group = a_window(), a_group()
    policies = FleetPolicies(windows=(window,), group=group, queue=a_queue(IDS[0]))
    given = clearance(policies, IDS[0], NOW)

    assert not given.cleared
    assert (given.until, given.place) == (NOW + HOUR, 0)
    assert given.reason == "frozen by 'black-friday' until 2026-11-21 13:00 UTC: the busiest days"
    assert clearance(policies, IDS[0], NOW + HOUR).cleared


def test_one_that_waits_for_its_turn_is_told_its_place_and_the_freeze():
    queue = a_queue(*IDS[:3])
    waits = clearance(FleetPolicies(windows=(), group=a_group(), queue=queue), IDS[2], NOW)
    both = clearance(
        FleetPolicies(windows=(a_window(reason=""),), group=a_group(), queue=queue), IDS[2], NOW
    )

    assert (waits.cleared, waits.place) == (False, 2)
    assert waits.reason == "2nd in the queue of group gpu-pool-a"
    assert both.reason == f"frozen by 'black-friday' until 2026-11-21 13:00 UTC; {waits.reason}"


def test_one_that_never_asked_has_no_turn_though_there_is_room():
    policies = FleetPolicies(windows=(), group=a_group(limit=5), queue=a_queue(IDS[0]))
    given = clearance(policies, IDS[1], NOW)
    assert not given.cleared
    assert given.reason == "has yet to ask for its turn in group gpu-pool-a"


@pytest.mark.parametrize(("asked", "limit", "waiting"), [(0, 1, 0), (3, 1, 2), (2, 3, 0)])
def test_those_without_a_turn_are_the_length_of_the_queue(asked, limit, waiting):
    queue = a_queue(*IDS[:asked])
    assert queue_length(queue, limit) == waiting
    assert sum(place(queue, limit, one) > 0 for one in IDS[:asked]) == waiting


def test_places_are_said_as_people_say_them():
    numbers = (1, 2, 3, 4, 11, 12, 13, 21, 22, 101, 111)
    said = "1st 2nd 3rd 4th 11th 12th 13th 21st 22nd 101st 111th"
    assert " ".join(map(ordinal, numbers)) == said
