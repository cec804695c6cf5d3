"""Counters that users of the answers keep: what was tried with an answer, and what came off."""

from collections.abc import Iterable, Mapping
from datetime import timedelta

from adapters.prometheus.promql import any_of, duration
from domain.evidence.counters import SeriesRole
from domain.trial import RewardCounters


def query(counters: RewardCounters, workloads: Iterable[str], window: timedelta) -> str:
    """Write one instant query with a range selector. Names of metrics and labels are checked."""
    names = any_of((counters.tries, counters.won))
    matchers = f"__name__=~{names},{counters.label}=~{any_of(workloads)}"
    return f"{{{matchers}}}[{duration(window)}]"


def meaning(labels: Mapping[str, str], counters: RewardCounters) -> tuple[str, SeriesRole] | None:
    """Say of which workload a series is, and what it counts; None where it is not asked for."""
    roles = {counters.tries: SeriesRole.TRIED, counters.won: SeriesRole.WON}
    role = roles.get(labels.get("__name__", ""))
    return None if role is None else (labels.get(counters.label, ""), role)
