"""The metrics API: who is meant, what is asked of the store, what is told when it cannot tell."""

import asyncio
import math
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.errors import Forbidden, Refused, Unreachable
from domain.metrics import Measurement, Tokens, summed
from domain.registry import InferenceService, Role, TrafficConfig, VariantStatus
from tests.api.staging import change

BUSY = Measurement(
    requests=120,
    errors=12,
    latency=summed([(0.1, 120), (math.inf, 120)]),
    first_token=summed([(0.05, 120), (math.inf, 120)]),
    input_tokens=1_000_000,
    output_tokens=600,
)


@pytest.fixture
async def ids(api, registry, metrics):
    """A service with the variants stable (busy) and candidate (without traffic)."""
    made = await api.served()
    add_variant(registry, made, "candidate", "v2", slot=1)
    metrics.measured[0] = BUSY
    return made


def add_variant(registry, ids, name, version, *, slot, since=None, **changes):
    config = registry.things[TrafficConfig][UUID(ids["config"])]
    (stable,) = [v for v in config.variants if v.role is Role.STABLE]
    made = {
        "id": uuid4(),
        "name": name,
        "role": Role.CANDIDATE,
        "model_version_id": UUID(ids[version]),
        "model_version_name": version,
        "workload": f"chat-{version}-abc",
        "slot": slot,
        "weight": 0,
        "joined_at": since or datetime.now(UTC) - timedelta(hours=1),
    }
    older = type(stable)(**{**fields(stable), "joined_at": datetime.now(UTC) - timedelta(days=2)})
    joined = type(stable)(**{**fields(stable), **made, **changes})
    others = [v for v in config.variants if v.role is not Role.STABLE]
    change(registry, TrafficConfig, config.id, variants=(older, *others, joined))


def fields(variant):
    return {name: getattr(variant, name) for name in variant.__dataclass_fields__}


