"""The AI gateway's own metrics, by the model name that it sends on, which is the workload.

Not seen: attempts that were retried (each request is counted once, when its last attempt ends, and
its clock starts with that); streams that are cut and clients that have gone, of which nothing is
recorded; requests that no route takes; copies of a mirror. Counted as failed: every answer that is
no 2xx, a client's 4xx included, for the code is no label. The times of tokens are those of streams
only. A series begins with its first request, at 1 and not at 0: the first of a workload is lost.
"""

import re

from adapters.prometheus.labelled import SECONDS, TOKENS, Family, LabelledCounters
from domain.evidence.counters import SeriesRole
from domain.gates import Metric
from domain.meters import REQUESTS

_DURATION = "gen_ai_server_request_duration_seconds"
_USAGE = "gen_ai_client_token_usage"
_FIRST = "gen_ai_server_time_to_first_token_seconds"
_EACH = "gen_ai_server_time_per_output_token_seconds"


def _buckets(name: str, unit: float = SECONDS) -> Family:
    return Family(name=f"{name}_bucket", role=SeriesRole.BUCKET, unit=unit)


GEN_AI = LabelledCounters(
    label="gen_ai_request_model",
    # Another route may send the same name on; a series without the client's name passes. Of the
    # tokens only those of the answer count; the other families have no type.
    matchers=lambda route: {
        "gen_ai_original_model": (route.model, ""),
        "gen_ai_token_type": ("output", ""),
    },
    counts={
        REQUESTS: (
            (
                _buckets(_DURATION),
                Family(
                    name=f"{_DURATION}_count",
                    role=SeriesRole.REQUESTS,
                    error_label="error_type",
                    errors=re.compile(".+"),
                ),
            ),
        ),
        Metric.TIME_TO_FIRST_TOKEN: ((_buckets(_FIRST),),),
        Metric.TIME_PER_OUTPUT_TOKEN: ((_buckets(_EACH),),),
        Metric.TOKENS: ((_buckets(_USAGE, TOKENS),),),
    },
)
