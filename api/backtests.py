"""From the wish for a backtest to what is read: the arms, the places, the stretches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol, TypeVar
from uuid import UUID

from api.backtest_gates import chosen
from api.errors import broken
from api.past_readings import MOST_QUERIES, queries_of
from api.pasts import Arm, Backtest, Past, Piece
from api.schemas.analysis import LONGEST_RANGE, BacktestIn, RangeIn
from api.templates import filled_defaults
from domain.evidence.baseline import Baseline
from domain.evidence.replaying import Stretch, stretches_of
from domain.evidence_port import EvidenceLog, EvidenceStore
from domain.gate_templates.port import GateTemplates
from domain.gates import Gate
from domain.meters import Meter, meter_of, meters_of
from domain.plan import Plan, Variant
from domain.ports import Registry
from domain.prices import TokenPrice
from domain.reading_gates import AnyGate
from domain.reading_port import ReadingStore
from domain.readings.replaying import readings_within, stretches_read
from domain.registry import TrafficConfig, TrafficVariant
from domain.rollout import Rollout
from domain.strategies.rules import gates_by_default
from domain.traffic import Place

T = TypeVar("T")
DEFAULT_PROBE = timedelta(seconds=15)
MOST_LOOKS = 50_000
NOTHING_COUNTED = (
    "nothing was counted or read in this rollout, so it has no range; give from and to, and name "
    "who is compared"
)


class Records(Protocol):
    """What is known of the past beside the metrics store."""

    @property
    def registry(self) -> Registry: ...

    @property
    def evidence(self) -> EvidenceStore: ...

    @property
    def readings(self) -> ReadingStore: ...

    @property
    def templates(self) -> GateTemplates: ...

    @property
    def prices(self) -> Mapping[str, TokenPrice]: ...


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
    picked = chosen(wish.gates, base.gates, (base.past, *healthy), records.prices)
    found = Backtest(
        gates=picked.gates,
        readings=picked.readings,
        left_out=picked.left_out,
        phi=base.baseline.phi if wish.phi is None else wish.phi,
        phi_source=base.baseline.phi_source if wish.phi is None else "",
        warm_up=base.warm_up,
        probe=probe,
        past=base.past,
        healthy=tuple(healthy),
    )
    _require_ranges(found, now)
    _require_looks(found)
    _require_queries(found)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Base:
    """The range itself, and what holds for it unless the wish says otherwise.

    `since` is when those that are named got their slots; None where slots are meant, or a rollout.
    """

    past: Past
    since: datetime | None
    gates: Sequence[AnyGate]
    probe: timedelta
    baseline: Baseline = field(default_factory=Baseline)
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
        log = await self._records.evidence.load(rollout.id)
        past = await _of_rollout(self._records, rollout, arm, log, "rollout_id")
        return _Base(
            past=past,
            since=None,
            gates=plan.all_gates,
            probe=plan.policies.probe_interval,
            baseline=log.baseline or Baseline(),
            warm_up=plan.policies.warm_up,
        )

    async def of_config(self) -> _Base:
        config = await self._records.registry.config(
            self._project, _required("traffic_config_id", self._wish.traffic_config_id)
        )
        past, since = _of_config(config, self._wish)
        _require_own(past, since, "from")
        gates = await self._default_gates(config)
        return _Base(past=past, since=since, gates=gates, probe=DEFAULT_PROBE)

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
            log = await self._records.evidence.load(rollout.id)
            return await _of_rollout(self._records, rollout, arm, log, f"{at}.rollout_id")
        past = _explicit(base.past, one)
        _require_own(past, base.since, f"{at}.from")
        return past

    async def _rollout(self, rollout_id: UUID | None) -> Rollout:
        found = _required("rollout_id", rollout_id)
        return await self._records.registry.rollout(self._project, found)


def _required(field: str, given: T | None) -> T:
    if given is None:
        raise broken(field, "is required")
    return given


async def _of_rollout(
    records: Records, rollout: Rollout, arm: Variant, log: EvidenceLog, field: str
) -> Past:
    """The stretches that a rollout's stored intervals or readings tell of, at their places."""
    plan = rollout.plan
    stretches = stretches_of(log.intervals, arm.name, plan.stable.name)
    if not stretches:  # its gates may be such that nothing is counted for them
        read = await records.readings.readings(rollout.id)
        stretches = stretches_read(plan, read, arm.name)
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
        candidate=_arm_of(arm),
        stable=_arm_of(plan.stable),
        pieces=pieces,
        checks_split=plan.trial is None,  # as a watch does
        margins=tuple(plan.margins.items()),
        bounds=_bounds_of(plan, log.baseline),
    )


