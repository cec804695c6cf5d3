"""What a plan's steps can be expected to take and to find, from the traffic that is seen now."""

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache

from domain.evidence.planning import Forecaster, Outset, Shares, Stay, rules_of
from domain.gates import Gate
from domain.outlook_words import (
    NEVER_BAD,
    NOBODY,
    ONLY_TESTERS,
    AtWeight,
    GateOutlook,
    ReadingOutlook,
    StepOutlook,
    summary,
)
from domain.plan import Plan, Variant
from domain.steps import SetWeights, Soak, Until
from domain.traffic import FULL
from domain.traffic_seen import NO_TRAFFIC, TrafficSeen


def stays_of(plan: Plan, weights: int) -> int:
    """On how many stays all outlooks rest, with so many other weights: what looking ahead costs.

    An outlook on a margin rests on the stays of all gated steps so far, any other on its own. The
    steps without a margin share what is told of other weights.
    """
    gated = [index for index in range(len(plan.steps)) if plan.gates_at(index)]
    proven = sum(nth for nth, index in enumerate(gated, 1) if index in plan.margins)
    plain = sum(index not in plan.margins for index in gated)
    own, at_weights = proven + plain * len(plan.challengers), proven + bool(plain)
    return len(plan.gates) * (own + weights * at_weights)


