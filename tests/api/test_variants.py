"""Variants: added, renamed, deleted, promoted and rolled back; stable absorbs."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from domain.division import retired
from domain.operations import ChangeKind
from domain.registry import InferenceService, TrafficConfig
from tests.api.staging import change
from tests.api.traffic import Traffic, fields

BAD_NAMES = ["Canary", "-b", "b-", "a b", "a/b", "ü", "x" * 64, "a.b"]


async def test_a_variant_takes_its_weight_from_stable(traffic):
    answer = await traffic.add("variant_b", "v2", 20, actor="ada", reason="a test")
    assert answer.status_code == 201, answer.text
    assert await traffic.weights() == {"stable": 80, "variant_b": 20}
    operation = answer.json()["operation"]
    assert (operation["kind"], operation["phase"]) == ("add_variant", "done")
    assert (operation["actor"], operation["reason"]) == ("ada", "a test")
    assert operation["detail"] == "seen"


async def test_a_variant_at_weight_0_stands_by(traffic):
    await traffic.add("variant_b", "v2")
    variant = (await traffic.variants())["variant_b"]
    assert (variant["weight"], variant["status"], variant["slot"]) == (0, "inactive", 1)
    assert await traffic.weights() == {"stable": 100, "variant_b": 0}


async def test_a_second_variant_with_a_version_or_a_name_that_is_taken_is_refused(traffic):
    await traffic.add("b", "v2", 10)
    for name, version in (("b", "v3"), ("c", "v2"), ("stable", "v3"), ("c", "v1")):
        problem = await traffic.refuses(409, traffic.add(name, version, 10))
        assert problem["type"] == "urn:tidegate:problem:already-exists"


async def test_a_version_that_stands_by_under_a_name_is_no_second_variant(traffic):
    await traffic.add("b", "v2")
    problem = await traffic.refuses(409, traffic.add("c", "v2", 10))
    assert "is the variant 'b' already" in problem["detail"]


@pytest.mark.parametrize("name", BAD_NAMES)
async def test_a_name_that_is_none_is_refused(traffic, name):
    problem = await traffic.refuses(400, traffic.add(name, "v2", 10))
    assert fields(problem) == ["variant_name"]


@pytest.mark.parametrize("weight", [-1, 101, 2**31 - 1])
async def test_a_weight_outside_0_to_100_is_refused(traffic, weight):
    problem = await traffic.refuses(400, traffic.add("b", "v2", weight))
    assert fields(problem) == ["weight"]


@pytest.mark.parametrize("weight", [1.5, "10", None, True, 2**40])
async def test_a_weight_that_is_no_whole_number_is_refused(traffic, weight):
    problem = await traffic.refuses(422, traffic.add("b", "v2", weight))
    assert fields(problem) == ["weight"]


async def test_a_version_of_another_model_is_refused(traffic):
    other = (await traffic.api.made("/registered_models", {"name": "other"}))["id"]
    body = {"name": "v9", "uri": "s3://a/b", "model_format": "vLLM"}
    made = await traffic.api.made(f"/registered_models/{other}/versions", body)
    traffic.ids["v9"] = made["id"]
    for call in (traffic.add("b", "v9", 10), traffic.canary("v9")):
        problem = await traffic.refuses(422, call)
        assert fields(problem) == ["model_version_id"]


async def test_an_unknown_version_is_not_found(traffic):
    traffic.ids["v9"] = str(uuid4())
    await traffic.refuses(404, traffic.add("b", "v9", 10))
    await traffic.refuses(404, traffic.canary("v9"))


async def test_an_unknown_variant_is_not_found(traffic):
    path = f"{traffic.path}/variants/nobody"
    for method, url, body in (
        ("GET", path, None),
        ("PATCH", path, {"weight": 5}),
        ("PATCH", path, {"variant_name": "new"}),
        ("PATCH", path, {}),
        ("DELETE", path, None),
        ("POST", f"{traffic.path}/promote/nobody", None),
        ("PATCH", f"{traffic.path}/canary/weight", {"weight": 5}),
        ("POST", f"{traffic.path}/canary/promote", None),
    ):
        problem = await traffic.refuses(404, traffic.api.call(method, url, json=body))
        assert "variant" in problem["detail"]


async def test_a_variant_is_shown_alone_and_among_the_others(traffic):
    await traffic.add("b", "v2", 10)
    listed = (await traffic.api.get(f"{traffic.path}/variants")).json()
    assert (listed["config_id"], listed["total"]) == (traffic.ids["config"], 2)
    assert [v["variant_name"] for v in listed["variants"]] == ["stable", "b"]
    assert (await traffic.api.get(f"{traffic.path}/variants/b")).json() == listed["variants"][1]


async def test_a_changed_weight_is_taken_from_stable_or_given_back(traffic):
    await traffic.add("b", "v2", 10)
    path = f"{traffic.path}/variants/b"
    for weight in (60, 100, 0, 5):
        assert (await traffic.api.patch(path, {"weight": weight})).status_code == 200
        assert await traffic.weights() == {"stable": 100 - weight, "b": weight}


async def test_stables_own_weight_cannot_differ_from_what_the_others_leave(traffic):
    await traffic.add("b", "v2", 10)
    call = traffic.api.patch(f"{traffic.path}/variants/stable", {"weight": 50})
    assert fields(await traffic.refuses(400, call)) == ["weights"]


async def test_more_than_stable_has_is_refused(traffic):
    await traffic.add("b", "v2", 60)
    problem = await traffic.refuses(400, traffic.add("c", "v3", 41))
    assert "sum to 101" in problem["detail"]


async def test_a_variant_is_renamed_unless_the_name_is_taken_or_bad(traffic, control):
    await traffic.add("b", "v2", 10)
    path = f"{traffic.path}/variants/b"
    taken = await traffic.refuses(409, traffic.api.patch(path, {"variant_name": "stable"}))
    assert taken["type"] == "urn:tidegate:problem:already-exists"
    bad = await traffic.refuses(400, traffic.api.patch(path, {"variant_name": "No Good"}))
    assert fields(bad) == ["variant_name"]
    assert (await traffic.api.patch(path, {"variant_name": "c"})).status_code == 200
    assert await traffic.weights() == {"stable": 90, "c": 10}


async def test_what_changes_nothing_starts_nothing(traffic, control):
    await traffic.add("b", "v2", 10)
    begun = len(control.operations)
    before = await traffic.config()
    for body in ({}, {"weight": 10}, {"variant_name": "b"}):
        answer = await traffic.api.patch(f"{traffic.path}/variants/b", body)
        assert (answer.status_code, answer.json()) == (200, before)
    assert len(control.operations) == begun


async def test_a_deleted_variant_leaves_its_weight_to_stable(traffic):
    await traffic.add("b", "v2", 10)
    answer = await traffic.api.delete(f"{traffic.path}/variants/b")
    assert (answer.status_code, answer.json()["operation"]["kind"]) == (200, "delete_variant")
    assert await traffic.weights() == {"stable": 100}


async def test_stable_cannot_be_deleted(traffic):
    call = traffic.api.delete(f"{traffic.path}/variants/stable")
    assert fields(await traffic.refuses(400, call)) == ["variant_name"]


async def test_a_canary_begins_at_10_unless_told_otherwise(traffic):
    answer = await traffic.canary()
    assert answer.status_code == 200, answer.text
    assert await traffic.weights() == {"stable": 90, "canary": 10}


@pytest.mark.parametrize(("weight", "status"), [(4, 400), (5, 200), (50, 200), (51, 400), (0, 400)])
async def test_a_canary_begins_between_5_and_50(traffic, weight, status):
    if status == 400:
        problem = await traffic.refuses(400, traffic.canary(initial_weight=weight))
        assert fields(problem) == ["initial_weight"]
    else:
        assert (await traffic.canary(initial_weight=weight)).status_code == 200
        assert (await traffic.weights())["canary"] == weight


async def test_a_second_canary_is_refused(traffic):
    await traffic.canary("v2")
    for version in ("v2", "v3"):
        problem = await traffic.refuses(409, traffic.canary(version))
        assert problem["type"] == "urn:tidegate:problem:already-exists"


async def test_the_canarys_weight_is_set_and_it_is_promoted(traffic):
    await traffic.canary()
    weight = f"{traffic.path}/canary/weight"
    assert fields(await traffic.refuses(400, traffic.api.patch(weight, {"weight": 101}))) == [
        "weights.canary"
    ]
    await traffic.api.patch(weight, {"weight": 70})
    assert await traffic.weights() == {"stable": 30, "canary": 70}
    await traffic.api.post(f"{traffic.path}/canary/promote")
    assert await traffic.weights() == {"old-stable-1": 0, "stable": 100}


async def test_a_promoted_variant_is_stable_and_the_former_is_kept_for_the_window(
    traffic, registry
):
    await traffic.patch(rollback_window_seconds=600)
    await traffic.add("b", "v2", 10)
    await traffic.add("c", "v3", 20)
    assert (await traffic.promote("b")).status_code == 200
    variants = await traffic.variants()
    stable, former, other = (variants[name] for name in ("stable", "old-stable-1", "c"))
    assert (stable["model_version_id"], stable["role"]) == (traffic.ids["v2"], "stable")
    assert (stable["weight"], stable["retire_at"]) == (100, None)
    assert (former["model_version_id"], former["role"]) == (traffic.ids["v1"], "retiring")
    for kept in (former, other):
        assert (kept["weight"], kept["status"]) == (0, "inactive")
        ends = datetime.fromisoformat(kept["retire_at"])
        assert timedelta(0) < ends - datetime.now(UTC) <= timedelta(minutes=10)
    (service,) = registry.things[InferenceService].values()
    assert [str(v) for v in service.model_version_ids] == [traffic.ids["v2"]]


async def test_stable_and_who_carries_nothing_cannot_be_promoted(traffic):
    await traffic.add("b", "v2")
    for name in ("stable", "b"):
        assert fields(await traffic.refuses(400, traffic.promote(name))) == ["variant_name"]


async def test_blue_and_green_keep_their_names_while_the_role_moves(api):
    ids = await api.served()
    await api.delete(f"/traffic_configs/{ids['config']}")
    body = {"inference_service_id": ids["service"], "stable_variant_name": "blue"}
    ids["config"] = (await api.made("/traffic_configs", body))["id"]
    traffic = Traffic(api, ids)
    assert (await traffic.variants())["blue"]["role"] == "stable"
    await traffic.add("green", "v2", 10)
    await traffic.promote("green")
    variants = await traffic.variants()
    assert {n: (v["role"], v["weight"]) for n, v in variants.items()} == {
        "blue": ("retiring", 0),
        "green": ("stable", 100),
    }
    await traffic.roll_back()
    assert await traffic.weights() == {"blue": 100, "green": 0}


@pytest.mark.parametrize("name", BAD_NAMES)
async def test_a_stable_variant_is_not_called_by_a_name_that_is_none(api, name):
    ids = await api.served()
    await api.delete(f"/traffic_configs/{ids['config']}")
    body = {"inference_service_id": ids["service"], "stable_variant_name": name}
    answer = await api.post("/traffic_configs", body)
    assert (answer.status_code, fields(answer.json())) == (400, ["stable_variant_name"])
    assert (await api.get("/traffic_configs")).json()["total"] == 0


async def test_a_rollback_sends_all_traffic_to_stable(traffic):
    await traffic.add("b", "v2", 30)
    await traffic.add("c", "v3", 20)
    answer = await traffic.roll_back()
    assert (answer.status_code, answer.json()["operation"]["kind"]) == (200, "roll_back")
    assert await traffic.weights() == {"stable": 100, "b": 0, "c": 0}


async def test_a_rollback_after_a_promotion_goes_to_the_stable_before_it(traffic, control):
    await traffic.canary()
    await traffic.promote("canary")
    await traffic.roll_back()
    variants = await traffic.variants()
    assert variants["stable"]["model_version_id"] == traffic.ids["v1"]
    assert variants["old-stable-2"]["model_version_id"] == traffic.ids["v2"]
    assert control.operations[-1].change.joining == ()


async def test_a_rollback_beyond_the_window_deploys_the_former_stable_again(
    traffic, control, registry
):
    await traffic.canary()
    await traffic.promote("canary")
    _retire(registry, traffic.ids["config"])
    assert (await traffic.variants())["old-stable-1"]["status"] == "retired"
    assert (await traffic.roll_back()).status_code == 200
    (joining,) = control.operations[-1].change.joining
    assert str(joining.model_version_id) == traffic.ids["v1"]
    assert (await traffic.variants())["stable"]["model_version_id"] == traffic.ids["v1"]


async def test_a_rollback_to_nothing_is_a_conflict(traffic):
    problem = await traffic.refuses(409, traffic.roll_back())
    assert "no former stable" in problem["detail"]


async def test_a_retired_variant_that_is_given_weight_is_deployed_again(traffic, control, registry):
    await traffic.canary()
    await traffic.promote("canary")
    _retire(registry, traffic.ids["config"])
    answer = await traffic.api.patch(f"{traffic.path}/variants/old-stable-1", {"weight": 10})
    assert answer.status_code == 200, answer.text
    assert [v.name for v in control.operations[-1].change.joining] == ["old-stable-1"]


async def test_a_deleted_config_leaves_the_services_own_workload(traffic, control):
    await traffic.canary()
    own = (await traffic.variants())["stable"]["kserve_isvc_name"]
    answer = await traffic.api.delete(traffic.path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await traffic.api.get(traffic.path)).status_code == 404
    asked = control.operations[-1].change
    assert (asked.kind, asked.stays) == (ChangeKind.DELETE_CONFIG, own)


def _retire(registry, config_id):
    """What the caretaker does when the window is over."""
    config = registry.things[TrafficConfig][UUID(config_id)]
    later = datetime.now(UTC) + timedelta(days=1)
    change(registry, TrafficConfig, config_id, variants=retired(config.variants, now=later))
