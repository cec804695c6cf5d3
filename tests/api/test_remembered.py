"""Answers that are kept for a while, and errors that are not."""

import asyncio

import pytest

from api.remembered import Remembered, Slow
from domain.errors import Conflict, Unreachable


class Question:
    """Answers how often it was asked; `free`, once cleared, holds the answer back."""

    def __init__(self):
        self.asked = 0
        self.error = None
        self.free = asyncio.Event()
        self.free.set()

    async def ask(self):
        self.asked += 1
        answer = self.asked
        await self.free.wait()
        if self.error:
            raise self.error
        return answer


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


async def test_an_answer_is_given_again_until_it_is_too_old():
    clock, question = Clock(), Question()
    kept = Remembered[int](5, timer=clock)
    assert await kept.get("a", question.ask) == 1
    clock.now = 4.9
    assert await kept.get("a", question.ask) == 1
    clock.now = 5.1
    assert await kept.get("a", question.ask) == 2


async def test_an_answer_that_took_long_is_kept_longer():
    clock, question = Clock(), Question()
    kept = Remembered[int](5, slow=Slow(after=10, kept=60), timer=clock)

    async def asking(took):
        clock.now += took
        return await question.ask()

    assert await kept.get("a", lambda: asking(10)) == 1
    assert await kept.get("b", lambda: asking(9)) == 2
    clock.now += 6
    assert [await kept.get(key, question.ask) for key in "ab"] == [1, 3]
    clock.now += 60
    assert await kept.get("a", question.ask) == 4


@pytest.mark.parametrize(
    ("error", "took", "asked"),
    [(Conflict("too many"), 10, 1), (Conflict("too many"), 9, 2), (Unreachable("away"), 10, 2)],
)
async def test_an_error_that_took_long_and_would_only_be_found_again_is_kept(error, took, asked):
    clock, question = Clock(), Question()
    kept = Remembered[int](5, slow=Slow(after=10, kept=60), timer=clock)
    question.error = error

    async def asking():
        clock.now += took
        return await question.ask()

    for _ in range(2):
        with pytest.raises(type(error)):
            await kept.get("a", asking)
        clock.now += 6
    assert question.asked == asked


async def test_each_key_has_an_answer_of_its_own():
    question, kept = Question(), Remembered[int](5)
    assert [await kept.get(key, question.ask) for key in "aba"] == [1, 2, 1]


async def test_an_error_is_told_to_all_who_wait_and_then_forgotten():
    question, kept = Question(), Remembered[int](5)
    question.error = ValueError("no")
    question.free.clear()
    waiting = [asyncio.create_task(kept.get("a", question.ask)) for _ in range(3)]
    await asyncio.sleep(0)
    question.free.set()
    told = await asyncio.gather(*waiting, return_exceptions=True)
    assert (told, question.asked) == ([question.error] * 3, 1)
    question.error = None
    assert await kept.get("a", question.ask) == 2


async def test_the_last_one_to_give_up_still_leaves_the_answer_behind():
    question, kept = Question(), Remembered[int](5)
    question.free.clear()
    waiting = asyncio.create_task(kept.get("a", question.ask))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    question.free.set()
    await asyncio.sleep(0)
    assert await kept.get("a", question.ask) == 1


async def test_only_so_many_are_kept():
    question, kept = Question(), Remembered[int](5, most=2)
    for key in "abc":
        await kept.get(key, question.ask)
    assert await kept.get("c", question.ask) == 3
    assert await kept.get("a", question.ask) == 4
