"""A rollout of each strategy: what is asked for, what is refused, what the plan shows."""

import json

import pytest

JUDGED = {"at_most_seconds": 600}


@pytest.fixture
async def ids(api):
    return await api.served()


@pytest.fixture
async def predictive(api):
    return await api.served(protocol="v2")


async def planned(api, ids, **body):
    path = f"/traffic_configs/{ids['config']}/rollouts"
    return await api.post(path, {"target_version_id": ids["v2"], "dry_run": True, **body})


async def refused(api, ids, **body):
    """The rules by field."""
    answer = await planned(api, ids, **body)
    assert answer.status_code == 422, answer.text
    return {error["field"]: error["rule"] for error in answer.json()["errors"]}


async def test_a_canary_of_every_kind_of_step_shows_its_plan(api, ids):
    steps = [
        {"set_scale": {"replicas": 2}},
        {"set_weight": 5},
        {"pause": {"seconds": 60}},
        {"analysis": JUDGED},
        {"weight": 25, "soak_seconds": 60, "pace": "time"},
        {"confirm": {"hook": "load-test", "timeout_seconds": 60}},
        {"approval": {"roles": ["owner"]}},
        {"pause": {}},
    ]
    asked = {"name": "load-test", "kind": "confirm_step", "url": "https://hooks.example.com/ok"}
    answer = await planned(api, ids, steps=steps, hooks=[asked])
    assert answer.status_code == 200, answer.text
    shown = answer.json()["plan"]["steps"]
    assert [step["until"] for step in shown if step["until"]] == [
        "elapsed",
        "proven",
        "proven",
        "confirmed",
        "approved",
        "promoted",
    ]
    assert [step["roles"] for step in shown if step["roles"]] == [["owner"]]


async def test_a_step_asks_a_hook_that_there_is(api, ids):
    told = await refused(api, ids, steps=[{"confirm": {"hook": "who", "timeout_seconds": 60}}])
    assert "no hook of this rollout" in told["steps.confirm.hook"]


async def test_a_hook_goes_to_an_allowed_host_only(api, ids):
    hook = {"name": "board", "kind": "confirm_promotion", "url": "https://elsewhere.test/"}
    told = await refused(api, ids, steps=[{"weight": 5, "soak_seconds": 60}], hooks=[hook])
    assert "is not an allowed host" in told["hooks.0.url"]


async def test_the_plan_shows_where_hooks_are_asked(api, ids):
    hooks = [
        {"name": kind.replace("_", "-"), "kind": kind, "url": "https://hooks.example.com/"}
        for kind in ("pre_rollout", "confirm_traffic_increase", "confirm_promotion", "rollback")
    ]
    steps = [{"weight": 5, "soak_seconds": 60}]
    plan = (await planned(api, ids, steps=steps, hooks=hooks)).json()["plan"]
    assert [step["hook"] or step["kind"] for step in plan["steps"]] == [
        "pre-rollout",
        "deploy",
        "confirm-traffic-increase",
        "set_weights",
        "soak",
        "confirm-promotion",
        "set_weights",
        "promote",
        "retire",
    ]


@pytest.mark.parametrize(
    ("step", "rule"),
    [
        ({}, "found none"),
        ({"set_weight": 5, "pause": {}}, "found set_weight and pause"),
        ({"weight": 5}, "soak_seconds belongs to weight"),
        ({"set_weight": 5, "soak_seconds": 5}, "soak_seconds belongs to weight"),
        ({"set_weight": 5, "pace": "time"}, "pace belongs to weight"),
    ],
)
async def test_a_step_says_one_thing(api, ids, step, rule):
    assert rule in (await refused(api, ids, steps=[step]))["steps.0"]


async def test_what_a_step_is_refused_for_names_its_place(api, ids):
    steps = [{"set_weight": 120}, {"analysis": {"at_most_seconds": -1}}]
    assert {"steps.0.set_weight", "steps.1.analysis.at_most_seconds"} == set(
        await refused(api, ids, steps=steps)
    )


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        ({}, "a canary needs steps"),
        ({"strategy": "shadow"}, "a shadow needs shadow"),
        ({"strategy": "blue_green", "steps": []}, "steps belongs to the strategy canary"),
    ],
)
async def test_a_strategy_has_its_own_section(api, ids, body, rule):
    told = await refused(api, ids, **body)
    assert any(rule in one for one in told.values()), told


async def test_blue_green_needs_no_section(api, ids):
    answer = await planned(api, ids, strategy="blue_green", candidate_name="green")
    assert answer.status_code == 200, answer.text
    sentences = [step["sentence"] for step in answer.json()["plan"]["steps"]]
    assert "show the candidate to requests with x-tidegate-preview: green" in sentences
    assert "stay at 0 % until somebody promotes" in sentences


