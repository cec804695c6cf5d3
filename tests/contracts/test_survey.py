"""What every Survey says: the one on PostgreSQL, and the fake that stands in for it."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from domain.names import workload_name
from domain.registry import Role
from domain.rollout import EventKind, Phase
from domain.serving import served
from domain.strategies.compiling import compile_plan
from domain.strategies.rules import Parties
from domain.survey import StandingRollouts, StandingVerdict, TokenBearer
from domain.verdicts import Status, Verdict
from tests.plans import ab_test_spec
from tests.projects import NOW, a_project, a_service, a_variant, an_entry

LONG_AGO = NOW - timedelta(days=365)
LATER = NOW + timedelta(days=1)


@pytest.fixture
def survey(stores):
    return stores.survey


@pytest.fixture
async def it(registry):
    return await a_project().store(registry)


async def canary(it, registry, journal, *entries, **changes):
    rollout = await it.start(registry, **changes)
    joined = an_entry("joined", EventKind.DEPLOYED, joined=it.plan.candidate)
    await journal.record(rollout.id, [joined, *entries])
    return rollout


def judged(key, gate, status):
    verdict = Verdict(gate=gate, status=status, reason="so it is")
    return an_entry(key, EventKind.VERDICT, data={"verdict": verdict})


async def test_a_service_is_found_by_name_in_its_project_alone(it, survey):
    assert await survey.service_named(it.id, "chat") == it.service.id
    assert await survey.service_named(it.id, "chats") is None
    assert await survey.service_named(uuid4(), "chat") is None


async def test_configs_are_found_by_all_of_their_variants(it, registry, journal, survey):
    assert await survey.configs_with(it.id, ["stable"]) == (it.config.id,)
    assert await survey.configs_with(it.id, ["stable", "candidate"]) == ()
    await canary(it, registry, journal)
    assert await survey.configs_with(it.id, ["stable", "candidate"]) == (it.config.id,)
    assert await survey.configs_with(uuid4(), ["stable"]) == ()


async def test_whoever_counts_tokens_is_named_once(it, registry, journal, survey):
    await canary(it, registry, journal)
    stable, candidate = it.plan.stable, it.plan.candidate
    assert await survey.token_bearers(it.id, LONG_AGO) == (
        TokenBearer(model="chat", variant="candidate", workload=candidate.workload.name),
        TokenBearer(model="chat", variant="stable", workload=stable.workload.name),
    )
    assert await survey.token_bearers(uuid4(), LONG_AGO) == ()


async def test_a_variant_that_has_left_bears_tokens_as_long_as_its_rollout_is_recent(
    it, registry, journal, survey
):
    left = an_entry("left", EventKind.RETIRED, left=it.plan.candidate)
    ended = an_entry("ended", EventKind.ROLLED_BACK, phase=Phase.ROLLED_BACK)
    await canary(it, registry, journal, left, ended)
    gone = it.plan.candidate.workload.name
    for since, is_there in ((LONG_AGO, True), (LATER, False)):
        found = await survey.token_bearers(it.id, since)
        assert (gone in {bearer.workload for bearer in found}) is is_there


async def test_a_service_without_a_traffic_config_bears_tokens_without_a_variant(
    it, registry, survey
):
    both = served((it.v2, it.v1))
    bare = a_service(it.environment, it.v1, name="bare", served_models=both)
    await registry.create_service(bare)
    workload = workload_name("bare", "v2", bare.id, it.v2.id, it.v1.id)
    found = await survey.token_bearers(it.id, LONG_AGO)
    assert found[-1] == TokenBearer(model="bare", variant=None, workload=workload)


async def test_variants_that_hold_a_slot_stand_with_their_weights(it, registry, journal, survey):
    weights = an_entry("w", EventKind.WEIGHTS_SET, weights={"stable": 90, "candidate": 10})
    await canary(it, registry, journal, weights)
    standing = await survey.standing(LONG_AGO)
    told = {(v.name, v.role, v.slot, v.weight, v.version) for v in standing.variants}
    assert told == {
        ("stable", Role.STABLE, 0, 90, "v1"),
        ("candidate", Role.CANDIDATE, 1, 10, "v2"),
    }
    assert {v.route for v in standing.variants} == {it.plan.route}


async def test_rollouts_are_counted_by_phase_while_they_go_on_or_are_recent(
    it, registry, journal, survey
):
    progressing = an_entry("s", EventKind.STARTED, phase=Phase.PROGRESSING)
    rollout = await canary(it, registry, journal, progressing)
    one = StandingRollouts(
        project_id=it.id, model="chat", strategy="canary", phase=Phase.PROGRESSING, count=1
    )
    for since in (LONG_AGO, LATER):
        assert (await survey.standing(since)).rollouts == (one,)
    ended = an_entry("e", EventKind.PROMOTED, phase=Phase.PROMOTED)
    await journal.record(rollout.id, [ended])
    assert (await survey.standing(LONG_AGO)).rollouts == (replace(one, phase=Phase.PROMOTED),)
    assert (await survey.standing(LATER)).rollouts == ()


async def test_each_gate_stands_with_what_it_said_last(it, registry, journal, survey):
    rollout = await canary(
        it,
        registry,
        journal,
        judged("1", "errors", Status.UNDECIDED),
        judged("2", "latency", Status.UNDECIDED),
        judged("3", "errors", Status.PASS),
    )
    told = {
        StandingVerdict(project_id=it.id, model="chat", gate=gate, status=status)
        for gate, status in (("errors", Status.PASS), ("latency", Status.UNDECIDED))
    }
    for since in (LONG_AGO, LATER):
        assert set((await survey.standing(since)).verdicts) == told
    await journal.record(rollout.id, [an_entry("e", EventKind.FAILED, phase=Phase.FAILED)])
    assert set((await survey.standing(LONG_AGO)).verdicts) == told
    assert (await survey.standing(LATER)).verdicts == ()


async def test_of_two_rollouts_the_latest_one_s_verdicts_stand(it, registry, journal, survey):
    ended = an_entry("e", EventKind.FAILED, phase=Phase.FAILED)
    await canary(it, registry, journal, judged("1", "errors", Status.FAIL), ended)
    await canary(it, registry, journal, created_at=NOW + timedelta(minutes=5))
    standing = await survey.standing(LONG_AGO)
    assert standing.verdicts == ()
    assert sum(each.count for each in standing.rollouts) == 2


async def test_of_a_trial_each_arm_has_its_verdicts_and_its_tokens(it, registry, journal, survey):
    b, c = (
        a_variant(it.config, version, name=name, slot=slot)
        for version, name, slot in ((it.v2, "b", 1), (it.v3, "c", 2))
    )
    parties = Parties(route=it.plan.route, stable=it.plan.stable, candidate=b, others=(c,))
    trial = replace(it, plan=compile_plan(ab_test_spec(), parties))
    rollout = await trial.start(registry)
    told = [
        an_entry(
            name,
            EventKind.VERDICT,
            data={"verdict": Verdict(gate="errors", status=status, reason="so", variant=name)},
        )
        for name, status in (("b", Status.PASS), ("c", Status.FAIL))
    ]
    outcome = an_entry("trial", EventKind.VERDICT, data={"trial": {"outcome": "undecided"}})
    await journal.record(rollout.id, [*told, outcome])
    verdicts = (await survey.standing(LONG_AGO)).verdicts
    assert {(each.gate, each.status) for each in verdicts} == {
        ("b errors", Status.PASS),
        ("c errors", Status.FAIL),
    }
    bearers = await survey.token_bearers(it.id, LONG_AGO)
    assert {each.variant for each in bearers} == {"stable", "b", "c"}
