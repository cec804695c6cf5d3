"""Envoy's statistics of the single endpoints of a cluster, which it keeps where it is told to.

Envoy Gateway tells it so under `EnvoyProxy.spec.telemetry.metrics.enablePerEndpointStats`. An
answer in time without a 5xx is a success; a timeout is none of the errors; a connection that failed
is an error. What is not seen: which of them a retry has hidden. Behind a ClusterIP there is one
endpoint for all pods.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from adapters.prometheus.answers import RawSeries
from adapters.prometheus.envoy import cluster_of
from adapters.prometheus.promql import any_of, duration, quoted
from domain.evidence.baseline import PodCounters
from domain.evidence.counters import Sample
from domain.traffic import Place, Route

_CLUSTER, _POD = "envoy_cluster_name", "envoy_endpoint_address"
_GOOD = "envoy_cluster_endpoint_rq_success"
_BAD = frozenset({"envoy_cluster_endpoint_rq_error", "envoy_cluster_endpoint_rq_timeout"})


class EnvoyPods:
    """Requests that ended and bad ones, for each endpoint of a place's cluster."""

    def query(self, route: Route, place: Place, window: timedelta) -> str:
        names = any_of(sorted({_GOOD, *_BAD}))
        cluster = quoted(cluster_of(route, place))
        return f"{{__name__=~{names},{_CLUSTER}={cluster}}}[{duration(window)}]"

    def pods(self, found: Sequence[RawSeries]) -> tuple[PodCounters, ...]:
        ended: dict[str, list[tuple[Sample, ...]]] = {}
        bad: dict[str, list[tuple[Sample, ...]]] = {}
        for raw in found:
            pod = _pod(raw.labels)
            if pod is None or not raw.samples:
                continue
            ended.setdefault(pod, []).append(raw.samples)
            if raw.labels.get("__name__") in _BAD:
                bad.setdefault(pod, []).append(raw.samples)
        return tuple(
            PodCounters(pod=pod, ended=tuple(ended[pod]), bad=tuple(bad.get(pod, ())))
            for pod in sorted(ended)
        )


def _pod(labels: Mapping[str, str]) -> str | None:
    """The address of a series that counts for an endpoint; None of any other."""
    return labels.get(_POD) if labels.get("__name__") in {_GOOD, *_BAD} else None
