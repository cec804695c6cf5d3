"""What the specs of the strategies compile to, and what they are refused for."""

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.comparison import MOST_SAMPLE_BYTES, By, SampleRequest, Similarity
from domain.errors import InvalidSpec
from domain.hooks import HookKind
from domain.plan import Strategy
from domain.steps import (
    Conclude,
    Deploy,
    Promote,
    Reaction,
    Retire,
    SetScale,
    SetWeights,
    Soak,
    Until,
)
from domain.strategies.blue_green import BlueGreenSpec
from domain.strategies.canary import CanarySpec
from domain.strategies.canary_steps import (
    Analysis,
    Approval,
    CanaryStep,
    Confirmation,
    MirrorFor,
    Scale,
    Stay,
    Weight,
)
from domain.strategies.shadow import ShadowSpec
from domain.traffic import HeaderMatch, MatchKind, Mirror, Place, PlaceKind
from domain.workloads import Protocol
from tests.comparisons import a_comparison, a_request
from tests.notices import a_hook
from tests.plans import ERRORS, plan, policies

MINUTE = timedelta(minutes=1)
ANALYSIS = Analysis(at_most=10 * MINUTE)


def canary(*steps, **changes):
    return CanarySpec(steps=steps, gates=(ERRORS,), policies=policies(), **changes)


def blue_green(**changes):
    given = {"gates": (ERRORS,), "policies": policies(), "pre_promotion": ANALYSIS, **changes}
    return BlueGreenSpec(**given)


def shadow(**changes):
    given = {"gates": (ERRORS,), "policies": policies(), "percent": 20, "at_most": MINUTE}
    return ShadowSpec(**{**given, **changes})


def predictive(spec):
    return plan(spec, protocol=Protocol.V2)


def sentences(spec):
    return [str(step) for step in predictive(spec).steps]


def violations(spec, protocol=Protocol.V2):
    with pytest.raises(InvalidSpec) as caught:
        plan(spec, protocol=protocol)
    return {violation.field: violation.rule for violation in caught.value.violations}


def test_a_canary_in_full_reads_as_its_story():
    spec = canary(
        Scale(replicas=2),
        MirrorFor(percent=20, time=MINUTE),
        Weight(weight=5),
        Stay(time=MINUTE),
        ANALYSIS,
        CanaryStep(weight=25, soak=10 * MINUTE),
        Confirmation(hook="load-test", timeout=MINUTE),
        Weight(weight=50),
        Approval(roles=("release-manager",), timeout=60 * MINUTE),
        Stay(),
        hooks=(a_hook("load-test", HookKind.CONFIRM_STEP),),
    )

    assert sentences(spec) == [
        "deploy the candidate at weight 0",
        "scale the candidate to 2",
        "mirror 20 % to the candidate",
        "stay at 0 % for 1 min",
        "send 0 % to the candidate",
        "send 5 % to the candidate",
        "stay at 5 % for 1 min",
        "soak at 5 % until proven, 10 min at most",
        "send 25 % to the candidate",
        "soak at 25 % until proven, 10 min at most",
        "stay at 25 % until the hook load-test confirms, 1 min at most",
        "send 50 % to the candidate",
        "stay at 50 % until release-manager approves, 1 h at most",
        "stay at 50 % until somebody promotes",
        "send 100 % to the candidate",
        "make the candidate stable",
        "retire the former stable after 30 s",
    ]


def test_blue_green_switches_all_traffic_in_one_write():
    made = plan(blue_green(post_promotion=MINUTE))

    assert [type(step) for step in made.steps] == [
        Deploy, SetWeights, Soak, Soak, SetWeights, Soak, Soak, Promote, Retire,
    ]  # fmt: skip
    weights = [step.candidate for step in made.steps if isinstance(step, SetWeights)]
    assert weights == [0, 100]
    assert made.strategy is Strategy.BLUE_GREEN
    assert made.full_step == 4


def test_blue_green_shows_the_candidate_by_header_until_the_switch():
    made = plan(blue_green())
    before, after = made.traffic_at(2), made.traffic_at(4)

    assert before.preview == (HeaderMatch(name="x-tidegate-preview", value="canary"),)
    (route,) = made.extras_of(before).header_routes
    assert route.workload == made.candidate.workload.name
    assert made.candidate_at(2) == Place(position=0, kind=PlaceKind.HEADER_ROUTE)
    assert made.extras_of(after).header_routes == ()


