"""Any plan, whatever happens while it is walked, keeps the rules that must never break.

A failing walk is told again by its seed: `TIDEGATE_WALKS=7341:1`. For a long run: `1000:500`.
"""

import os

import pytest

from tests.workflows.nine_rules import require_all
from tests.workflows.tale import Tale
from tests.workflows.witness import nothing_is_new_when_written_again

FIRST, _, COUNT = os.environ.get("TIDEGATE_WALKS", "0:30").partition(":")
SEEDS = range(int(FIRST), int(FIRST) + int(COUNT or 1))


@pytest.mark.parametrize("seed", SEEDS)
async def test_any_walk_keeps_the_rules(stage, seed):
    tale = Tale(seed, stage)
    try:
        await tale.tell()
        require_all(tale)
        await nothing_is_new_when_written_again(stage, tale.witness.written)
    except BaseException as error:
        error.add_note(described(tale))
        raise
    for stage.handle in tale.handles:  # each run's; the stage replays the last at its exit
        await stage.replays()


def described(tale: Tale) -> str:
    """The whole story, for whoever has to find out why."""
    steps = (f"  {i}: {step}" for i, step in enumerate(tale.plan.steps))
    told = (f"  {e.at:%H:%M:%S.%f} {e.kind}: {e.message}" for e in tale.stage.journal.entries)
    return "\n".join(
        [f"seed {tale.seed}, {tale.plan.policies}", *steps, *map(str, tale.happened), *told]
    )
