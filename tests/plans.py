"""Valid plans and what surrounds them; a test names only what matters to it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from domain.gates import AgainstStable, Gate, Metric
from domain.plan import Plan, Policies, Variant
from domain.strategies.canary import CanarySpec
from domain.strategies.canary_steps import CanaryStep, Pace
from domain.strategies.compiling import Spec, compile_plan
from domain.strategies.rules import Parties
from domain.traffic import Route
from domain.verdicts import Status, Verdict
from domain.workloads import Protocol, Workload

PROJECT = UUID("11111111-1111-4111-8111-111111111111")
SERVICE = UUID("22222222-2222-4222-8222-222222222222")
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
ERRORS = Gate(name="errors", metric=Metric.ERROR_RATE, against_stable=AgainstStable())


def route() -> Route:
    config = uuid4()
    return Route(
        project_id=PROJECT,
        config_id=config,
        namespace="serving",
        name=f"traffic-{config.hex[:16]}",
        model="chat",
    )


def workload(name: str) -> Workload:
    return Workload(
        name=name,
        namespace="serving",
        project_id=PROJECT,
        service_id=SERVICE,
        version_id=uuid4(),
        uri=f"sim://{name}",
        model_format="vLLM",
    )


def variant(name: str, slot: int, version: str) -> Variant:
    made = workload(f"chat-{version}")
    return Variant(
        name=name, version_id=made.version_id, version_name=version, slot=slot, workload=made
    )


def policies(**changes) -> Policies:
    return replace(
        Policies(probe_interval=timedelta(seconds=1), drain=timedelta(seconds=1)), **changes
    )


def canary_spec(*weights: int, soak=timedelta(minutes=10), pace=Pace.EVIDENCE, **changes):
    steps = tuple(CanaryStep(weight=w, soak=soak, pace=pace) for w in weights or (10, 50))
    return replace(CanarySpec(steps=steps, gates=(ERRORS,), policies=policies()), **changes)


def parties(**changes) -> Parties:
    stable, candidate = variant("stable", 0, "v1"), variant("canary", 1, "v2")
    return replace(Parties(route=route(), stable=stable, candidate=candidate), **changes)


def plan(spec: Spec | None = None, *, protocol: Protocol = Protocol.OPENAI, **changes) -> Plan:
    given = parties(route=replace(route(), protocol=protocol))
    return replace(compile_plan(spec or canary_spec(), given), **changes)


def verdict(status: Status, gate: str = "errors", reason: str = "because") -> Verdict:
    return Verdict(gate=gate, status=status, reason=reason)
