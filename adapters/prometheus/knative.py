"""Knative's queue proxy, beside the model, under the names of each generation.

Until 1.18 (OpenCensus) `revision_request_count` and `revision_request_latencies`; since 1.19
(OpenTelemetry) histograms in seconds: `kn.serving.invocation.duration`, or where a version lacks
that `http.server.request.duration`. A target is read by the newest that it shows, so that no
request counts twice. A workload is its Knative service. Where an exporter tells that of the target
only, and not in each series, the scrape must add the label `kn_service_name`. Not seen: requests
that the activator gave up before a pod was there. Counted by workload: copies and previews too.
"""

from collections.abc import Mapping, Sequence

from adapters.prometheus.labelled import MILLISECONDS, SECONDS, Family, LabelledCounters
from domain.evidence.counters import SeriesRole
from domain.meters import REQUESTS
from domain.traffic import Route

# KServe gives the predictor's service this name; its old versions had the longer one.
_SUFFIXES = ("-predictor", "-predictor-default")


def _histogram(name: str) -> tuple[Family, ...]:
    code = "http_response_status_code"
    return (
        Family(name=f"{name}_bucket", role=SeriesRole.BUCKET, unit=SECONDS),
        Family(name=f"{name}_count", role=SeriesRole.REQUESTS, error_label=code),
    )


def _of_telemetry(route: Route) -> Mapping[str, Sequence[str]]:
    return {"k8s_namespace_name": (route.namespace, "")}


def _of_census(route: Route) -> Mapping[str, Sequence[str]]:
    return {"namespace_name": (route.namespace, "")}


TELEMETRY = LabelledCounters(
    label="kn_service_name",
    suffixes=_SUFFIXES,
    matchers=_of_telemetry,
    counts={
        REQUESTS: (
            _histogram("kn_serving_invocation_duration_seconds"),
            _histogram("http_server_request_duration_seconds"),
        )
    },
)
CENSUS = LabelledCounters(
    label="service_name",
    suffixes=_SUFFIXES,
    matchers=_of_census,
    counts={
        REQUESTS: (
            (
                Family(
                    name="revision_request_count",
                    role=SeriesRole.REQUESTS,
                    error_label="response_code",
                ),
                Family(
                    name="revision_request_latencies_bucket",
                    role=SeriesRole.BUCKET,
                    unit=MILLISECONDS,
                ),
            ),
        )
    },
)
KNATIVE = (TELEMETRY, CENSUS)