async def test_blue_green_is_not_switched_blind(api, ids):
    section = {"automatic": True}
    told = await refused(api, ids, strategy="blue_green", blue_green=section)
    assert "nothing is switched blind" in told["blue_green.pre_promotion"]


async def test_a_shadow_of_a_service_that_cannot_be_mirrored_is_refused(api, ids):
    section = {"percent": 20, **JUDGED}
    told = await refused(api, ids, strategy="shadow", shadow=section)
    assert told["shadow"].startswith("cannot be mirrored: the inference service speaks openai")


async def test_a_shadow_of_a_predictive_service_shows_what_is_copied(api, predictive):
    section = {"percent": 20, **JUDGED}
    answer = await planned(api, predictive, strategy="shadow", shadow=section)
    assert answer.status_code == 200, answer.text
    steps = answer.json()["plan"]["steps"]
    assert [step["mirror_percent"] for step in steps] == [None, 20, 20, 20]
    assert steps[-1]["kind"] == "conclude"


ASKED = {"path": "/v2/models/chat/infer", "body": {"inputs": [{"data": [1]}]}}


def comparing(**section):
    compare = {"sample": [ASKED, ASKED], "by": "exact", **section}
    return {"strategy": "shadow", "shadow": {"percent": 20, **JUDGED, "compare": compare}}


@pytest.mark.parametrize(
    ("section", "threshold", "tolerance"),
    [
        ({}, None, None),
        ({"by": "status"}, None, None),
        ({"by": "length"}, 0.9, None),
        ({"by": "length", "threshold": 0.5}, 0.5, None),
        ({"by": "similarity", "similarity": "words"}, 0.9, None),
        ({"by": "similarity", "similarity": "numbers"}, None, 0.001),
    ],
)
async def test_a_plan_shows_how_answers_are_compared(
    api, predictive, section, threshold, tolerance
):
    answer = await planned(api, predictive, **comparing(**section))
    assert answer.status_code == 200, answer.text
    *others, soak, _ = answer.json()["plan"]["steps"]
    assert [step["comparison"] for step in others] == [None, None]
    assert soak["comparison"] == {
        "requests": 2,
        "by": section.get("by", "exact"),
        "similarity": section.get("similarity"),
        "threshold": threshold,
        "tolerance": tolerance,
        "limit": 0.05,
        "alpha": 0.05,
        "beta": 0.05,
        "ignore": ["id", "created", "model_version"],
        "every_seconds": 1.0,
        "timeout_seconds": 10.0,
    }


@pytest.mark.parametrize(
    ("section", "field", "rule"),
    [
        ({"sample": []}, "sample", "1 to 200"),
        ({"sample": [ASKED] * 201}, "sample", "200"),
        ({"sample": [{**ASKED, "body": [1]}]}, "sample.0.body", "dictionary"),
        ({"sample": [{**ASKED, "body": {"a": "b" * 70_000}}]}, "sample", "65536 bytes"),
        ({"sample": [{**ASKED, "path": "http://evil.test/"}]}, "sample.0.path", "/v2/models/chat"),
        ({"sample": [{**ASKED, "headers": {}}]}, "sample.0.headers", "not known"),
        ({"by": "vibes"}, "by", "similarity"),
        ({"by": "similarity"}, "similarity", "text, words or numbers"),
        ({"threshold": 0.9}, "threshold", "belongs to by length"),
        ({"every_seconds": 0.01}, "every_seconds", "0.1..3600"),
        ({"ignore": [""]}, "ignore.0", "1"),
    ],
)
async def test_a_comparison_is_refused_by_field_and_rule(api, predictive, section, field, rule):
    told = await refused(api, predictive, **comparing(**section))
    assert rule in told[f"shadow.compare.{field}"]


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999"])
async def test_a_body_that_is_no_json_to_a_model_server_is_refused(api, predictive, number):
    sample = [{**ASKED, "body": {"a": "HERE"}}]
    body = {"target_version_id": predictive["v2"], "dry_run": True, **comparing(sample=sample)}
    answer = await api.call(
        "POST",
        f"/traffic_configs/{predictive['config']}/rollouts",
        content=json.dumps(body).replace('"HERE"', number),
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    assert error["field"] == "shadow.compare.sample.0.body"
    assert "no NaN and no Infinity" in error["rule"]


async def test_a_service_says_what_it_speaks_and_keeps_it(api, predictive):
    service = f"/inference_services/{predictive['service']}"
    assert (await api.get(service)).json()["protocol"] == "v2"
    answer = await api.patch(service, {"protocol": "v1"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "protocol"
