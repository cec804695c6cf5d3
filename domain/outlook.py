"""What a plan's steps can be expected to take and to find, from the traffic that is seen now."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

from domain.evidence.planning import Forecaster, Outlook, Shares, rules_of
from domain.gates import Gate, Metric
from domain.meters import GATEWAY, meter_of
from domain.metrics import MILLISECONDS, Measurement
from domain.plan import Plan, Variant
from domain.spans import spoken
from domain.steps import SetWeights, Soak
from domain.traffic import FULL

ONLY_TESTERS = "only requests with its headers reach the candidate; how many is not known"
NOBODY = "no request reaches the candidate during this step"
NO_TRAFFIC = "stable had no request in the window, so nothing can be expected"
NEVER_BAD = "stable had no bad request in the window, and a multiple of nothing is nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficSeen:
    """What stable did of late, which had all traffic. None is what was not counted.

    `bad` is stable's fraction of bad requests by gate; `missing` says of the others why not.
    """

    window: timedelta
    requests: int | None
    requests_per_second: float | None
    bad: Mapping[str, float]
    missing: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AtWeight:
    """What another weight would change."""

    weight: int
    seconds_to_pass: float | None
    seconds_to_find_double: float | None
    seconds_to_find_tenfold: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateOutlook:
    """One gate during one step. `reason` says why there is no outlook, or what it lacks."""

    gate: str
    outlook: Outlook | None
    passes_within_soak: bool | None
    at_weights: tuple[AtWeight, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOutlook:
    """One gated step, of a trial one of its arms. `summary` is for people."""

    step: int
    doing: str
    variant: str
    weight: int
    requests_per_second: float | None
    soak: timedelta
    gates: tuple[GateOutlook, ...]
    summary: str


def traffic_seen(gates: Sequence[Gate], measured: Measurement, window: timedelta) -> TrafficSeen:
    """What a measurement of stable over this window says of each gate."""
    requests = round(measured.requests or 0)
    bad: dict[str, float] = {}
    missing: dict[str, str] = {}
    for gate in gates:
        found = _bad_fraction(gate, measured) if requests else NO_TRAFFIC
        if isinstance(found, str):
            missing[gate.name] = found
        else:
            bad[gate.name] = found
    seconds = window.total_seconds()
    return TrafficSeen(
        window=window,
        requests=requests or None,
        requests_per_second=requests / seconds if requests and seconds else None,
        bad=bad,
        missing=missing,
    )


def _bad_fraction(gate: Gate, measured: Measurement) -> float | str:
    """Stable's fraction of bad requests, or why it is not known."""
    if gate.takes_bounds_of_stable:
        return "it counts at the bounds that stable's history will give at the start"
    if meter_of(gate) != GATEWAY:
        return f"what {gate.source} counts of stable is not looked at before a start"
    if gate.metric is Metric.ERROR_RATE:
        return min(1.0, (measured.errors or 0.0) / (measured.requests or 1.0))
    return _slow_fraction(gate, measured)


def _slow_fraction(gate: Gate, measured: Measurement) -> float | str:
    if measured.latency is None or gate.slow_over_ms is None or not measured.latency.buckets:
        return "the source shows no latency histogram of stable"
    counts = {round(bound * MILLISECONDS, 6): count for bound, count in measured.latency.buckets}
    total, within = measured.latency.buckets[-1][1], counts.get(round(gate.slow_over_ms, 6))
    if within is None:
        return f"stable's histogram does not count at {gate.slow_over_ms:g} ms"
    if not total > 0:
        return NO_TRAFFIC
    return min(1.0, max(0.0, 1 - within / total))