def test_blue_stays_warm_until_the_scale_down_delay_is_over():
    """Before the promotion is recorded, so that an abort is an instant way back all the time."""
    made = plan(blue_green(policies=policies(scale_down_delay=10 * MINUTE)))
    kept = made.steps[-3]

    assert kept == Soak(weight=100, at_least=10 * MINUTE, at_most=10 * MINUTE, until=Until.ELAPSED)
    assert made.steps[-1] == Retire(delay=timedelta(0))


def test_an_automatic_blue_green_waits_for_nobody():
    waits = [s.until for s in plan(blue_green(automatic=True)).steps if isinstance(s, Soak)]

    assert waits == [Until.PROVEN, Until.ELAPSED]


def test_no_deadline_turns_a_pre_promotion_analysis_into_a_yes():
    wished = replace(ANALYSIS, on_undecided=Reaction.ADVANCE)
    broken = violations(blue_green(pre_promotion=wished))

    assert "time is no yes" in broken["blue_green.pre_promotion.on_undecided"]


def test_nothing_is_switched_blind():
    broken = violations(blue_green(pre_promotion=None, automatic=True))

    assert "nothing is switched blind" in broken["blue_green.pre_promotion"]


def test_a_shadow_gets_copies_and_is_removed():
    made = predictive(shadow())

    assert [type(step) for step in made.steps] == [Deploy, SetWeights, Soak, Conclude]
    assert made.full_step is None
    assert made.slots_at(0)[made.candidate.slot].weight == 0
    extras = made.extras_of(made.traffic_at(1))
    assert extras.mirrors == (Mirror(workload=made.candidate.workload.name, percent=20),)
    assert made.candidate_at(2) == Place(position=0, kind=PlaceKind.MIRROR)


def compare(**changes):
    path = "/v2/models/chat/infer"
    sample = (a_request(1, path), a_request(2, path))
    return shadow(compare=a_comparison(**{"sample": sample, **changes}))


def test_a_shadow_whose_answers_are_compared_waits_for_their_verdict_too():
    made = predictive(compare())

    assert [str(step) for step in made.steps][2] == (
        "soak at 0 % until proven, 1 min at most, comparing 2 answers"
    )
    assert [made.verdicts_at(i) for i in range(len(made.steps))] == [0, 0, 2, 0]
    assert made.comparison_at(2) == compare().compare


SIMILAR = {"by": By.SIMILARITY}
ELSEWHERE = ["/v1/models/chat:predict", "/v2/models/chat/infer/../..", "//evil.test/v2/models"]


@pytest.mark.parametrize(
    ("changes", "field", "rule"),
    [
        ({"sample": ()}, "sample", "1 to 200 requests"),
        ({"sample": (a_request(),) * 201}, "sample", "1 to 200 requests"),
        (
            {"sample": (SampleRequest(path="", body="1" * (MOST_SAMPLE_BYTES + 1)),)},
            "sample",
            "more than 65536 bytes",
        ),
        *(
            ({"sample": (a_request(path=path),)}, "sample.0.path", "must be /v2/models/chat/infer")
            for path in ELSEWHERE
        ),
        (SIMILAR, "similarity", "text, words or numbers"),
        ({"similarity": Similarity.TEXT}, "similarity", "belongs to by similarity only"),
        ({"by": By.LENGTH}, "threshold", "above 0"),
        ({"by": By.LENGTH, "threshold": 1.1}, "threshold", "at most 1"),
        ({"threshold": 0.9}, "threshold", "belongs to by length"),
        ({**SIMILAR, "similarity": Similarity.WORDS, "threshold": 0.0}, "threshold", "above 0"),
        ({**SIMILAR, "similarity": Similarity.NUMBERS}, "tolerance", "0..1"),
        ({**SIMILAR, "similarity": Similarity.NUMBERS, "tolerance": 1.0}, "tolerance", "0..1"),
        ({"tolerance": 0.1}, "tolerance", "belongs to the similarity numbers only"),
        ({"limit": 1.0}, "limit", "from 0 to below 1"),
        ({"limit": -0.1}, "limit", "from 0 to below 1"),
        ({"alpha": 0.0}, "alpha", "above 0"),
        ({"beta": 0.6}, "beta", "at most 0.5"),
        ({"ignore": ("id",) * 51}, "ignore", "at most 50"),
        ({"ignore": ("id", "a..b")}, "ignore.1", "must name a field"),
        ({"every": timedelta(0)}, "every_seconds", "0.1..3600"),
        ({"timeout": 2 * MINUTE}, "timeout_seconds", "1..60"),
    ],
)
def test_a_comparison_that_makes_no_sense_is_refused(changes, field, rule):
    assert rule in violations(compare(**changes))[f"shadow.compare.{field}"]


