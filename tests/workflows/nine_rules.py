"""The rules of a rollout that must never break, asked of a tale that has been told."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

from domain.plan import Plan
from domain.progress import ActState, Seen
from domain.rollout import Action, Entry, EventKind
from domain.steps import Deploy, Promote, Reaction, SetScale, SetWeights, Soak, Until
from domain.traffic import FULL, NO_EXTRAS, Extras, Slots
from domain.verdicts import Status
from tests.workflows.tale import Tale
from tests.workflows.trial_rules import (
    as_chosen,
    has_come_to,
    of_those_left_in,
    only_takes,
    require_fair_trial,
)
from tests.workflows.witness import Written

FORWARD = {Action.PROMOTE, Action.SKIP}


def require_all(tale: Tale) -> None:
    """Raise AssertionError for the first rule that is broken."""
    require_rising_tokens(tale)
    require_whole_and_ready(tale)
    require_that_stable_survives(tale)
    for visit in visits(tale):
        require_written_by_plan(tale, visit)
        require_earned(tale, visit)
        require_settled_before_watched(tale, visit)
    require_no_way_but_back(tale)
    require_agreement_at_rest(tale)
    if tale.plan.trial is not None:
        require_fair_trial(tale, tale.plan.trial)


# Rule 1: one writer


def require_rising_tokens(tale: Tale) -> None:
    owners = [one.write.owner for one in tale.witness.written]
    for before, after in pairwise(owners):
        assert before.token < after.token, f"{after} follows {before}"


# Rule 2: weights sum to 100, and none above 0 to what is not ready


def require_whole_and_ready(tale: Tale) -> None:
    before: Written | None = None
    for one in tale.witness.written:
        assert one.write.slots is not None, "a rollout never removes the route"
        assert sum(slot.weight for slot in one.write.slots) == FULL
        missing = bearing(one.write.slots, one.write.extras) - one.ready
        if before is not None and only_takes(tale.plan, before.write, one.write):
            missing &= {tale.plan.stable.workload.name}
        assert not missing, f"{one.write} leads to {missing}, ready are {one.ready}"
        before = one


def bearing(slots: Slots, extras: Extras) -> set[str]:
    return {slot.workload for slot in slots if slot.weight} | extras.workloads


# Rule 3: stable survives


def require_that_stable_survives(tale: Tale) -> None:
    stable = tale.plan.stable.workload.name
    calls = tale.stage.runtime.calls
    assert not [call for call in calls if call.method == "scale" and call.workload == stable]
    for one in tale.witness.removed:
        if one.workload == stable:
            assert EventKind.PROMOTED in one.told, "stable is removed before the promotion"
            assert one.weights[as_chosen(tale).candidate.slot] == FULL
    if EventKind.PROMOTED in tale.stage.journal.kinds:
        slots = as_chosen(tale).slots_at(FULL)
        full = [acted for order, acted in tale.witness.settled if order.slots == slots]
        assert full[-1].state is ActState.DONE, "promoted before the traffic was seen to obey"


# Rule 4: never promote blind


@dataclass(slots=True)
class Visit:
    """One run's stay in one step: what was told meanwhile, and where it went. None: it ended."""

    run_id: str
    step: int
    since: datetime
    was_paused: bool
    told: list[Entry] = field(default_factory=list)
    to: int | None = None
    until: datetime | None = None

    def words(self, tale: Tale, *actions: Action) -> list[str]:
        """Who gave one of these commands, and was heard."""
        heard = (one.data for one in self.told if one.kind is EventKind.COMMANDED)
        givers = [data["actor"] for data in heard if data.get("action") in actions]
        return [one for one in givers if tale.asked[one][0] in actions]

    @property
    def is_paused_at_the_end(self) -> bool:
        kinds = [e.kind for e in self.told if e.kind in {EventKind.PAUSED, EventKind.RESUMED}]
        return kinds[-1] is EventKind.PAUSED if kinds else self.was_paused


def visits(tale: Tale) -> list[Visit]:
    found: list[Visit] = []
    early: list[Entry] = []  # who is quick is heard before the walk begins
    for entry in tale.stage.journal.entries:
        run_id = entry.key.split("/")[0]
        if entry.kind is EventKind.STEP_STARTED:
            assert entry.step is not None
            last = found[-1] if found else None
            if last:
                last.to, last.until = entry.step, entry.at
            paused = last.is_paused_at_the_end if last else False
            begun = Visit(run_id=run_id, step=entry.step, since=entry.at, was_paused=paused)
            begun.told, early = early, []
            found.append(begun)
        else:
            (found[-1].told if found else early).append(entry)
    return found


