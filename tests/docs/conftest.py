"""The API in process, for pages whose calls are made."""

from tests.api.conftest import (
    api,
    app,
    control,
    counters,
    evidence,
    fleet,
    history,
    http,
    metrics,
    outage,
    prices,
    readings,
    registry,
    stable_history,
    survey,
    templates,
)

__all__ = [
    "api", "app", "control", "counters", "evidence", "fleet", "history", "http", "metrics", "outage",
    "prices", "readings", "registry", "stable_history", "survey", "templates",
]  # fmt: skip
