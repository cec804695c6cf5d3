"""What the model draws for its requests."""

import asyncio

import pytest

from sandbox.behaviour import Behaviour
from sandbox.model_server.model import LoadFailed, Model


async def loaded(query):
    model = Model(Behaviour.parse(f"sim://chat?seed=1&{query}"))
    await model.load()
    return model


async def test_the_error_rate_is_met():
    model = await loaded("error_rate=0.3")
    failures = sum(model.draw().error_status == 500 for _ in range(10_000))
    # Five standard deviations are 229.
    assert abs(failures - 3000) < 229


async def test_the_same_seed_draws_the_same():
    first = await loaded("error_rate=0.5&jitter_ms=10")
    second = await loaded("error_rate=0.5&jitter_ms=10")
    assert [first.draw() for _ in range(50)] == [second.draw() for _ in range(50)]


async def test_errors_begin_after_so_many_requests():
    model = await loaded("error_rate=1&error_after_requests=3")
    assert [model.draw().error_status for _ in range(5)] == [0, 0, 0, 500, 500]


async def test_errors_may_befall_one_model_name_only():
    model = await loaded("error_rate=1&error_model=gpt-5")
    assert [model.draw(name).error_status for name in ("gpt-5", "gpt-5-mini", "")] == [500, 0, 0]


async def test_errors_begin_after_so_much_time():
    model = await loaded("error_rate=1&error_after_seconds=0.05")
    early = model.draw()
    await asyncio.sleep(0.06)
    assert (early.error_status, model.draw().error_status) == (0, 500)


async def test_slow_answers_take_their_own_time():
    model = await loaded("latency_ms=10&slow_rate=0.5&slow_ms=900&ttft_ms=5")
    draws = [model.draw() for _ in range(100)]
    assert {draw.total_seconds for draw in draws} == {0.01, 0.9}
    assert {round(draw.first_token_seconds, 3) for draw in draws} == {0.005, 0.895}


async def test_jitter_stays_in_its_bounds():
    model = await loaded("latency_ms=5&jitter_ms=10")
    times = [model.draw().total_seconds for _ in range(1000)]
    assert min(times) == 0.0
    assert max(times) <= 0.015


async def test_a_stream_ends_when_the_whole_answer_would():
    draw = (await loaded("latency_ms=100&ttft_ms=20&tokens=5")).draw()
    end = draw.first_token_seconds + 4 * draw.token_gap_seconds
    assert end == pytest.approx(0.1)


async def test_a_model_that_is_to_fail_fails_to_load():
    model = Model(Behaviour.parse("sim://chat?fail_load=1"))
    with pytest.raises(LoadFailed, match="'chat' failed to load"):
        await model.load()
    assert not model.is_loaded
