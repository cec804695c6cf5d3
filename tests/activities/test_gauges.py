"""The evidence of a watch on the metrics page of a real worker runtime."""

import math
from dataclasses import replace

import httpx
import pytest
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig
from temporalio.testing import ActivityEnvironment

from activities.gauges import EVIDENCE, evidence_gauges
from domain.verdicts import Evidence, Status, Verdict
from sandbox.ports import free_port
from tests.plans import canary_spec, plan

PLAN = plan(canary_spec(10, 50))
PROVEN = Evidence(fail=10, fail_needed=40, pass_=30, pass_needed=20)
ERRORS = Verdict(gate="errors", status=Status.PASS, reason="so", evidence=PROVEN)


class Page:
    """A page, and the activity's environment that writes to it."""

    def __init__(self) -> None:
        address = f"127.0.0.1:{free_port()}"
        telemetry = TelemetryConfig(metrics=PrometheusConfig(bind_address=address))
        self.runtime = Runtime(telemetry=telemetry)
        self.url = f"http://{address}/metrics"
        self.environment = ActivityEnvironment()
        self.environment.metric_meter = self.runtime.metric_meter

    def lines(self) -> dict[tuple[str, str], float]:
        """What the gauge says, by gate and verdict."""
        found = {}
        for line in httpx.get(self.url).text.splitlines():
            if line.startswith(f"{EVIDENCE}{{"):
                labels, value = line.removeprefix(EVIDENCE).rsplit(" ", 1)
                named = dict(pair.split("=") for pair in labels.strip("{}").split(","))
                assert named["project"].strip('"') == str(PLAN.route.project_id)
                assert named["model"].strip('"') == PLAN.route.model
                found[named["gate"].strip('"'), named["toward"].strip('"')] = float(value)
        return found


@pytest.fixture(scope="module")
def page():
    return Page()


def test_evidence_is_told_as_a_part_of_what_is_needed_and_taken_back_in_the_end(page: Page):
    def watch() -> dict[tuple[str, str], float]:
        with evidence_gauges(PLAN) as gauges:
            gauges.tell([ERRORS, replace(ERRORS, variant="b")])
            return page.lines()

    during = page.environment.run(watch)
    assert during["errors", "fail"] == 0.25
    assert during["errors", "pass"] == 1.5
    assert during["b errors", "pass"] == 1.5
    after = page.lines()
    assert set(after) == set(during)
    assert all(map(math.isnan, after.values())), "nobody watches any more"


def test_a_gate_whose_evidence_is_gone_has_no_number_instead_of_an_old_one(page: Page):
    silent = Verdict(gate="slow", status=Status.UNAVAILABLE, reason="away")

    def watch() -> dict[tuple[str, str], float]:
        with evidence_gauges(PLAN) as gauges:
            gauges.tell([replace(ERRORS, gate="slow")])
            gauges.tell([silent])
            return page.lines()

    found = page.environment.run(watch)
    assert math.isnan(found["slow", "fail"])
