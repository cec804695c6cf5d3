"""The API in process, for pages whose calls are made."""

from tests.api.conftest import (
    api,
    app,
    control,
    evidence,
    fleet,
    http,
    metrics,
    outage,
    registry,
    survey,
    templates,
)

__all__ = [
    "api", "app", "control", "evidence", "fleet", "http", "metrics", "outage", "registry", "survey",
    "templates",
]  # fmt: skip
