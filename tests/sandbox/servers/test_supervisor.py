"""What the supervisor starts, in which order, what a death means, and that nothing is left."""

import asyncio
import signal
import subprocess
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import psutil
import pytest

from sandbox.family import is_alive
from sandbox.process import OnDeath, StartFailed
from sandbox.record import claim
from sandbox.supervisor import Step, Supervisor

from .programs import CRASHING, PARENT, STUBBORN, spec

DEADLINE_SECONDS = 20


@pytest.fixture
def said():
    return []


@pytest.fixture
def supervising(tmp_path, said):
    """Starts a supervisor of the given parts; stops it at the end of the block."""

    @asynccontextmanager
    async def start(*parts, hurry=None):
        record = await claim(tmp_path / "up.json", said.append)
        supervisor = Supervisor(
            parts, record=record, logs=tmp_path / "logs", say=said.append, hurry=hurry
        )
        try:
            await supervisor.start()
            async with asyncio.timeout(DEADLINE_SECONDS):
                yield supervisor
        finally:
            await supervisor.stop()
            record.release()

    return start


async def test_a_part_starts_once_those_before_it_are_ready(supervising, tmp_path):
    seen = []

    async def note(name):
        seen.append((name, sorted(path.name for path in tmp_path.glob("*.ready"))))

    parts = [
        spec(tmp_path, "last", after=frozenset({"step"}), prepare=lambda: note("last")),
        Step(name="step", run=lambda: note("step"), after=frozenset({"first"})),
        spec(tmp_path, "first", prepare=lambda: note("first")),
    ]
    async with supervising(*parts):
        assert seen == [("first", []), ("step", ["first.ready"]), ("last", ["first.ready"])]


async def test_parts_without_an_order_start_at_the_same_time(supervising, tmp_path):
    """Each waits for the other's sign: one after the other could never become ready."""
    both = asyncio.Barrier(2)

    async def meet():
        await both.wait()

    async with supervising(
        spec(tmp_path, "left", prepare=meet), spec(tmp_path, "right", prepare=meet)
    ):
        pass


async def test_parts_stop_in_reverse_order(supervising, tmp_path):
    async with supervising(
        spec(tmp_path, "first"),
        Step(name="between", run=lambda: asyncio.sleep(0), after=frozenset({"first"})),
        spec(tmp_path, "second", after=frozenset({"between"})),
        spec(tmp_path, "third", after=frozenset({"second"})),
    ):
        pass
    assert (tmp_path / "ends").read_text().split() == ["third", "second", "first"]


async def test_children_of_children_are_stopped_even_when_orphaned(supervising, tmp_path):
    async with supervising(spec(tmp_path, "parent", PARENT)):
        family = [int(pid) for pid in (tmp_path / "family").read_text().split()]
        assert all(runs(pid) for pid in family)
    assert not any(runs(pid) for pid in family)


async def test_a_stranger_with_the_same_command_line_is_left_alone(supervising, tmp_path):
    part = spec(tmp_path, "part")
    stranger = subprocess.Popen(part.argv)  # noqa: ASYNC220 - returns at once
    try:
        async with supervising(part):
            pass
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


async def test_a_process_that_ignores_the_request_is_killed_after_its_grace(supervising, tmp_path):
    stubborn = spec(tmp_path, "stubborn", STUBBORN, stop_grace=timedelta(seconds=0.2))
    async with supervising(stubborn) as supervisor:
        process = supervisor.process("stubborn")
    assert process.exit_code == -signal.SIGKILL


async def test_hurrying_grants_no_more_time(supervising, tmp_path):
    hurry = asyncio.Event()
    stubborn = spec(tmp_path, "stubborn", STUBBORN, stop_grace=timedelta(hours=1))
    async with supervising(stubborn, hurry=hurry) as supervisor:
        process = supervisor.process("stubborn")
        asyncio.get_running_loop().call_later(0.2, hurry.set)
    assert process.exit_code == -signal.SIGKILL


async def test_a_frozen_process_is_stopped_in_order(supervising, tmp_path):
    async with supervising(spec(tmp_path, "frozen")) as supervisor:
        supervisor.process("frozen").signal(signal.SIGSTOP)
    assert (tmp_path / "ends").read_text().split() == ["frozen"]


