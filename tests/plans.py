"""Valid plans and what surrounds them; a test names only what matters to it."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from domain.gates import AgainstStable, Gate, Metric
from domain.plan import Plan, Policies, Variant
from domain.reading_gates import PromQuery, ReadingGate
from domain.readings.rules import ReadingRules
from domain.strategies.ab_test import AbTestSpec, OnWinner
from domain.strategies.canary import CanarySpec
from domain.strategies.canary_steps import CanaryStep, Pace
from domain.strategies.compiling import Spec, compile_plan
from domain.strategies.rules import Parties
from domain.traffic import Route
from domain.trial import Reward, RewardMetric
from domain.trial_verdicts import ArmVerdict, Outcome, SplitVerdict, Standing, TrialVerdict
from domain.verdicts import Status, Verdict
from domain.workloads import Protocol, Workload

PROJECT = UUID("11111111-1111-4111-8111-111111111111")
SERVICE = UUID("22222222-2222-4222-8222-222222222222")
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
ERRORS = Gate(name="errors", metric=Metric.ERROR_RATE, against_stable=AgainstStable())

QUALITY = ReadingGate(
    name="quality",
    question=PromQuery(query="vector(1)"),
    rules=ReadingRules(success_condition="result[0] >= 0.95", interval=timedelta(seconds=30)),
)


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


def plan(
    spec: Spec | None = None,
    *,
    protocol: Protocol = Protocol.OPENAI,
    between: Parties | None = None,
    **changes,
) -> Plan:
    given = replace(between or parties(), route=replace(route(), protocol=protocol))
    return replace(compile_plan(spec or canary_spec(), given), **changes)


def arms(*names: str) -> Parties:
    """Stable, and challengers of these names; by default b and c."""
    challengers = [variant(n, i, f"v{i + 1}") for i, n in enumerate(names or ("b", "c"), start=1)]
    return parties(candidate=challengers[0], others=tuple(challengers[1:]))


def ab_test_spec(**changes) -> AbTestSpec:
    given: dict[str, Any] = {
        "reward": Reward(metric=RewardMetric.SUCCESS_RATE),
        "on_winner": OnWinner.PROMOTE,
        "at_most": timedelta(hours=1),
        "gates": (ERRORS,),
        "policies": policies(scale_down_delay=timedelta(0)),
    }
    return AbTestSpec(**(given | changes))


def ab_test(*names: str, protocol: Protocol = Protocol.OPENAI, **changes) -> Plan:
    """A test between stable and these challengers."""
    return plan(ab_test_spec(**changes), protocol=protocol, between=arms(*names))


def trial(
    outcome: Outcome = Outcome.UNDECIDED,
    winner: str | None = None,
    *,
    arms: Sequence[str] = ("stable", "b", "c"),
    left: Collection[str] = (),
    **beaten: str,
) -> TrialVerdict:
    """How a trial stands, by default one between stable, b and c; `c="b"`: c is beaten by b."""
    standings = dict.fromkeys(arms, Standing.COMPETING) | dict.fromkeys(left, Standing.LEFT)
    standings |= dict.fromkeys(beaten, Standing.ELIMINATED)
    return TrialVerdict(
        outcome=outcome,
        reason=f"The trial is {outcome}.",
        winner=winner,
        arms=tuple(
            ArmVerdict(
                arm=name,
                standing=standing,
                started=100,
                total=100,
                good=99,
                estimate=0.99,
                low=0.9,
                high=1.0,
                beaten_by=beaten.get(name),
            )
            for name, standing in standings.items()
        ),
        pairs=(),
        odds_needed=40.0,
        margin_odds_needed=20.0,
        split=SplitVerdict(odds=1.0, odds_needed=100.0, arm=None, off_by=0.0, in_doubt=False),
        intervals=10,
        opened_at=NOON,
        closed_at=NOON,
    )


def verdict(
    status: Status, gate: str = "errors", reason: str = "because", variant: str = ""
) -> Verdict:
    return Verdict(gate=gate, status=status, reason=reason, variant=variant)
