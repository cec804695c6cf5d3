"""What vLLM's servers say themselves, by the model name that KServe gives them: the workload.

Failures are counted by their HTTP layer alone, whose series name no model: they belong to the
workload that the other series of the same target name, and are left out where a target serves
several. Its status may be a class (5xx) or a code. Counted: POST only, so that health checks are
no requests. Not seen: requests that never arrived (a pod that is down refuses them before they
are counted) and streams that break after their 200. Seen: whatever reached the pod, by the split,
as a copy, in a preview or around the gateway, each attempt of a retry too. The time of a token is
counted once a token, so those of one answer resemble each other and weigh more than they should.
"""

from adapters.prometheus.labelled import SECONDS, TOKENS, Family, LabelledCounters
from domain.evidence.counters import SeriesRole
from domain.gates import Metric
from domain.meters import REQUESTS

HTTP_REQUESTS = "http_requests_total"


def _buckets(name: str, unit: float = SECONDS) -> Family:
    return Family(name=f"vllm:{name}_bucket", role=SeriesRole.BUCKET, unit=unit)


VLLM = LabelledCounters(
    label="model_name",
    # A workload's name is unique in its namespace; a scrape that gives none is taken as it is.
    matchers=lambda route: {"namespace": (route.namespace, ""), "method": ("POST", "")},
    counts={
        REQUESTS: (
            (
                _buckets("e2e_request_latency_seconds"),
                Family(
                    name=HTTP_REQUESTS,
                    role=SeriesRole.REQUESTS,
                    error_label="status",
                    lacks_workload=True,
                ),
            ),
        ),
        Metric.TIME_TO_FIRST_TOKEN: ((_buckets("time_to_first_token_seconds"),),),
        # The same observations under the newer and the older name; some versions show both.
        Metric.TIME_PER_OUTPUT_TOKEN: (
            (_buckets("inter_token_latency_seconds"),),
            (_buckets("time_per_output_token_seconds"),),
        ),
        Metric.TOKENS: ((_buckets("request_generation_tokens", TOKENS),),),
    },
)
