"""The API in process, for pages whose calls are made."""

from tests.api.conftest import (
    api,
    app,
    control,
    evidence,
    fleet,
    history,
    http,
    metrics,
    outage,
    readings,
    registry,
    survey,
    templates,
)

__all__ = [
    "api", "app", "control", "evidence", "fleet", "history", "http", "metrics", "outage", "readings",
    "registry", "survey", "templates",
]  # fmt: skip
