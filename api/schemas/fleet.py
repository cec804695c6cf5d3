"""Freeze windows, groups of rollouts, and whose turn it is."""

import re
from dataclasses import replace
from datetime import UTC, datetime, time
from typing import Annotated, Self
from uuid import UUID, uuid4

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from api.errors import broken
from api.schemas.fields import Incoming, Name, Outgoing, Prose, patterned
from domain.errors import InvalidSpec
from domain.fleet import (
    MOST_LIMIT,
    FleetPolicies,
    FreezeWindow,
    Group,
    QueueEntry,
    Span,
    Weekday,
    Weekly,
    clearance,
    in_force_until,
    place,
    queue_length,
    times_violations,
)
from domain.names import LABEL, LABEL_LENGTH, require_label
from domain.serving import later

MOST_GROUPS = 100
_YEARS = range(2000, 3000)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


def _moment(value: object) -> datetime:
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        raise ValueError("must be a time with its offset, such as 2026-11-27T00:00:00Z")
    read = datetime.fromisoformat(value)
    if read.year not in _YEARS:
        raise ValueError(f"must lie in the years {_YEARS[0]} to {_YEARS[-1]}")
    return read.astimezone(UTC)


def _time_of_day(value: str) -> str:
    if not _TIME.fullmatch(value):
        raise ValueError("must be a time of day, from 00:00 to 23:59")
    return value


