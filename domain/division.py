"""How the traffic of a config may be divided: each change as a function from variants to variants.

Stable absorbs: whoever gains or loses weight takes it from stable or gives it back. A variant that
carries traffic is active; at weight 0 it is inactive and stands by, on the cluster. One that loses
its traffic to a promotion or a rollback is kept for the rollback window, then retired: its row is
left, so that it can be brought back. Nothing here looks at the cluster; what a variant needs to be
brought up is the caller's to know.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from uuid import UUID

from domain.errors import AlreadyExists, Conflict, InvalidTraffic, NotFound, Violation
from domain.names import LABEL_LENGTH, VARIANT, VARIANT_RULE
from domain.registry import Role, TrafficVariant, Variants, VariantStatus
from domain.traffic import FULL, free_slot

STABLE = "stable"
CANARY = "canary"
OLD_STABLE = "old-stable"
# A route's rule takes 16 references at the gateway.
MOST_VARIANTS = 16
CANARY_WEIGHTS = range(5, 51)
# So many former stables are remembered; a rollback goes to the newest.
FORMER_KEPT = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Newcomer:
    """A version that is to become a variant, under the name of the workload that will serve it."""

    id: UUID
    version_id: UUID
    version_name: str
    workload: str


def added(
    variants: Variants, newcomer: Newcomer, *, name: str, weight: int, now: datetime
) -> Variants:
    """Let a variant join with this weight.

    One of the same name or version that stands by or was retired makes room or comes back. Raises
    AlreadyExists where it carries traffic, InvalidTraffic for a bad name or weight.
    """
    require_name("variant_name", name)
    _require_weight("weight", weight)
    known = next((v for v in variants if v.model_version_id == newcomer.version_id), None)
    namesake = next((v for v in variants if v.name == name), None)
    for other in (known, namesake):
        _require_idle(other, name)
    joined = _joined(variants, known, newcomer, name, now)
    if joined.slot >= MOST_VARIANTS:
        raise InvalidTraffic(Violation("variant_name", f"a config has at most {MOST_VARIANTS}"))
    rest = (v for v in variants if v not in (known, namesake))
    return weighed((*rest, joined), {name: weight}, now=now)


def weighed(variants: Variants, weights: Mapping[str, int], *, now: datetime) -> Variants:
    """Give these variants these weights; those that are not named keep theirs, stable the rest.

    Raises InvalidTraffic for an unknown name, a weight outside 0 to 100, a sum above 100 or, where
    stable is named, any sum but 100.
    """
    stable = _stable(variants)
    violations = tuple(_weight_violations(variants, weights))
    if violations:
        raise InvalidTraffic(*violations)
    wanted = {v.name: weights.get(v.name, v.weight) for v in variants if v is not stable}
    others = sum(wanted.values())
    rest = weights.get(stable.name, FULL - others)
    if others > FULL or others + rest != FULL:
        raise InvalidTraffic(Violation("weights", _sum_rule(stable, weights, others, rest)))
    wanted[stable.name] = rest
    seated = _seated(variants, {name for name, weight in wanted.items() if weight}, now)
    return _ordered(_with_weight(v, wanted[v.name], now) for v in seated)


def renamed(variants: Variants, name: str, new: str, *, now: datetime) -> Variants:
    """Call a variant by another name. Raises AlreadyExists where another has it."""
    variant = named(variants, name)
    if new == name:
        return variants
    require_name("variant_name", new)
    if _taken(variants, new):
        raise AlreadyExists(f"there is a variant {new!r} already")
    changed = replace(variant, name=new, updated_at=now)
    return tuple(changed if v is variant else v for v in variants)


def deleted(variants: Variants, name: str, *, now: datetime) -> Variants:
    """Take a variant away; stable takes over its weight."""
    variant = named(variants, name)
    if variant.role is Role.STABLE:
        rule = "is the stable variant, which stays; promote another one first"
        raise InvalidTraffic(Violation("variant_name", rule))
    without = weighed(variants, {name: 0}, now=now)
    return tuple(v for v in without if v.id != variant.id)


def promoted(variants: Variants, name: str, *, now: datetime, window: timedelta) -> Variants:
    """Make an active variant stable at 100; every other one stands by for the rollback window."""
    variant = named(variants, name)
    if variant.role is Role.STABLE:
        raise InvalidTraffic(Violation("variant_name", f"{name!r} is the stable variant already"))
    if variant.status is not VariantStatus.ACTIVE:
        rule = f"{name!r} is {variant.status}; only one that carries traffic can be promoted"
        raise InvalidTraffic(Violation("variant_name", rule))
    came_back = variant.superseded_at is not None
    return _enthroned(
        variants, variant, now=now, window=window, superseded_at=None if came_back else now
    )


def rolled_back(variants: Variants, *, now: datetime, window: timedelta) -> Variants:
    """Send all traffic to stable; where it has all of it, to the stable before it.

    Raises Conflict where there is nothing to go back to.
    """
    stable = _stable(variants)
    if stable.weight < FULL:
        retire_at = now + window
        return _ordered(
            _crowned(v, now)
            if v is stable
            else (_stood_down(v, now, retire_at) if v.status is VariantStatus.ACTIVE else v)
            for v in variants
        )
    former = former_stables(variants)
    if not former:
        raise Conflict("all traffic is at stable, and there is no former stable to go back to")
    return _enthroned(variants, former[0], now=now, window=window, superseded_at=None)


def retired(variants: Variants, *, now: datetime) -> Variants:
    """Retire every variant whose time on the cluster is over."""
    return tuple(
        replace(v, status=VariantStatus.RETIRED, retire_at=None, updated_at=now)
        if v.retire_at is not None and v.retire_at <= now
        else v
        for v in variants
    )


def require_canary_weight(weight: int) -> None:
    """Raise InvalidTraffic unless a canary may begin with it."""
    if weight not in CANARY_WEIGHTS:
        rule = f"must lie in {CANARY_WEIGHTS[0]}..{CANARY_WEIGHTS[-1]}, not {weight}"
        raise InvalidTraffic(Violation("initial_weight", rule))


def named(variants: Variants, name: str) -> TrafficVariant:
    """The variant of this name. Raises NotFound."""
    found = next((v for v in variants if v.name == name), None)
    if found is None:
        raise NotFound(f"there is no variant {name!r} in this traffic config")
    return found


def was_stable_lately(
    variants: Variants, version_id: UUID, *, now: datetime, window: timedelta
) -> bool:
    """Whether the version was stable, and is kept for the way back or left within the window.

    One that was gone back from was not good: it is as unproven as a version that was never stable.
    """
    return any(
        former.model_version_id == version_id
        and former.superseded_at is not None
        and (former.holds_slot or now <= former.superseded_at + window)
        for former in former_stables(variants)
    )


def former_stables(variants: Variants) -> Variants:
    """Those that were stable before, the last one first."""
    former = [v for v in variants if v.role is Role.RETIRING]
    return tuple(sorted(former, key=lambda v: v.updated_at, reverse=True))


def _enthroned(
    variants: Variants,
    chosen: TrafficVariant,
    *,
    now: datetime,
    window: timedelta,
    superseded_at: datetime | None,
) -> Variants:
    """Swap the roles. Where stable is called so, its name goes with the role."""
    stable, retire_at = _stable(variants), now + window
    moves = stable.name == STABLE
    free = next(n for n in (f"{OLD_STABLE}-{i}" for i in count(1)) if not _taken(variants, n))
    changed = []
    for v in _seated(variants, {chosen.name}, now):
        if v.id == chosen.id:
            crowned = _crowned(v, now)
            changed.append(replace(crowned, name=STABLE) if moves else crowned)
        elif v is stable:
            former = replace(
                _stood_down(v, now, retire_at), role=Role.RETIRING, superseded_at=superseded_at
            )
            changed.append(replace(former, name=free) if moves else former)
        elif v.status is VariantStatus.ACTIVE:
            changed.append(_stood_down(v, now, retire_at))
        else:
            changed.append(v)
    return _ordered(_without_old_rows(changed))


def _without_old_rows(variants: list[TrafficVariant]) -> list[TrafficVariant]:
    gone = [v for v in former_stables(tuple(variants)) if not v.holds_slot][FORMER_KEPT:]
    return [v for v in variants if v not in gone]


def _crowned(variant: TrafficVariant, now: datetime) -> TrafficVariant:
    return replace(
        variant,
        role=Role.STABLE,
        weight=FULL,
        status=VariantStatus.ACTIVE,
        retire_at=None,
        superseded_at=None,
        updated_at=now,
    )


def _stood_down(variant: TrafficVariant, now: datetime, retire_at: datetime) -> TrafficVariant:
    return replace(
        variant, weight=0, status=VariantStatus.INACTIVE, retire_at=retire_at, updated_at=now
    )


def _with_weight(variant: TrafficVariant, weight: int, now: datetime) -> TrafficVariant:
    if weight == variant.weight:
        return variant
    if variant.role is Role.STABLE:
        return replace(variant, weight=weight, updated_at=now)
    if not weight:
        return replace(variant, weight=0, status=VariantStatus.INACTIVE, updated_at=now)
    # Who is given traffic is no longer on the way out, and has a part in what is going on.
    return replace(
        variant,
        weight=weight,
        status=VariantStatus.ACTIVE,
        role=Role.CANDIDATE,
        retire_at=None,
        updated_at=now,
    )


def _seated(variants: Variants, names: set[str], now: datetime) -> list[TrafficVariant]:
    """All variants; those of these names that had left are on the cluster again, in free slots."""
    taken = {v.slot for v in variants if v.holds_slot}
    seated = []
    for v in variants:
        if v.name in names and not v.holds_slot:
            slot = free_slot(taken)
            taken.add(slot)
            seated.append(
                replace(v, slot=slot, joined_at=now, status=VariantStatus.INACTIVE, updated_at=now)
            )
        else:
            seated.append(v)
    return seated


def _joined(
    variants: Variants,
    known: TrafficVariant | None,
    newcomer: Newcomer,
    name: str,
    now: datetime,
) -> TrafficVariant:
    if known is not None:
        seated = _seated(variants, {known.name}, now)
        back = next(v for v in seated if v.id == known.id)
        return replace(back, name=name, role=Role.CANDIDATE, retire_at=None, updated_at=now)
    return TrafficVariant(
        id=newcomer.id,
        config_id=variants[0].config_id,
        name=name,
        role=Role.CANDIDATE,
        model_version_id=newcomer.version_id,
        model_version_name=newcomer.version_name,
        workload=newcomer.workload,
        slot=free_slot(v.slot for v in variants if v.holds_slot),
        weight=0,
        status=VariantStatus.INACTIVE,
        joined_at=now,
        created_at=now,
        updated_at=now,
    )


def _require_idle(other: TrafficVariant | None, name: str) -> None:
    """A former stable may come back under another name; whoever carries traffic is in the way."""
    if other is None:
        return
    if other.role is Role.STABLE or other.status is VariantStatus.ACTIVE:
        raise AlreadyExists(
            f"there is a variant {other.name!r} already, with version {other.model_version_name}"
        )
    if other.name != name and other.holds_slot and other.role is not Role.RETIRING:
        raise AlreadyExists(
            f"version {other.model_version_name} is the variant {other.name!r} already"
        )


def _weight_violations(variants: Variants, weights: Mapping[str, int]) -> Iterator[Violation]:
    names = {v.name for v in variants}
    for name, weight in weights.items():
        if name not in names:
            yield Violation(f"weights.{name[:80]}", "is no variant of this traffic config")
        if not 0 <= weight <= FULL:
            yield Violation(f"weights.{name[:80]}", f"must lie in 0..{FULL}, not {weight}")


def _sum_rule(stable: TrafficVariant, weights: Mapping[str, int], others: int, rest: int) -> str:
    if stable.name in weights:
        return f"must sum to {FULL} with those that are not named, not {others + rest}"
    return f"leave nothing to {stable.name!r}: the others sum to {others}, above {FULL}"


def _require_weight(field: str, weight: int) -> None:
    if not 0 <= weight <= FULL:
        raise InvalidTraffic(Violation(field, f"must lie in 0..{FULL}, not {weight}"))


def require_name(field: str, name: str) -> None:
    """Raise InvalidTraffic unless a variant may be called so."""
    if len(name) > LABEL_LENGTH or not VARIANT.fullmatch(name):
        raise InvalidTraffic(Violation(field, f"{name[:80]!r} is no name: {VARIANT_RULE}"))


def _stable(variants: Variants) -> TrafficVariant:
    found = next((v for v in variants if v.role is Role.STABLE), None)
    if found is None:
        raise InvalidTraffic(Violation("variants", "there is no stable variant"))
    return found


def _taken(variants: Variants, name: str) -> bool:
    return any(v.name == name for v in variants)


def _ordered(variants: Iterator[TrafficVariant] | list[TrafficVariant]) -> Variants:
    return tuple(sorted(variants, key=lambda v: (v.slot, v.created_at)))