def require_earned(tale: Tale, visit: Visit) -> None:
    """A step is left by a person's word, or for what the plan waits for."""
    plan, step = tale.plan, tale.plan.steps[visit.step]
    if visit.to is None or visit.until is None:
        return
    where = f"{visit.run_id}: step {visit.step} ({step}) to {visit.to}"
    passed_over = [s for s in plan.steps[visit.step + 1 : visit.to] if isinstance(s, Soak)]
    assert not [s for s in passed_over if s.until is Until.APPROVED], f"unapproved: {where}"
    waits_for_approval = isinstance(step, Soak) and step.until is Until.APPROVED
    if not waits_for_approval and visit.words(tale, *FORWARD):
        return
    may_conclude = isinstance(step, Soak) and step.until is Until.DECIDED
    ends = {visit.step + 1, plan.conclude_step if may_conclude else None}
    assert visit.to in ends, f"nobody asked for a jump: {where}"
    if visit.is_paused_at_the_end:
        assert isinstance(step, SetWeights), f"it was paused: {where}"
        assert isinstance(plan.steps[visit.to], Soak), f"it was paused: {where}"
    if isinstance(step, SetWeights | Deploy):
        assert last_settled(tale, slots_of_step(tale, visit.step)), f"unsettled: {where}"
    if isinstance(step, SetScale):
        joined = (plan.candidate.workload.name, step.replicas)
        assert joined in tale.witness.joined, f"replicas have not joined: {where}"
    if isinstance(step, Soak):
        why = "; ".join(f"{w.order.progress.step}: {w.returned}" for w in tale.witness.watched)
        assert is_earned(tale, visit, step), f"unearned: {where}; watches: {why}"


def last_settled(tale: Tale, slots: Slots) -> bool:
    return any(
        acted.state is ActState.DONE
        for order, acted in tale.witness.settled
        if order.slots == slots
    )


def slots_of_step(tale: Tale, step: int) -> Slots:
    return as_chosen(tale).slots_under(tale.plan.traffic_at(step))


def is_earned(tale: Tale, visit: Visit, soak: Soak) -> bool:
    assert visit.until is not None
    plan, stayed = tale.plan, visit.until - visit.since
    seen = of_those_left_in(tale, last_seen(tale, visit))
    if has_yes(tale, visit, soak):
        return True
    needed = plan.verdicts_at(visit.step) if plan.is_deployed_at(visit.step) else 0
    is_blind = bool(needed) and not has_looked(plan, visit, seen)
    if stayed < soak.at_least or says_no(plan, seen) or is_blind or soak.until is Until.PROMOTED:
        return False
    reaction = soak.at_the_end or plan.policies.on_undecided
    is_over = stayed >= soak.at_most
    if soak.until is Until.DECIDED:
        is_last_word = is_over and reaction is Reaction.ADVANCE and visit.to == plan.conclude_step
        return is_last_word or has_come_to(plan, visit.step, visit.to, seen)
    return {
        Until.ELAPSED: is_over,
        Until.PROVEN: is_proven(plan, seen) if needed else is_over,
    }.get(soak.until, False) or (is_over and reaction is Reaction.ADVANCE)


def has_yes(tale: Tale, visit: Visit, soak: Soak) -> bool:
    """Whether somebody who may has approved, or the hook has confirmed."""
    if soak.until is Until.CONFIRMED:
        return (soak.hook, visit.step) in tale.witness.yeses
    is_approval = soak.until is Until.APPROVED
    return is_approval and any(may_approve(tale, soak, who) for who in approvals(tale, visit))


def approvals(tale: Tale, visit: Visit) -> list[str]:
    return visit.words(tale, Action.APPROVE)


def may_approve(tale: Tale, soak: Soak, actor: str) -> bool:
    return not soak.roles or bool(set(soak.roles) & set(tale.asked[actor][1].roles))


def last_seen(tale: Tale, visit: Visit) -> Seen | None:
    """What the last watch of the step returned; None where it was cut off."""
    watches = [w for w in tale.witness.watched if w.order.progress.step == visit.step]
    return watches[-1].returned if watches else None


def says_no(plan: Plan, seen: Seen | None) -> bool:
    """Whether something speaks against the candidate, or for bringing stable up first."""
    if seen is None:
        return False
    failed = any(v.status is Status.FAIL for v in plan.deciding(seen.verdicts))
    return failed or bool(seen.candidate_not_ready or seen.stable_not_ready or seen.unfit)


