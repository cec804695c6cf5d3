"""Gates that are UNAVAILABLE without a break: since when, and what that comes to in the end.

The outage of the gateway's metrics is told by `Seen.unavailable_since`, and bears on all that is
counted there; beside it stands each gate by itself, whatever it is judged by.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from domain.plan import Plan
from domain.progress import Cause, Seen
from domain.spans import spoken
from domain.steps import Reaction
from domain.trial_decision import Trouble
from domain.verdicts import Status, Verdict

# So many probes without anything new make the metrics unavailable, not the candidate bad.
STALE_PROBES, STALE_AT_LEAST = 3, timedelta(seconds=10)


def stale_after(probe: timedelta) -> timedelta:
    """How old the newest that was seen may be before nothing is concluded from it.

    `probe` is how far looks are apart: some may be missed, and in the regular course none is.
    """
    return max(probe * STALE_PROBES, STALE_AT_LEAST)


def silent_since(
    before: Mapping[str, datetime],
    verdicts: Iterable[Verdict],
    now: datetime,
    *,
    is_patient: bool,
) -> dict[str, datetime]:
    """Since when each verdict is UNAVAILABLE without a break, by `Verdict.named`.

    A watch `is_patient` where it has just begun: it does not call a source silent yet that it only
    does not hear. So its verdict does not end a silence that another watch has found.
    Where the registry alone is away nobody is silent.
    """
    since: dict[str, datetime] = {}
    for verdict in verdicts:
        if verdict.is_unkept:
            continue
        is_silent = verdict.status is Status.UNAVAILABLE
        if is_silent or (is_patient and verdict.named in before):
            since[verdict.named] = before.get(verdict.named, now)
    return since


def troubles(plan: Plan, step: int, seen: Seen, now: datetime) -> Iterator[Trouble]:
    """What has been silent until the policy counts: the gateway's metrics, then each gate."""
    since = seen.unavailable_since
    if since and now >= since + plan.policies.metrics_stall and plan.needs_counts_at(step):
        reason = f"the metrics have been unavailable for {spoken(now - since)}"
        is_critical = plan.needs_counts_at(step, critical=True)
        yield Cause.METRICS_UNAVAILABLE, _reaction(plan, is_critical=is_critical), reason
    for verdict in plan.deciding(seen.verdicts):
        since = seen.silent_since.get(verdict.named)
        if since is None or verdict.status is not Status.UNAVAILABLE:
            continue
        if now >= since + plan.policies.metrics_stall:
            away = spoken(now - since)
            reason = f"gate {verdict.named} has been unavailable for {away}: {verdict.reason}"
            yield (
                Cause.METRICS_UNAVAILABLE,
                _reaction(plan, is_critical=plan.is_critical(verdict)),
                reason,
            )


def _reaction(plan: Plan, *, is_critical: bool) -> Reaction:
    """The policy's; where nothing critical is silent it asks a person at the most."""
    reaction = plan.policies.on_metrics_unavailable
    if reaction is Reaction.ROLL_BACK and not is_critical:
        return Reaction.PAUSE
    return reaction
