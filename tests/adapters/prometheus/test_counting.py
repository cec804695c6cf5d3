"""What a variant did is counted in full, whenever its series began and however short the window."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from adapters.prometheus.client import connect
from adapters.prometheus.counting import grown
from adapters.prometheus.metrics import WORKLOADS_AT_ONCE, PrometheusMetrics
from domain.metrics import MeasuredVariant, Tokens, TokenSource, figures
from tests.metrics.exporter import exporting
from tests.metrics.servers import until

MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
async def store(prometheus_server):
    async with connect(prometheus_server.url) as client:
        yield client


@pytest.fixture(scope="module")
async def page(prometheus_server, store):
    """A target that has been scraped before any test writes to it; names are each test's own."""
    async with exporting(prometheus_server.targets_dir, "counting") as exporter:
        exporter.write({'seen{by="counting"}': 1})
        await until(lambda: shows(store, 'seen{by="counting"}', 1), "the first scrape")
        yield exporter


async def shows(store, query, value):
    found = await store.values(query, datetime.now(UTC))
    return [each.value for each in found] == [value]


async def counts(store, selector, expected, window=MINUTE):
    """The sum over the selector becomes so and stays so."""
    query = f"sum({grown(selector, window)})"
    await until(lambda: shows(store, query, expected), f"{selector} counts {expected}")


async def test_a_series_that_comes_with_its_first_increment_counts_in_full(store, page):
    page.write({'late_total{a="1"}': 3})
    await counts(store, "late_total", 3)
    page.write({'late_total{a="1"}': 5, 'late_total{a="2"}': 1})
    await counts(store, "late_total", 6)


async def test_a_series_that_was_there_before_counts_what_came_on_top(store, page):
    page.write({"known_total": 100})
    await until(lambda: shows(store, "known_total", 100), "the first scrape")
    await asyncio.sleep(3)
    page.write({"known_total": 107})
    await counts(store, "known_total", 7, timedelta(seconds=2))


async def test_a_window_shorter_than_two_scrapes_still_counts(store, page):
    page.write({"short_total": 10})
    await until(lambda: shows(store, "short_total", 10), "the first scrape")
    await asyncio.sleep(2)
    page.write({"short_total": 14})
    await counts(store, "short_total", 4, timedelta(milliseconds=600))


async def test_a_restart_loses_nothing_that_was_scraped(store, page):
    page.write({"reset_total": 0})
    await until(lambda: shows(store, "reset_total", 0), "the first scrape")
    page.write({"reset_total": 50})
    await until(lambda: shows(store, "reset_total", 50), "the second scrape")
    page.write({"reset_total": 5})

    async def counted():
        (found,) = await store.values(f"sum({grown('reset_total', MINUTE)})", datetime.now(UTC))
        return 54 <= found.value <= 60

    await until(counted, "about 55, for `increase` guesses a little")


async def test_a_target_that_was_never_scraped_before_brings_no_history_along(
    store, prometheus_server
):
    async with exporting(prometheus_server.targets_dir, "with-history") as exporter:
        exporter.write({"old_total": 1_000_000})
        await until(lambda: shows(store, "old_total", 1_000_000), "the first scrape")
        exporter.write({"old_total": 1_000_004})
        await counts(store, "old_total", 4)


async def test_a_process_that_began_in_the_window_counts_from_its_beginning(
    store, prometheus_server
):
    async with exporting(prometheus_server.targets_dir, "young") as exporter:
        began = datetime.now(UTC).timestamp()
        exporter.write({"young_total": 9, "process_start_time_seconds": began})
        await counts(store, "young_total", 9)


async def test_what_is_gone_by_now_still_counts(store, page):
    page.write({"gone_total": 0})
    await until(lambda: shows(store, "gone_total", 0), "the first scrape")
    page.write({"gone_total": 20})
    await until(lambda: shows(store, "gone_total", 20), "the second scrape")
    page.series.pop("gone_total")
    await until(lambda: shows(store, "absent(gone_total)", 1), "the end of the series")
    (found,) = await store.values(f"sum({grown('gone_total', MINUTE)})", datetime.now(UTC))
    assert found.value >= 20


GEN_AI = 'gen_ai_request_model="chat-v1",gen_ai_original_model="chat"'


async def test_the_gateway_s_own_metrics_tell_tokens_and_the_first_one(store, page):
    usage, first = (
        "gen_ai_client_token_usage_sum",
        "gen_ai_server_time_to_first_token_seconds_bucket",
    )
    page.write(
        {
            f'{usage}{{{GEN_AI},gen_ai_token_type="input"}}': 120,
            f'{usage}{{{GEN_AI},gen_ai_token_type="output"}}': 40,
            f'{usage}{{{GEN_AI},gen_ai_token_type="cached_input"}}': 100,
            f'{first}{{{GEN_AI},le="0.1"}}': 9,
            f'{first}{{{GEN_AI},le="0.25"}}': 10,
            f'{first}{{{GEN_AI},le="+Inf"}}': 10,
            f'{first}{{gen_ai_request_model="chat-v9",le="+Inf"}}': 70,
        }
    )
    metrics = PrometheusMetrics(store, TokenSource.GEN_AI)
    variant = MeasuredVariant(workload="chat-v1")

    async def measured():
        told = figures(await metrics.measure(variant, at=datetime.now(UTC), window=MINUTE), MINUTE)
        return told if told.output_tokens and told.time_to_first_token_p95_ms else None

    told = await until(measured, "tokens and the time to the first")
    assert (told.input_tokens, told.output_tokens, told.requests) == (120, 40, None)
    assert told.time_to_first_token_p50_ms == pytest.approx(55.6, abs=0.1)
    assert told.time_to_first_token_p95_ms == pytest.approx(175)


async def test_many_workloads_are_asked_for_in_queries_of_bounded_length(store, page):
    names = [f"{'long' * 12}-{number}" for number in range(2 * WORKLOADS_AT_ONCE + 1)]
    page.write({f'vllm:generation_tokens_total{{model_name="{names[-1]}"}}': 4})
    metrics = PrometheusMetrics(store, TokenSource.VLLM)

    async def found():
        told = await metrics.tokens(names, at=datetime.now(UTC), window=MINUTE)
        assert list(told) == names
        return told[names[-1]] == Tokens(output=4)

    await until(found, "the last one's tokens")
    assert await metrics.tokens([], at=datetime.now(UTC), window=MINUTE) == {}


async def test_a_workload_s_name_means_itself(store, page):
    page.write({'vllm:generation_tokens_total{model_name="axb"}': 4})
    metrics = PrometheusMetrics(store, TokenSource.VLLM)
    await counts(store, 'vllm:generation_tokens_total{model_name="axb"}', 4)
    told = await metrics.tokens(["a.b", '"}'], at=datetime.now(UTC), window=MINUTE)
    assert told == {"a.b": Tokens(), '"}': Tokens()}
