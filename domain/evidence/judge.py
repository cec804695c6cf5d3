"""Verdicts as a pure fold over the stored intervals: the same intervals, the same verdicts.

FAIL is earned over all intervals of a rollout and is for good; PASS is earned anew at each step. A
store that is silent is not known here: the caller says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from domain.evidence import reasons
from domain.evidence.arrivals import Arrivals
from domain.evidence.baseline import Baseline
from domain.evidence.gate_fold import fold_of
from domain.evidence.intervals import Interval
from domain.evidence.meter_folds import MeterFold, in_order
from domain.evidence.quality import SHAPE_CHANGED, WARMING_UP, Circumstances, quality_of
from domain.evidence.shape import Shape
from domain.evidence.warm_up import WarmUp
from domain.gates import Gate
from domain.meters import meter_of
from domain.trial_verdicts import SplitVerdict
from domain.verdicts import Status, Verdict


def judge(
    gates: Sequence[Gate],
    intervals: Sequence[Interval],
    *,
    step: int,
    meters: Mapping[str, Sequence[Interval]] | None = None,
    **terms: Any,
) -> tuple[Verdict, ...]:
    """One verdict a gate, in the order of the gates, on all intervals seen so far.

    `intervals` are the gateway's, `meters` those of other meters by name. `step` is the one whose
    PASS is asked for, `terms` are those of `Judge`.
    """
    fold = Judge(gates, **terms)
    for interval in intervals:
        fold.add(interval)
    for meter, counted in (meters or {}).items():
        for interval in counted:
            fold.add(interval, meter)
    return fold.verdicts(step)


class Judge:
    """The same fold, fed interval by interval as a watcher sees them.

    `baseline` is what was known of stable before the rollout. Its phi >= 1 is how much more the bad
    requests scatter than independent ones; it divides all evidence (`phi` alone is short for such a
    baseline). Evidence begins `warm_up` after the first interval did; until then only a catastrophe
    counts. `checks_split`: no PASS while requests do not arrive as weighted. `margins` has by step
    the ratio that ends it, from the whole rollout; at all other steps a PASS is earned anew.
    """

    def __init__(
        self,
        gates: Sequence[Gate],
        *,
        phi: float = 1.0,
        baseline: Baseline | None = None,
        warm_up: timedelta = timedelta(0),
        checks_split: bool = True,
        margins: Mapping[int, float] | None = None,
    ) -> None:
        self._gates, self._baseline = tuple(gates), baseline or Baseline(phi=phi)
        family = sum(
            (gate.limit is not None) + (gate.against_stable is not None)
            for gate in gates
            if not gate.dry_run
        )
        folds = [fold_of(gate, family, self._baseline, margins or {}) for gate in gates]
        needed = [max(family, 1) / gate.alpha for gate in gates]
        self._arrivals = Arrivals(checks_split=checks_split)
        self._crossings: dict[int, Circumstances] = {}
        self._meters: dict[str, MeterFold] = {}
        for name, places in _by_meter(gates).items():
            warming = WarmUp(
                *([gates[i] for i in places], [needed[i] for i in places]),
                phi=self._baseline.phi,
                lasts=warm_up,
            )
            shape = Shape(self._baseline.phi)
            self._meters[name] = MeterFold(places, [folds[i] for i in places], warming, shape)
        nothing = WarmUp([], [], phi=1.0, lasts=warm_up)
        self._meters.setdefault("", MeterFold([], [], nothing, Shape(1.0)))

    def add(self, interval: Interval, meter: str = "") -> None:
        """Take the next interval of a meter in; only its gates see it.

        Raises ValueError when it is not after the last one.
        """
        fold = self._meters[meter]
        fold.add(interval)
        if not meter:
            self.arrive(interval)
        for place in fold.failed():
            if place not in self._crossings:
                self._crossings[place] = self._circumstances(fold, None if meter else interval.step)

    def arrive(self, interval: Interval) -> None:
        """Take in only how the requests of an interval of the gateway's arrived.

        Every PASS rests on that, of whatever meter.
        """
        self._arrivals.add(interval)

    def verdicts(self, step: int, *, in_full: bool = True) -> tuple[Verdict, ...]:
        """One verdict a gate; asking changes nothing.

        Those not `in_full` lack what takes long and no chart shows: `absolute` and `forecast`.
        """
        found = in_order(
            zip(meter.places, meter.verdicts(step, in_full=in_full), strict=True)
            for meter in self._meters.values()
        )
        when = {
            place: self._circumstances(meter, step)
            for meter in self._meters.values()
            for place in meter.places
        } | self._crossings
        held = enumerate(self._arrivals.held(found, step))
        return tuple(
            self._explained(verdict, when[place], self._gates[place]) for place, verdict in held
        )

    def statuses(self, step: int) -> tuple[Status, ...]:
        """What the verdicts say without their numbers, at a tenth of the cost."""
        found = in_order(
            zip(meter.places, meter.statuses(step), strict=True) for meter in self._meters.values()
        )
        return self._arrivals.held_statuses(found, step)

    def split(self, step: int) -> SplitVerdict | None:
        """How the requests of a step arrive; None where no split is checked."""
        return self._arrivals.split(step)

    def _circumstances(self, meter: MeterFold, step: int | None) -> Circumstances:
        """`step` is None where the gateway's intervals are not those that are judged.

        How the two interleave is not stored, and what a FAIL keeps must be computable anew.
        """
        flags = () if step is None else self._arrivals.flags(step)
        return Circumstances(
            look=meter.look,
            closed_at=meter.closed_at,
            split=None if step is None else self._arrivals.shares(step),
            flags=(WARMING_UP, *flags) if meter.is_warming_up else flags,
            shape_odds=meter.shape_odds(),
        )

    def _explained(self, verdict: Verdict, when: Circumstances, gate: Gate) -> Verdict:
        """With what the evidence was divided by, where somebody has said why, and from when."""
        phi, source = self._baseline.phi, self._baseline.phi_source
        reason = verdict.reason
        if phi > 1 and source and verdict.samples is not None:
            reason = f"{reason} {reasons.clustered(phi, source)}"
        quality = quality_of(self._baseline, when, verdict.samples, gate)
        if SHAPE_CHANGED in quality.flags:
            reason = f"{reason} {reasons.shape_changed(when.shape_odds)}"
        return replace(
            verdict,
            reason=reason,
            quality=quality,
            look=when.look or None,
            decided_at=when.closed_at if verdict.status in (Status.PASS, Status.FAIL) else None,
        )


def _by_meter(gates: Sequence[Gate]) -> dict[str, list[int]]:
    """The places of the gates by the meter that they are judged on."""
    found: dict[str, list[int]] = {}
    for place, gate in enumerate(gates):
        found.setdefault(meter_of(gate).name, []).append(place)
    return found
