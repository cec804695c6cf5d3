"""Which commands fit where, and what the others are told."""

from datetime import timedelta

import pytest

from domain.errors import Conflict, Forbidden
from domain.hooks import HookKind
from domain.requests import require_fit, taken
from domain.rollout import Action, Command, Scope
from domain.strategies.canary_steps import Analysis, Approval, CanaryStep, Stay, Weight
from tests.domain.test_strategies import canary, predictive, shadow
from tests.notices import a_hook
from tests.plans import plan

MINUTE = timedelta(minutes=1)
PLAN = plan(
    canary(
        CanaryStep(weight=10, soak=MINUTE),
        Approval(roles=("release-manager", "owner")),
        Weight(weight=50),
        Analysis(at_most=MINUTE),
    )
)
DEPLOY, AT_10, SOAK_10, APPROVAL, AT_50, SOAK_50, AT_100, PROMOTE, RETIRE = range(9)


def asked(**changes):
    return Command(**{"actor": "ana", "reason": "", **changes})


def refusal(step, action, *, of=PLAN, **changes):
    with pytest.raises((Conflict, Forbidden)) as caught:
        require_fit(of, step, action, asked(**changes))
    return str(caught.value)


@pytest.mark.parametrize("action", Action)
def test_a_stale_click_is_refused(action):
    told = refusal(SOAK_50, action, expected_step=SOAK_10, roles=("owner",))

    assert told == "the rollout is at step 5, not 2; look again, then decide"


@pytest.mark.parametrize("action", [Action.ABORT, Action.PAUSE, Action.RESUME])
@pytest.mark.parametrize("step", range(9))
def test_what_holds_everywhere_is_never_out_of_place(action, step):
    require_fit(PLAN, step, action, asked(expected_step=step))


@pytest.mark.parametrize(("step", "scope"), [(SOAK_10, Scope.STEP), (AT_10, Scope.FULL)])
def test_a_promotion_does_not_pass_over_an_approval(step, scope):
    told = refusal(step, Action.PROMOTE, scope=scope)

    assert told == (
        "step 3 waits for the approval of release-manager or owner; a promotion is none"
    )


def test_a_promotion_does_not_replace_the_approval_that_is_waited_for():
    assert refusal(APPROVAL, Action.PROMOTE).startswith("this step waits for the approval")


@pytest.mark.parametrize("scope", [Scope.STEP, Scope.FULL])
def test_behind_the_approval_a_promotion_is_free(scope):
    require_fit(PLAN, SOAK_50, Action.PROMOTE, asked(scope=scope))


def test_an_open_pause_is_promoted_past():
    made = plan(canary(Weight(weight=5), Stay(), Approval()))

    require_fit(made, 2, Action.PROMOTE, asked(scope=Scope.STEP))
    assert "step 3 waits" in refusal(2, Action.PROMOTE, of=made, scope=Scope.FULL)


def test_a_shadow_is_never_promoted():
    assert "never promoted" in refusal(2, Action.PROMOTE, of=predictive(shadow()))


def test_a_wait_can_be_skipped():
    require_fit(PLAN, SOAK_10, Action.SKIP, asked())


@pytest.mark.parametrize("step", [DEPLOY, AT_10, AT_100, PROMOTE, RETIRE])
def test_what_is_no_wait_cannot_be_skipped(step):
    assert refusal(step, Action.SKIP).startswith("only a step that waits can be skipped")


def test_an_approval_cannot_be_skipped():
    assert "cannot be skipped" in refusal(APPROVAL, Action.SKIP)


@pytest.mark.parametrize("action", [Action.APPROVE, Action.REJECT])
def test_an_approval_takes_one_of_its_roles(action):
    require_fit(PLAN, APPROVAL, action, asked(roles=("owner",)))
    told = refusal(APPROVAL, action, roles=("intern",))
    assert told == "this step is approved or rejected by release-manager or owner only"


@pytest.mark.parametrize("action", [Action.APPROVE, Action.REJECT])
def test_without_roles_anybody_approves(action):
    made = plan(canary(Weight(weight=5), Approval()))

    require_fit(made, 2, action, asked())


def test_only_an_approval_is_approved():
    assert refusal(SOAK_10, Action.APPROVE).startswith("this step waits for no approval")


def test_a_repeat_is_known_by_the_step_that_it_names():
    once = taken(Action.PROMOTE, asked(expected_step=2))

    assert once == taken(Action.PROMOTE, asked(expected_step=2, reason="again"))
    assert once != taken(Action.PROMOTE, asked(expected_step=2, scope=Scope.STEP))
    assert once != taken(Action.ABORT, asked(expected_step=2))
    assert taken(Action.PROMOTE, asked()) is None


@pytest.mark.parametrize("scope", [Scope.STEP, Scope.FULL])
def test_a_promotion_does_not_pass_over_the_deployment(scope):
    asks_first = a_hook("window", HookKind.PRE_ROLLOUT)
    made = plan(canary(CanaryStep(weight=10, soak=MINUTE), hooks=(asks_first,)))

    assert "nothing is deployed yet" in refusal(0, Action.PROMOTE, of=made, scope=scope)
    require_fit(made, 0, Action.SKIP, asked())
    require_fit(made, 1, Action.PROMOTE, asked(scope=scope))
