"""What stable does before a rollout, as far as somebody counted it: what an outlook rests on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from domain.evidence.base_rates import BaseRates, base_rates, nothing_of
from domain.evidence.baseline import Baseline
from domain.evidence.intervals import Interval
from domain.gates import Gate, Metric
from domain.meters import GATEWAY, Meter, meter_of
from domain.metrics import MILLISECONDS, Measurement

NO_TRAFFIC = "stable had no request in the window, so nothing can be expected"
NO_BOUNDS = "no answer of stable was timed in the hour before, so there is no bound to count at"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficSeen:
    """What stable did of late, which had all traffic. None is what was not counted.

    `rates` has what each gate counts of stable; `missing` says of the others why not. `baseline` is
    what a rollout that starts now would be judged by.
    """

    window: timedelta
    requests: int | None
    requests_per_second: float | None
    rates: Mapping[str, BaseRates]
    missing: Mapping[str, str]
    baseline: Baseline = field(default_factory=Baseline)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What was read of stable: what the gateway measured in the window, and an interval by meter.

    Of a meter that could not be read there is why, in words.
    """

    measured: Measurement
    window: timedelta
    meters: Mapping[Meter, Interval | str]


def traffic_seen(gates: Sequence[Gate], counted: Counted, baseline: Baseline) -> TrafficSeen:
    """What was read of stable, in the eyes of each gate."""
    requests = round(counted.measured.requests or 0)
    rates: dict[str, BaseRates] = {}
    missing: dict[str, str] = {}
    for gate in gates:
        found = _rates(gate, counted, baseline)
        if isinstance(found, str):
            missing[gate.name] = found
        else:
            rates[gate.name] = found
    seconds = counted.window.total_seconds()
    return TrafficSeen(
        window=counted.window,
        requests=requests or None,
        requests_per_second=requests / seconds if requests and seconds else None,
        rates=rates,
        missing=missing,
        baseline=baseline,
    )


def _rates(gate: Gate, counted: Counted, baseline: Baseline) -> BaseRates | str:
    """What a gate counts of stable, or why that is not known."""
    bounds = baseline.slow_bounds.get(gate.name, ()) if gate.takes_bounds_of_stable else ()
    meter = meter_of(gate)
    if meter == GATEWAY:
        return _of_gateway(gate, counted, bounds)
    interval = counted.meters.get(meter)
    if interval is None or isinstance(interval, str):
        return interval or nothing_of(gate)
    if gate.takes_bounds_of_stable and not bounds:
        return NO_BOUNDS
    return base_rates(gate, interval, bounds)


def _of_gateway(gate: Gate, counted: Counted, bounds: Sequence[float]) -> BaseRates | str:
    measured, seconds = counted.measured, counted.window.total_seconds()
    requests = round(measured.requests or 0)
    if not requests or not seconds:
        return NO_TRAFFIC
    if gate.metric is Metric.ERROR_RATE:
        bad = min(1.0, (measured.errors or 0.0) / requests)
        return BaseRates(per_second=requests / seconds, bad=(bad,))
    if gate.takes_bounds_of_stable and not bounds:
        return NO_BOUNDS
    asked = bounds or (() if gate.bound is None else (gate.bound,))
    slow = [_slow_fraction(bound, measured) for bound in asked]
    unknown = next((each for each in slow if isinstance(each, str)), None)
    if unknown is not None:
        return unknown
    fractions = tuple(each for each in slow if not isinstance(each, str))
    return BaseRates(per_second=requests / seconds, bad=fractions, bounds=tuple(bounds))


def _slow_fraction(bound_ms: float, measured: Measurement) -> float | str:
    if measured.latency is None or not measured.latency.buckets:
        return "the source shows no latency histogram of stable"
    counts = {round(bound * MILLISECONDS, 6): count for bound, count in measured.latency.buckets}
    total, within = measured.latency.buckets[-1][1], counts.get(round(bound_ms, 6))
    if within is None:
        return f"stable's histogram does not count at {bound_ms:g} ms"
    if not total > 0:
        return NO_TRAFFIC
    return min(1.0, max(0.0, 1 - within / total))
