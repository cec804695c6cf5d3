"""What is known of stable before a rollout's evidence begins: measured once, kept for good."""

from contextlib import suppress
from dataclasses import replace
from uuid import UUID

from domain.errors import Forbidden, Refused, TransientError
from domain.evidence.baseline import BEFORE, Baseline, History, bounds_of, measured, unmeasured
from domain.evidence_port import CounterSource, EvidenceLog, EvidenceStore, StableHistory
from domain.gates import Metric
from domain.meters import GATEWAY, meter_of, meters_of
from domain.plan import Plan
from domain.traffic import Place

# The counters were just read: a store that fails at the history alone may not be up to it.
TRIES = 3
STABLE = "stable"


class Baselines:
    """One rollout's baseline. Measured in memory first, so that a registry may be away."""

    def __init__(
        self,
        plan: Plan,
        history: StableHistory,
        counters: CounterSource,
        evidence: EvidenceStore,
    ) -> None:
        self._plan, self._history, self._counters = plan, history, counters
        self._evidence = evidence
        self._failures = 0
        self._standing: Baseline | None = None
        self._is_kept = False

    @property
    def standing(self) -> Baseline | None:
        """The baseline that evidence goes by; None as long as there is none."""
        return self._standing

    async def open(self, rollout_id: UUID, log: EvidenceLog) -> None:
        """Take up what is stored. A rollout with evidence but no baseline began without one."""
        if log.baseline is not None or log.intervals:
            self._standing, self._is_kept = log.baseline or Baseline(), True
        elif self._standing is not None:
            await self._keep(rollout_id, self._standing)

    async def measure(self, rollout_id: UUID, *, is_open: bool) -> None:
        """Measure, unless there is one; to be called before the first interval.

        Raises Unreachable or Forbidden while the store cannot answer: put up with a few times.
        Where the registry is away (or not `is_open`) the baseline is kept at the next `open`.
        """
        if self._standing is None:
            self._standing = await self._measured()
        if is_open and not self._is_kept:
            with suppress(TransientError):
                await self._keep(rollout_id, self._standing)

    @property
    def is_kept(self) -> bool:
        """Whether whoever watches next will go by the same baseline."""
        return self._is_kept

    async def _keep(self, rollout_id: UUID, baseline: Baseline) -> None:
        self._standing = await self._evidence.keep_baseline(rollout_id, baseline)
        self._is_kept = True

    async def _measured(self) -> Baseline:
        if not self._plan.gates:
            return Baseline()
        try:
            found = await self._of_gateway()
            bounds = await self._bounds_of_others()
        except (TransientError, Forbidden):
            self._failures += 1
            if self._failures < TRIES:
                raise
            why, fixed = "stable's history did not come in time", self._plan.policies.overdispersion
            return unmeasured(why, fixed_phi=fixed)
        return replace(found, slow_bounds={**found.slow_bounds, **bounds})

    async def _of_gateway(self) -> Baseline:
        """What the gateway alone can tell for every rollout: it knows stable's pods apart."""
        plan, fixed = self._plan, self._plan.policies.overdispersion
        counted = [gate for gate in plan.gates if meter_of(gate) == GATEWAY]
        is_timed = any(gate.metric is Metric.LATENCY for gate in counted)
        if fixed is not None and not is_timed:
            return measured(counted, History(), fixed_phi=fixed)
        try:
            history = await self._history.read(
                plan.route,
                GATEWAY.source,
                stable=Place(position=plan.stable.slot),
                window=BEFORE,
            )
        except Refused as error:
            return unmeasured(f"stable's history cannot be read: {error}", fixed_phi=fixed)
        return measured(counted, history, fixed_phi=fixed)

    async def _bounds_of_others(self) -> dict[str, tuple[float, ...]]:
        """The bounds of gates on other meters that name none; those refused get none."""
        plan = self._plan
        asking = [gate for gate in plan.gates if gate.takes_bounds_of_stable]
        found: dict[str, tuple[float, ...]] = {}
        for meter in meters_of(asking):
            with suppress(Refused):
                read = await self._counters.read_workloads(
                    plan.route,
                    meter,
                    workloads={STABLE: plan.stable.workload.name},
                    window=BEFORE,
                )
                if bounds := bounds_of(read[STABLE]):
                    names = (gate.name for gate in asking if meter_of(gate) == meter)
                    found |= dict.fromkeys(names, bounds)
        return found
