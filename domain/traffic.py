"""Where traffic goes: a route with fixed slots, who may write it, what differs from what was."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import count
from uuid import UUID

from domain.errors import InvalidSpec, Violation
from domain.workloads import Protocol

FULL = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The one route of a traffic config. `model` is the name that clients ask for.

    What its models speak decides what it is made of: an AIGatewayRoute for OpenAI's protocol, a
    plain HTTPRoute for the predictive ones.
    """

    project_id: UUID
    config_id: UUID
    namespace: str
    name: str
    model: str
    protocol: Protocol = Protocol.OPENAI


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One position in the route's list of backends: which workload, and its weight in percent.

    Positions stay put while a route is in use, because the gateway identifies a backend by its
    position. A slot whose variant has left holds the stable workload at weight 0.
    """

    workload: str
    weight: int


Slots = tuple[Slot, ...]


class MatchKind(StrEnum):
    """EXACT: the header is the value. PATTERN: a regular expression (RE2) matches all of it."""

    EXACT = "exact"
    PATTERN = "pattern"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderMatch:
    name: str
    value: str
    kind: MatchKind = MatchKind.EXACT


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderRoute:
    """Requests that carry all of the headers go to `workload` instead of being split by weight."""

    name: str
    headers: tuple[HeaderMatch, ...]
    workload: str

    def __str__(self) -> str:
        headers = " and ".join(f"{header.name}: {header.value}" for header in self.headers)
        return f"{headers} to {self.workload}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """A copy of `percent` of the split's requests goes to `workload`; nobody sees its answers."""

    workload: str
    percent: int

    def __str__(self) -> str:
        return f"{self.percent} % copied to {self.workload}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """What a route has beside the split of its slots. Order counts: statistics go by position."""

    header_routes: tuple[HeaderRoute, ...] = ()
    mirrors: tuple[Mirror, ...] = ()

    @property
    def workloads(self) -> frozenset[str]:
        """Those that the extras lead to."""
        routed = {one.workload for one in self.header_routes}
        return frozenset(routed | {one.workload for one in self.mirrors})

    def without(self, workload: str) -> "Extras":
        """Those that do not lead to this workload."""
        return Extras(
            header_routes=tuple(one for one in self.header_routes if one.workload != workload),
            mirrors=tuple(one for one in self.mirrors if one.workload != workload),
        )


NO_EXTRAS = Extras()


class PlaceKind(StrEnum):
    SLOT = "slot"
    HEADER_ROUTE = "header_route"
    MIRROR = "mirror"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the gateway counts a variant's requests: a slot of the split, or one of the extras."""

    position: int
    kind: PlaceKind = PlaceKind.SLOT


@dataclass(frozen=True, slots=True, kw_only=True)
class Bearer:
    """A workload in its slot, with the share of traffic that it is to bear."""

    slot: int
    workload: str
    weight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """Who writes: a fencing token. A later order beats an earlier one, of this run or any other.

    Temporal allows one run of a workflow ID at a time, so the moment of the order, in the
    workflow's own time, orders the writes of all runs; a run that was reset repeats its sequence
    numbers but not its time. A write that is older than what the route carries is refused, so a
    leftover activity of a terminated run can do no harm.
    """

    holder: str
    run_id: str
    ordered_at: datetime
    sequence: int

    @property
    def token(self) -> tuple[datetime, int]:
        return (self.ordered_at, self.sequence)


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteState:
    """A route as the cluster holds it. `obeyed` is what the gateway says it has put in force."""

    slots: Slots
    owner: Ownership | None
    obeyed: bool
    obeyed_detail: str = ""
    extras: Extras = NO_EXTRAS


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """A difference between what was written and what is there, and who made it.

    `is_ours`: nobody else has touched it, so that it is what an earlier run of our own wrote.
    """

    field: str
    expected: str
    found: str
    manager: str = ""
    is_ours: bool = False

    def __str__(self) -> str:
        by = " by an earlier run" if self.is_ours else f" by {self.manager}" if self.manager else ""
        return f"{self.field} is {self.found}, was written as {self.expected}; changed{by}"


def free_slot(taken: Iterable[int]) -> int:
    """The lowest position that no variant holds."""
    held = set(taken)
    return next(position for position in count() if position not in held)


def compose(bearers: Iterable[Bearer], stable_workload: str) -> Slots:
    """Lay the bearers out by slot; gaps hold the stable workload at weight 0.

    Raises InvalidSpec unless the weights are whole percents from 0 to 100 that sum to exactly 100.
    """
    by_slot = {bearer.slot: bearer for bearer in bearers}
    require_whole(bearer.weight for bearer in by_slot.values())
    idle = Slot(workload=stable_workload, weight=0)
    return tuple(
        Slot(workload=by_slot[i].workload, weight=by_slot[i].weight) if i in by_slot else idle
        for i in range(max(by_slot) + 1)
    )


def require_whole(weights: Iterable[int]) -> None:
    """Raise InvalidSpec unless the weights lie in 0..100 and sum to exactly 100."""
    listed = list(weights)
    if any(not 0 <= weight <= FULL for weight in listed) or sum(listed) != FULL:
        rule = f"must lie in 0..100 and sum to 100, not {' + '.join(map(str, listed))}"
        raise InvalidSpec(Violation("weights", rule))


def drift_between(expected: Slots, found: Slots, manager: str = "") -> Drift | None:
    """Name the first difference between the slots that were written and those that are there.

    `manager` is whoever else has touched them.
    """
    if len(expected) != len(found):
        return Drift(
            field="backendRefs",
            expected=_listed(expected),
            found=_listed(found),
            manager=manager,
            is_ours=not manager,
        )
    for position, (want, have) in enumerate(zip(expected, found, strict=True)):
        if want != have:
            return Drift(
                field=f"backendRefs[{position}]",
                expected=_listed((want,)),
                found=_listed((have,)),
                manager=manager,
                is_ours=not manager,
            )
    return None


def extras_drift(expected: Extras, found: Extras, manager: str = "") -> Drift | None:
    """Name the first extra that differs from what was written."""
    for field, want, have in (
        ("header routes", expected.header_routes, found.header_routes),
        ("mirrors", expected.mirrors, found.mirrors),
    ):
        if want != have:
            return Drift(
                field=field,
                expected=_told(want),
                found=_told(have),
                manager=manager,
                is_ours=not manager,
            )
    return None


def _told(extras: Iterable[HeaderRoute | Mirror]) -> str:
    return ", ".join(map(str, extras)) or "nothing"


def _listed(slots: Slots) -> str:
    return ", ".join(f"{slot.workload} {slot.weight} %" for slot in slots) or "nothing"
