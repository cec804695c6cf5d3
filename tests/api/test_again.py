"""An ended rollout begun again, one that runs begun anew, and the short way back."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from domain.registry import Role, TrafficConfig, VariantStatus
from domain.rollout import Action, Phase, Rollout
from tests.api.caller import canary
from tests.api.staging import change


@pytest.fixture
async def ids(api):
    return await api.served()


@pytest.fixture
async def rollout(api, ids):
    path = f"/traffic_configs/{ids['config']}/rollouts"
    return (await api.made(path, canary(ids["v2"])))["id"]


@pytest.fixture
def ended(registry, control, rollout):
    def end(phase=Phase.ROLLED_BACK):
        changed = {"phase": phase, "phase_reason": "errors", "ended_at": datetime.now(UTC)}
        change(registry, Rollout, rollout, **changed)
        control.running.clear()
        return rollout

    return end


@pytest.mark.parametrize("phase", [Phase.ROLLED_BACK, Phase.CONCLUDED, Phase.FAILED])
async def test_a_retry_walks_the_same_plan_in_a_rollout_of_its_own(api, ended, phase):
    first = (await api.get(f"/rollouts/{ended(phase)}")).json()
    body = {"actor": "ada", "reason": "it was the network"}
    answer = await api.post(f"/rollouts/{first['id']}/retry", body)
    assert answer.status_code == 201, answer.text
    second = answer.json()
    assert second["id"] != first["id"]
    assert second["plan"] == first["plan"]
    assert second["reason"] == f"rollout {first['id']} again: it was the network"
    assert answer.headers["location"].endswith(second["id"])


async def test_what_was_promoted_has_nothing_to_try_again(api, ended):
    answer = await api.post(f"/rollouts/{ended(Phase.PROMOTED)}/retry")
    assert answer.status_code == 409
    assert "nothing to try again" in answer.json()["detail"]


async def test_what_runs_is_not_retried(api, rollout):
    answer = await api.post(f"/rollouts/{rollout}/retry")
    assert answer.status_code == 409
    assert "restart it, or abort it first" in answer.json()["detail"]


async def test_a_repeated_retry_answers_with_the_same_rollout(api, ended):
    first, headers = ended(), {"Idempotency-Key": "once"}
    made = [await api.call("POST", f"/rollouts/{first}/retry", headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in made] == [201, 201]
    assert made[0].json()["id"] == made[1].json()["id"]


async def test_a_restart_aborts_and_begins_again(api, rollout, control):
    answer = await api.post(f"/rollouts/{rollout}/restart", {"actor": "ada", "reason": "again"})
    assert answer.status_code == 201, answer.text
    assert answer.json()["id"] != rollout
    ((aborted, action, command),) = control.commands
    assert (str(aborted), action) == (rollout, Action.ABORT)
    assert (command.actor, command.reason) == ("ada", "to begin again: again")


async def test_a_restart_that_is_not_home_in_time_says_so_and_goes_on_later(api, rollout, control):
    control.holds = True
    assert (await api.post(f"/rollouts/{rollout}/restart")).status_code == 504
    control.holds = False
    assert (await api.post(f"/rollouts/{rollout}/restart")).status_code == 201


async def test_a_plan_that_is_no_longer_true_is_not_walked_again(api, ids, ended, registry):
    first = ended()
    promoted(registry, ids["v3"])
    assert (await api.post(f"/rollouts/{first}/retry")).status_code == 409


def the_config(registry):
    return next(iter(registry.things[TrafficConfig].values()))


def promoted(registry, version):
    """Another version is stable by now."""
    config = the_config(registry)
    stable = replace(config.variants[0], model_version_id=UUID(version))
    change(registry, TrafficConfig, config.id, variants=(stable,))


async def test_a_version_that_was_stable_lately_comes_back_without_the_steps(api, ids, registry):
    path = f"/traffic_configs/{ids['config']}/rollouts"
    wish = canary(ids["v2"], dry_run=True)
    for left, kinds in (
        (timedelta(minutes=5), ["deploy", "set_weights", "promote", "retire"]),
        (timedelta(hours=5), None),
    ):
        was_stable(registry, ids["v2"], datetime.now(UTC) - left)
        plan = (await api.post(path, wish)).json()["plan"]
        found = [step["kind"] for step in plan["steps"]]
        assert found == kinds if kinds else "soak" in found
    was_stable(registry, ids["v2"], datetime.now(UTC))
    plan = (await api.post(path, {**wish, "skip_steps": False})).json()["plan"]
    assert "soak" in [step["kind"] for step in plan["steps"]]


async def test_a_version_that_was_gone_back_from_has_to_prove_itself_again(api, ids, registry):
    was_stable(registry, ids["v2"], None)
    path = f"/traffic_configs/{ids['config']}/rollouts"
    plan = (await api.post(path, canary(ids["v2"], dry_run=True))).json()["plan"]
    assert "soak" in [step["kind"] for step in plan["steps"]]


def was_stable(registry, version, until):
    """The version was stable until a newcomer took its place then, or until it was gone back from."""
    config = the_config(registry)
    former = replace(
        config.variants[0],
        id=uuid4(),
        name="old-stable-1",
        role=Role.RETIRING,
        model_version_id=UUID(version),
        weight=0,
        slot=1,
        status=VariantStatus.RETIRED,
        superseded_at=until,
        updated_at=until or datetime.now(UTC),
    )
    change(registry, TrafficConfig, config.id, variants=(config.variants[0], former))