def has_looked(plan: Plan, visit: Visit, seen: Seen | None) -> bool:
    """Whether every gate, and the answers, said something, if only that it is undecided."""
    verdicts = plan.deciding(seen.verdicts) if seen else ()
    said = {v.gate for v in verdicts if v.status is not Status.UNAVAILABLE}
    has_arms = seen is None or seen.trial is None or bool(verdicts)
    return len(said) == plan.verdicts_at(visit.step) or not has_arms


def is_proven(plan: Plan, seen: Seen | None) -> bool:
    return seen is not None and all(v.status is Status.PASS for v in plan.deciding(seen.verdicts))


def require_written_by_plan(tale: Tale, visit: Visit) -> None:
    """What is written during a step is what the step asks for, or the way home."""
    plan, step = tale.plan, tale.plan.steps[visit.step]
    traffic = plan.traffic_at(visit.step)
    allowed = {
        (slots_of_step(tale, visit.step), plan.extras_of(traffic)),
        *((slots, NO_EXTRAS) for slots in homes(plan)),
    }
    if any(isinstance(done, Promote) for done in plan.steps[: visit.step + 1]):
        allowed |= {(plan.slots_of(as_chosen(tale).candidate), NO_EXTRAS)}
    if visit.until is None and visit.run_id in tale.cut_off:
        return  # it may have gone further than it could tell
    if isinstance(step, Soak) and traffic.arms is not None:
        return  # a trial's traffic follows what is seen: see its own rules
    for one in written_during(tale, visit):
        made = (one.write.slots, one.write.extras)
        assert made in allowed, f"step {visit.step} ({step}) wrote {made}"


def homes(plan: Plan) -> tuple[Slots, Slots]:
    return plan.slots_at(0), plan.slots_of(plan.stable)


def written_during(tale: Tale, visit: Visit) -> Iterator[Written]:
    for one in tale.witness.written:
        owner, until = one.write.owner, visit.until
        mine = owner.run_id == visit.run_id and owner.ordered_at >= visit.since
        if mine and (until is None or owner.ordered_at < until):
            yield one


# Rule 5: the way back always works


def require_no_way_but_back(tale: Tale) -> None:
    """From the first thing that sends it back, nothing but stable at 100 % is written."""
    turned = turned_back_at(tale)
    if turned is not None:
        for one in tale.witness.written:
            if one.write.owner.ordered_at > turned:
                assert one.write.slots in homes(tale.plan), f"after the turn: {one.write}"
                assert one.write.extras == NO_EXTRAS
    phase = tale.stage.journal.phases[-1]
    assert phase in {"promoted", "rolled_back", "concluded"}, tale.stage.journal.entries[-1]
    if turned is not None:
        assert phase == "rolled_back", f"turned back at {turned}, ended {phase}"
    stays = as_chosen(tale).candidate if phase == "promoted" else tale.plan.stable
    held = {name for _, name in tale.stage.runtime.deployed}
    connected = {name for _, name in tale.stage.router.connected}
    for gone in (tale.plan.stable, *tale.plan.challengers):
        if gone is not stays:
            assert gone.workload.name not in held, f"{gone.name} is left behind"
            assert gone.workload.name not in connected
    assert held == {stays.workload.name} or stays.workload.name in tale.lost


def turned_back_at(tale: Tale) -> datetime | None:
    for entry in tale.stage.journal.entries:
        if entry.kind is EventKind.ROLLBACK_STARTED:
            return entry.at
        if entry.data.get("action") in {Action.ABORT, Action.REJECT}:
            return entry.at
    return None


# Rule 6: evidence belongs to a weight


def require_settled_before_watched(tale: Tale, visit: Visit) -> None:
    was_put_back = any(e.kind in {EventKind.DRIFTED, EventKind.RESUMED} for e in visit.told)
    watches = [w for w in tale.witness.watched if w.order.progress.step == visit.step]
    if watches and not was_put_back:
        settled = last_settled(tale, slots_of_step(tale, visit.step))
        assert settled, f"step {visit.step} is watched before it has settled"


# Rule 7: registry, gateway and workflow agree at rest


def require_agreement_at_rest(tale: Tale) -> None:
    plan, journal = tale.plan, tale.stage.journal
    told: dict[str, int] = {}
    for entry in journal.entries:
        told |= entry.weights or {}
    promoted = journal.phases[-1] == "promoted"
    stays = as_chosen(tale).candidate if promoted else plan.stable
    last = tale.stage.router.writes[-1]
    assert tale.stage.router.weights(plan.route) == tuple(s.weight for s in last.slots or ())
    assert (last.slots, last.extras) == (plan.slots_of(stays), NO_EXTRAS)
    expected = {v.name: FULL if v is stays else 0 for v in (plan.stable, *plan.challengers)}
    assert told in (expected, {}), f"the registry says {told}"
