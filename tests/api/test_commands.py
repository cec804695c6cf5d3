"""Promote, abort, pause, resume: carried to the rollout that was meant, answered as it stands."""

from uuid import UUID, uuid4

import pytest

from api.errors import Absent, NoReply, Overloaded
from domain.errors import Conflict, Forbidden
from domain.rollout import Action, Command, Phase, Rollout, Scope
from tests.api.caller import canary
from tests.api.staging import change


@pytest.fixture
async def rollout(api):
    ids = await api.served()
    made = await api.made(f"/traffic_configs/{ids['config']}/rollouts", canary(ids["v2"]))
    return made["id"]


@pytest.mark.parametrize("action", list(Action))
async def test_a_command_arrives_with_who_and_why(api, rollout, control, action):
    body = {"actor": "ada", "reason": "the dashboards are red"}
    answer = await api.post(f"/rollouts/{rollout}/{action}", body)
    assert answer.status_code == 200
    expected = Command(actor="ada", reason="the dashboards are red")
    assert control.commands == [(UUID(rollout), action, expected)]
    assert answer.json()["message"] == f"{action} taken"
    assert answer.json()["rollout"]["id"] == rollout


async def test_a_promotion_may_go_one_step(api, rollout, control):
    await api.post(f"/rollouts/{rollout}/promote", {"scope": "step"})
    assert control.commands[0][2].scope is Scope.STEP


async def test_a_command_says_which_step_it_means(api, rollout, control):
    await api.post(f"/rollouts/{rollout}/skip", {"expected_step": 3})
    assert control.commands[0][2].expected_step == 3


async def test_an_approval_says_in_which_roles_it_is_given(api, rollout, control):
    await api.post(f"/rollouts/{rollout}/approve", {"actor": "ada", "roles": ["owner"]})
    assert control.commands[0][2] == Command(actor="ada", reason="", roles=("owner",))


async def test_an_approval_without_the_role_is_forbidden(api, rollout, control):
    control.fail("command", Forbidden("this step is approved or rejected by owner only"))
    answer = await api.post(f"/rollouts/{rollout}/approve", {"roles": ["intern"]})
    assert answer.status_code == 403
    assert "by owner only" in answer.json()["detail"]


async def test_a_command_needs_no_body(api, rollout):
    assert (await api.call("POST", f"/rollouts/{rollout}/abort")).status_code == 200


async def test_a_repeat_does_no_harm(api, rollout):
    codes = [(await api.post(f"/rollouts/{rollout}/abort", {})).status_code for _ in range(2)]
    assert codes == [200, 200]


async def test_a_rollout_that_has_ended_says_how(api, rollout, registry, control):
    change(registry, Rollout, rollout, phase=Phase.PROMOTED, phase_reason="all gates passed")
    answer = await api.post(f"/rollouts/{rollout}/abort", {})
    assert answer.status_code == 409
    assert "promoted: all gates passed" in answer.json()["detail"]
    assert control.commands == []


@pytest.mark.parametrize(
    ("error", "status"), [(Conflict("too late"), 409), (NoReply(), 504), (Overloaded(), 429)]
)
async def test_what_the_engine_says_is_passed_on(api, rollout, control, error, status):
    control.fail("command", error)
    answer = await api.post(f"/rollouts/{rollout}/pause", {})
    assert (answer.status_code, answer.json()["detail"]) == (status, str(error))


async def test_a_rollout_that_nobody_walks_says_so(api, rollout, control):
    control.running.clear()
    answer = await api.post(f"/rollouts/{rollout}/abort", {})
    assert (answer.status_code, "retry-after" in answer.headers) == (503, True)


async def test_a_rollout_that_ended_a_moment_ago_says_how(api, rollout, registry, control):
    class Ending(Absent):
        def __init__(self):
            change(registry, Rollout, rollout, phase=Phase.ROLLED_BACK, phase_reason="errors")

    control.fail("command", Ending)
    answer = await api.post(f"/rollouts/{rollout}/abort", {})
    assert answer.status_code == 409
    assert "rolled_back: errors" in answer.json()["detail"]


async def test_an_unknown_rollout_is_not_found(api):
    assert (await api.post(f"/rollouts/{uuid4()}/abort", {})).status_code == 404
