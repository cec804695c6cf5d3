"""The mesh, as the proxy beside the workload saw it: the caller, our gateway, is outside of it.

Not seen: requests that never reached that proxy. A connection that breaks has the code 0, which is
no failure here. Counted by workload: copies and previews too.
"""

from adapters.prometheus.labelled import MILLISECONDS, Family, LabelledCounters
from domain.evidence.counters import SeriesRole
from domain.meters import REQUESTS

_REQUESTS = Family(
    name="istio_requests_total", role=SeriesRole.REQUESTS, error_label="response_code"
)
_TIMES = Family(
    name="istio_request_duration_milliseconds_bucket", role=SeriesRole.BUCKET, unit=MILLISECONDS
)

ISTIO = LabelledCounters(
    label="destination_workload",
    suffixes=("-predictor",),
    matchers=lambda route: {
        "destination_workload_namespace": (route.namespace,),
        "reporter": ("destination",),
    },
    counts={REQUESTS: ((_REQUESTS, _TIMES),)},
)