class PlanOutlook:
    """Looks ahead, step by step; each costs some hundredths of a second a gate and weight."""

    def __init__(
        self, plan: Plan, seen: TrafficSeen, *, weights: Sequence[int], phi: float
    ) -> None:
        self._plan, self._seen, self._weights = plan, seen, tuple(dict.fromkeys(weights))
        rules = sum(map(rules_of, plan.gates))
        self._asked = {
            gate.name: Forecaster(
                gate,
                rules=rules,
                requests_per_second=seen.requests_per_second,
                bad=seen.bad[gate.name],
                phi=phi,
            )
            for gate in plan.gates
            if gate.name in seen.bad and seen.requests_per_second
        }
        self._at_weight = lru_cache(maxsize=None)(self._weighed)

    def steps(self) -> Iterator[StepOutlook]:
        """One a step that gates watch; in a trial one a step and arm."""
        for index, step in enumerate(self._plan.steps):
            if isinstance(step, Soak) and self._plan.gates_at(index):
                for variant in self._plan.challengers:
                    yield self._step(index, step, variant)

    def _step(self, index: int, soak: Soak, variant: Variant) -> StepOutlook:
        traffic = self._plan.traffic_at(index)
        shares = self._shares(traffic, variant)
        rate = self._seen.requests_per_second
        gates = tuple(
            self._gate(gate, soak, traffic, shares) for gate in self._plan.gates_at(index)
        )
        weight = soak.weight if self._plan.trial is None else self._weight(traffic, variant)
        per_second = None if isinstance(shares, str) or rate is None else rate * shares.candidate
        return StepOutlook(
            step=index,
            doing=str(soak),
            variant=variant.name if self._plan.trial is not None else "",
            weight=weight,
            requests_per_second=per_second,
            soak=soak.at_most,
            gates=gates,
            summary=_summary(weight, per_second, soak.at_most, gates),
        )

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
        self, gate: Gate, soak: Soak, traffic: SetWeights, shares: Shares | str
    ) -> GateOutlook:
        asked = self._asked.get(gate.name)
        if isinstance(shares, str) or asked is None:
            why = shares if isinstance(shares, str) else self._seen.missing.get(gate.name)
            return GateOutlook(
                gate=gate.name,
                outlook=None,
                passes_within_soak=None,
                at_weights=(),
                reason=why or NO_TRAFFIC,
            )
        seconds = soak.at_most.total_seconds()
        outlook = asked.outlook(shares, seconds)
        is_mirrored = not traffic.candidate
        passes = outlook.seconds_to_pass
        return GateOutlook(
            gate=gate.name,
            outlook=outlook,
            passes_within_soak=passes is not None and passes <= seconds,
            at_weights=tuple(
                self._at_weight(gate.name, weight, is_mirrored)
                for weight in self._weights
                if weight != round(FULL * shares.candidate)
            ),
            reason="" if self._seen.bad[gate.name] else NEVER_BAD,
        )

    def _weighed(self, gate: str, weight: int, is_mirrored: bool) -> AtWeight:
        share = weight / FULL
        shares = Shares(candidate=share, stable=1.0 if is_mirrored else 1 - share)
        asked = self._asked[gate]
        return AtWeight(
            weight=weight,
            seconds_to_pass=asked.seconds_to_pass(shares),
            seconds_to_find_double=asked.seconds_to_find(shares, 2.0),
            seconds_to_find_tenfold=asked.seconds_to_find(shares, 10.0),
        )


def _summary(
    weight: int, per_second: float | None, soak: timedelta, gates: Sequence[GateOutlook]
) -> str:
    """What is to be expected, in sentences."""
    reach = "" if per_second is None else f" ({per_second:,.3g} requests/s)"
    return " ".join(_told(f"At {weight} %{reach}", soak, gate) for gate in gates)


def _told(at: str, soak: timedelta, gate: GateOutlook) -> str:
    outlook = gate.outlook
    if outlook is None:
        return f"{at} nothing can be said of {gate.gate}: {gate.reason}."
    limit = spoken(soak)
    if outlook.seconds_to_pass is None:
        said = f"{at} {gate.gate} does not PASS within 30 days"
    elif gate.passes_within_soak:
        said = f"{at} {gate.gate} takes {_about(outlook.seconds_to_pass)} to PASS, of {limit}"
    else:
        took = _about(outlook.seconds_to_pass)
        said = f"{at} {gate.gate} takes {took} to PASS, longer than the {limit} of the soak"
    faster = [
        f"{_about(other.seconds_to_pass)} at {other.weight} %"
        for other in gate.at_weights
        if other.seconds_to_pass is not None
    ]
    others = f" ({', '.join(faster)})" if faster else ""
    return f"{said}{others}; {_finding(outlook, limit)}."


def _finding(outlook: Outlook, limit: str) -> str:
    found = [
        f"{_about(seconds)} for {times} times as many bad requests"
        for times, seconds in (
            (2, outlook.seconds_to_find_double),
            (10, outlook.seconds_to_find_tenfold),
        )
        if seconds is not None
    ]
    to_fail = f"to FAIL it takes {' and '.join(found)}" if found else ""
    least = f"within {limit} no regression is found"
    if outlook.smallest_ratio is not None:
        least = f"within {limit} {outlook.smallest_ratio:.3g} times as many are found"
    elif outlook.smallest_fraction is not None:
        least = f"within {limit} {100 * outlook.smallest_fraction:.3g} % bad requests are found"
    return "; ".join(filter(None, (to_fail, least)))


def _about(seconds: float) -> str:
    return f"about {spoken(timedelta(seconds=max(1.0, round(seconds))))}"