async def test_a_failed_start_shows_the_log_and_stops_the_others(supervising, tmp_path):
    with pytest.raises(StartFailed) as failure:
        async with supervising(
            spec(tmp_path, "fine"),
            spec(tmp_path, "broken", CRASHING, after=frozenset({"fine"})),
        ):
            pass
    assert "broken ended with exit code 3" in str(failure.value)
    assert "the disk is on fire" in str(failure.value)
    assert (tmp_path / "ends").read_text().split() == ["fine"]


async def test_a_part_that_is_never_ready_fails_the_start(supervising, tmp_path):
    async def never():
        return False

    slow = replace(spec(tmp_path, "slow"), ready=never, ready_timeout=timedelta(seconds=0.2))
    with pytest.raises(StartFailed, match=r"slow was not ready after 0\.2 s"):
        async with supervising(slow):
            pass


async def test_an_unexpected_death_is_reported_and_ends_all(supervising, tmp_path, said):
    async with supervising(spec(tmp_path, "part")) as supervisor:
        supervisor.process("part").signal(signal.SIGKILL)
        assert await supervisor.failure() == "part died"
    assert said[0].startswith("part was killed by SIGKILL; the end of ")
    assert "--- " in said[0]


async def test_a_restart_is_said_and_the_dead_ones_children_are_ended_first(
    supervising, tmp_path, said
):
    part = spec(tmp_path, "parent", PARENT, on_death=OnDeath.RESTART)
    async with supervising(part) as supervisor:
        family = [int(pid) for pid in (tmp_path / "family").read_text().split()]
        first = supervisor.process("parent")
        first.signal(signal.SIGKILL)
        await until(lambda: supervisor.process("parent") is not first)
        assert said[1] == "restarting parent (1 of 3)"
        assert not any(runs(pid) for pid in family)


async def test_children_that_outlive_their_parent_end_with_the_supervisor(supervising, tmp_path):
    part = spec(tmp_path, "parent", PARENT, children_outlive=True, on_death=OnDeath.RESTART)
    async with supervising(part) as supervisor:
        family = [int(pid) for pid in (tmp_path / "family").read_text().split()]
        await supervisor.kill_part("parent")
        assert all(runs(pid) for pid in family)
        await supervisor.start_part("parent")
        await supervisor.stop_part("parent")
        assert all(runs(pid) for pid in family)
    assert not any(runs(pid) for pid in family)


async def test_a_crash_loop_ends_all(supervising, tmp_path, said):
    """Ready at its start because of the file of its first life, dead right after it."""
    (tmp_path / "looping.ready").touch()
    looping = spec(tmp_path, "looping", CRASHING, on_death=OnDeath.RESTART)
    async with supervising(looping) as supervisor:
        assert "looping" in await supervisor.failure()
    restarts = [sentence for sentence in said if sentence.startswith("restarting")]
    assert 1 <= len(restarts) <= 3


async def test_a_restart_that_cannot_be_tried_ends_all(supervising, tmp_path):
    async def prepare():
        if (tmp_path / "part.ready").exists():
            raise OSError("no space left")

    part = spec(tmp_path, "part", prepare=prepare, on_death=OnDeath.RESTART)
    async with supervising(part) as supervisor:
        supervisor.process("part").signal(signal.SIGKILL)
        assert "no space left" in await supervisor.failure()


async def test_a_part_killed_on_purpose_stays_down_until_it_is_started(supervising, tmp_path, said):
    async with supervising(spec(tmp_path, "part", on_death=OnDeath.RESTART)) as supervisor:
        await supervisor.kill_part("part")
        assert supervisor.process("part").exit_code == -signal.SIGKILL
        await supervisor.start_part("part")
        assert supervisor.process("part").exit_code is None
    assert said == []


async def test_a_cancelled_start_leaves_nothing(supervising, tmp_path):
    async def never():
        await asyncio.Event().wait()

    async def start():
        async with supervising(spec(tmp_path, "running"), Step(name="endless", run=never)):
            pass

    task = asyncio.create_task(start())
    await until((tmp_path / "running.ready").exists)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (tmp_path / "ends").read_text().split() == ["running"]
    assert not (tmp_path / "up.json").exists()


def runs(pid):
    """A zombie does not: its parent, or init, just has not looked yet."""
    return psutil.pid_exists(pid) and is_alive(psutil.Process(pid))


async def until(condition):
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not condition():  # noqa: ASYNC110 - what is awaited happens in another process
            await asyncio.sleep(0.01)
