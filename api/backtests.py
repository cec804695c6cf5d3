"""From the wish for a backtest to what is read: the places, the stretches, the gates."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeVar
from uuid import UUID

from api.errors import broken
from api.schemas.analysis import LONGEST_RANGE, BacktestIn, RangeIn
from api.templates import filled_defaults
from domain.errors import InvalidSpec, Violation
from domain.evidence.replaying import Stretch, is_replayed, stretches_of
from domain.evidence_port import EvidenceStore
from domain.gate_templates.port import GateTemplates
from domain.gates import Gate
from domain.plan import Plan, Variant
from domain.ports import Registry
from domain.reading_gates import AnyGate
from domain.registry import TrafficConfig, TrafficVariant
from domain.rollout import Rollout
from domain.strategies.gate_rules import gate_violations
from domain.strategies.rules import gates_by_default
from domain.traffic import Place, Route

T = TypeVar("T")
DEFAULT_PROBE = timedelta(seconds=15)
MOST_LOOKS = 50_000
NOTHING_COUNTED = (
    "nothing was counted in this rollout, so it has no range; give from and to, and name who is "
    "compared"
)


class Records(Protocol):
    """What is known of the past beside the metrics store."""

    @property
    def registry(self) -> Registry: ...

    @property
    def evidence(self) -> EvidenceStore: ...

    @property
    def templates(self) -> GateTemplates: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One stretch, and where both arms were counted in it."""

    stretch: Stretch
    candidate: tuple[Place, ...]
    stable: tuple[Place, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """One range to replay, in order."""

    rollout_id: UUID | None
    route: Route
    pieces: tuple[Piece, ...]
    checks_split: bool = False

    @property
    def stretches(self) -> tuple[Stretch, ...]:
        return tuple(piece.stretch for piece in self.pieces)

    @property
    def since(self) -> datetime:
        return self.pieces[0].stretch.since

    @property
    def until(self) -> datetime:
        return self.pieces[-1].stretch.until


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """All that is asked for."""

    gates: tuple[Gate, ...]
    phi: float
    warm_up: timedelta
    probe: timedelta
    past: Past
    healthy: tuple[Past, ...]


async def backtest_of(records: Records, project: UUID, wish: BacktestIn, now: datetime) -> Backtest:
    """Raises InvalidSpec with the rule that is broken, NotFound for what the project has not."""
    wished = _Wished(records, project, wish)
    base = await (wished.of_config() if wish.rollout_id is None else wished.of_rollout())
    healthy = [
        await wished.healthy(f"healthy_ranges.{i}", one, base)
        for i, one in enumerate(wish.healthy_ranges)
    ]
    probe = base.probe
    if wish.probe_interval_seconds is not None:
        probe = timedelta(seconds=wish.probe_interval_seconds)
    found = Backtest(
        gates=_gates(wish, base.gates),
        phi=base.phi if wish.phi is None else wish.phi,
        warm_up=base.warm_up,
        probe=probe,
        past=base.past,
        healthy=tuple(healthy),
    )
    _require_bounds(found, now)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Base:
    """The range itself, and what holds for it unless the wish says otherwise.

    `since` is when those that are named got their slots; None where slots are meant, or a rollout.
    """

    past: Past
    arms: tuple[tuple[Place, ...], tuple[Place, ...]]
    since: datetime | None
    gates: Sequence[AnyGate]
    probe: timedelta
    phi: float = 1.0
    warm_up: timedelta = timedelta(0)


class _Wished:
    """What a wish means in the registry."""

    def __init__(self, records: Records, project: UUID, wish: BacktestIn) -> None:
        self._records, self._project, self._wish = records, project, wish

    async def of_rollout(self) -> _Base:
        rollout = await self._rollout(self._wish.rollout_id)
        plan = rollout.plan
        if self._wish.traffic_config_id not in (None, rollout.config_id):
            raise broken("rollout_id", "must be a rollout of the traffic config that is named")
        arm = _arm(plan, self._wish.candidate)
        past = await _of_rollout(self._records.evidence, rollout, arm, "rollout_id")
        return _Base(
            past=past,
            arms=(past.pieces[-1].candidate, past.pieces[-1].stable),
            since=None,
            gates=plan.all_gates,
            probe=plan.policies.probe_interval,
            phi=await _phi(self._records.evidence, rollout),
            warm_up=plan.policies.warm_up,
        )

    async def of_config(self) -> _Base:
        config = await self._records.registry.config(
            self._project, _required("traffic_config_id", self._wish.traffic_config_id)
        )
        arms, since = _arms(config, self._wish)
        past = _explicit(config.route, self._wish, arms)
        _require_own(past, since, "from")
        gates = await self._default_gates(config)
        return _Base(past=past, arms=arms, since=since, gates=gates, probe=DEFAULT_PROBE)

    async def _default_gates(self, config: TrafficConfig) -> Sequence[AnyGate]:
        if self._wish.gates is not None:
            return ()
        templated = await filled_defaults(self._records.templates, config)
        return (*gates_by_default(config), *templated.gates)

    async def healthy(self, at: str, one: RangeIn, base: _Base) -> Past:
        if one.rollout_id is not None:
            rollout = await self._rollout(one.rollout_id)
            # Of a plain rollout the candidate is meant, whatever the other one's was called.
            name = self._wish.candidate if rollout.plan.trial is not None else None
            arm = _arm(rollout.plan, name)
            return await _of_rollout(self._records.evidence, rollout, arm, f"{at}.rollout_id")
        past = _explicit(base.past.route, one, base.arms)
        _require_own(past, base.since, f"{at}.from")
        return past

    async def _rollout(self, rollout_id: UUID | None) -> Rollout:
        found = _required("rollout_id", rollout_id)
        return await self._records.registry.rollout(self._project, found)


async def _phi(evidence: EvidenceStore, rollout: Rollout) -> float:
    """What the rollout's own evidence was divided by."""
    baseline = (await evidence.load(rollout.id)).baseline
    return 1.0 if baseline is None else baseline.phi


def _gates(wish: BacktestIn, default: Sequence[AnyGate]) -> tuple[Gate, ...]:
    """The gates with statistics, of which some that can be replayed.

    What is named must be one of those; of a rollout's own the others are left out.
    """
    if wish.gates is not None:
        named = tuple(body.to_domain() for body in wish.gates)
        if violations := (*gate_violations(named), *_unreplayed(named)):
            raise InvalidSpec(*violations)
        return named
    gates = tuple(gate for gate in default if isinstance(gate, Gate))
    if not any(map(is_replayed, gates)):
        raise broken("gates", "must be given: there are none to replay")
    return gates


def _unreplayed(gates: Sequence[Gate]) -> Iterator[Violation]:
    for i, gate in enumerate(gates):
        if gate.takes_bounds_of_stable:
            rule = "is needed: a backtest reads no history of stable from before its range"
            yield Violation(f"gates.{i}.slow_over_ms", rule)
        elif not is_replayed(gate):
            yield Violation(f"gates.{i}.source", "must be envoy: only what it counts is replayed")


def _required(field: str, given: T | None) -> T:
    if given is None:
        raise broken(field, "is required")
    return given


async def _of_rollout(evidence: EvidenceStore, rollout: Rollout, arm: Variant, field: str) -> Past:
    """The stretches that a rollout's stored intervals tell of, at their places."""
    plan = rollout.plan
    intervals = (await evidence.load(rollout.id)).intervals
    stretches = stretches_of(intervals, arm.name, plan.stable.name)
    if not stretches:
        raise broken(field, NOTHING_COUNTED)
    pieces = tuple(
        Piece(
            stretch=stretch,
            candidate=(plan.candidate_at(stretch.step),)
            if plan.trial is None
            else plan.places_of(arm),
            stable=(Place(position=plan.stable.slot),)
            if plan.trial is None
            else plan.places_of(plan.stable),
        )
        for stretch in stretches
    )
    return Past(
        rollout_id=rollout.id,
        route=plan.route,
        pieces=pieces,
        checks_split=plan.trial is None,  # as a watch does
    )


def _arm(plan: Plan, name: str | None) -> Variant:
    found = {one.name: one for one in plan.challengers}
    if name is None and plan.trial is None:
        return plan.candidate
    if name not in found:
        known = ", ".join(sorted(found))
        raise broken("candidate", f"must name who challenged stable in the rollout: {known}")
    return found[name]


def _explicit(
    route: Route, asked: RangeIn, arms: tuple[tuple[Place, ...], tuple[Place, ...]]
) -> Past:
    since, until = _required("from", asked.since), _required("to", asked.until)
    stretch = Stretch(step=0, weight=0, since=since, until=until)
    candidate, stable = arms
    piece = Piece(stretch=stretch, candidate=candidate, stable=stable)
    return Past(rollout_id=None, route=route, pieces=(piece,))


def _arms(
    config: TrafficConfig, wish: BacktestIn
) -> tuple[tuple[tuple[Place, ...], tuple[Place, ...]], datetime | None]:
    """Where both are counted, and since when those that are named hold their slots."""
    named: list[TrafficVariant] = []

    def slot(field: str, name: str | None, position: int | None) -> int:
        if position is not None:
            return position
        one = config.stable if field == "stable" and name is None else _holder(config, field, name)
        if one is None:
            raise broken(field, "must be named: the traffic config has no stable variant")
        named.append(one)
        return one.slot

    candidate = slot("candidate", wish.candidate, wish.candidate_slot)
    stable = slot("stable", wish.stable, wish.stable_slot)
    if candidate == stable:
        raise broken("candidate", "must not be the same as stable")
    since = max((one.joined_at for one in named), default=None)
    return ((Place(position=candidate),), (Place(position=stable),)), since


def _holder(config: TrafficConfig, field: str, name: str | None) -> TrafficVariant:
    found = next((v for v in config.variants if v.holds_slot and v.name == name), None)
    if found is None:
        held = ", ".join(sorted(v.name for v in config.variants if v.holds_slot))
        raise broken(field, f"must be a variant that holds a slot of the traffic config: {held}")
    return found


def _require_own(past: Past, since: datetime | None, field: str) -> None:
    """A slot outlives its variants: what it counted before is somebody else's."""
    if since is not None and past.since < since:
        rule = (
            f"must not lie before {since:%Y-%m-%dT%H:%M:%SZ}, when those compared had their slots; "
            "name candidate_slot and stable_slot to mean the slots, whoever held them"
        )
        raise broken(field, rule)


def _require_bounds(found: Backtest, now: datetime) -> None:
    """Hold what is asked for to what can be read."""
    looks = 0.0
    for i, past in enumerate((found.past, *found.healthy)):
        at = "" if i == 0 else f"healthy_ranges.{i - 1}."
        if past.until > now:
            raise broken(f"{at}to", "must not lie in the future")
        if past.until - past.since > LONGEST_RANGE:
            rule = f"has a range of more than {LONGEST_RANGE.days} days; give from and to"
            raise broken(f"{at}rollout_id", rule)
        looks += sum((one.until - one.since) / found.probe + 2 for one in past.stretches)
    if looks > MOST_LOOKS:
        rule = (
            f"must be longer, or the ranges shorter: they take {looks:,.0f} looks in all, and "
            f"{MOST_LOOKS:,} is the most"
        )
        raise broken("probe_interval_seconds", rule)
