"""Gates that stay UNAVAILABLE: since when, and what follows from it in the end."""

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.decision import decide
from domain.progress import Acted, ActState, Advance, Cause, Hold, Pause, Progress, RollBack, Seen
from domain.reading_gates import PromQuery, ReadingGate
from domain.readings.rules import ReadingRules
from domain.silence import silent_since
from domain.steps import Reaction
from domain.strategies.canary_steps import Pace
from domain.verdicts import Status
from tests.plans import ERRORS, NOON, canary_spec, plan, policies, verdict

SOAK_10 = 2
QUALITY = ReadingGate(
    name="quality",
    question=PromQuery(query="q"),
    rules=ReadingRules(success_condition="result[0] > 0", interval=timedelta(minutes=1)),
)
PASSED = verdict(Status.PASS)
SILENT = verdict(Status.UNAVAILABLE, gate="quality", reason="5 errors in a row.")


def after(seconds):
    return NOON + timedelta(seconds=seconds)


def judged(reaction, **changes):
    stall = {"on_metrics_unavailable": reaction, "metrics_stall": timedelta(minutes=5)}
    gated = plan(canary_spec(10, 50, policies=policies(**stall)))
    return replace(gated, reading_gates=(replace(QUALITY, **changes),))


def said(seconds, *, reaction=Reaction.ROLL_BACK, silent=SILENT, since=NOON, **changes):
    """What is decided when the readings have been silent for so long."""
    seen = Seen(verdicts=(PASSED, silent), silent_since={"quality": since} if since else {})
    acted = Acted(state=ActState.DONE, at=NOON)
    progress = Progress(step=SOAK_10, started_at=NOON, acted=acted, seen=seen)
    return decide(judged(reaction, **changes), progress, after(seconds))


def without_metrics(*gates, **changes):
    """What is decided when the gateway's metrics have been away for 6 minutes, and quality passes."""
    stall = policies(on_metrics_unavailable=Reaction.ROLL_BACK)
    spec = canary_spec(10, gates=gates, policies=stall, **changes)
    silent = [verdict(Status.UNAVAILABLE, gate=gate.name) for gate in gates]
    seen = Seen(
        verdicts=(*silent, verdict(Status.PASS, gate="quality")),
        unavailable_since=NOON,
        silent_since={gate.name: NOON for gate in gates},
    )
    acted = Acted(state=ActState.DONE, at=NOON - timedelta(hours=1))
    progress = Progress(step=SOAK_10, started_at=NOON, acted=acted, seen=seen)
    return decide(plan(spec, reading_gates=(QUALITY,)), progress, after(360))


@pytest.mark.parametrize("pace", Pace)
def test_metrics_that_only_a_dry_run_needs_hold_up_nothing(pace):
    assert isinstance(without_metrics(replace(ERRORS, dry_run=True), pace=pace), Advance)


def test_metrics_that_no_critical_gate_needs_pause_at_the_most():
    soft = replace(ERRORS, critical=False)
    assert isinstance(without_metrics(soft), Pause)
    assert isinstance(without_metrics(soft, replace(ERRORS, name="late", dry_run=True)), Pause)
    assert isinstance(without_metrics(soft, replace(ERRORS, name="late")), RollBack)


@pytest.mark.parametrize(
    ("reaction", "decision"),
    [(Reaction.HOLD, Hold), (Reaction.PAUSE, Pause), (Reaction.ROLL_BACK, RollBack)],
)
def test_a_gate_that_is_silent_for_long_follows_the_policy_of_the_metrics(reaction, decision):
    assert isinstance(said(299, reaction=reaction), Hold)
    assert isinstance(said(300, reaction=reaction), decision)


def test_the_reason_names_the_gate_and_what_is_wrong_with_it():
    decision = said(360)
    assert isinstance(decision, RollBack)
    assert decision.cause is Cause.METRICS_UNAVAILABLE
    assert decision.reason == "gate quality has been unavailable for 6 min: 5 errors in a row."


def test_a_gate_that_speaks_again_is_not_silent_whatever_is_remembered():
    assert isinstance(said(3600, silent=verdict(Status.UNDECIDED, gate="quality")), Hold)
    assert isinstance(said(3600, silent=verdict(Status.PASS, gate="quality")), Advance)


def test_what_was_recorded_before_silences_were_told_decides_as_it_did():
    assert isinstance(said(3600, since=None), Hold)


def test_the_silence_of_a_dry_run_follows_nothing():
    assert isinstance(said(3600, dry_run=True), Advance)


def test_the_silence_of_a_gate_that_is_not_critical_asks_a_person_at_the_most():
    assert isinstance(said(300, critical=False), Pause)


def test_a_silence_lasts_from_the_first_verdict_without_a_break():
    first = silent_since({}, [PASSED, SILENT], after(10), is_patient=False)
    assert first == {"quality": after(10)}
    assert silent_since(first, [PASSED, SILENT], after(20), is_patient=False) == first


@pytest.mark.parametrize("status", [Status.PASS, Status.UNDECIDED, Status.FAIL])
def test_any_other_verdict_ends_a_silence(status):
    before = {"quality": NOON}
    heard = [verdict(status, gate="quality")]
    assert silent_since(before, heard, after(10), is_patient=False) == {}


def test_a_watch_that_is_patient_at_first_ends_no_silence_and_begins_none():
    undecided = [verdict(Status.UNDECIDED, gate="quality"), verdict(Status.UNDECIDED)]
    before = {"quality": NOON}
    assert silent_since(before, undecided, after(10), is_patient=True) == before


def test_arms_are_silent_each_by_itself():
    of_b = replace(SILENT, variant="b")
    of_c = verdict(Status.PASS, gate="quality", variant="c")
    assert silent_since({}, [of_b, of_c], NOON, is_patient=False) == {"b quality": NOON}


def test_a_verdict_that_is_only_unkept_is_no_silence_whatever_it_says():
    unkept = replace(PASSED, gate="quality").unkept
    assert (unkept.status, unkept.is_unkept) == (Status.UNAVAILABLE, True)
    assert silent_since({}, [unkept], after(10), is_patient=False) == {}
    before = {"quality": NOON}
    assert silent_since(before, [unkept], after(10), is_patient=True) == {}
    words = replace(unkept, is_unkept=False)  # the same sentence, said of a source
    assert silent_since({}, [words], after(10), is_patient=False) == {"quality": after(10)}


@pytest.mark.parametrize("status", [Status.FAIL, Status.UNDECIDED, Status.UNAVAILABLE])
def test_what_is_no_pass_stays_what_it_is_though_it_is_not_kept(status):
    assert verdict(status).unkept == verdict(status)
