"""What holds between rollouts: freeze windows, groups of which few advance at once, clearance.

All of it is about giving a candidate more traffic. Nothing here is ever asked about a way back.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

from domain.errors import Violation

MOST_LIMIT = 1000
_DAY = timedelta(days=1)
_WEEK = 7


class Weekday(StrEnum):
    MONDAY = "monday"
    TUESDAY = "tuesday"
    WEDNESDAY = "wednesday"
    THURSDAY = "thursday"
    FRIDAY = "friday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"


_WEEKDAYS = tuple(Weekday)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Once, from `starts_at` on until just before `ends_at`."""

    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Weekly:
    """Every week on the days on which it starts, in local time.

    It ends on the same day, or on the next one where `ends` is not after `starts`: from 00:00 to
    00:00 is the whole day.
    """

    days: tuple[Weekday, ...]
    starts: time
    ends: time
    time_zone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeWindow:
    """When no rollout of a project advances, or none of these `groups` where it names some."""

    id: UUID
    project_id: UUID
    name: str
    reason: str = ""
    times: Span | Weekly
    groups: tuple[str, ...] | None = None
    created_at: datetime
    updated_at: datetime

    def covers(self, group: str | None) -> bool:
        return self.groups is None or group in self.groups


Windows = Sequence[FreezeWindow]


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """A freeze window in force, and until when."""

    name: str
    reason: str
    until: datetime

    def __str__(self) -> str:
        because = f": {self.reason}" if self.reason else ""
        until = f"{self.until.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        return f"frozen by {self.name!r} until {until}{because}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Rollouts that share something scarce: at most `limit` of them advance at once."""

    id: UUID
    project_id: UUID
    name: str
    limit: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueEntry:
    """A rollout that asked for its turn and has not ended."""

    rollout_id: UUID
    asked_at: datetime


Queue = Sequence[QueueEntry]


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetPolicies:
    """What there is to know about one rollout: its project's windows, its group and the queue."""

    windows: Windows
    group: Group | None = None
    queue: Queue = ()

    def is_queued(self, rollout_id: UUID) -> bool:
        return any(entry.rollout_id == rollout_id for entry in self.queue)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clearance:
    """Whether a rollout may give its candidate more traffic now; if not, why.

    `until` is when a freeze ends. `place` is 0 for one that has its turn, n for the nth in the
    queue.
    """

    cleared: bool
    reason: str = ""
    until: datetime | None = None
    place: int = 0


def clearance(policies: FleetPolicies, rollout_id: UUID, now: datetime) -> Clearance:
    """Decide whether the rollout may give its candidate more traffic: the one place that does."""
    group = policies.group
    freeze = frozen(policies.windows, group.name if group else None, now)
    turn = place(policies.queue, group.limit, rollout_id) if group else 0
    reasons = [str(freeze)] if freeze else []
    if group and turn:
        queued = policies.is_queued(rollout_id)
        stands = f"{ordinal(turn)} in the queue of" if queued else "has yet to ask for its turn in"
        reasons.append(f"{stands} group {group.name}")
    return Clearance(
        cleared=not reasons,
        reason="; ".join(reasons),
        until=freeze.until if freeze else None,
        place=turn,
    )


def place(queue: Queue, limit: int, rollout_id: UUID) -> int:
    """0 for a rollout that has its turn, n for the nth of those that wait.

    The first that asked come first. One that never asked stands behind everybody: it has no turn.
    """
    asked = [entry.rollout_id for entry in queue]
    if rollout_id not in asked:
        return max(1, len(asked) - limit + 1)
    return max(0, asked.index(rollout_id) - limit + 1)


def queue_length(queue: Queue, limit: int) -> int:
    """How many wait for their turn."""
    return max(0, len(queue) - limit)


def frozen(windows: Windows, group: str | None, now: datetime) -> Freeze | None:
    """The freeze that is in force for a group; of several, the one that ends last."""
    freezes = [
        Freeze(name=window.name, reason=window.reason, until=until)
        for window in windows
        if window.covers(group) and (until := in_force_until(window.times, now))
    ]
    return max(freezes, key=lambda freeze: freeze.until, default=None)


def in_force_until(times: Span | Weekly, now: datetime) -> datetime | None:
    """When the window that is in force ends; None where it is not.

    Of a weekly one, days that follow each other without a gap are one freeze.
    """
    if isinstance(times, Span):
        return times.ends_at if times.starts_at <= now < times.ends_at else None
    until = None
    for starts_at, ends_at in _around(times, now):
        if starts_at <= (until or now) < ends_at:
            until = ends_at
    return until


def _around(weekly: Weekly, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Each time that could be in force now, or follow on one that is, in order."""
    zone = _zone(weekly.time_zone)
    today = now.astimezone(zone).date()
    for offset in range(-1, _WEEK + 1):
        day = today + offset * _DAY
        if _WEEKDAYS[day.weekday()] in weekly.days:
            last = day if weekly.starts < weekly.ends else day + _DAY
            # Where a clock change makes a local time come twice, or never: rather frozen longer.
            yield (
                min(_instants(day, weekly.starts, zone)),
                max(_instants(last, weekly.ends, zone)),
            )


def _instants(day: date, at: time, zone: ZoneInfo) -> list[datetime]:
    """Both readings of a local time, in UTC; they only differ around a change of the clock."""
    local = datetime.combine(day, at, tzinfo=zone)
    return [local.replace(fold=fold).astimezone(UTC) for fold in (0, 1)]


def times_violations(times: Span | Weekly) -> Iterator[Violation]:
    """Every rule that the times of a freeze window break, under the names of their fields."""
    if isinstance(times, Span):
        if times.ends_at <= times.starts_at:
            yield Violation("ends_at", "must be after starts_at")
        return
    if not times.days:
        yield Violation("weekly.days", "must name a day")
    if times.time_zone not in _known_zones():
        rule = f"{times.time_zone[:80]!r} is no IANA time zone, such as Europe/Berlin or UTC"
        yield Violation("weekly.time_zone", rule)
    if len(set(times.days)) == _WEEK and times.starts == times.ends:
        yield Violation("weekly", "would never end; give starts_at and ends_at instead")


@lru_cache(maxsize=1)
def _known_zones() -> frozenset[str]:
    return frozenset(available_timezones())


@lru_cache(maxsize=128)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def ordinal(number: int) -> str:
    """Say a place: 1st, 2nd, 3rd, 4th, 11th, 21st."""
    teens = number % 100 in (11, 12, 13)
    suffix = "th" if teens else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"
