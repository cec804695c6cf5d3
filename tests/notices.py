"""Valid hooks and notices; a test names only what matters to it."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from domain.hooks import Hook, HookKind
from domain.notices import Notice, Situation
from domain.rollout import Phase

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
SITUATION = Situation(phase=Phase.PROGRESSING, step=2, weights={"stable": 90, "candidate": 10})


def a_hook(name="ask", kind=HookKind.CONFIRM_PROMOTION, **changes):
    made = Hook(name=name, kind=kind, url=f"https://hooks.example.com/{name}")
    return replace(made, **changes)


def a_notice(hook, **changes):
    made = Notice(
        delivery=f"run.{hook.name}.1",
        hook=hook.name,
        kind=hook.kind,
        rollout_id=UUID(int=1),
        project_id=UUID(int=2),
        config_id=UUID(int=3),
        model="chat",
        situation=SITUATION,
        reason="every gate passes",
        at=NOON,
    )
    return replace(made, **changes)
