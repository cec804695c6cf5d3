"""A Temporal server that skips time, and a stage on which one rollout plays with fakes around."""

import os
from datetime import timedelta

import pytest
from temporalio.testing import TimeSkippingConfig, WorkflowEnvironment

from bootstrap.converting import DATA_CONVERTER
from sandbox.servers.binaries import script
from sandbox.servers.temporal import DYNAMIC_CONFIG
from tests.replay.record import KEEP, keep
from tests.workflows.stage import Stage
from workflows.search import MODEL, PHASE, PROJECT, STRATEGY, WEIGHT

SKIPPING = "frontend.WorkflowTimeSkippingEnabled=true"


@pytest.fixture(scope="session")
async def skipping():
    """The real server with a clock per workflow that jumps over idle time."""
    extra = [
        word for value in (*DYNAMIC_CONFIG, SKIPPING) for word in ("--dynamic-config-value", value)
    ]
    async with await WorkflowEnvironment.start_time_skipping_v2(
        dev_server_existing_path=str(script("temporal")),
        dev_server_log_level="error",
        data_converter=DATA_CONVERTER,
        search_attributes=[PHASE, MODEL, STRATEGY, PROJECT, WEIGHT],
        dev_server_extra_args=extra,
        ts_config=TimeSkippingConfig(max_session_skip_count=100_000),
    ) as env:
        yield env


@pytest.fixture
async def stage(skipping, request):
    """A worker with real activities on fakes; nothing is deployed but stable.

    Where tests/replay/record.py asks for it, the history of the test is kept.
    """
    async with Stage(skipping.client) as made:
        yield made
        if made.handle and KEEP in os.environ:
            history = await made.handle.fetch_history()
            keep(history, request.node.name.removeprefix("test_"))


@pytest.fixture
def patience():
    """How long a test waits, in real time, for something that must come."""
    return timedelta(seconds=20)
