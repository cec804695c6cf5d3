"""The port ComparisonStore."""

import asyncio

import pytest

from domain.errors import Contended
from tests.comparisons import a_result
from tests.projects import a_project


@pytest.fixture
async def keep(comparisons, registry):
    rollout = await (await a_project().store(registry)).start(registry)

    async def kept(*results):
        for result in results:
            await comparisons.keep(rollout.id, result)
        return list(await comparisons.compared(rollout.id))

    return kept


async def test_nothing_compared_is_an_empty_list(keep):
    assert await keep() == []


async def test_results_come_back_in_their_sequence(keep):
    results = [a_result(0), a_result(1, differs=True, request=17), a_result(2, request=1)]
    assert await keep(*results) == results


async def test_a_result_again_changes_nothing(keep):
    results = [a_result(0), a_result(1, differs=True)]
    assert await keep(*results, *results) == results


@pytest.mark.parametrize(
    "other",
    [
        a_result(0, differs=True),
        a_result(0, request=1),
        a_result(1, request=0),
    ],
)
async def test_a_place_or_a_request_that_is_taken_is_contended(keep, other):
    await keep(a_result(0))
    with pytest.raises(Contended):
        await keep(other)
    assert await keep() == [a_result(0)]


async def test_of_two_watchers_one_wins(keep):
    told = await asyncio.gather(
        keep(a_result(0)), keep(a_result(0, differs=True)), return_exceptions=True
    )
    assert [type(one) for one in told if isinstance(one, Exception)] == [Contended]
    assert len(await keep()) == 1


async def test_rollouts_do_not_see_each_other(comparisons, registry):
    one, other = [await (await a_project().store(registry)).start(registry) for _ in range(2)]
    await comparisons.keep(one.id, a_result(0))
    assert list(await comparisons.compared(other.id)) == []
