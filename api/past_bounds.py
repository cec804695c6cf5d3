"""Where gates without a bound count slow answers in a range of the past."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from api.pasts import Backtest, Past
from domain.evidence import reasons
from domain.evidence.baseline import BEFORE, bounds_of
from domain.evidence.counters import Series
from domain.history_port import MetricsHistory
from domain.meters import GATEWAY, Meter, meter_of
from domain.traffic import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowBounds:
    """The bounds by gate, in milliseconds; `unbound` says of those without any why."""

    by_gate: Mapping[str, tuple[float, ...]]
    unbound: Mapping[str, str]


async def slow_bounds(history: MetricsHistory, asked: Backtest, past: Past) -> SlowBounds:
    """Those that a rollout was given at its start, or one that began with the range would have.

    Raises Unreachable and Refused.
    """
    asking = [
        gate
        for gate in asked.gates
        if gate.takes_bounds_of_stable and gate.name not in asked.unread
    ]
    known, nothing = dict(past.bounds), set[Meter]()
    for meter in dict.fromkeys(map(meter_of, asking)):
        if meter not in known:
            known[meter] = bounds_of(await _stable_before(history, past, meter))
            nothing |= set() if known[meter] else {meter}
    why = _nothing_before(past.since)
    return SlowBounds(
        by_gate={gate.name: known[meter_of(gate)] for gate in asking},
        unbound={gate.name: why for gate in asking if meter_of(gate) in nothing},
    )


async def _stable_before(history: MetricsHistory, past: Past, meter: Meter) -> tuple[Series, ...]:
    """What stable did before the range; at the gateway in its slot alone, as before a rollout."""
    since, until = past.since - BEFORE, past.since
    if meter == GATEWAY:
        slot = Place(position=past.stable.slot)
        read = await history.read(
            past.route, meter.source, candidate=(), stable=(slot,), since=since, until=until
        )
        return read.stable
    stable = past.stable.workload
    read = await history.read_workloads(
        past.route, meter, candidate=None, stable=stable, since=since, until=until
    )
    return read.stable


def _nothing_before(since: datetime) -> str:
    return (
        f"The metrics store has no times of stable's answers from {reasons.moment(since - BEFORE)} "
        f"to {reasons.moment(since)} (any more), so there is no bound to count slow answers at: "
        "give the gate slow_over_ms."
    )
