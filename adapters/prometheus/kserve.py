"""KServe's Python server: how long predictions took, by the model's name, which is the workload.

It has no status, so it says nothing of failures: a request that fails early was fast. Not timed:
what comes before and after the prediction, and the way there. Seen: whatever reached the pod.
"""

from adapters.prometheus.labelled import SECONDS, Family, LabelledCounters
from domain.evidence.counters import SeriesRole
from domain.meters import REQUESTS

_TIMES = Family(name="request_predict_seconds_bucket", role=SeriesRole.BUCKET, unit=SECONDS)

KSERVE = LabelledCounters(
    label="model_name",
    matchers=lambda route: {"namespace": (route.namespace, "")},
    counts={REQUESTS: ((_TIMES,),)},
)
