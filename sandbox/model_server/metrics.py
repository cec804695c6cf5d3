"""What the server counts, under the names of vLLM and of its HTTP layer, as Prometheus text.

Written by hand because a client library costs more memory and start time than these few lines.
"""

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence

# The bounds of vLLM's own histograms (vllm/v1/metrics/loggers.py), in seconds.
E2E_BOUNDS = (
    *(0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960),
    *(1920, 7680),
)
FIRST_TOKEN_BOUNDS = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75),
    *(1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560),
)
INTER_TOKEN_BOUNDS = (
    *(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75),
    *(1, 2.5, 5, 7.5, 10, 20, 40, 80),
)

GENERATED_BOUNDS = tuple(m * 10**i for i in range(4) for m in (1, 2, 5))

_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Histogram:
    """Counts per bucket; cumulated only when somebody looks."""

    def __init__(self, name: str, bounds: Sequence[float]) -> None:
        self.name = name
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        self._counts[bisect_left(self._bounds, value)] += times
        self._sum += value * times

    def lines(self, labels: str) -> Iterator[str]:
        yield f"# TYPE {self.name} histogram"
        total = 0
        for bound, count in zip((*self._bounds, "+Inf"), self._counts, strict=True):
            total += count
            yield f'{self.name}_bucket{{{labels},le="{bound}"}} {total}'
        yield f"{self.name}_sum{{{labels}}} {self._sum:.6f}"
        yield f"{self.name}_count{{{labels}}} {total}"


class Metrics:
    """Everything of one model; `running` is a gauge that the application moves itself."""

    content_type = _CONTENT_TYPE

    def __init__(self, model_name: str) -> None:
        self.running = 0
        self._labels = f'engine="0",model_name="{model_name}"'
        self._started_at = time.time()
        self._responses: Counter[tuple[str, str, int]] = Counter()
        self._prompt_tokens = 0
        self._generated_tokens = 0
        self._succeeded = 0
        self._e2e = Histogram("vllm:e2e_request_latency_seconds", E2E_BOUNDS)
        self._first_token = Histogram("vllm:time_to_first_token_seconds", FIRST_TOKEN_BOUNDS)
        self._inter_token = Histogram("vllm:inter_token_latency_seconds", INTER_TOKEN_BOUNDS)
        self._generated = Histogram("vllm:request_generation_tokens", GENERATED_BOUNDS)
        self._queue = Histogram("vllm:request_queue_time_seconds", E2E_BOUNDS)

    def responded(self, method: str, path: str, status: int) -> None:
        self._responses[method, path, status // 100] += 1

    def generated(
        self, *, prompt_tokens: int, tokens: int, first_token_seconds: float, total_seconds: float
    ) -> None:
        """One request that ran to its end."""
        self._succeeded += 1
        self._prompt_tokens += prompt_tokens
        self._generated_tokens += tokens
        self._generated.observe(tokens)
        self._queue.observe(0.0)
        self._first_token.observe(first_token_seconds)
        self._e2e.observe(total_seconds)
        if tokens > 1:
            gap = (total_seconds - first_token_seconds) / (tokens - 1)
            self._inter_token.observe(max(0.0, gap), tokens - 1)

    def text(self) -> str:
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        yield from self._single("process_start_time_seconds", "gauge", f"{self._started_at:.3f}")
        yield from self._labelled("vllm:num_requests_running", "gauge", self.running)
        yield from self._labelled("vllm:num_requests_waiting", "gauge", 0)
        yield from self._labelled("vllm:kv_cache_usage_perc", "gauge", min(1.0, self.running / 256))
        yield from self._labelled("vllm:prompt_tokens_total", "counter", self._prompt_tokens)
        yield from self._labelled("vllm:generation_tokens_total", "counter", self._generated_tokens)
        yield "# TYPE vllm:request_success_total counter"
        for reason, count in (("stop", 0), ("length", self._succeeded), ("abort", 0)):
            labels = f'{self._labels},finished_reason="{reason}"'
            yield f"vllm:request_success_total{{{labels}}} {count}"
        yield from self._histograms()
        yield "# TYPE http_requests_total counter"
        for (method, path, hundreds), count in self._responses.items():
            labels = f'handler="{path}",method="{method}",status="{hundreds}xx"'
            yield f"http_requests_total{{{labels}}} {count}"

    def _histograms(self) -> Iterator[str]:
        times = (self._e2e, self._first_token, self._inter_token, self._queue)
        for histogram in (*times, self._generated):
            yield from histogram.lines(self._labels)

    def _labelled(self, name: str, kind: str, value: float) -> Iterator[str]:
        yield f"# TYPE {name} {kind}"
        yield f"{name}{{{self._labels}}} {value}"

    def _single(self, name: str, kind: str, value: str) -> Iterator[str]:
        yield f"# TYPE {name} {kind}"
        yield f"{name} {value}"
