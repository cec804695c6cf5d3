"""What the two processes say of themselves: one-line logs, and the worker's Prometheus metrics."""

import json
import logging
import logging.config
from datetime import UTC, datetime
from typing import Any, Literal

from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)

from bootstrap.settings import Settings

# Temporal's first bucket is 100 ms, too coarse for a worker that reacts within that.
_LATENCIES = {
    "temporal_workflow_task_schedule_to_start_latency": [0.01, 0.05, 0.1, 0.5, 1.0, 5.0],
    "temporal_workflow_task_execution_latency": [0.005, 0.01, 0.05, 0.1, 0.5, 2.0],
    "temporal_activity_schedule_to_start_latency": [0.01, 0.05, 0.1, 0.5, 1.0, 5.0],
    "temporal_activity_execution_latency": [0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0],
}
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# Temporal repeats its context in the message and in objects of its own.
_NOISE = frozenset({"temporal_workflow", "temporal_activity", "temporal_log", "color_message"})


def worker_runtime(settings: Settings) -> Runtime:
    """The runtime of a worker: its metrics served for Prometheus, its core's logs in ours."""
    return Runtime(
        telemetry=TelemetryConfig(
            logging=_core_logs(level="WARN"),
            metrics=PrometheusConfig(
                bind_address=f"{settings.worker_metrics_host}:{settings.worker_metrics_port}",
                counters_total_suffix=True,
                unit_suffix=True,
                durations_as_seconds=True,
                histogram_bucket_overrides=_LATENCIES,
            ),
        )
    )


def api_runtime() -> Runtime:
    """The runtime of the API, which answers for an engine that is down in its own words."""
    return Runtime(telemetry=TelemetryConfig(logging=_core_logs(level="ERROR")))


def _core_logs(level: Literal["WARN", "ERROR"]) -> LoggingConfig:
    """What Temporal's core says goes where all else goes, instead of to standard error."""
    return LoggingConfig(
        filter=TelemetryFilter(core_level=level, other_level="ERROR"),
        forwarding=LogForwardingConfig(logger=logging.getLogger("temporal.core")),
    )


def log_to_stderr(settings: Settings) -> None:
    """Have every message of the process on one line of standard error."""
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"line": {"()": _FORMATS[settings.log_format]}},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
            "root": {"level": settings.log_level.upper(), "handlers": ["stderr"]},
            "loggers": {
                # One line a request says nothing that the metrics do not.
                "uvicorn.access": {"level": "WARNING", "handlers": [], "propagate": True},
                "uvicorn.error": {"handlers": [], "propagate": True},
                "httpx": {"level": "WARNING"},
            },
        }
    )


class TextLine(logging.Formatter):
    """`time level logger message key=value …`."""

    def format(self, record: logging.LogRecord) -> str:
        head = f"{_time(record)} {record.levelname.lower()} {record.name}"
        fields = [f"{key}={_word(value)}" for key, value in _fields(record).items()]
        return " ".join([head, _flat(record.getMessage()), *fields])


class JsonLine(logging.Formatter):
    """One JSON object a message."""

    def format(self, record: logging.LogRecord) -> str:
        head = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        return json.dumps({**_fields(record), **head}, default=str, ensure_ascii=False)


_FORMATS = {"text": TextLine, "json": JsonLine}


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """What was given as `extra`, and the exception where there is one."""
    given = {
        key: value
        for key, value in vars(record).items()
        if key not in _STANDARD and key not in _NOISE
    }
    if record.exc_info:
        given["exception"] = logging.Formatter().formatException(record.exc_info)
    return given


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def _flat(text: str) -> str:
    return text.replace("\n", "\\n").replace("\r", "\\r")


def _word(value: Any) -> str:
    text = str(value)
    plain = text and not any(character in text for character in ' "=\n\r\t')
    return text if plain else json.dumps(text, ensure_ascii=False)
