"""Following a rollout live: one listening connection for all, nothing lost, nothing twice."""

import asyncio
from contextlib import aclosing

import pytest

from adapters.postgres.wake import CHANNEL
from tests.projects import an_entry

OTHERS = """
    FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"
LISTENERS = f"SELECT count(*) {OTHERS} AND query = 'LISTEN \"{CHANNEL}\"'"


@pytest.fixture
async def rollout(registry, it):
    return await it.start(registry)


@pytest.fixture
def follow(registry, it, rollout):
    """Follow in the background; the first `count` messages."""

    async def first(count):
        stream = registry.follow(it.id, rollout.id, after=0)
        async with asyncio.timeout(30), aclosing(stream) as events:
            return [(await anext(events)).message for _ in range(count)]

    return lambda count: asyncio.create_task(first(count))


def told(*numbers):
    return [an_entry(f"{number}", message=f"{number}") for number in numbers]


async def test_all_followers_share_one_connection_and_leave_none_behind(
    pool, follow, journal, rollout, until
):
    followers = [follow(2) for _ in range(15)]
    await journal.record(rollout.id, told(1))
    await until(LISTENERS, 1)
    await journal.record(rollout.id, told(2))
    assert await asyncio.gather(*followers) == [["1", "2"]] * 15
    assert pool.get_size() - pool.get_idle_size() == 0
    for _ in range(pool.get_size()):
        assert await pool.fetchval("SELECT count(*) FROM pg_listening_channels()") == 0


async def test_a_follower_that_is_cancelled_leaves_nothing_behind(pool, follow, until):
    follower = follow(1)
    await until(LISTENERS, 1)
    follower.cancel()
    await asyncio.wait([follower])
    assert pool.get_size() - pool.get_idle_size() == 0


async def test_a_lost_connection_costs_a_follower_nothing(pool, follow, journal, rollout, until):
    follower = follow(40)
    await until(LISTENERS, 1)
    for number in range(40):
        if number in (10, 25):
            await pool.execute(
                f"SELECT pg_terminate_backend(pid) {OTHERS} AND query LIKE 'LISTEN%'"
            )
        await journal.record(rollout.id, told(number))
    assert await follower == [str(number) for number in range(40)]


async def test_a_follower_catches_up_page_by_page(follow, journal, rollout):
    await journal.record(rollout.id, told(*range(1203)))
    assert await follow(1203) == [str(number) for number in range(1203)]


async def test_concurrent_writers_lose_a_follower_nothing(follow, journal, rollout):
    follower = follow(100)
    await asyncio.gather(*(journal.record(rollout.id, told(n, n + 50)) for n in range(50)))
    messages = await follower
    assert sorted(map(int, messages)) == list(range(100))


@pytest.fixture
def messages(registry, it, rollout):
    async def read():
        events = await registry.events(it.id, rollout.id, after=0, limit=9)
        return [event.message for event in events]

    return read


async def test_events_are_seen_in_the_order_in_which_they_committed(
    pool, journal, rollout, messages, until
):
    """A writer that had its ids first and commits last would tell its events behind a reader."""
    slow = an_entry("slow", message="slow", weights={"stable": 100})
    async with pool.acquire() as holder, holder.transaction():
        await holder.execute("SELECT FROM traffic_variants FOR UPDATE")
        first = asyncio.create_task(journal.record(rollout.id, [slow]))
        await until(WAITING, 1)
        second = asyncio.create_task(journal.record(rollout.id, told("quick")))
        await until(WAITING, 2)
        assert await messages() == []
    await asyncio.gather(first, second)
    assert await messages() == ["slow", "quick"]
