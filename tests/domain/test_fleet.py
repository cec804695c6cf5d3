"""Freeze windows, queues and clearance: when a rollout may go on, and what it is told if not."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidSpec, NotFound
from domain.fleet import (
    FARTHEST_LOOK,
    MOST_PER_GROUP,
    Clearance,
    FreezeWindow,
    Once,
    Outlook,
    Ticket,
    Weekday,
    Weekly,
    clearance,
    frozen,
    ordinal,
    place,
    require_group,
    require_window,
    time_zones,
)

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)  # a Wednesday
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
BERLIN = "Europe/Berlin"
WORKDAYS = tuple(Weekday)[:5]
WEEKEND = tuple(Weekday)[5:]


def window(when=None, **changes):
    given = {
        "id": uuid4(),
        "project_id": uuid4(),
        "name": "black-friday",
        "reason": "nobody is here to look",
        "when": when or Once(starts_at=NOW, ends_at=NOW + HOUR),
        "created_at": NOW,
        "updated_at": NOW,
    }
    return FreezeWindow(**(given | changes))


def weekly(days, hours, zone="UTC"):
    begins, ends = (time.fromisoformat(text) for text in hours.split("-"))
    return Weekly(days=tuple(days), from_time=begins, to_time=ends, time_zone=zone)


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "is_frozen"),
    [
        (NOW - timedelta(microseconds=1), False),
        (NOW, True),
        (NOW + HOUR - timedelta(microseconds=1), True),
        (NOW + HOUR, False),
    ],
)
def test_a_span_holds_from_its_first_moment_up_to_its_last(at, is_frozen):
    freeze = frozen([window()], None, at)

    assert (freeze is not None) is is_frozen
    if freeze:
        assert freeze.until == NOW + HOUR
        assert (freeze.name, freeze.reason) == ("black-friday", "nobody is here to look")


@pytest.mark.parametrize(
    ("when", "at", "until"),
    [
        # an evening, a night that belongs to the day on which it begins, a whole day
        (weekly(["wednesday"], "18:00-22:00"), "2026-11-25 17:59", None),
        (weekly(["wednesday"], "18:00-22:00"), "2026-11-25 18:00", "2026-11-25 22:00"),
        (weekly(["wednesday"], "18:00-22:00"), "2026-11-25 22:00", None),
        (weekly(["wednesday"], "18:00-22:00"), "2026-11-26 18:00", None),
        (weekly(["wednesday"], "22:00-06:00"), "2026-11-26 05:59", "2026-11-26 06:00"),
        (weekly(["wednesday"], "22:00-06:00"), "2026-11-25 05:00", None),
        (weekly(["wednesday"], "00:00-00:00"), "2026-11-25 00:00", "2026-11-26 00:00"),
        (weekly(["wednesday"], "09:00-09:00"), "2026-11-26 08:00", "2026-11-26 09:00"),
        # days that follow on each other are one freeze
        (weekly(WEEKEND, "00:00-00:00"), "2026-11-28 09:00", "2026-11-30 00:00"),
        (weekly(WEEKEND, "00:00-00:00"), "2026-11-27 23:59", None),
        (weekly(WORKDAYS, "09:00-17:00"), "2026-11-25 09:00", "2026-11-25 17:00"),
        # another zone's day: 23:00 UTC is Thursday in Berlin
        (weekly(["thursday"], "00:00-08:00", BERLIN), "2026-11-25 23:00", "2026-11-26 07:00"),
        (weekly(["thursday"], "00:00-08:00", BERLIN), "2026-11-25 22:59", None),
        (weekly(["monday"], "08:00-09:00", "Pacific/Auckland"), "2026-11-29 19:30", "2026-11-29 20:00"),
        (weekly(["sunday"], "20:00-21:00", "Pacific/Honolulu"), "2026-11-30 06:30", "2026-11-30 07:00"),
        # summer time: the same local hours, at other moments
        (weekly(["monday"], "09:00-17:00", BERLIN), "2026-03-23 08:00", "2026-03-23 16:00"),
        (weekly(["monday"], "09:00-17:00", BERLIN), "2026-03-30 07:00", "2026-03-30 15:00"),
        # the night on which clocks go forward is an hour shorter, the other one an hour longer
        (weekly(["saturday"], "22:00-06:00", BERLIN), "2026-03-28 22:00", "2026-03-29 04:00"),
        (weekly(["saturday"], "22:00-06:00", BERLIN), "2026-10-24 22:00", "2026-10-25 05:00"),
        # 02:30 comes twice: it begins with the first and ends with the second
        (weekly(["sunday"], "02:30-04:00", BERLIN), "2026-10-25 00:30", "2026-10-25 03:00"),
        (weekly(["sunday"], "02:30-04:00", BERLIN), "2026-10-25 01:15", "2026-10-25 03:00"),
        (weekly(["sunday"], "01:00-02:30", BERLIN), "2026-10-25 01:29", "2026-10-25 01:30"),
        # 02:30 never comes: the freeze is the longer one
        (weekly(["sunday"], "02:30-04:00", BERLIN), "2026-03-29 00:30", "2026-03-29 02:00"),
        (weekly(["sunday"], "01:00-02:30", BERLIN), "2026-03-29 01:29", "2026-03-29 01:30"),
        # clocks that skip midnight
        (weekly(["friday"], "00:00-01:00", "Africa/Cairo"), "2026-04-23 21:30", "2026-04-23 22:00"),
    ],
)  # fmt: skip
def test_a_weekly_window_holds_by_the_clocks_of_its_zone(when, at, until):
    freeze = frozen([window(when)], None, utc(at))

    assert (freeze and freeze.until) == (until and utc(until))


def test_of_several_freezes_the_one_that_ends_last_is_told():
    short, long = window(), window(Once(starts_at=NOW, ends_at=NOW + 2 * HOUR), name="audit")

    for windows in ([short, long], [long, short]):
        freeze = frozen(windows, None, NOW)
        assert (freeze.name, freeze.until) == ("audit", NOW + 2 * HOUR)


def test_freezes_without_a_gap_between_them_are_told_as_one():
    evening = window(name="evening")
    night = window(Once(starts_at=NOW + HOUR, ends_at=NOW + 9 * HOUR), name="night")
    later = window(Once(starts_at=NOW + 10 * HOUR, ends_at=NOW + 11 * HOUR), name="later")

    freeze = frozen([evening, night, later], None, NOW)

    assert (freeze.name, freeze.until) == ("evening", NOW + 9 * HOUR)


def test_a_freeze_without_end_is_looked_at_so_far_and_no_farther():
    always = window(weekly(Weekday, "00:00-00:00"))

    until = frozen([always], None, NOW).until

    assert FARTHEST_LOOK <= until - NOW <= FARTHEST_LOOK + timedelta(days=1)


@pytest.mark.parametrize(
    ("named", "group", "is_frozen"),
    [
        ((), None, True),
        ((), "gpu-a", True),
        (("gpu-a", "gpu-b"), "gpu-b", True),
        (("gpu-a",), "gpu-b", False),
        (("gpu-a",), None, False),
    ],
)
def test_a_window_covers_its_groups_or_everything(named, group, is_frozen):
    assert (frozen([window(groups=named)], group, NOW) is not None) is is_frozen


def tickets(number):
    return [
        Ticket(rollout_id=uuid4(), config_id=uuid4(), asked_at=NOW + i * HOUR)
        for i in range(number)
    ]


@pytest.mark.parametrize(
    ("limit", "places"), [(1, [0, 1, 2, 3]), (2, [0, 0, 1, 2]), (4, [0, 0, 0, 0])]
)
def test_who_has_asked_first_goes_first(limit, places):
    drawn = tickets(4)

    assert [place(drawn, limit, one.rollout_id) for one in drawn] == places


def test_when_one_ends_everybody_behind_moves_up():
    drawn = tickets(4)

    assert [place(drawn[1:], 2, one.rollout_id) for one in drawn[1:]] == [0, 0, 1]


def test_who_has_not_asked_has_no_place():
    with pytest.raises(NotFound):
        place(tickets(2), 1, uuid4())


@given(number=st.integers(1, 40), limit=st.integers(1, 40), data=st.data())
def test_never_more_than_the_limit_have_their_turn_and_nobody_overtakes(number, limit, data):
    """Whoever ends, in whatever order: turns are given in order, as many as there may be."""
    drawn = tickets(number)
    had_turn = set()
    while drawn:
        places = [place(drawn, limit, one.rollout_id) for one in drawn]
        assert places == sorted(places)
        assert places.count(0) == min(limit, len(drawn))
        assert [p for p in places if p] == list(range(1, len(drawn) - limit + 1))
        having = {t.rollout_id for t, p in zip(drawn, places, strict=True) if p == 0}
        assert had_turn <= having
        gone = data.draw(st.sampled_from(drawn))
        drawn.remove(gone)
        had_turn = having - {gone.rollout_id}


FROZEN = "frozen by black-friday until 2026-11-25 13:00 UTC: nobody is here to look"


@pytest.mark.parametrize(
    ("windows", "position", "expected"),
    [
        ((), 0, Clearance(cleared=True)),
        ((), 3, Clearance(cleared=False, reason="3rd in the queue of group gpu-a", place=3)),
        ((window(),), 0, Clearance(cleared=False, reason=FROZEN, until=NOW + HOUR)),
        (
            (window(),),
            1,
            Clearance(
                cleared=False,
                reason=f"{FROZEN}; 1st in the queue of group gpu-a",
                until=NOW + HOUR,
                place=1,
            ),
        ),
        ((window(groups=("gpu-b",)),), 0, Clearance(cleared=True)),
    ],
)
def test_only_who_has_a_turn_and_no_freeze_is_cleared(windows, position, expected):
    assert clearance(Outlook(windows=windows, place=position), "gpu-a", NOW) == expected


ZONES = st.sampled_from(
    ["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]
)
WEEKLIES = st.builds(
    Weekly,
    days=st.lists(st.sampled_from(Weekday), min_size=1, unique=True).map(tuple),
    from_time=st.times(),
    to_time=st.times(),
    time_zone=ZONES,
)
MOMENTS = st.integers(0, 3 * 366 * 24 * 60).map(lambda minutes: NOW + minutes * MINUTE)


@given(windows=st.lists(WEEKLIES.map(window), max_size=3), now=MOMENTS)
def test_a_freeze_lasts_until_the_moment_that_it_tells(windows, now):
    freeze = frozen(windows, None, now)
    if freeze is None:
        return
    assert freeze.until > now
    just_before = frozen(windows, None, freeze.until - timedelta(microseconds=1))
    assert just_before is not None
    if freeze.until < now + FARTHEST_LOOK:
        assert frozen(windows, None, freeze.until) is None


@given(when=WEEKLIES, now=MOMENTS)
def test_whoever_looks_at_a_clock_in_the_zone_agrees(when, now):
    """But for the nights on which clocks change, local time alone tells."""
    zone = ZoneInfo(when.time_zone)
    local = now.astimezone(zone)
    offsets = {(local + timedelta(days=d)).utcoffset() for d in (-2, -1, 0, 1, 2)}
    if len(offsets) > 1:
        return
    today, yesterday = (Weekday.of(local.date() - timedelta(days=d)) for d in (0, 1))
    clock = local.time()
    if when.from_time < when.to_time:
        expected = today in when.days and when.from_time <= clock < when.to_time
    else:
        expected = (today in when.days and clock >= when.from_time) or (
            yesterday in when.days and clock < when.to_time
        )
    assert (frozen([window(when)], None, now) is not None) is expected


@given(windows=st.lists(WEEKLIES.map(window), max_size=3), now=MOMENTS, ahead=st.integers(0, 5))
def test_nothing_clears_a_rollout_that_is_frozen_or_waits(windows, now, ahead):
    found = clearance(Outlook(windows=tuple(windows), place=ahead), "gpu-a", now)

    assert found.cleared is (frozen(windows, "gpu-a", now) is None and ahead == 0)
    assert bool(found.reason) is not found.cleared


@pytest.mark.parametrize(
    ("when", "changes", "field"),
    [
        (Once(starts_at=NOW, ends_at=NOW), {}, "ends_at"),
        (Once(starts_at=NOW, ends_at=datetime.max.replace(tzinfo=UTC)), {}, "ends_at"),
        (Once(starts_at=datetime.min.replace(tzinfo=UTC), ends_at=NOW), {}, "starts_at"),
        (weekly([], "09:00-17:00"), {}, "weekly.days"),
        (weekly(["monday", "monday"], "09:00-17:00"), {}, "weekly.days"),
        (weekly(["monday"], "09:00-17:00", "Mars/Olympus"), {}, "weekly.time_zone"),
        (weekly(["monday"], "09:00-17:00", "../etc/passwd"), {}, "weekly.time_zone"),
        (weekly(["monday"], "09:00-17:00", "localtime"), {}, "weekly.time_zone"),
        (None, {"groups": ("a", "a")}, "groups"),
    ],
)
def test_a_window_that_cannot_be_is_refused_by_field(when, changes, field):
    with pytest.raises(InvalidSpec) as caught:
        require_window(window(when, **changes))
    assert [v.field for v in caught.value.violations] == [field]


def test_a_window_that_can_be_is_not():
    require_window(window())
    require_window(replace(window(weekly(WEEKEND, "22:00-06:00", BERLIN)), groups=("a", "b")))
    assert {"UTC", BERLIN} <= time_zones()


@pytest.mark.parametrize(
    ("name", "limit", "field"),
    [
        ("GPU", 1, "name"),
        ("", 1, "name"),
        ("gpu", 0, "limit"),
        ("gpu", MOST_PER_GROUP + 1, "limit"),
    ],
)
def test_a_group_that_cannot_be_is_refused_by_field(name, limit, field):
    with pytest.raises(InvalidSpec) as caught:
        require_group(name, limit)
    assert [v.field for v in caught.value.violations] == [field]


@pytest.mark.parametrize(
    ("number", "told"),
    [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (13, "13th"), (21, "21st"),
     (112, "112th")],
)  # fmt: skip
def test_places_are_said_as_people_do(number, told):
    assert ordinal(number) == told
