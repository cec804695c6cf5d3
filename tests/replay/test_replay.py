"""Histories of released versions replay: a running rollout survives the next deployment of ours."""

import asyncio
import re
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from bootstrap.converting import DATA_CONVERTER
from bootstrap.sandboxing import workflow_runner
from tests.replay.record import PATHS
from worker import WORKFLOWS

HISTORIES = sorted((Path(__file__).parent / "histories").rglob("*.json"))


def test_every_path_is_recorded():
    names = [path.stem for path in HISTORIES]

    assert [path for path in PATHS if not any(path in name for name in names)] == []


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: f"{path.parent.name}/{path.stem}")
async def test_a_recorded_history_replays(path):
    text = await asyncio.to_thread(path.read_text)
    replayer = Replayer(
        workflows=WORKFLOWS,
        workflow_runner=workflow_runner(),
        data_converter=DATA_CONVERTER,
    )
    await replayer.replay_workflow(WorkflowHistory.from_json(path.stem, text))


async def test_a_changed_order_of_commands_is_noticed():
    """The replay can fail: a history in which another activity stands is refused."""
    path = next(path for path in HISTORIES if "proven_candidate" in path.stem)
    text = await asyncio.to_thread(path.read_text)
    other = re.sub(r'"traffic\.connect"', '"workload.remove"', text)
    replayer = Replayer(
        workflows=WORKFLOWS,
        workflow_runner=workflow_runner(),
        data_converter=DATA_CONVERTER,
    )
    with pytest.raises(Exception, match="TMPRL1100"):
        await replayer.replay_workflow(WorkflowHistory.from_json(path.stem, other))
