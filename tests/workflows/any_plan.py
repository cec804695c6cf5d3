"""Any valid plan: random specs of every strategy, with random policies and hooks."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

from domain.errors import InvalidSpec
from domain.gates import Gate
from domain.hooks import Hook, HookKind
from domain.plan import Plan, Policies
from domain.steps import Reaction
from domain.strategies.ab_test import AbTestSpec, OnWinner
from domain.strategies.blue_green import BlueGreenSpec
from domain.strategies.canary import CanarySpec
from domain.strategies.canary_steps import (
    Analysis,
    Approval,
    CanaryStep,
    Confirmation,
    MirrorFor,
    Pace,
    Scale,
    SpecStep,
    Stay,
    Weight,
)
from domain.strategies.compiling import Spec
from domain.strategies.rules import Parties
from domain.strategies.shadow import ShadowSpec
from domain.traffic import HeaderMatch
from domain.trial import ThompsonRules
from domain.workloads import Protocol
from tests.comparisons import a_comparison
from tests.notices import a_hook
from tests.plans import ERRORS, QUALITY, ab_test_spec, arms, parties, plan, policies

LATE = Gate(name="late", metric=ERRORS.metric, limit=0.05)
TRIED = replace(QUALITY, name="tried", dry_run=True)
GATES = [(ERRORS,), (ERRORS, LATE), (ERRORS, QUALITY), (QUALITY, TRIED), (ERRORS, TRIED), ()]
ROLE = "owner"
CHALLENGERS = ("b", "c", "d")
# While a watch looks, time goes no faster than ours: most spans are over soon, some never are.
SPANS = [timedelta(0), *[timedelta(milliseconds=ms) for ms in (20, 60, 150)], timedelta(hours=1)]
NEVER_FORWARD = [Reaction.ROLL_BACK, Reaction.PAUSE, Reaction.HOLD]
REACTIONS = [*NEVER_FORWARD, Reaction.ADVANCE]


def any_plan(rng: Random) -> Plan:
    """A plan that a user could have asked for: what validation refuses is drawn anew."""
    while True:
        spec = rng.choice([_canary, _canary, _blue_green, _shadow, any_ab_test, any_ab_test])(rng)
        protocol = rng.choice([Protocol.OPENAI, Protocol.V2])
        try:
            made = plan(spec, protocol=protocol, between=_parties(rng, spec))
        except InvalidSpec:
            continue
        return replace(made, asks_the_fleet=True)


def _parties(rng: Random, spec: Spec) -> Parties:
    if not isinstance(spec, AbTestSpec):
        return parties()
    return arms(*(spec.weights or spec.matched or _some(rng)))


def _terms(rng: Random) -> dict[str, Any]:
    return {
        "gates": rng.choice(GATES),
        "policies": _policies(rng),
        "hooks": tuple(_hooks(rng)),
    }


def _policies(rng: Random) -> Policies:
    return policies(
        on_failure=rng.choice([Reaction.ROLL_BACK, *NEVER_FORWARD]),
        on_undecided=rng.choice(REACTIONS),
        on_metrics_unavailable=rng.choice(NEVER_FORWARD),
        on_not_ready=rng.choice(NEVER_FORWARD),
        on_not_settled=rng.choice(NEVER_FORWARD),
        on_drift=rng.choice(NEVER_FORWARD),
        metrics_stall=rng.choice([timedelta(milliseconds=30), timedelta(minutes=5)]),
        deadline=rng.choice([*[timedelta(days=1)] * 8, timedelta(seconds=1)]),
        scale_down_delay=rng.choice(SPANS),
    )


def _hooks(rng: Random) -> list[Hook]:
    kinds = [kind for kind in HookKind if rng.random() < 0.15]
    return [
        a_hook(
            kind.replace("_", "-"),
            kind,
            ask_every=timedelta(seconds=1),
            ask_for=timedelta(hours=1),
            retries=1,
        )
        for kind in kinds
    ]


def _bounds(rng: Random, longest: Sequence[timedelta] = SPANS) -> dict[str, Any]:
    at_least, at_most = sorted((rng.choice(SPANS[:4]), rng.choice(longest)))
    return {"at_least": at_least, "at_most": at_most}


def _analysis(rng: Random) -> Analysis:
    return Analysis(on_undecided=rng.choice([None, *REACTIONS]), **_bounds(rng))


def _canary(rng: Random) -> Spec:
    terms = _terms(rng)
    asked = [hook.name for hook in terms["hooks"] if hook.kind is HookKind.CONFIRM_STEP]
    weights = sorted(rng.sample(range(1, 100), rng.randint(1, 4)))
    steps: list[SpecStep] = [_wait(rng, asked) for _ in range(rng.randint(0, 1))]
    for weight in weights:
        if rng.random() < 0.3:
            soak, pace = rng.choice(SPANS), rng.choice(list(Pace))
            steps.append(CanaryStep(weight=weight, soak=soak, pace=pace))
        else:
            steps.append(Weight(weight=weight))
        steps += [_wait(rng, asked) for _ in range(rng.randint(0, 2))]
    return CanarySpec(steps=tuple(steps), gates_from=rng.randint(0, min(2, len(steps))), **terms)


def _wait(rng: Random, asked: list[str]) -> SpecStep:
    makers = [
        lambda: Stay(time=rng.choice([None, *SPANS])),
        lambda: _analysis(rng),
        lambda: _analysis(rng),
        lambda: MirrorFor(percent=rng.randint(1, 100), time=rng.choice(SPANS[:4])),
        lambda: Scale(replicas=rng.randint(1, 5)),
        lambda: Approval(
            roles=rng.choice([(), (ROLE,)]),
            timeout=rng.choice(SPANS),
            on_timeout=rng.choice(REACTIONS),
        ),
        lambda: Confirmation(
            hook=rng.choice(asked), timeout=rng.choice(SPANS), on_timeout=rng.choice(REACTIONS)
        ),
    ]
    return rng.choice(makers if asked else makers[:-1])()


def _blue_green(rng: Random) -> Spec:
    return BlueGreenSpec(
        pre_promotion=rng.choice([None, _analysis(rng), _analysis(rng)]),
        automatic=rng.random() < 0.6,
        post_promotion=rng.choice(SPANS),
        **_terms(rng),
    )


def any_ab_test(rng: Random) -> AbTestSpec:
    """A test between stable and some of the challengers, divided in any way."""
    names = _some(rng)
    matched = {name: (HeaderMatch(name="x-arm", value=name),) for name in names}
    weights = {name: rng.randint(1, 40) for name in names}
    split: dict[str, Any] = rng.choice([{}, {"sticky_header": "x-user-hash"}, {"matched": matched}])
    return ab_test_spec(
        on_winner=rng.choice(list(OnWinner)),
        on_undecided=rng.choice(REACTIONS),
        weights=rng.choice([{}, weights]),
        allocation=rng.choice([None, ThompsonRules()]),
        **split,
        **_bounds(rng, SPANS[-2:]),
        **_terms(rng),
    )


def _some(rng: Random) -> Sequence[str]:
    return CHALLENGERS[: rng.randint(1, len(CHALLENGERS))]


def _shadow(rng: Random) -> Spec:
    reaction = rng.choice(REACTIONS)
    bounds = _bounds(rng)
    return ShadowSpec(
        percent=rng.randint(1, 100),
        on_undecided=reaction,
        compare=rng.choice([None, a_comparison(path="/v2/models/chat/infer")]),
        **bounds,
        **_terms(rng),
    )
