"""The source `envoy`: the statistics of the gateway's own clusters, one a place of the route.

What counts is each answer of the variant, including those that a retry has hidden from the client:
Envoy keeps the retried ones apart, so both families are added, in errors and in requests alike. A
timeout is already among the 5xx, as the 504 that the gateway gives for it: `upstream_rq_timeout`
would count it twice. Not seen here: a stream cut after its 200, and a connection that failed and
was retried with success.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from adapters.prometheus.promql import any_of, duration, quoted
from adapters.prometheus.sources import Meaning
from domain.evidence.counters import SeriesRole
from domain.traffic import Place, PlaceKind, Route

_CLUSTER = "envoy_cluster_name"
_CLASS = "envoy_response_code_class"
_SERVER_ERROR = "5"
_REQUESTS = frozenset(
    {"envoy_cluster_upstream_rq_completed", "envoy_cluster_retry_upstream_rq_completed"}
)
_ERRORS = frozenset({"envoy_cluster_upstream_rq_xx", "envoy_cluster_retry_upstream_rq_xx"})
_BUCKET = "envoy_cluster_upstream_rq_time_bucket"
_STARTED = "envoy_cluster_upstream_rq_total"
ANSWERED, RETRIED, FAILED, RETRIED_FAILURES = "answered", "retried", "failed", "retried_failures"
_NAMES = any_of(sorted(_REQUESTS | _ERRORS | {_BUCKET, _STARTED}))


class EnvoyCounters:
    """Answers and their times, per cluster of a slot, a header route or a mirror."""

    def query(self, route: Route, places: Sequence[Place], window: timedelta) -> str:
        clusters = any_of(cluster_of(route, place) for place in places)
        # A family without classes has no such label, which reads as the empty one.
        classes = any_of((_SERVER_ERROR, ""))
        matchers = f"__name__=~{_NAMES},{_CLUSTER}=~{clusters},{_CLASS}=~{classes}"
        return f"{{{matchers}}}[{duration(window)}]"

    def meaning(
        self, labels: Mapping[str, str], route: Route, places: Sequence[Place]
    ) -> Meaning | None:
        by_cluster = {cluster_of(route, place): place for place in places}
        place = by_cluster.get(labels.get(_CLUSTER, ""))
        name = labels.get("__name__", "")
        if place is None:
            return None
        if name == _STARTED:
            return Meaning(place=place, role=SeriesRole.STARTED)
        if name in _REQUESTS:
            return Meaning(place=place, role=SeriesRole.REQUESTS)
        if name in _ERRORS and labels.get(_CLASS) == _SERVER_ERROR:
            return Meaning(place=place, role=SeriesRole.ERRORS)
        if name == _BUCKET:
            bound_ms = _bound(labels.get("le", "nothing"))
            return Meaning(place=place, role=SeriesRole.BUCKET, bound_ms=bound_ms)
        return None


def outcomes(cluster: str) -> dict[str, str]:
    """Selectors by what their sum counts: answers and failures, each with those retried."""
    named = f"{_CLUSTER}={quoted(cluster)}"
    failed = f"{named},{_CLASS}={quoted(_SERVER_ERROR)}"
    return {
        ANSWERED: f"envoy_cluster_upstream_rq_completed{{{named}}}",
        RETRIED: f"envoy_cluster_retry_upstream_rq_completed{{{named}}}",
        FAILED: f"envoy_cluster_upstream_rq_xx{{{failed}}}",
        RETRIED_FAILURES: f"envoy_cluster_retry_upstream_rq_xx{{{failed}}}",
    }


def times(cluster: str) -> str:
    """The selector of a cluster's histogram of answer times, whose bounds are milliseconds."""
    return f"{_BUCKET}{{{_CLUSTER}={quoted(cluster)}}}"


def cluster_name(route: Route, slot: int) -> str:
    """Name the cluster that Envoy Gateway makes for a slot when clusters are split per backend."""
    return f"httproute/{route.namespace}/{route.name}/rule/0/backend/{slot}"


def cluster_of(route: Route, place: Place) -> str:
    """Name the cluster that counts what a place of the route gets.

    The split is rule 0; a header route is a rule of its own, behind it; mirrors hang on the split.
    """
    rules = f"httproute/{route.namespace}/{route.name}/rule"
    match place.kind:
        case PlaceKind.SLOT:
            return cluster_name(route, place.position)
        case PlaceKind.HEADER_ROUTE:
            return f"{rules}/{place.position + 1}/backend/0"
        case PlaceKind.MIRROR:
            return f"{rules}/0-mirror-{place.position}"


def _bound(le: str) -> float:
    bound = float(le)
    if not bound > 0:
        raise ValueError(f"{le!r} is no bound of a histogram of times")
    return bound
