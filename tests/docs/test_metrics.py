"""docs/metrics.md names every number, every parameter and every gauge, and no other."""

import re

from fastapi.routing import APIRoute
from pydantic import TypeAdapter

from activities.gauges import EVIDENCE
from api import gauges
from api.app import create_app
from api.measuring import LONGEST_WINDOW, MOST_POINTS, SHORTEST_WINDOW
from api.reports import MAX_AGE_SECONDS
from api.routes.metrics import router
from bootstrap.settings import Prices
from domain.metrics import METRICS
from tests.docs.pages import page, search, section, tables

TEXT = page("metrics")


def test_every_number_is_told():
    (table,) = tables(section(TEXT, "The numbers"))
    told = [name for row in table for name in re.findall(r"[a-z_0-9]+", row[0])]
    assert sorted(told) == sorted(METRICS)


def test_every_call_and_every_parameter_is_told():
    calls, parameters = tables(section(TEXT, "The calls"))
    routes = [route for route in router.routes if isinstance(route, APIRoute)]
    paths = {route.path.partition("/model-registry")[2] for route in routes}
    assert {row[0].removeprefix("GET ") for row in calls} == paths
    document = create_app().openapi()
    taken = {
        parameter["name"]
        for path, methods in document["paths"].items()
        if "/model-registry/metrics/" in path
        for parameter in methods["get"]["parameters"]
        if parameter["in"] == "query"
    }
    assert {row[0] for row in parameters} | {"inference_service"} == taken


def test_limits_are_the_code_s():
    shortest, longest = search(r"from (\d+) s to (\d+) days", TEXT)
    assert (int(shortest), int(longest)) == (SHORTEST_WINDOW.total_seconds(), LONGEST_WINDOW.days)
    assert search(r"at most ([\d,]+) points", TEXT) == (f"{MOST_POINTS:,}",)
    assert search(r"`max_age_seconds`, (\d+) s", TEXT) == (str(MAX_AGE_SECONDS),)
    assert search(r"at most once in (\d+) s", TEXT) == (str(gauges.KEPT_SECONDS),)


def test_prices_are_shown_as_they_are_read():
    (example,) = search(r"TIDEGATE_TOKEN_PRICES='([^']+)'", TEXT)
    assert set(TypeAdapter(Prices).validate_python(example)) == {"chat", "mini"}


def test_every_gauge_is_told_with_its_labels():
    text = section(TEXT, "What the API itself exports")
    (labels,) = search(r"Its labels are ([^.]+)\.", text)
    assert tuple(re.findall(r"`(\w+)`", labels)) == gauges._VARIANT
    table, of_the_worker = tables(text)
    assert [row[0] for row in of_the_worker] == [EVIDENCE]
    told = {row[0] for row in table}
    assert told == {"tidegate_rollouts", "tidegate_gate_verdict", "tidegate_registry_up"}
