"""Dashboards have the shape that Grafana loads, and queries that Prometheus reads."""

import itertools
import re

import httpx
import pytest
import yaml

from activities.gauges import EVIDENCE
from adapters.prometheus.tokens import SOURCES
from api import gauges
from tests.deploy.dashboards import FOLDER, dashboards, interpolated, panels, queries, variables
from tests.deploy.files import DEPLOY

COLUMNS = 24
VARIABLE = re.compile(r"\$(?:{(\w+)[^}]*}|([A-Za-z_]\w*))")
GRAFANA_S_OWN = {"__rate_interval", "__interval", "__range"}


def test_each_dashboard_has_a_name_of_its_own_and_a_schema_that_grafana_10_reads():
    found = dashboards()
    assert found
    assert len({board["uid"] for board in found}) == len(found)
    for board in found:
        assert re.fullmatch(r"[a-z0-9-]{1,40}", board["uid"])
        assert board["title"]
        assert 36 <= board["schemaVersion"] <= 41


def test_ids_of_panels_are_unique_within_a_dashboard():
    for board in dashboards():
        ids = [panel["id"] for panel in board["panels"]]
        assert len(set(ids)) == len(ids)


def test_no_panel_lies_upon_another_or_beside_the_grid():
    for board in dashboards():
        places = [panel["gridPos"] for panel in board["panels"]]
        for place in places:
            assert place["x"] >= 0
            assert place["x"] + place["w"] <= COLUMNS
        for one, other in itertools.combinations(places, 2):
            is_beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
            is_above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
            assert is_beside or is_above, (one, other)


def test_every_panel_says_what_it_shows_and_asks_the_chosen_store():
    for panel in panels():
        if panel["type"] == "row":
            continue
        assert panel["title"]
        assert panel["description"].endswith(".")
        references = [target["refId"] for target in panel["targets"]]
        assert references
        assert len(set(references)) == len(references)
        for holder in (panel, *panel["targets"]):
            assert holder["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        for target in panel["targets"]:
            assert target["expr"]
            assert target["legendFormat"]


def test_every_variable_of_a_query_is_one_of_the_dashboard():
    texts = [expression for _, expression in queries()]
    texts += [one["definition"] for one in variables().values() if one["type"] == "query"]
    named = {a or b for text in texts for a, b in VARIABLE.findall(re.sub(r'"\$\d"', "", text))}
    assert named <= set(variables()) | GRAFANA_S_OWN
    assert {"datasource", "project", "model"} <= set(variables())


def test_what_the_variables_offer_comes_from_what_the_registry_tells():
    for one in variables().values():
        if one["type"] == "query":
            found = re.fullmatch(
                r"label_values\(tidegate_variant_weight({.*})?, (\w+)\)", one["definition"]
            )
            assert found, one["definition"]
            assert found[2] in gauges._VARIANT


@pytest.mark.parametrize(("title", "expression"), queries())
async def test_every_query_is_one_that_prometheus_reads(prometheus_server, title, expression):
    asked = {"query": interpolated(expression, project="p", model="a|b")}
    async with httpx.AsyncClient(base_url=prometheus_server.url) as http:
        answer = await http.get("/api/v1/query", params=asked)
    assert answer.status_code == 200, answer.text


def test_what_is_shown_and_measured_is_kept_by_the_scrape():
    document = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    keeps = [
        rule["regex"]
        for job in document["scrape_configs"]
        for rule in job.get("metric_relabel_configs", [])
    ]
    texts = [expression for _, expression in queries()]
    texts += [s for each in SOURCES.values() for s in (each.input, each.output, each.first_token)]
    named = {
        name
        for text in texts
        for name in re.findall(r"\b(?:envoy_cluster_\w*rq\w+|gen_ai_\w+(?=[{\[]|$)|vllm:\w+)", text)
    }
    assert len(named) > 5
    assert [name for name in named if not any(re.fullmatch(keep, name) for keep in keeps)] == []


@pytest.mark.parametrize("toward", ["fail", "pass"])
def test_evidence_is_drawn_by_gate_against_the_line_that_is_needed(toward):
    (panel,) = (
        panel
        for panel in panels()
        for target in panel.get("targets", [])
        if f'{EVIDENCE}{{toward="{toward}"' in target["expr"]
    )
    assert "{{gate}}" in panel["targets"][0]["legendFormat"]
    drawn = panel["fieldConfig"]["defaults"]
    assert [step["value"] for step in drawn["thresholds"]["steps"]] == [None, 1]
    assert drawn["custom"]["thresholdsStyle"] == {"mode": "line"}
    # Odds are drawn on a logarithmic axis, which has neither a place for 0 nor for infinity.
    assert drawn["custom"]["scaleDistribution"]["type"] == "log"
    assert panel["targets"][0]["expr"].endswith(", 0.001, 1000)")
    assert drawn["min"] == 0.001


def test_the_provisioning_names_what_is_there():
    (source,) = yaml.safe_load(
        (FOLDER / "provisioning" / "datasources" / "prometheus.yaml").read_text()
    )["datasources"]
    assert source["type"] == "prometheus"
    (provider,) = yaml.safe_load(
        (FOLDER / "provisioning" / "dashboards" / "tidegate.yaml").read_text()
    )["providers"]
    assert provider["type"] == "file"
    assert provider["options"]["path"] in (FOLDER / "README.md").read_text()
