"""What a person sets on a traffic config; pausing it pauses the rollout that runs."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from api.errors import Absent, broken
from api.parts import Parts
from api.schemas.gate_templates import uses_of
from api.schemas.gates import gates_of
from api.schemas.traffic import ANYBODY, TrafficConfigPatch
from api.templates import require_defaults
from domain.errors import Conflict, InvalidSpec
from domain.plan import Policies
from domain.registry import TrafficConfig
from domain.rollout import Action, Command
from domain.strategies.rules import default_policy_violations

_NOT_NULL = ("strategy", "paused", "rollback_window_seconds")


async def patched(
    parts: Parts, project_id: UUID, config_id: UUID, wish: TrafficConfigPatch
) -> TrafficConfig:
    """Keep what is given. Raises InvalidSpec for a null where there must be something."""
    config = await parts.registry.config(project_id, config_id)
    changed = replace(config, **_changes(wish), updated_at=datetime.now(UTC))
    if {"default_gates", "default_gate_templates"} & wish.model_fields_set:
        await require_defaults(parts, changed)
    elif violations := tuple(default_policy_violations(changed.default_policies or Policies())):
        # A template that was retired since must not stand in the way of a pause.
        raise InvalidSpec(*violations)
    if changed.paused is not config.paused:
        # First, so that a repeat tells it again where it could not be told.
        await _tell_rollout(parts, changed)
    await parts.registry.set_config(changed)
    return await parts.registry.config(project_id, config_id)


def _changes(wish: TrafficConfigPatch) -> dict[str, Any]:
    given = wish.model_fields_set
    for name in _NOT_NULL:
        if name in given and getattr(wish, name) is None:
            raise broken(name, "must not be null")
    changes: dict[str, Any] = {n: getattr(wish, n) for n in ("strategy", "paused") if n in given}
    if wish.rollback_window_seconds is not None:
        changes["rollback_window"] = timedelta(seconds=wish.rollback_window_seconds)
    if "default_gates" in given:
        changes["default_gates"] = gates_of(wish.default_gates)
    if "default_gate_templates" in given:
        changes["default_gate_templates"] = uses_of(wish.default_gate_templates or ())
    if "default_policies" in given:
        policies = wish.default_policies
        changes["default_policies"] = None if policies is None else policies.to_domain()
    return changes


async def _tell_rollout(parts: Parts, config: TrafficConfig) -> None:
    """A rollout that ends just now, or has no run, has nothing to pause."""
    rollout = await parts.registry.live_rollout(config.project_id, config.id)
    if rollout is None:
        return
    action = Action.PAUSE if config.paused else Action.RESUME
    command = Command(actor=ANYBODY, reason=f"the traffic config was {action}d")
    with suppress(Conflict, Absent):
        await parts.control.command(rollout, action, command)
