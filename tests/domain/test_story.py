"""What the Temporal UI shows of a rollout."""

from typing import Any

from domain.evidence.judge import judge
from domain.rollout import Phase
from domain.story import LONGEST_LINE_BYTES, details, headline, line, overview
from domain.verdicts import Status
from tests.domain.evidence.scenes import error_gate, interval
from tests.plans import canary_spec, plan, verdict

PLAN = plan(canary_spec(10, 50))


def shown(**changes) -> str:
    given: dict[str, Any] = {
        "phase": Phase.PROGRESSING,
        "reason": "soaking",
        "step": 2,
        "weights": {"stable": 90, "candidate": 10},
        "verdicts": (),
    }
    return details(PLAN, **(given | changes)).replace("\N{NO-BREAK SPACE}", "")


def test_the_details_say_where_a_rollout_is_and_why():
    text = shown(verdicts=(verdict(Status.UNDECIDED, reason="needs | more"),))

    assert text.startswith("**progressing** at step 3 of 8: soaking")
    assert "stable 90 % · candidate 10 %" in text
    assert "|1|deploy the candidate at weight 0||done|" in text
    assert "|3|soak at 10 % until proven, 10 min at most|10 %|now|" in text
    assert "|4|send 50 % to the candidate|50 %||" in text
    assert "|errors|undecided|needs / more|" in text


def test_a_rollout_that_goes_home_has_given_up_its_step():
    assert "|3|soak at 10 % until proven, 10 min at most|10 %|given up|" in shown(
        phase=Phase.ROLLING_BACK
    )
    assert shown(phase=Phase.ROLLING_BACK).startswith("**rolling back**")


def test_a_promoted_rollout_has_done_every_step():
    assert shown(phase=Phase.PROMOTED, step=7).count("|done|") == len(PLAN.steps)


def test_the_plan_is_shown_before_it_runs():
    assert headline(PLAN) == "canary of chat: v1 to v2"
    assert "8. retire the former stable after 30 s" in overview(PLAN)
    assert "Gates: `errors`" in overview(PLAN)


def test_a_line_is_cut_where_temporal_would_refuse_it():
    assert len(line("ä" * 500).encode()) <= LONGEST_LINE_BYTES


def test_a_verdict_is_told_with_what_another_weight_would_change():
    slow = [interval(k, (3, 0), (57, 1), seconds=5, weight=5) for k in range(40)]
    told = shown(verdicts=judge([error_gate()], slow, step=0))
    assert "|errors|undecided|0 of 120 candidate requests failed" in told
    assert "needs about 13 more minutes at this rate, or 4 at 25 % weight." in told
