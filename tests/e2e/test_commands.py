"""What people ask of a rollout through the API, and what it refuses."""

from uuid import uuid4

from tests.e2e.served import LONG
from tests.e2e.together import together
from tests.e2e.traffic import failed, served_from_now_on


@together
async def test_an_abort_during_a_soak_answers_that_the_traffic_is_home(scene):
    served = await scene.serve("aborted")
    async with served.load() as load:
        rollout = await served.start(steps=LONG)
        await rollout.soaking()
        answer = await rollout.command("abort", actor="ana", reason="bad answers")
        assert answer["message"] == "all traffic is sent to stable"
        assert await served.weights() == {rollout.stable: 100, rollout.candidate: 0}
        ended = await rollout.ended("rolled_back")
        assert await served_from_now_on(load) == {rollout.stable}

    assert ended["phase_reason"] == "aborted by ana: bad answers"
    assert failed(load) == set()
    await served.at_rest(rollout.stable, "v1")
    kinds = await rollout.kinds()
    assert kinds.index("commanded") < kinds.index("rollback_started") < kinds.index("rolled_back")


@together
async def test_a_person_promotes_in_full_out_of_the_first_soak(scene):
    served = await scene.serve("hurried")
    async with served.load() as load:
        rollout = await served.start(steps=[*LONG, {"weight": 50, "soak_seconds": 600}])
        await rollout.soaking()
        await rollout.command("promote", actor="ana", reason="known good")
        await rollout.ended("promoted")
        assert await served_from_now_on(load) == {rollout.candidate}

    assert failed(load) == set()
    await served.at_rest(rollout.candidate, "v2")
    steps = [one["message"] for one in await rollout.events("step_started")]
    assert not any("50 %" in step for step in steps), "a full promotion skips what is between"
    await rollout.told("decided", "promoted by ana: known good")


@together
async def test_a_paused_rollout_advances_no_further_until_it_is_resumed(scene):
    served = await scene.serve("paused")
    async with served.load(50) as load:
        rollout = await served.start()
        await rollout.told("step_started", "send 20 %")
        answer = await rollout.command("pause", actor="ana", reason="lunch")
        assert answer["phase"] == "paused"
        await rollout.told("verdict", "errors: pass")
        assert (await rollout.look())["phase"] == "paused"
        assert await served.weights() == {rollout.stable: 80, rollout.candidate: 20}
        await rollout.command("resume", actor="ana")
        await rollout.ended("promoted")

    assert failed(load) == set()
    await served.at_rest(rollout.candidate, "v2")
    kinds = await rollout.kinds()
    assert kinds.index("paused") < kinds.index("verdict") < kinds.index("resumed")


@together
async def test_a_person_promotes_a_paused_rollout_by_one_step(scene):
    served = await scene.serve("stepwise")
    async with served.load() as load:
        rollout = await served.start(
            steps=[*LONG, {"weight": 50, "soak_seconds": 600, "pace": "time"}]
        )
        await rollout.soaking(20)
        await rollout.command("promote", scope="step")
        await rollout.soaking(50)
        assert await served.weights() == {rollout.stable: 50, rollout.candidate: 50}
        await rollout.command("abort")
        await rollout.ended("rolled_back")

    assert failed(load) == set()
    await served.at_rest(rollout.stable, "v1")


@together
async def test_a_second_rollout_is_refused_by_the_name_of_the_first(scene):
    served = await scene.serve("taken", v3="latency_ms=20")
    key = {"Idempotency-Key": str(uuid4())}
    async with served.load() as load:
        first = await served.ask(steps=LONG, headers=key)
        rollout = first.json()["id"]
        again = await served.ask(steps=LONG, headers=key)
        assert (again.status_code, again.json()["id"]) == (201, rollout)

        other = await served.ask("v3")
        assert other.status_code == 409
        assert rollout in other.text
        followed = await served.follow(rollout)
        await followed.told("deployed")
        later = await served.ask("v3")
        assert (later.status_code, later.json()["running"]["rollout_id"]) == (409, rollout)

        await followed.command("abort")
        await followed.ended("rolled_back")
        reused = await served.ask("v3", headers=key)
        assert reused.status_code == 422
        assert "Idempotency-Key" in reused.text

    assert failed(load) == set()
    await served.at_rest(followed.stable, "v1")
    listed = await scene.get("/rollouts", traffic_config_id=served.config_id)
    assert [one["id"] for one in listed["items"]] == [rollout]
    too_late = await scene.call("POST", f"/rollouts/{rollout}/abort", {})
    assert too_late.status_code == 409
    assert "rolled_back" in too_late.text


@together
async def test_what_cannot_be_rolled_out_is_refused_and_changes_nothing(scene):
    served = await scene.serve("refused")
    stranger = {"Project-ID": str(uuid4())}
    model = (
        await scene.call("POST", "/registered_models", {"name": "other"}, headers=stranger)
    ).json()
    body = {"name": "v1", "uri": "sim://other", "model_format": "vLLM"}
    path = f"/registered_models/{model['id']}/versions"
    theirs = (await scene.call("POST", path, body, headers=stranger)).json()["id"]

    def steps(*weights):
        return [{"weight": weight, "soak_seconds": 1} for weight in weights]

    gate = {"name": "g", "metric": "error_rate", "limit": 0.1}
    refusals = [
        (404, "", await served.ask(theirs)),
        (404, "", await served.ask(headers=stranger)),
        (422, "strategy", await served.ask(strategy="big_bang")),
        (422, "steps", await served.ask(steps=[])),
        (422, "steps.0", await served.ask(steps=[{"kind": "teleport"}])),
        (422, "steps.0.weight", await served.ask(steps=steps(-1))),
        (422, "steps.0.weight", await served.ask(steps=steps(100))),
        (422, "steps.0.weight", await served.ask(steps=steps(101))),
        (422, "steps.1.weight", await served.ask(steps=steps(50, 50))),
        (422, "steps.1.weight", await served.ask(steps=steps(50, 10))),
        (422, "gates.0.name", await served.ask(gates=[{**gate, "name": "Not A Label"}])),
        (422, "gates.0.metric", await served.ask(gates=[{**gate, "metric": "up{"}])),
        (422, "gates.0.source", await served.ask(gates=[{**gate, "source": "rumour"}])),
        (422, "candidate_name", await served.ask(candidate_name="Not A Label")),
        (422, "target_version_id", await served.ask("v1")),
    ]

    for status, field, answer in refusals:
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert field in answer.text
    assert (await scene.get("/rollouts", traffic_config_id=served.config_id))["items"] == []
    await served.at_rest(served.stable, "v1")
