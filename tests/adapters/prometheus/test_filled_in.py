"""Prometheus itself reads a value that was filled in as that value."""

from datetime import UTC, datetime

import pytest

from adapters.prometheus.client import connect
from domain.promql_text import filled_in

HOSTILE = (
    'a"} or vector(2) or up{x="',
    "it's \\n not \\\\ a newline",
    "a\nb\ttab \x07 bell \x7f \u2028 ünïcode 🦉",
    ".*|[a-z]+$^(?i)x{1,2}",
)


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("quote", ['"', "'", "`"])
async def test_the_store_reads_a_value_as_it_is(prometheus_server, value, quote):
    # Between the two labels that are not there stands the separator, which is the value.
    query = filled_in(
        f'label_join(vector(1), "x", {quote}{{{{v}}}}{quote}, "a", "b")', {"v": value}
    )

    async with connect(prometheus_server.url) as store:
        (one,) = await store.values(query, datetime.now(UTC))

    assert one.labels == {"x": value}


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("quote", ['"', "'", "`"])
async def test_the_store_matches_a_value_in_a_pattern_and_nothing_else(
    prometheus_server, value, quote
):
    labelled = 'label_join(vector(1), "x", "{{v}}", "a", "b")'
    replaced = f'label_replace({labelled}, "y", "matched", "x", {quote}PATTERN{quote})'
    pattern = filled_in(f"up{{x=~{quote}{{{{v}}}}{quote}}}", {"v": value})[len("up{x=~") : -1]
    query = filled_in(replaced, {"v": value}).replace(f"{quote}PATTERN{quote}", pattern)

    async with connect(prometheus_server.url) as store:
        (one,) = await store.values(query, datetime.now(UTC))
        (other,) = await store.values(
            query.replace('"a", "b")', '"a", "b", "c")', 1), datetime.now(UTC)
        )

    assert one.labels == {"x": value, "y": "matched"}
    assert "y" not in other.labels
