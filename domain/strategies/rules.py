"""What every strategy asks for beside its steps, and the rules that hold for all of them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import Any

from domain.errors import InvalidSpec, Violation
from domain.evidence.overdispersion import LARGEST
from domain.gates import AgainstStable, Gate, Metric
from domain.hooks import Hook, HookKind
from domain.names import LABEL, LABEL_LENGTH
from domain.plan import Plan, Policies, Strategy, Variant
from domain.reading_gates import AnyGate, ReadingGate
from domain.registry import TrafficConfig
from domain.routers import carried_violations
from domain.steps import Reaction, SetWeights, Soak, Step, Until
from domain.strategies.cost_rules import cost_violations
from domain.strategies.gate_rules import gate_violations, protocol_violations
from domain.strategies.waits import Word, until_said
from domain.traffic import FULL, Route
from domain.trial import Trial

MOST_REPLICAS = 1000
DEFAULT_GATES: tuple[AnyGate, ...] = (
    Gate(name="errors", metric=Metric.ERROR_RATE, against_stable=AgainstStable()),
)
NEVER_ADVANCING = (
    "on_failure",
    "on_metrics_unavailable",
    "on_not_ready",
    "on_not_settled",
    "on_drift",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What holds all the way. Gates that are left out are the error rate against stable."""

    gates: tuple[AnyGate, ...] = DEFAULT_GATES
    policies: Policies = field(default_factory=Policies)
    hooks: tuple[Hook, ...] = ()

    def shared(self) -> dict[str, Any]:
        """The terms as keyword arguments of a strategy's spec."""
        return {one.name: getattr(self, one.name) for one in fields(Terms)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parties:
    """Between whom a rollout goes on, and on which route."""

    route: Route
    stable: Variant
    candidate: Variant
    bystanders: tuple[Variant, ...] = ()
    others: tuple[Variant, ...] = ()


def planned(
    strategy: Strategy,
    terms: Terms,
    parties: Parties,
    steps: Iterable[Step],
    violations: Iterable[Violation],
    *,
    trial: Trial | None = None,
) -> Plan:
    """The plan, unless a rule is broken. Raises InvalidSpec with every rule that is."""
    plan = Plan(
        strategy=strategy,
        route=parties.route,
        stable=parties.stable,
        candidate=parties.candidate,
        steps=tuple(asking(terms.hooks, steps)),
        gates=tuple(gate for gate in terms.gates if isinstance(gate, Gate)),
        reading_gates=tuple(gate for gate in terms.gates if isinstance(gate, ReadingGate)),
        policies=terms.policies,
        bystanders=parties.bystanders,
        hooks=terms.hooks,
        others=parties.others,
        trial=trial,
    )
    broken = (
        *_party_violations(plan),
        *violations,
        *_route_violations(plan),
        *_question_violations(plan),
        *gate_violations(terms.gates),
        *protocol_violations(plan.gates, parties.route.protocol),
        *cost_violations(plan, terms.gates),
        *policy_violations(terms.policies),
    )
    if broken:
        raise InvalidSpec(*broken)
    return plan


def asking(hooks: Sequence[Hook], steps: Iterable[Step]) -> Iterator[Step]:
    """The steps, with a wait for each hook that is asked before one of them."""
    weight = 0
    for i, step in enumerate(steps):
        if i == 0:
            yield from _questions(hooks, HookKind.PRE_ROLLOUT, 0)
        if isinstance(step, SetWeights):
            if step.candidate > weight:
                is_last = step.candidate == FULL
                kind = HookKind.CONFIRM_PROMOTION if is_last else HookKind.CONFIRM_TRAFFIC_INCREASE
                yield from _questions(hooks, kind, weight)
            weight = step.candidate
        yield step


def _questions(hooks: Sequence[Hook], kind: HookKind, weight: int) -> Iterator[Step]:
    """One after the other: who has said no need not be asked again for another's sake."""
    for hook in hooks:
        if hook.kind is kind:
            word = Word(
                until=Until.CONFIRMED,
                timeout=hook.ask_for,
                on_timeout=Reaction.PAUSE,
                hook=hook.name,
            )
            yield until_said(weight, word)


def _question_violations(plan: Plan) -> Iterator[Violation]:
    asked = {hook.name for hook in plan.hooks if hook.kind.is_asked}
    for step in plan.steps:
        if isinstance(step, Soak) and step.until is Until.CONFIRMED and step.hook not in asked:
            rule = f"names {step.hook!r}, which is no hook of this rollout that is asked"
            yield Violation("steps.confirm.hook", rule)


def _route_violations(plan: Plan) -> Iterator[Violation]:
    """Each thing that the route cannot carry, once, however many steps ask for it."""
    places = {
        Strategy.CANARY: "steps.mirror",
        Strategy.BLUE_GREEN: "blue_green.preview",
        Strategy.SHADOW: "shadow",
        Strategy.AB_TEST: "ab_test.arms",
    }
    told: set[Violation] = set()
    for traffic in (step for step in plan.steps if isinstance(step, SetWeights)):
        extras = plan.extras_of(traffic)
        for one in carried_violations(plan.route.protocol, places[plan.strategy], extras):
            if one not in told:
                told.add(one)
                yield one


def gates_by_default(config: TrafficConfig) -> tuple[AnyGate, ...]:
    """The gates of a rollout that names none, but for those of the config's default templates.

    Beside templates what is left out is no gate, as in a rollout.
    """
    if config.default_gates is not None:
        return config.default_gates
    return () if config.default_gate_templates else DEFAULT_GATES


def default_policy_violations(policies: Policies) -> Iterator[Violation]:
    """Every rule that the default policies of a traffic config break."""
    for one in policy_violations(policies):
        yield Violation(f"default_{one.field}", one.rule)


def span_violations(at: str, **spans: timedelta) -> Iterator[Violation]:
    """Spans must not be negative; each is named as the field in seconds that it comes from."""
    for name, span in spans.items():
        if span < timedelta(0):
            yield Violation(f"{at}.{name}_seconds", "must not be negative")


def bound_violations(at: str, at_least: timedelta, at_most: timedelta) -> Iterator[Violation]:
    yield from span_violations(at, at_least=at_least, at_most=at_most)
    if at_most < at_least:
        yield Violation(f"{at}.at_most_seconds", "must not be below at_least_seconds")


def mirror_violations(at: str, percent: int) -> Iterator[Violation]:
    if not 1 <= percent <= FULL:
        yield Violation(f"{at}.percent", f"must lie in 1..100, not {percent}")


def replica_violations(at: str, replicas: int) -> Iterator[Violation]:
    if not 1 <= replicas <= MOST_REPLICAS:
        yield Violation(f"{at}.replicas", f"must lie in 1..{MOST_REPLICAS}, not {replicas}")


def _party_violations(plan: Plan) -> Iterator[Violation]:
    taken = {plan.stable.name: "stable's"}
    served = {plan.stable.version_id: "the version that stable already serves"}
    for i, one in enumerate(plan.challengers):
        version, name = "target_version_id", "candidate_name"
        if plan.trial is not None:
            version, name = f"ab_test.arms.{i}.version_id", f"ab_test.arms.{i}.name"
        if one.version_id in served:
            yield Violation(version, f"is {served[one.version_id]}")
        if one.name in taken or len(one.name) > LABEL_LENGTH or not LABEL.fullmatch(one.name):
            other = taken.get(one.name, "stable's")
            yield Violation(name, f"must be an RFC 1123 label other than {other} name")
        taken[one.name] = "another arm's"
        served[one.version_id] = "the version of another arm"


def policy_violations(policies: Policies) -> Iterator[Violation]:
    for name in NEVER_ADVANCING:
        if getattr(policies, name) is Reaction.ADVANCE:
            yield Violation(f"policies.{name}", "must be hold, pause or rollback")
    for name in (
        "metrics_stall",
        "deploy_deadline",
        "settle_deadline",
        "deadline",
        "clearance_deadline",
        "probe_interval",
    ):
        if getattr(policies, name) <= timedelta(0):
            yield Violation(f"policies.{name}_seconds", "must be above 0")
    for name in ("scale_down_delay", "drain", "warm_up"):
        if getattr(policies, name) < timedelta(0):
            yield Violation(f"policies.{name}_seconds", "must not be negative")
    phi = policies.overdispersion
    if phi is not None and not 1 <= phi <= LARGEST:
        yield Violation("policies.overdispersion", f"must lie in 1..{LARGEST:g}, or be null")