def _bounds_of(
    plan: Plan, baseline: Baseline | None
) -> tuple[tuple[Meter, tuple[float, ...]], ...]:
    """A baseline has them by gate; all gates on one meter were given the same."""
    if baseline is None:
        return ()
    known = baseline.slow_bounds
    asking = (gate for gate in plan.gates if gate.takes_bounds_of_stable or gate.name in known)
    return tuple({meter_of(one): tuple(known.get(one.name, ())) for one in asking}.items())


def _arm_of(variant: Variant) -> Arm:
    return Arm(slot=variant.slot, name=variant.name, workload=variant.workload.name)


def _arm(plan: Plan, name: str | None) -> Variant:
    found = {one.name: one for one in plan.challengers}
    if name is None and plan.trial is None:
        return plan.candidate
    if name not in found:
        known = ", ".join(sorted(found))
        raise broken("candidate", f"must name who challenged stable in the rollout: {known}")
    return found[name]


def _explicit(base: Past, asked: RangeIn) -> Past:
    """The same arms, where they were counted last, in a range that no rollout tells of."""
    last = replace(base.pieces[-1], stretch=_stretch(asked))
    return Past(
        rollout_id=None,
        route=base.route,
        candidate=base.candidate,
        stable=base.stable,
        pieces=(last,),
    )


def _stretch(asked: RangeIn) -> Stretch:
    since, until = _required("from", asked.since), _required("to", asked.until)
    return Stretch(step=0, weight=0, since=since, until=until)


def _of_config(config: TrafficConfig, wish: BacktestIn) -> tuple[Past, datetime | None]:
    """The range that is named, and since when those that are named hold their slots."""
    named: list[TrafficVariant] = []

    def arm(field: str, name: str | None, position: int | None) -> Arm:
        if position is not None:
            return Arm(slot=position)
        one = config.stable if field == "stable" and name is None else _holder(config, field, name)
        if one is None:
            raise broken(field, "must be named: the traffic config has no stable variant")
        named.append(one)
        return Arm(slot=one.slot, name=one.name, workload=one.workload)

    candidate = arm("candidate", wish.candidate, wish.candidate_slot)
    stable = arm("stable", wish.stable, wish.stable_slot)
    if candidate.slot == stable.slot:
        raise broken("candidate", "must not be the same as stable")
    piece = Piece(
        stretch=_stretch(wish),
        candidate=(Place(position=candidate.slot),),
        stable=(Place(position=stable.slot),),
    )
    past = Past(
        rollout_id=None, route=config.route, candidate=candidate, stable=stable, pieces=(piece,)
    )
    return past, max((one.joined_at for one in named), default=None)


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


def _require_ranges(found: Backtest, now: datetime) -> None:
    for i, past in enumerate(found.pasts):
        at = "" if i == 0 else f"healthy_ranges.{i - 1}."
        if past.until > now:
            raise broken(f"{at}to", "must not lie in the future")
        if past.until - past.since > LONGEST_RANGE:
            rule = f"has a range of more than {LONGEST_RANGE.days} days; give from and to"
            raise broken(f"{at}rollout_id", rule)


def _require_looks(found: Backtest) -> None:
    """Hold the counters that are asked for to what can be folded: each meter is looked at."""
    counted = [gate for gate in found.replayed if isinstance(gate, Gate)]
    meters = 1 + len(meters_of(counted)) if counted else 0
    stretches = [stretch for past in found.pasts for stretch in past.stretches]
    looks = meters * sum((one.until - one.since) / found.probe + 2 for one in stretches)
    if looks > MOST_LOOKS:
        rule = (
            f"must be longer, or the ranges shorter: they take {looks:,.0f} looks in all, and "
            f"{MOST_LOOKS:,} is the most"
        )
        raise broken("probe_interval_seconds", rule)


def _require_queries(found: Backtest) -> None:
    """Hold the readings that are asked for to what the store can be asked."""
    queries = sum(
        queries_of(gate.question) * readings_within(gate.rules, past.stretches)
        for gate in found.readings
        for past in found.pasts
    )
    if queries > MOST_QUERIES:
        rule = (
            "must have longer intervals, or the ranges be shorter: their readings take "
            f"{queries:,} queries in all, and {MOST_QUERIES:,} is the most"
        )
        raise broken("gates", rule)
