"""Stories that do not disturb each other run at the same time: most of a rollout is waiting."""

import asyncio
from typing import Any

# Each has two model servers and its own load; more at once than this starve on two cores.
AT_ONCE = 6

_stories: list[Any] = []
_turns = asyncio.Semaphore(AT_ONCE)


def together(story):
    """Makes a test of `async def test_…(scene)`; the first one to be run begins all selected ones.

    Each is awaited, and fails, under its own name.
    """
    _stories.append(story)

    async def its_own_turn(scene, request):
        if story not in scene.begun:
            _begin_all(scene, {item.originalname for item in request.session.items})
        await scene.begun[story]

    its_own_turn.__name__ = story.__name__
    its_own_turn.__doc__ = story.__doc__
    its_own_turn.__module__ = story.__module__
    return its_own_turn


def _begin_all(scene, selected):
    for story in _stories:
        if story.__name__ in selected and story not in scene.begun:
            scene.begun[story] = asyncio.create_task(_in_turn(story, scene))


async def _in_turn(story, scene):
    async with _turns, scene.stage() as stage:
        await story(stage)