class PlanOutlook:
    """Looks ahead, step by step; each costs up to a tenth of a second a gate and weight."""

    def __init__(self, plan: Plan, seen: TrafficSeen, *, weights: Sequence[int]) -> None:
        self._plan, self._seen, self._weights = plan, seen, tuple(dict.fromkeys(weights))
        rules = sum(map(rules_of, plan.gates))
        self._asked = {
            gate.name: Forecaster(
                gate,
                rules=rules,
                base=seen.rates[gate.name],
                phi=seen.baseline.phi,
                probe=plan.policies.probe_interval.total_seconds(),
            )
            for gate in plan.gates
            if gate.name in seen.rates
        }
        self._at_weight = lru_cache(maxsize=None)(self._weighed)

    def steps(self) -> Iterator[StepOutlook]:
        """One a step that gates watch; in a trial one a step and arm."""
        stays: dict[str, list[Stay]] = {one.name: [] for one in self._plan.challengers}
        for index, step in enumerate(self._plan.steps):
            if isinstance(step, Soak) and self._is_watched(index):
                for variant in self._plan.challengers:
                    yield self._step(index, step, variant, stays[variant.name])

    def _is_watched(self, index: int) -> bool:
        return bool(self._plan.gates_at(index) or self._plan.reading_gates_at(index))

    def _step(self, index: int, soak: Soak, variant: Variant, stays: list[Stay]) -> StepOutlook:
        """What is expected of the step; how long it is expected to last is added to `stays`."""
        traffic = self._plan.traffic_at(index)
        shares = self._shares(traffic, variant)
        rate = self._seen.requests_per_second
        outset = self._outset(index, stays)
        gates = tuple(
            self._gate(gate, soak, traffic, (shares, outset)) for gate in self._plan.gates_at(index)
        )
        readings = tuple(
            ReadingOutlook(gate=gate.name, rules=gate.rules, soak=soak.at_most)
            for gate in self._plan.reading_gates_at(index)
        )
        expected = self._expected(index, soak, gates, readings)
        if gates and not isinstance(shares, str):
            stays.append(Stay(shares=shares, seconds=expected))
        weight = soak.weight if self._plan.trial is None else self._weight(traffic, variant)
        per_second = None if isinstance(shares, str) or rate is None else rate * shares.candidate
        found = StepOutlook(
            step=index,
            doing=str(soak),
            variant=variant.name if self._plan.trial is not None else "",
            weight=weight,
            copied=0 if traffic.candidate else traffic.mirror,
            requests_per_second=per_second,
            soak=soak.at_most,
            margin=outset.margin,
            proven_before=sum(stay.seconds for stay in outset.before),
            warm_up=outset.warm_up_left,
            expected=expected if self._is_foreseen(soak, gates) else None,
            gates=gates,
            readings=readings,
        )
        return summary(found)

    def _outset(self, index: int, stays: Sequence[Stay]) -> Outset:
        """What of the stays before bears on the step: all proof for a margin, else the time."""
        warm_up = self._plan.policies.warm_up.total_seconds()
        whole = Outset(before=tuple(stays), warm_up=warm_up)
        # The arms of a trial are never judged by margins.
        margin = self._plan.margins.get(index) if self._plan.trial is None else None
        if margin is None:
            return Outset(warm_up=whole.warm_up_left)
        return Outset(margin=margin, before=whole.before, warm_up=warm_up)

    def _expected(
        self,
        index: int,
        soak: Soak,
        gates: Sequence[GateOutlook],
        readings: Sequence[ReadingOutlook],
    ) -> float:
        """How many seconds the step lasts if each verdict comes when it is due.

        What is not known takes no time, and neither does somebody's word. Where no verdict is
        waited for, as all gates are dry runs, the step takes all of its time.
        """
        least, most = soak.at_least.total_seconds(), soak.at_most.total_seconds()
        if soak.until in (Until.PROVEN, Until.ELAPSED) and not self._plan.verdicts_at(index):
            return most
        if soak.until is not Until.PROVEN:
            return least
        deciding = {gate.name for gate in self._plan.all_gates if not gate.dry_run}
        known = (one.outlook for one in gates if one.gate in deciding and one.outlook)
        waits = [math.inf if one.seconds_to_pass is None else one.seconds_to_pass for one in known]
        waits += [one.earliest.total_seconds() for one in readings if one.gate in deciding]
        return min(max(least, *waits), most) if waits else least

    def _is_foreseen(self, soak: Soak, gates: Sequence[GateOutlook]) -> bool:
        """Whether all is known that the step's end depends on."""
        shown = {gate.name for gate in self._plan.gates if gate.dry_run}
        deciding = [gate for gate in gates if gate.gate not in shown]
        if soak.until is Until.ELAPSED:
            return True
        # Nothing is known of the answers that a comparison will find.
        is_proven = soak.until is Until.PROVEN and soak.comparison is None
        return is_proven and all(gate.outlook for gate in deciding)

    def _weight(self, traffic: SetWeights, variant: Variant) -> int:
        return self._plan.weights_under(traffic)[variant.name]

    def _shares(self, traffic: SetWeights, variant: Variant) -> Shares | str:
        """What both get, or why that is not known."""
        if not traffic.candidate and traffic.mirror:
            return Shares(candidate=traffic.mirror / FULL, stable=1.0)
        if not traffic.candidate and traffic.preview:
            return ONLY_TESTERS
        weights = self._plan.weights_under(traffic)
        if not weights[variant.name]:
            return NOBODY
        return Shares(
            candidate=weights[variant.name] / FULL, stable=weights[self._plan.stable.name] / FULL
        )

    def _gate(
        self, gate: Gate, soak: Soak, traffic: SetWeights, at: tuple[Shares | str, Outset]
    ) -> GateOutlook:
        (shares, outset), asked = at, self._asked.get(gate.name)
        if isinstance(shares, str) or asked is None:
            why = shares if isinstance(shares, str) else self._seen.missing.get(gate.name)
            return GateOutlook(gate=gate.name, reason=why or NO_TRAFFIC)
        seconds, rates = soak.at_most.total_seconds(), self._seen.rates[gate.name]
        outlook = asked.outlook(shares, seconds, outset)
        is_mirrored = not traffic.candidate
        passes = outlook.seconds_to_pass
        return GateOutlook(
            gate=gate.name,
            outlook=outlook,
            bounds=rates.bounds,
            passes_within_soak=passes is not None and passes <= seconds,
            at_weights=tuple(
                self._at_weight(gate.name, weight, is_mirrored, outset)
                for weight in self._weights
                if weight != round(FULL * shares.candidate)
            ),
            reason="" if any(rates.bad) else NEVER_BAD,
        )

    def _weighed(self, gate: str, weight: int, is_mirrored: bool, outset: Outset) -> AtWeight:
        share = weight / FULL
        shares = Shares(candidate=share, stable=1.0 if is_mirrored else 1 - share)
        asked = self._asked[gate]
        return AtWeight(
            weight=weight,
            seconds_to_pass=asked.seconds_to_pass(shares, outset),
            seconds_to_find_double=asked.seconds_to_find(shares, 2.0, outset),
            seconds_to_find_tenfold=asked.seconds_to_find(shares, 10.0, outset),
        )
