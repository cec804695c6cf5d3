"""Starting rollouts: the plan shown or walked, repeats, and what stands in the way."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from api.errors import EngineUnreachable
from domain.evidence.judge import judge
from domain.registry import ConfigStatus, TrafficConfig
from domain.rollout import Entry, EventKind, Phase, Rollout
from domain.verdicts import Status, Verdict
from tests.api.caller import PREFIX, canary
from tests.api.staging import change
from tests.domain.evidence.scenes import error_gate, interval
from tests.fakes.journal import MemoryJournal


@pytest.fixture
async def ids(api):
    return await api.served()


async def test_a_dry_run_shows_the_plan_and_changes_nothing(api, ids, control):
    answer = await api.post(_rollouts(ids), canary(ids["v2"], dry_run=True))
    assert answer.status_code == 200
    steps = answer.json()["plan"]["steps"]
    assert [s["kind"] for s in steps][:3] == ["deploy", "set_weights", "soak"]
    assert steps[1]["sentence"] == "send 10 % to the candidate"
    assert steps[1]["weights"] == {"stable": 90, "candidate": 10}
    assert all(sum(s["weights"].values()) == 100 for s in steps)
    assert (await api.get("/rollouts")).json()["total"] == 0
    assert control.running == {}


async def test_a_started_rollout_says_where_to_follow_it(api, ids, control):
    answer = await api.post(_rollouts(ids), canary(ids["v2"], actor="ada", reason="better"))
    assert answer.status_code == 201
    rollout = answer.json()
    assert answer.headers["location"] == f"{PREFIX}/rollouts/{rollout['id']}"
    assert (rollout["phase"], rollout["actor"], rollout["reason"]) == ("pending", "ada", "better")
    assert (rollout["stable_version"], rollout["candidate_version"]) == ("v1", "v2")
    assert rollout["plan"]["candidate"]["slot"] == 1
    assert rollout["clearance"]["cleared"] is True
    run = f"traffic-{ids['config']}/run-of-{rollout['id']}"
    expected = f"http://temporal.test/namespaces/tests/workflows/{run}"
    assert rollout["links"]["temporal_ui"] == expected
    assert control.running == {f"traffic-{ids['config']}": UUID(rollout["id"])}


async def test_gates_and_policies_arrive_in_the_plan(api, ids, registry):
    gates = [
        {"name": "slow", "metric": "latency", "slow_over_ms": 250, "limit": 0.05},
        {"name": "errors", "metric": "error_rate", "against_stable": {"fail_ratio": 1.5}},
        {
            "name": "short",
            "metric": "tokens",
            "source": "gen_ai",
            "no_more_than": 16,
            "limit": 0.1,
        },
    ]
    policies = {"on_undecided": "rollback", "drain_seconds": 1.5}
    made = await api.made(_rollouts(ids), canary(ids["v2"], gates=gates, policies=policies))
    plan = registry.things[Rollout][UUID(made["id"])].plan
    assert plan.gates[0].slow_over_ms == 250
    assert plan.gates[1].against_stable.fail_ratio == 1.5
    assert plan.policies.drain == timedelta(seconds=1.5)
    assert made["plan"]["policies"]["on_undecided"] == "rollback"
    assert [g["name"] for g in made["plan"]["gates"]] == ["slow", "errors", "short"]
    told = made["plan"]["gates"][2]
    assert (told["source"], told["more_than"], told["no_more_than"]) == ("gen_ai", None, 16)


async def test_who_says_nothing_warms_up_for_a_minute_and_learns_the_overdispersion(
    api, ids, registry
):
    made = await api.made(_rollouts(ids), canary(ids["v2"]))
    policies = registry.things[Rollout][UUID(made["id"])].plan.policies
    assert (policies.warm_up, policies.overdispersion) == (timedelta(minutes=1), None)
    shown = made["plan"]["policies"]
    assert (shown["warm_up_seconds"], shown["overdispersion"]) == (60.0, None)


async def test_a_warm_up_and_an_overdispersion_of_ones_own_arrive_in_the_plan(api, ids, registry):
    policies = {"warm_up_seconds": 0, "overdispersion": 2.5}
    made = await api.made(_rollouts(ids), canary(ids["v2"], policies=policies))
    found = registry.things[Rollout][UUID(made["id"])].plan.policies
    assert (found.warm_up, found.overdispersion) == (timedelta(0), 2.5)


async def test_the_margins_of_a_ladder_and_a_latency_without_a_bound_are_in_the_plan(api, ids):
    steps = [
        {"weight": 10, "soak_seconds": 60, "margin": 4},
        {"set_weight": 50},
        {"analysis": {"at_most_seconds": 60, "margin": 1.5}},
    ]
    gates = [{"name": "slow", "metric": "latency", "against_stable": {}}]
    answer = await api.post(_rollouts(ids), canary(ids["v2"], steps=steps, gates=gates))
    assert answer.status_code == 201, answer.text
    plan = answer.json()["plan"]
    assert plan["gates"][0]["slow_over_ms"] is None
    told = [step["sentence"] for step in plan["steps"]]
    assert "soak at 10 % until below 4 times stable, 1 min at most" in told
    assert "soak at 50 % until below 1.5 times stable, 1 min at most" in told


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"strategy": "hope"}, "strategy"),
        ({"steps": []}, "steps"),
        ({"steps": [{"weight": 0, "soak_seconds": 1}]}, "steps.0.weight"),
        ({"steps": [{"weight": 101, "soak_seconds": 1}]}, "steps.0.weight"),
        ({"steps": [{"weight": 10, "soak_seconds": -1}]}, "steps.0.soak_seconds"),
        ({"steps": [{"weight": 10, "soak_seconds": 1, "pace": "slow"}]}, "steps.0.pace"),
        ({"steps": [{"weight": 10, "soak_seconds": 1, "margin": 1}]}, "steps.0.margin"),
        ({"steps": [{"set_weight": 10, "margin": 1.5}]}, "steps.0"),
        (
            {"steps": [{"set_weight": 10}, {"analysis": {"at_most_seconds": 9, "margin": 2}}]},
            "steps.1.analysis.margin",
        ),
        (
            {"steps": [{"weight": 20, "soak_seconds": 1}, {"weight": 20, "soak_seconds": 1}]},
            "steps.1.weight",
        ),
        ({"gates": [{"name": "Bad Name", "metric": "error_rate", "limit": 0.1}]}, "gates.0.name"),
        ({"gates": [{"name": "g", "metric": "latency", "limit": 0.1}]}, "gates.0.slow_over_ms"),
        ({"gates": [{"name": "g", "metric": "error_rate", "limit": 7}]}, "gates.0.limit"),
        ({"gates": [{"name": "g", "metric": "error_rate"}]}, "gates.0"),
        (
            {"gates": [{"name": "g", "metric": "tokens", "more_than": 64, "limit": 0.1}]},
            "gates.0.source",
        ),
        (
            {"gates": [{"name": "g", "metric": "tokens", "source": "gen_ai", "limit": 0.1}]},
            "gates.0.more_than",
        ),
        ({"policies": {"on_failure": "advance"}}, "policies.on_failure"),
        ({"policies": {"deadline_seconds": 0}}, "policies.deadline_seconds"),
        ({"policies": {"clearance_deadline_seconds": 0}}, "policies.clearance_deadline_seconds"),
        ({"policies": {"warm_up_seconds": -1}}, "policies.warm_up_seconds"),
        ({"policies": {"overdispersion": 0.9}}, "policies.overdispersion"),
        ({"policies": {"overdispersion": 20.1}}, "policies.overdispersion"),
        ({"candidate_name": "stable"}, "candidate_name"),
        ({"surprise": 1}, "surprise"),
    ],
)
async def test_a_spec_that_breaks_a_rule_is_refused_by_field(api, ids, control, changes, field):
    answer = await api.post(_rollouts(ids), canary(ids["v2"], **changes))
    assert answer.status_code == 422, answer.text
    assert field in [e["field"] for e in answer.json()["errors"]]
    assert control.running == {}


async def test_a_source_that_cannot_count_a_metric_is_refused_with_those_that_can(api, ids):
    gate = {"name": "g", "metric": "time_to_first_token", "source": "istio", "limit": 0.1}
    answer = await api.post(_rollouts(ids), canary(ids["v2"], gates=[{**gate, "slow_over_ms": 1}]))
    assert answer.json()["errors"] == [
        {
            "field": "gates.0.source",
            "rule": "must be one that counts time_to_first_token, which istio does not: "
            "gen_ai, vllm",
        }
    ]


async def test_the_version_that_is_stable_already_is_refused(api, ids):
    answer = await api.post(_rollouts(ids), canary(ids["v1"]))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "target_version_id"


async def test_a_version_of_another_model_is_refused(api, ids):
    other = (await api.made("/registered_models", {"name": "other"}))["id"]
    body = {"name": "v9", "uri": "s3://a/b", "model_format": "vLLM"}
    version = (await api.made(f"/registered_models/{other}/versions", body))["id"]
    answer = await api.post(_rollouts(ids), canary(version))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "target_version_id"


async def test_an_unknown_version_and_an_unknown_config_are_not_found(api, ids):
    assert (await api.post(_rollouts(ids), canary(str(uuid4())))).status_code == 404
    nowhere = f"/traffic_configs/{uuid4()}/rollouts"
    assert (await api.post(nowhere, canary(ids["v2"]))).status_code == 404


async def test_a_config_that_is_not_active_says_why(api, ids, registry):
    failed = {"status": ConfigStatus.FAILED, "status_reason": "the gateway refused"}
    change(registry, TrafficConfig, ids["config"], **failed)
    answer = await api.post(_rollouts(ids), canary(ids["v2"]))
    assert answer.status_code == 409
    assert "the gateway refused" in answer.json()["detail"]


async def test_a_second_rollout_is_refused_and_told_which_one_runs(api, ids):
    first = await api.made(_rollouts(ids), canary(ids["v2"]))
    answer = await api.post(_rollouts(ids), canary(ids["v3"]))
    assert answer.status_code == 409
    assert answer.json()["running"] == {
        "rollout_id": first["id"],
        "phase": "pending",
        "href": f"{PREFIX}/rollouts/{first['id']}",
    }
    assert (await api.get("/rollouts")).json()["total"] == 1


async def test_a_second_rollout_is_refused_for_the_first_though_its_candidate_has_the_name(
    api, ids, registry
):
    first = await api.made(_rollouts(ids), canary(ids["v2"]))
    candidate = registry.things[Rollout][UUID(first["id"])].plan.candidate
    now = datetime.now(UTC)
    joined = Entry(
        key="1",
        kind=EventKind.DEPLOYED,
        message="",
        at=now,
        phase=Phase.PROGRESSING,
        joined=candidate,
    )
    await MemoryJournal(registry).record(UUID(first["id"]), [joined])
    answer = await api.post(_rollouts(ids), canary(ids["v3"]))
    assert answer.status_code == 409
    assert answer.json()["running"]["rollout_id"] == first["id"]


async def test_the_next_one_waits_for_the_workflow_of_one_that_has_ended(
    api, ids, registry, control
):
    first = await api.made(_rollouts(ids), canary(ids["v2"]))
    change(registry, Rollout, first["id"], phase=Phase.PROMOTED)
    second = asyncio.create_task(api.post(_rollouts(ids), canary(ids["v3"])))
    await asyncio.sleep(0.02)
    control.running.clear()
    assert (await second).status_code == 201


async def test_an_ended_rollout_whose_workflow_does_not_close_stands_in_the_way(api, ids, registry):
    first = await api.made(_rollouts(ids), canary(ids["v2"]))
    change(registry, Rollout, first["id"], phase=Phase.PROMOTED)
    answer = await api.post(_rollouts(ids), canary(ids["v3"]))
    assert answer.status_code == 409
    assert answer.json()["running"]["rollout_id"] == first["id"]


async def test_a_repeat_with_the_same_key_answers_with_the_same_rollout(api, ids):
    headers = {"Idempotency-Key": "deploy 42"}
    first = await api.post(_rollouts(ids), canary(ids["v2"]), headers=headers)
    again = await api.post(_rollouts(ids), canary(ids["v2"]), headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["id"] == again.json()["id"]
    assert (await api.get("/rollouts")).json()["total"] == 1


async def test_a_repeat_after_the_end_answers_with_what_became_of_it(api, ids, registry, control):
    headers = {"Idempotency-Key": "k"}
    first = (await api.post(_rollouts(ids), canary(ids["v2"]), headers=headers)).json()
    change(registry, Rollout, first["id"], phase=Phase.ROLLED_BACK, phase_reason="errors")
    control.running.clear()
    again = (await api.post(_rollouts(ids), canary(ids["v2"]), headers=headers)).json()
    assert (again["id"], again["phase"]) == (first["id"], "rolled_back")
    assert control.running == {}


async def test_a_key_is_good_for_one_request_only(api, ids):
    headers = {"Idempotency-Key": "k"}
    await api.post(_rollouts(ids), canary(ids["v2"]), headers=headers)
    other = await api.post(_rollouts(ids), canary(ids["v3"]), headers=headers)
    assert other.status_code == 422
    assert other.json()["type"] == "urn:tidegate:problem:key-reused"
    assert other.json()["errors"][0]["field"] == "Idempotency-Key"


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there"])
async def test_a_malformed_key_is_refused(api, ids, key):
    answer = await api.post(_rollouts(ids), canary(ids["v2"]), headers={"Idempotency-Key": key})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"


async def test_calls_with_one_key_at_one_moment_start_one_rollout(api, ids, control):
    headers = {"Idempotency-Key": "k"}
    calls = [api.post(_rollouts(ids), canary(ids["v2"]), headers=headers) for _ in range(8)]
    answers = await asyncio.gather(*calls)
    assert {a.status_code for a in answers} == {201}
    assert len({a.json()["id"] for a in answers}) == 1
    assert len(control.running) == 1


async def test_of_many_rollouts_at_one_moment_one_wins(api, ids):
    bodies = [canary(ids["v2"], reason=str(i)) for i in range(8)]
    answers = await asyncio.gather(*(api.post(_rollouts(ids), body) for body in bodies))
    assert sorted(a.status_code for a in answers) == [201] + [409] * 7
    assert (await api.get("/rollouts")).json()["total"] == 1


async def test_a_repeat_starts_what_was_stored_and_never_started(api, ids, control):
    headers = {"Idempotency-Key": "k"}
    control.fail("start_rollout", EngineUnreachable())
    lost = await api.post(_rollouts(ids), canary(ids["v2"]), headers=headers)
    assert lost.status_code == 503
    assert control.running == {}
    again = await api.post(_rollouts(ids), canary(ids["v2"]), headers=headers)
    assert again.status_code == 201
    assert list(control.running.values()) == [UUID(again.json()["id"])]


async def test_a_repeat_does_not_start_a_plan_that_no_longer_fits(api, ids, control, registry):
    headers = {"Idempotency-Key": "k"}
    control.fail("start_rollout", EngineUnreachable())
    await api.post(_rollouts(ids), canary(ids["v2"]), headers=headers)
    config = registry.things[TrafficConfig][UUID(ids["config"])]
    promoted = replace(config.variants[0], model_version_id=UUID(ids["v3"]), slot=1)
    change(registry, TrafficConfig, ids["config"], variants=(promoted,))
    again = await api.post(_rollouts(ids), canary(ids["v2"]), headers=headers)
    assert again.status_code == 201
    plan = again.json()["plan"]
    assert (plan["stable"]["version_id"], plan["candidate"]["slot"]) == (ids["v3"], 0)


async def test_rollouts_are_listed_by_config_and_phase(api, ids, registry):
    made = await api.made(_rollouts(ids), canary(ids["v2"]))
    change(registry, Rollout, made["id"], phase=Phase.PAUSED)
    for query, total in [
        (f"traffic_config_id={ids['config']}", 1),
        (f"traffic_config_id={uuid4()}", 0),
        ("phase=paused", 1),
        ("phase=promoted", 0),
    ]:
        assert (await api.get(f"/rollouts?{query}")).json()["total"] == total, query


async def test_a_rollout_shows_what_its_workflow_says(api, ids):
    made = await api.made(_rollouts(ids), canary(ids["v2"]))
    shown = (await api.get(f"/rollouts/{made['id']}")).json()
    assert (shown["live"]["reason"], shown["live"]["step"]) == ("soaking", 2)
    assert shown["live_unavailable"] is None
    assert (await api.get(f"/rollouts/{made['id']}?live=false")).json()["live"] is None


async def test_a_verdict_is_shown_with_all_that_it_carries(api, ids, control):
    made = await api.made(_rollouts(ids), canary(ids["v2"]))
    slow = [interval(k, (3, 0), (57, 1), seconds=5, weight=5) for k in range(40)]
    gates = (error_gate(), error_gate(limit=0.5))
    verdicts = (*judge(gates, slow, step=0), Verdict(gate="up", status=Status.PASS, reason="so"))
    control.described = replace(control.described, verdicts=verdicts)
    shown, *_, bare = (await api.get(f"/rollouts/{made['id']}")).json()["live"]["verdicts"]
    assert (shown["look"], shown["decided_at"], shown["doubt"]) == (40, None, "")
    assert (shown["effect"]["fail_ratio"], shown["effect"]["pass_ratio"]) == (1.25, 1.5)
    assert shown["absolute"]["candidate"] == 0
    assert shown["absolute"]["difference_points"] == pytest.approx(-100 * 40 / 2280)
    assert shown["evidence"]["alpha"] == 0.05
    assert shown["evidence"]["gates_in_family"] == 3
    assert 0 < shown["evidence"]["p_always_valid"] <= 1
    assert shown["stands_among_all"] is False
    assert shown["quality"] == {"phi": 1.0, "phi_source": "", "flags": [], "split": None}
    forecast = shown["forecast"]
    assert set(forecast["at_weight"]) == {"25", "50"}
    assert forecast["seconds_to_pass"] == shown["seconds_to_pass"] > forecast["at_weight"]["25"]
    assert forecast["seconds_to_fail"] is None
    assert {bare[part] for part in ("effect", "absolute", "evidence", "quality", "forecast")} == (
        {None}
    )
    assert bare["stands_among_all"] is None


async def test_a_rollout_is_shown_while_the_engine_is_down(api, ids, control):
    made = await api.made(_rollouts(ids), canary(ids["v2"]))
    control.outage(EngineUnreachable())
    shown = await api.get(f"/rollouts/{made['id']}")
    assert shown.status_code == 200
    assert shown.json()["live"] is None
    assert shown.json()["live_unavailable"] == "the workflow engine does not answer"


def _rollouts(ids):
    return f"/traffic_configs/{ids['config']}/rollouts"
