"""A/B tests at the front door: what is asked for, what is refused, what is shown."""

from dataclasses import replace

import pytest

from domain.rollout import Phase
from domain.trial_verdicts import Outcome
from domain.verdicts import Status
from tests.plans import trial, verdict
from workflows.messages import RolloutView

WEEK = 7 * 86400
POLICIES = {"deadline_seconds": 8 * 86400}


@pytest.fixture
async def ids(api):
    return await api.served()


def a_test(ids, *, arms=None, policies=POLICIES, **section):
    named = {"b": ids["v2"], "c": ids["v3"]}
    listed = [{"name": name, "version_id": version} for name, version in named.items()]
    given = {"arms": listed if arms is None else arms, "at_most_seconds": WEEK, **section}
    return {"strategy": "ab_test", "ab_test": given, "policies": policies}


async def asked(api, ids, body):
    return await api.post(f"/traffic_configs/{ids['config']}/rollouts", body)


async def planned(api, ids, **section):
    answer = await asked(api, ids, {"dry_run": True, **a_test(ids, **section)})
    assert answer.status_code == 200, answer.text
    return answer.json()["plan"]


async def refused(api, ids, **section):
    """The rules by field."""
    answer = await asked(api, ids, {"dry_run": True, **a_test(ids, **section)})
    assert answer.status_code == 422, answer.text
    return {error["field"]: error["rule"] for error in answer.json()["errors"]}


async def test_the_plan_shows_all_arms_with_their_weights(api, ids):
    plan = await planned(api, ids, on_winner="promote")
    assert [plan["candidate"]["name"], *(one["name"] for one in plan["others"])] == ["b", "c"]
    assert len({plan["stable"]["slot"], plan["candidate"]["slot"], plan["others"][0]["slot"]}) == 3
    split, compared, *_ = plan["steps"][1:]
    assert split["weights"] == {"stable": 34, "b": 33, "c": 33}
    assert compared["until"] == "decided"
    assert plan["trial"]["arms"] == ["stable", "b", "c"]
    assert plan["trial"]["reward"]["metric"] == "success_rate"
    assert plan["steps"][-1]["weights"] == {"stable": 100}


async def test_arms_may_be_found_by_cookie_header_or_hash(api, ids):
    cookie = {"match": {"cookie": {"name": "group", "value": "b"}}}
    header = {"match": {"headers": [{"name": "x-group", "value": "c"}]}}
    arms = [
        {"name": "b", "version_id": ids["v2"], **cookie},
        {"name": "c", "version_id": ids["v3"], **header},
    ]
    plan = await planned(api, ids, arms=arms)
    assert plan["steps"][1]["weights"] == {"stable": 100, "b": 0, "c": 0}
    assert await planned(api, ids, sticky_header="x-user-hash")


async def test_a_rollout_of_it_is_started_and_shown(api, ids):
    answer = await asked(api, ids, a_test(ids))
    assert answer.status_code == 201, answer.text
    assert answer.json()["strategy"] == "ab_test"
    shown = await api.get(f"/rollouts/{answer.json()['id']}")
    assert shown.json()["plan"]["others"][0]["name"] == "c"


async def test_how_the_arms_compare_is_shown_live(api, ids, control):
    started = (await asked(api, ids, a_test(ids))).json()
    control.described = RolloutView(
        phase=Phase.PROGRESSING,
        reason="comparing",
        step=2,
        candidate_weight=66,
        weights={"stable": 34, "b": 33, "c": 33},
        verdicts=(verdict(Status.PASS, variant="b"),),
        trial=replace(trial(Outcome.UNDECIDED), reason="Not enough data yet."),
    )
    live = (await api.get(f"/rollouts/{started['id']}")).json()["live"]
    assert live["weights"] == {"stable": 34, "b": 33, "c": 33}
    assert live["verdicts"][0]["variant"] == "b"
    assert live["trial"]["reason"] == "Not enough data yet."
    assert [arm["arm"] for arm in live["trial"]["arms"]] == ["stable", "b", "c"]