async def told(api, path, **params):
    answer = await api.get(f"/metrics{path}", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def refused(api, path, status, **params):
    answer = await api.get(f"/metrics{path}", params=params)
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_a_variant_s_numbers_are_told_with_their_window(api, ids):
    found = await told(api, "/deployments/chat", window="1m")
    stable, _ = found["variants"]
    assert (stable["variant_name"], stable["role"], stable["weight"]) == ("stable", "stable", 100)
    assert (stable["requests"], stable["errors"], stable["error_rate"]) == (120, 12, 0.1)
    assert stable["requests_per_second"] == 2
    assert stable["latency_p50_ms"] == pytest.approx(50)
    assert stable["time_to_first_token_p99_ms"] == pytest.approx(49.5)
    assert stable["output_tokens_per_second"] == 10
    assert (stable["window_seconds"], stable["reason"], stable["series"]) == (60, None, None)
    assert (found["window_seconds"], found["max_age_seconds"]) == (60, 5)
    assert datetime.fromisoformat(found["as_of"]) <= datetime.now(UTC)


async def test_a_variant_without_traffic_answers_nulls_and_why(api, ids):
    _, idle = (await told(api, "/deployments/chat"))["variants"]
    numbers = {name: idle[name] for name in idle if name.endswith(("_ms", "rate", "_second"))}
    numbers |= {name: idle[name] for name in ("requests", "errors", "input_tokens")}
    assert set(numbers.values()) == {None}
    assert "no request" in idle["reason"]


async def test_a_service_is_found_by_id_and_by_name(api, ids):
    by_name = await told(api, "/deployments/chat")
    by_id = await told(api, f"/deployments/{ids['service']}")
    assert by_name["inference_service_id"] == by_id["inference_service_id"] == ids["service"]
    assert (
        "there is no inference service" in (await refused(api, "/deployments/chap", 404))["detail"]
    )
    await refused(api, f"/deployments/{uuid4()}", 404)


async def test_a_name_that_looks_like_an_id_is_still_a_name(api, ids, registry):
    name = str(uuid4())
    change(registry, InferenceService, ids["service"], name=name)
    assert (await told(api, f"/deployments/{name}"))["inference_service_id"] == ids["service"]


async def test_variants_are_chosen_by_name_and_an_unknown_one_is_named(api, ids):
    found = await told(api, "/deployments/chat", variant="candidate")
    assert [row["variant_name"] for row in found["variants"]] == ["candidate"]
    problem = await refused(api, "/deployments/chat", 404, variant=["stable", "ghost"])
    assert "'ghost'" in problem["detail"]


async def test_a_chart_has_the_same_moments_for_all(api, ids):
    found = await told(api, "/deployments/chat", window="5m", step="1m")
    stable, idle = (row["series"] for row in found["variants"])
    assert stable.keys() == idle.keys() >= {"requests_per_second", "error_rate", "latency_p95_ms"}
    moments = [[at for at, _ in points] for chart in (stable, idle) for points in chart.values()]
    assert all(each == moments[0] for each in moments)
    assert [b - a for a, b in zip(moments[0], moments[0][1:], strict=False)] == [60] * 4
    assert moments[0][-1] == datetime.fromisoformat(found["as_of"]).timestamp()
    assert [value for _, value in stable["requests_per_second"]] == [2] * 5
    assert [value for _, value in idle["error_rate"]] == [None] * 5


async def test_what_a_slot_counted_before_its_variant_is_not_told(api, ids, registry, metrics):
    since = datetime.now(UTC) - timedelta(seconds=90)
    add_variant(registry, ids, "late", "v3", slot=2, since=since)
    metrics.measured[2] = BUSY
    (row,) = (await told(api, "/deployments/chat", variant="late", window="5m", step="1m"))[
        "variants"
    ]
    assert 88 <= row["window_seconds"] <= 92
    rates = [value for _, value in row["series"]["requests_per_second"]]
    assert rates[:3] == [None, None, None]
    assert rates[4] == 2
    assert rates[3] > 2  # as many in the part of the step that is its own
    assert {grid.points for _, grid in metrics.charted} == {1}


async def test_a_variant_that_holds_no_slot_has_only_what_its_workload_counts(
    api, ids, registry, metrics
):
    gone = {"status": VariantStatus.RETIRED}
    add_variant(registry, ids, "gone", "v3", slot=2, **gone)
    metrics.measured[2] = BUSY
    assert len((await told(api, "/deployments/chat"))["variants"]) == 2
    (row,) = (await told(api, "/deployments/chat", variant="gone"))["variants"]
    assert row["requests"] is None
    assert "no position" in row["reason"]


async def test_a_service_without_a_traffic_config_has_its_tokens_and_a_reason(
    api, registry, metrics
):
    made = await api.served()
    del registry.things[TrafficConfig][UUID(made["config"])]
    metrics.measured[None] = Measurement(output_tokens=30)
    found = await told(api, "/deployments/chat")
    (row,) = found["variants"]
    assert (found["traffic_config_id"], row["variant_name"], row["role"]) == (None, None, None)
    assert (row["output_tokens"], row["requests"]) == (30, None)
    assert "no traffic config" in row["reason"]
    await refused(api, "/deployments/chat", 404, variant="stable")
    await refused(api, "/compare/chat", 404)


@pytest.mark.parametrize(
    ("params", "field", "rule"),
    [
        ({"window": "5"}, "window", "30s, 5m, 1h or 7d"),
        ({"window": "1s"}, "window", "from 5s to 30d"),
        ({"window": "31d"}, "window", "from 5s to 30d"),
        ({"window": "5m", "step": "often"}, "step", "30s, 5m, 1h or 7d"),
        ({"window": "5m", "step": "6m"}, "step", "not be longer"),
        ({"window": "30d", "step": "1s"}, "step", "11000 points"),
    ],
)
async def test_a_wrong_window_or_step_is_named_with_its_rule(api, ids, params, field, rule):
    (broken,) = (await refused(api, "/deployments/chat", 422, **params))["errors"]
    assert broken["field"] == field
    assert rule in broken["rule"]


async def test_each_row_is_told_against_stable(api, ids, metrics):
    metrics.measured[1] = Measurement(requests=60, errors=12)
    found = await told(api, "/compare/chat", variant=["stable", "candidate"], window="1m")
    stable, candidate = found["variants"]
    assert stable["against_stable"] is None
    against = candidate["against_stable"]
    assert against["difference"]["error_rate"] == pytest.approx(0.1)
    assert against["ratio"]["error_rate"] == pytest.approx(2)
    assert against["ratio"]["requests_per_second"] == 0.5
    assert against["difference"]["latency_p50_ms"] is None
    assert found["stable"]["variant_name"] == "stable"


async def test_all_that_hold_a_slot_are_compared_when_none_is_named(api, ids, registry, metrics):
    found = await told(api, "/compare/chat")
    assert [row["variant_name"] for row in found["variants"]] == ["stable", "candidate"]
    found = await told(api, "/compare", inference_service=ids["service"])
    assert len(found["variants"]) == 2


async def test_stable_is_measured_though_only_others_are_named(api, ids, registry):
    add_variant(registry, ids, "rival", "v3", slot=2)
    found = await told(api, "/compare/chat", variant=["candidate", "rival"])
    assert [row["variant_name"] for row in found["variants"]] == ["candidate", "rival"]
    assert found["stable"]["requests"] == 120


async def test_one_variant_is_nothing_to_compare(api, ids):
    (broken,) = (await refused(api, "/compare/chat", 422, variant="stable"))["errors"]
    assert broken["field"] == "variant"
    same = {"variant": ["stable", "stable"]}
    assert (await refused(api, "/compare/chat", 422, **same))["errors"][0]["field"] == "variant"
    await refused(api, "/compare/chat", 404, variant=["stable", "ghost"])


async def test_a_lone_stable_is_nothing_to_compare(api):
    await api.served()
    (broken,) = (await refused(api, "/compare/chat", 422))["errors"]
    assert broken["field"] == "variant"


async def test_the_one_config_with_all_the_variants_is_meant(api, ids):
    found = await told(api, "/compare", variant=["stable", "candidate"])
    assert found["inference_service_id"] == ids["service"]


async def test_a_service_is_asked_for_where_none_or_several_could_be_meant(api, ids, registry):
    named = {"variant": ["stable", "candidate"]}
    (broken,) = (await refused(api, "/compare", 422))["errors"]
    assert broken["field"] == "inference_service"
    (broken,) = (await refused(api, "/compare", 422, variant=["stable", "ghost"]))["errors"]
    assert "no traffic config" in broken["rule"]
    first = registry.things[TrafficConfig][UUID(ids["config"])]
    twin = type(first)(**{**fields(first), "id": uuid4(), "inference_service_id": uuid4()})
    registry.things[TrafficConfig][twin.id] = twin
    (broken,) = (await refused(api, "/compare", 422, **named))["errors"]
    assert "several" in broken["rule"]


async def test_tokens_are_grouped_and_priced(api, ids, metrics, registry):
    config = registry.things[TrafficConfig][UUID(ids["config"])]
    for variant in config.variants:
        metrics.used[variant.workload] = Tokens(input=1_000_000, output=100_000)
    found = await told(api, "/tokens", window="1h")
    assert [(g["model"], g["variant"]) for g in found["groups"]] == [
        ("chat", "candidate"),
        ("chat", "stable"),
    ]
    assert found["groups"][0]["cost"] == {"USD": 4.5}
    assert found["totals"]["total_tokens"] == 2_200_000
    assert found["totals"]["cost"] == {"USD": 9.0}
    (group,) = (await told(api, "/tokens", group_by="project"))["groups"]
    assert (group["project_id"], group["model"], group["input_tokens"]) == (
        api.project,
        None,
        2_000_000,
    )
    (group,) = (await told(api, "/tokens", group_by="model", variant="stable"))["groups"]
    assert (group["model"], group["variant"], group["input_tokens"]) == ("chat", None, 1_000_000)
    assert (await told(api, "/tokens", model="other"))["groups"] == []
    await refused(api, "/tokens", 422, group_by="colour")


async def test_tokens_that_nobody_counted_are_null(api, ids):
    totals = (await told(api, "/tokens"))["totals"]
    assert totals == {
        "input_tokens": None,
        "output_tokens": None,
        "total_tokens": None,
        "cost": None,
        "unpriced_models": [],
    }


CALLS: list[tuple[str, dict[str, Any]]] = [
    ("/deployments/chat", {}),
    ("/deployments/chat", {"step": "1m"}),
    ("/compare/chat", {}),
    ("/compare", {"variant": ["stable", "candidate"]}),
    ("/tokens", {}),
]


@pytest.mark.parametrize("error", [Unreachable("10.0.0.7 refused"), Forbidden("401 at 10.0.0.7")])
async def test_a_store_that_is_down_is_a_503_that_says_so(api, ids, metrics, error):
    metrics.outage(error)
    for path, params in CALLS:
        problem = await refused(api, path, 503, **params)
        assert problem["type"] == "urn:tidegate:problem:metrics-unreachable"
        assert "metrics store" in problem["detail"]
        assert "10.0.0.7" not in str(problem)


async def test_a_database_that_is_down_is_not_blamed_on_the_store(api, ids, outage):
    outage.error = Unreachable()
    problem = await refused(api, "/deployments/chat", 503)
    assert "database" in problem["detail"]


async def test_a_question_that_the_store_refuses_is_a_502_that_helps(api, ids, metrics):
    metrics.fail(Refused("query processing would load too many samples"))
    problem = await refused(api, "/deployments/chat", 502, variant="stable")
    assert "shorter window" in problem["detail"]
    assert "samples" not in str(problem)


async def test_an_answer_is_kept_for_its_stated_age_but_an_error_is_not(api, ids, metrics):
    metrics.fail(Unreachable())
    await refused(api, "/deployments/chat", 503, variant="stable")
    answer = await api.get("/metrics/deployments/chat?variant=stable")
    assert answer.headers["cache-control"] == "private, max-age=5"
    assert answer.headers["vary"] == "Project-ID"
    assert answer.json() == await told(api, "/deployments/chat", variant="stable")
    assert len(metrics.asked) == 1
    await told(api, "/deployments/chat", variant="stable", window="1h")
    assert len(metrics.asked) == 2


async def test_many_who_ask_the_same_at_once_cost_one_question(api, ids, metrics):
    metrics.gate.clear()
    asked = [
        asyncio.create_task(told(api, "/deployments/chat", variant="stable")) for _ in range(20)
    ]
    await asyncio.sleep(0.1)
    metrics.gate.set()
    first, *others = await asyncio.gather(*asked)
    assert all(each == first for each in others)
    assert len(metrics.asked) == 1


async def test_one_who_gives_up_does_not_take_the_answer_from_others(api, ids, metrics):
    metrics.gate.clear()
    first, second = (
        asyncio.create_task(told(api, "/deployments/chat", variant="stable")) for _ in range(2)
    )
    await asyncio.sleep(0.1)
    first.cancel()
    metrics.gate.set()
    assert (await second)["variants"]


async def test_two_projects_share_neither_names_nor_kept_answers(api, stranger, ids, metrics):
    await told(api, "/deployments/chat")
    await told(api, "/tokens")
    for path in ("/deployments/chat", f"/deployments/{ids['service']}", "/compare/chat"):
        await refused(stranger, path, 404)
    await refused(stranger, "/compare", 422, variant=["stable", "candidate"])
    await refused(stranger, "/compare", 404, inference_service="chat")
    assert (await told(stranger, "/tokens"))["groups"] == []
    await stranger.served()
    assert (await told(stranger, "/deployments/chat"))["inference_service_id"] != ids["service"]
