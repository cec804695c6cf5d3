"""The port ReadingStore."""

import asyncio
import math
from dataclasses import replace
from datetime import timedelta

import pytest

from domain.errors import Contended
from domain.readings.rules import Reading
from domain.readings.stepped import KeptReading
from tests.plans import NOON
from tests.projects import a_project

ODD = (1.5, math.nan, math.inf, -math.inf, -0.0)


def a_reading(sequence=0, *, gate="quality", variant="canary", series=ODD, error="", step=2):
    at = NOON + timedelta(seconds=sequence, microseconds=123_457)
    reading = Reading(at=at, series=series, error=error)
    return KeptReading(gate=gate, variant=variant, sequence=sequence, step=step, reading=reading)


@pytest.fixture
async def keep(readings, registry):
    rollout = await (await a_project().store(registry)).start(registry)

    async def kept(*these):
        for one in these:
            await readings.keep(rollout.id, one)
        return list(await readings.readings(rollout.id))

    return kept


def same(found, expected):
    """NaN is not equal to itself, so both are compared as they are written."""
    return list(map(repr, found)) == list(map(repr, expected))


async def test_nothing_read_is_an_empty_list(keep):
    assert await keep() == []


async def test_odd_numbers_errors_and_empty_answers_come_back_as_they_were(keep):
    these = [
        a_reading(0),
        a_reading(1, series=(), error="the metrics store cannot be reached"),
        a_reading(2, series=(), step=4),
    ]
    assert same(await keep(*these), these)


async def test_readings_of_a_gate_come_back_in_their_sequence(keep):
    these = [a_reading(i, series=(float(i),)) for i in range(12)]
    assert same(await keep(*these), these)


async def test_gates_and_variants_have_sequences_of_their_own(keep):
    these = [
        a_reading(0, gate="cost"),
        a_reading(0, variant="b"),
        a_reading(0, variant="c"),
        a_reading(1, variant="c"),
    ]
    assert same(await keep(*reversed(these)), these)


async def test_a_reading_again_changes_nothing(keep):
    these = [a_reading(0), a_reading(1)]
    assert same(await keep(*these, *these), these)


@pytest.mark.parametrize(
    "other",
    [
        a_reading(0, series=(1.5,)),
        a_reading(0, step=3),
        a_reading(0, error="away"),
        replace(a_reading(0), reading=Reading(at=NOON, series=ODD)),
    ],
)
async def test_a_place_that_is_taken_is_contended(keep, other):
    first = a_reading(0)
    await keep(first)
    with pytest.raises(Contended):
        await keep(other)
    assert same(await keep(), [first])


async def test_of_two_watchers_one_wins(keep):
    told = await asyncio.gather(
        keep(a_reading(0)), keep(a_reading(0, series=(2.0,))), return_exceptions=True
    )
    assert [type(one) for one in told if isinstance(one, Exception)] == [Contended]
    assert len(await keep()) == 1


async def test_as_many_readings_are_told_as_were_kept(readings, registry):
    one, other = [await (await a_project().store(registry)).start(registry) for _ in range(2)]
    assert await readings.size(one.id) == 0
    for kept in (a_reading(0), a_reading(0), a_reading(1), a_reading(0, gate="cost")):
        await readings.keep(one.id, kept)
    assert (await readings.size(one.id), await readings.size(other.id)) == (3, 0)


async def test_rollouts_do_not_see_each_other(readings, registry):
    one, other = [await (await a_project().store(registry)).start(registry) for _ in range(2)]
    await readings.keep(one.id, a_reading(0))
    assert list(await readings.readings(other.id)) == []