Moment = Annotated[
    datetime,
    BeforeValidator(_moment),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
TimeOfDay = Annotated[
    str,
    Field(json_schema_extra=patterned(f"^({_TIME.pattern})$")),
    AfterValidator(_time_of_day),
]
GroupName = Annotated[
    Name, Field(json_schema_extra={"pattern": f"^{LABEL.pattern}$", "maxLength": LABEL_LENGTH})
]
Limit = Annotated[int, Field(strict=True, ge=1, le=MOST_LIMIT)]
_GROUPS = "The rollout groups that it holds; null holds every rollout of the project."


class WeeklyBody(Incoming):
    """Every week on these days, in local time, on into the next day where `ends` is not later."""

    days: list[Weekday] = Field(min_length=1, max_length=7, description="On which it starts.")
    starts: TimeOfDay
    ends: TimeOfDay = Field(description="Not after `starts`: on the next day. 00:00 is midnight.")
    time_zone: Name = Field(default="UTC", description="Of the IANA, such as Europe/Berlin.")

    def to_domain(self) -> Weekly:
        return Weekly(
            days=tuple(day for day in Weekday if day in self.days),
            starts=time.fromisoformat(self.starts),
            ends=time.fromisoformat(self.ends),
            time_zone=self.time_zone,
        )

    @classmethod
    def from_domain(cls, weekly: Weekly) -> Self:
        return cls(
            days=list(weekly.days),
            starts=f"{weekly.starts:%H:%M}",
            ends=f"{weekly.ends:%H:%M}",
            time_zone=weekly.time_zone,
        )


class FreezeWindowIn(Incoming):
    """Either once, with `starts_at` and `ends_at`, or `weekly`."""

    name: Name
    reason: Prose = Field(default="", description="Shown wherever a rollout is held by it.")
    starts_at: Moment | None = None
    ends_at: Moment | None = None
    weekly: WeeklyBody | None = None
    groups: list[GroupName] | None = Field(
        default=None, min_length=1, max_length=MOST_GROUPS, description=_GROUPS
    )

    def to_domain(self, project_id: UUID, now: datetime) -> FreezeWindow:
        """Raises InvalidSpec for times that make no sense, or none."""
        return FreezeWindow(
            id=uuid4(),
            project_id=project_id,
            name=self.name,
            reason=self.reason,
            times=_times(self.starts_at, self.ends_at, self.weekly),
            groups=_unique(self.groups),
            created_at=now,
            updated_at=now,
        )


class FreezeWindowPatch(Incoming):
    """What is absent stays. Times of the one kind take the place of those of the other."""

    name: Name = Field(default_factory=str)
    reason: Prose = Field(default_factory=str)
    starts_at: Moment | None = None
    ends_at: Moment | None = None
    weekly: WeeklyBody | None = None
    groups: list[GroupName] | None = Field(
        default=None, min_length=1, max_length=MOST_GROUPS, description=_GROUPS
    )

    def applied(self, window: FreezeWindow, now: datetime) -> FreezeWindow:
        """Raises InvalidSpec for times that make no sense."""
        given = self.model_fields_set
        return replace(
            window,
            name=self.name if "name" in given else window.name,
            reason=self.reason if "reason" in given else window.reason,
            times=self._applied(window.times),
            groups=_unique(self.groups) if "groups" in given else window.groups,
            updated_at=later(window.updated_at, now),
        )

    def _applied(self, times: Span | Weekly) -> Span | Weekly:
        starts_at, ends_at = self.starts_at, self.ends_at
        if not (starts_at or ends_at or self.weekly):
            return times
        if isinstance(times, Span) and not self.weekly:
            starts_at, ends_at = starts_at or times.starts_at, ends_at or times.ends_at
        return _times(starts_at, ends_at, self.weekly)


class FreezeWindowOut(Outgoing):
    id: UUID
    name: str
    reason: str
    starts_at: datetime | None
    ends_at: datetime | None
    weekly: WeeklyBody | None
    groups: list[str] | None
    in_force_until: datetime | None = Field(description="Null where it is not in force now.")
    created_at: datetime
    updated_at: datetime

    @classmethod
    def from_domain(cls, window: FreezeWindow, now: datetime) -> Self:
        times = window.times
        return cls(
            id=window.id,
            name=window.name,
            reason=window.reason,
            starts_at=times.starts_at if isinstance(times, Span) else None,
            ends_at=times.ends_at if isinstance(times, Span) else None,
            weekly=WeeklyBody.from_domain(times) if isinstance(times, Weekly) else None,
            groups=None if window.groups is None else list(window.groups),
            in_force_until=in_force_until(times, now),
            created_at=window.created_at,
            updated_at=window.updated_at,
        )


class RolloutGroupIn(Incoming):
    name: GroupName
    limit: Limit = Field(description="How many of its rollouts may advance at once.")

    def to_domain(self, project_id: UUID, now: datetime) -> Group:
        """Raises InvalidSpec when the name is no RFC 1123 label."""
        return Group(
            id=uuid4(),
            project_id=project_id,
            name=require_label("name", self.name),
            limit=self.limit,
            created_at=now,
            updated_at=now,
        )


class RolloutGroupPatch(Incoming):
    limit: Limit = Field(description="One that is lowered takes the last turns back.")

    def applied(self, group: Group, now: datetime) -> Group:
        return replace(group, limit=self.limit, updated_at=later(group.updated_at, now))


class RolloutGroupSummary(Outgoing):
    name: str
    limit: int
    created_at: datetime
    updated_at: datetime

    @classmethod
    def from_domain(cls, group: Group) -> Self:
        return cls(
            name=group.name,
            limit=group.limit,
            created_at=group.created_at,
            updated_at=group.updated_at,
        )


class QueuedRollout(Outgoing):
    rollout_id: UUID
    place: int = Field(description="0 has its turn, n is the nth of those that wait.")
    asked_at: datetime


class RolloutGroupOut(RolloutGroupSummary):
    """A group with the rollouts that have not ended, in the order in which they asked."""

    has_turn: list[QueuedRollout]
    waiting: list[QueuedRollout]

    @classmethod
    def of(cls, group: Group, policies: FleetPolicies) -> Self:
        """The group with its queue."""
        queued = [_queued(entry, group, policies) for entry in policies.queue]
        return cls(
            **RolloutGroupSummary.from_domain(group).model_dump(),
            has_turn=[one for one in queued if not one.place],
            waiting=[one for one in queued if one.place],
        )


class ClearanceOut(Outgoing):
    """Whether a rollout may give its candidate more traffic now; if not, why.

    Looking asks for nothing: a rollout gets its place in the queue when it asks itself.
    """

    cleared: bool
    reason: str = Field(description="What holds it; empty where nothing does.")
    group: str | None
    place: int | None = Field(
        description="0 has its turn, n is the nth of those that wait; null in no queue."
    )
    queue_length: int | None = Field(
        description="How many of the group wait for their turn; null without a group."
    )
    until: datetime | None = Field(description="When the freeze ends; null where none is in force.")

    @classmethod
    def of(cls, rollout_id: UUID, policies: FleetPolicies, now: datetime) -> Self:
        given, group = clearance(policies, rollout_id, now), policies.group
        return cls(
            cleared=given.cleared,
            reason=given.reason,
            group=group and group.name,
            place=given.place if policies.is_queued(rollout_id) else None,
            queue_length=queue_length(policies.queue, group.limit) if group else None,
            until=given.until,
        )

    @classmethod
    def withheld(cls, group: str | None, reason: str) -> Self:
        """Nobody is cleared by a fleet that does not answer."""
        return cls(
            cleared=False, reason=reason, group=group, place=None, queue_length=None, until=None
        )


def _queued(entry: QueueEntry, group: Group, policies: FleetPolicies) -> QueuedRollout:
    return QueuedRollout(
        rollout_id=entry.rollout_id,
        place=place(policies.queue, group.limit, entry.rollout_id),
        asked_at=entry.asked_at,
    )


def _times(
    starts_at: datetime | None, ends_at: datetime | None, weekly: WeeklyBody | None
) -> Span | Weekly:
    if weekly and (starts_at or ends_at):
        raise broken("weekly", "cannot stand beside starts_at and ends_at")
    if weekly:
        return _sensible(weekly.to_domain())
    if not starts_at:
        raise broken("starts_at", "is required, with ends_at, unless weekly is given")
    if not ends_at:
        raise broken("ends_at", "is required: a freeze that nobody ends is an outage")
    return _sensible(Span(starts_at=starts_at, ends_at=ends_at))


def _sensible(times: Span | Weekly) -> Span | Weekly:
    if violations := tuple(times_violations(times)):
        raise InvalidSpec(*violations)
    return times


def _unique(groups: list[str] | None) -> tuple[str, ...] | None:
    return None if groups is None else tuple(dict.fromkeys(groups))
