"""Meters: what is counted together, as one stream of intervals with a cursor of its own.

A source counts requests, failures and times of answers side by side, so those are one meter. Each
further histogram has its own moments and its own number of observations, and is a meter each.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from domain.gates import Gate, Metric, Source

REQUESTS = "requests"
_OF_REQUESTS = frozenset({Metric.ERROR_RATE, Metric.LATENCY})


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """`counts` is REQUESTS, or the metric whose histogram is counted."""

    source: Source
    counts: str = REQUESTS

    @property
    def name(self) -> str:
        """What its stream is stored under; empty for the gateway's, which every rollout has."""
        return "" if self == GATEWAY else f"{self.source}/{self.counts}"


GATEWAY = Meter(source=Source.ENVOY)


def meter_of(gate: Gate) -> Meter:
    """The meter that a gate is judged on."""
    counts = REQUESTS if gate.metric in _OF_REQUESTS else str(gate.metric)
    return Meter(source=gate.source, counts=counts)


def meters_of(gates: Iterable[Gate]) -> tuple[Meter, ...]:
    """The meters that gates need beside the gateway's, each once."""
    needed = dict.fromkeys(meter_of(gate) for gate in gates)
    return tuple(meter for meter in needed if meter != GATEWAY)