def test_no_gate_bears_the_name_of_the_comparison():
    named = replace(compare(), gates=(replace(ERRORS, name="answers"),))

    assert "names the comparison" in violations(named)["gates.0.name"]
    assert predictive(shadow(gates=named.gates)).gates == named.gates


@pytest.mark.parametrize("percent", [0, 101])
def test_a_mirror_copies_1_to_100_percent(percent):
    assert "1..100" in violations(shadow(percent=percent))["shadow.percent"]
    mirror = MirrorFor(percent=percent, time=MINUTE)
    assert "1..100" in violations(canary(mirror, ANALYSIS))["steps.0.mirror.percent"]


def test_an_analysis_may_not_end_before_it_may():
    wrong = Analysis(at_least=2 * MINUTE, at_most=MINUTE)
    field = "steps.1.analysis.at_most_seconds"

    assert "at_least_seconds" in violations(canary(Weight(weight=5), wrong))[field]


@pytest.mark.parametrize("last", [Weight(weight=50), Stay(time=MINUTE)])
def test_a_canary_whose_last_weight_nobody_judges_is_refused(last):
    broken = violations(canary(CanaryStep(weight=5, soak=MINUTE), Weight(weight=20), last))

    assert "blind" in broken["steps"]


@pytest.mark.parametrize("word", [ANALYSIS, Stay(), Approval()])
def test_evidence_or_a_person_ends_a_canary(word):
    assert plan(canary(Weight(weight=5), word)).full_step is not None


def test_gates_watch_from_their_step_on():
    made = plan(canary(Weight(weight=5), Stay(time=MINUTE), ANALYSIS, gates_from=2))
    soaks = [i for i, step in enumerate(made.steps) if isinstance(step, Soak)]

    assert [made.gates_at(i) for i in soaks] == [(), (ERRORS,)]


def test_an_analysis_before_the_gates_watch_is_refused():
    broken = violations(canary(Weight(weight=5), ANALYSIS, Stay(), gates_from=2))

    assert "gates_from" in broken["steps.1"]


@pytest.mark.parametrize("replicas", [0, 1001])
def test_replicas_lie_in_bounds(replicas):
    assert (
        "1..1000"
        in violations(canary(Scale(replicas=replicas), ANALYSIS))["steps.0.set_scale.replicas"]
    )


def test_a_scale_holds_from_its_step_on():
    made = plan(canary(Weight(weight=5), Scale(replicas=3), ANALYSIS))
    at = next(i for i, step in enumerate(made.steps) if isinstance(step, SetScale))

    assert made.replicas_at(at - 1) is None
    assert {made.replicas_at(i) for i in range(at, len(made.steps))} == {3}


@pytest.mark.parametrize("weight", [0, 100])
def test_a_weight_without_a_wait_is_named_as_it_was_given(weight):
    assert "1..99" in violations(canary(Weight(weight=weight), ANALYSIS))["steps.0.set_weight"]


@pytest.mark.parametrize(
    ("spec", "field"),
    [(shadow(), "shadow"), (canary(MirrorFor(percent=5, time=MINUTE), ANALYSIS), "steps.mirror")],
)
def test_a_mirror_that_the_route_cannot_carry_is_refused_with_the_reason(spec, field):
    broken = violations(spec, Protocol.OPENAI)

    assert broken[field].startswith("cannot be mirrored: the inference service speaks openai")


@pytest.mark.parametrize(
    ("header", "field", "rule"),
    [
        (HeaderMatch(name="x_user", value="1"), "name", "without '_'"),
        (HeaderMatch(name="X-AI-EG-Model", value="1"), "name", "not the gateway's"),
        (HeaderMatch(name="x-user", value="(", kind=MatchKind.PATTERN), "value", "no regular"),
        (HeaderMatch(name="x-user", value="(?=a)b", kind=MatchKind.PATTERN), "value", "RE2"),
        (HeaderMatch(name="x-user", value=r"(a)\1", kind=MatchKind.PATTERN), "value", "RE2"),
    ],
)
@pytest.mark.parametrize("protocol", Protocol)
def test_a_header_that_no_gateway_matches_is_refused(protocol, header, field, rule):
    broken = violations(blue_green(preview=(header,)), protocol)

    assert rule in broken[f"blue_green.preview.0.{field}"]


def test_a_header_is_asked_for_once():
    twice = (HeaderMatch(name="x-user", value="1"), HeaderMatch(name="X-User", value="2"))

    assert "twice" in violations(blue_green(preview=twice))["blue_green.preview.1.name"]
