"""What the API says of itself to Prometheus: requests by route, their duration, those in flight."""

from time import perf_counter

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    gc_collector,
    platform_collector,
    process_collector,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_NO_ROUTE = "unmatched"
_METHODS = frozenset({"GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS"})
_CLIENT_GONE = 499


class Meters:
    """The metrics of one application; each has its own, so that two can live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        process_collector.ProcessCollector(registry=self.registry)
        platform_collector.PlatformCollector(registry=self.registry)
        gc_collector.GCCollector(registry=self.registry)
        self.requests = Counter(
            "tidegate_api_requests",
            "Requests answered.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "tidegate_api_request_duration_seconds",
            "From the first byte in to the last byte out; of a stream, to its first byte out.",
            ("method", "route"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "tidegate_api_requests_in_flight",
            "Requests not answered in full; open event streams count.",
            registry=self.registry,
        )


class Metered:
    """Pure ASGI: counts what passes, touches nothing."""

    def __init__(self, app: ASGIApp, meters: Meters) -> None:
        self._app = app
        self._meters = meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status, answered = perf_counter(), _CLIENT_GONE, 0.0

        async def watched(message: Message) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                status, answered = message["status"], perf_counter()
            await send(message)

        with self._meters.in_flight.track_inprogress():
            try:
                await self._app(scope, receive, watched)
            finally:
                self._count(scope, status, (answered or perf_counter()) - started)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "other"
        route = getattr(scope.get("route"), "path", _NO_ROUTE)
        self._meters.requests.labels(method, route, status).inc()
        self._meters.seconds.labels(method, route).observe(seconds)