@pytest.mark.parametrize(
    ("section", "field", "rule"),
    [
        ({"arms": []}, "ab_test.arms", "1"),
        ({"on_winner": "maybe"}, "ab_test.on_winner", "promote"),
        ({"alpha": 0.9}, "ab_test.alpha", "0.5"),
        ({"reward": {"metric": "conversion"}}, "ab_test.reward.counters", "needed"),
        (
            {"reward": {"metric": "conversion", "counters": {"tries": "a b", "won": "c", "label": "d"}}},
            "ab_test.reward.counters.tries",
            "Prometheus metric",
        ),
        ({"reward": {"direction": "lower"}}, "ab_test.reward.direction", "must be higher"),
        ({"reward": {"metric": "fast_rate"}}, "ab_test.reward.slow_over_ms", "bound"),
        ({"sticky_header": "x_user"}, "ab_test.sticky_header", "letters, digits"),
        ({"allocation": {"floor": 40}}, "ab_test.allocation.floor", "divide"),
        ({"overdispersion": 0.5}, "ab_test.overdispersion", "at least 1"),
        ({"policies": {}}, "policies.deadline_seconds", "ab_test.at_most_seconds"),
    ],
)  # fmt: skip
async def test_what_it_is_refused_for_names_the_field_and_the_rule(api, ids, section, field, rule):
    told = await refused(api, ids, **section)
    assert rule in told[field], told


async def test_arms_that_are_no_arms_are_refused_by_their_place(api, ids):
    twice = [{"name": name, "version_id": ids["v2"]} for name in ("b", "c")]
    assert set(await refused(api, ids, arms=twice)) == {"ab_test.arms.1.version_id"}
    same = [{"name": "b", "version_id": ids[version]} for version in ("v2", "v3")]
    assert "ab_test.arms.1.name" in await refused(api, ids, arms=same)
    stable = [{"name": "b", "version_id": ids["v1"]}]
    assert set(await refused(api, ids, arms=stable)) == {"ab_test.arms.0.version_id"}
    other = (await api.made("/registered_models", {"name": "other"}))["id"]
    body = {"name": "v9", "uri": "sim://other", "model_format": "vLLM"}
    foreign = (await api.made(f"/registered_models/{other}/versions", body))["id"]
    assert set(await refused(api, ids, arms=[{"name": "b", "version_id": foreign}])) == {
        "ab_test.arms.0.version_id"
    }
    both = {"cookie": {"name": "a", "value": "b"}, "headers": [{"name": "x-a", "value": "b"}]}
    odd = [{"name": "b", "version_id": ids["v2"], "match": both}]
    assert "ab_test.arms.0.match" in await refused(api, ids, arms=odd)
    cookie = {"cookie": {"name": "a b", "value": "c"}}
    odd = [{"name": "b", "version_id": ids["v2"], "match": cookie}]
    assert "ab_test.arms.0.match.cookie.name" in await refused(api, ids, arms=odd)


async def test_a_version_belongs_to_an_arm_and_an_arm_to_an_ab_test(api, ids):
    body = {"target_version_id": ids["v2"], **a_test(ids)}
    answer = await asked(api, ids, body)
    assert answer.status_code == 422
    assert "target_version_id is needed, but for an ab_test" in answer.text
    answer = await asked(api, ids, {"strategy": "ab_test"})
    assert answer.status_code == 422
    assert "an ab_test needs ab_test" in answer.text
    answer = await asked(api, ids, {**a_test(ids), "strategy": "canary"})
    assert answer.status_code == 422
    assert "ab_test belongs to the strategy ab_test" in answer.text
    answer = await asked(api, ids, {"steps": [{"weight": 5, "soak_seconds": 5}]})
    assert answer.status_code == 422


async def test_a_promotion_may_name_its_arm(api, ids, control):
    started = (await asked(api, ids, a_test(ids))).json()
    answer = await api.post(f"/rollouts/{started['id']}/promote", {"variant": "c"})
    assert answer.status_code == 200, answer.text
    assert control.commands[-1][-1].variant == "c"
