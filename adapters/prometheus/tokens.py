"""Where tokens and the time to the first one are counted: by the gateway, or by the models.

`gen_ai`: the AI gateway's own metrics. It counts the last attempt of a request, when its answer has
ended; the time to the first token of streams only. `vllm`: what the model servers say themselves,
also of requests that came around the gateway.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from adapters.prometheus.promql import any_of, quoted
from domain.metrics import TokenSource


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenMetrics:
    """Names of one source. Series of a workload carry its name in the label `workload`."""

    workload: str
    input: str
    output: str
    first_token: str

    def matching(self, workloads: Iterable[str]) -> dict[str, str]:
        """The selectors of tokens in and out."""
        named = f"{self.workload}=~{any_of(workloads)}"
        return {
            "input": _with(self.input, named),
            "output": _with(self.output, named),
        }

    def first_token_of(self, workload: str) -> str:
        """The selector of a histogram in seconds."""
        return _with(self.first_token, f"{self.workload}={quoted(workload)}")


_GEN_AI_TYPE = 'gen_ai_client_token_usage_sum{{gen_ai_token_type="{}"}}'
SOURCES: Mapping[TokenSource, TokenMetrics] = {
    TokenSource.GEN_AI: TokenMetrics(
        workload="gen_ai_request_model",
        input=_GEN_AI_TYPE.format("input"),
        output=_GEN_AI_TYPE.format("output"),
        first_token="gen_ai_server_time_to_first_token_seconds_bucket",  # noqa: S106 - a metric
    ),
    TokenSource.VLLM: TokenMetrics(
        workload="model_name",
        input="vllm:prompt_tokens_total",
        output="vllm:generation_tokens_total",
        first_token="vllm:time_to_first_token_seconds_bucket",  # noqa: S106 - a metric
    ),
}


def _with(metric: str, matcher: str) -> str:
    """Add a matcher to a metric that may have some."""
    name, brace, rest = metric.partition("{")
    return f"{name}{{{matcher}{',' + rest if brace else '}'}"
