"""What a hook is sent, and what it answers."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from domain.hooks import HookKind
from domain.rollout import Entry, Phase

# Raised only where a receiver that was written for the former one would be misled.
DOCUMENT_VERSION = 1
# More events than this go in a delivery of their own.
MOST_EVENTS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Where a rollout stands: its step counted from 0, the weights by variant name in percent."""

    phase: Phase
    step: int
    weights: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One thing that one hook is told, or asked.

    `delivery` names it: whoever has heard it under that name has heard it, however often it comes.
    Only hooks of the kind `event` have `events`.
    """

    delivery: str
    hook: str
    kind: HookKind
    rollout_id: UUID
    project_id: UUID
    config_id: UUID
    model: str
    situation: Situation
    reason: str
    at: datetime
    events: tuple[Entry, ...] = field(default_factory=tuple)


class Said(StrEnum):
    YES = "yes"
    NO = "no"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a hook said: 2xx is a yes, 4xx a no that may become a yes; `detail` is for people.

    That it could not answer is no answer: Unreachable.
    """

    said: Said
    status: int
    detail: str


def document(notice: Notice) -> dict[str, Any]:
    """The notice as JSON has it: names in it are promised to receivers."""
    return {
        "version": DOCUMENT_VERSION,
        "delivery": notice.delivery,
        "hook": notice.hook,
        "kind": str(notice.kind),
        "project_id": str(notice.project_id),
        "traffic_config_id": str(notice.config_id),
        "rollout_id": str(notice.rollout_id),
        "model": notice.model,
        "phase": str(notice.situation.phase),
        "step": notice.situation.step,
        "weights": notice.situation.weights,
        "reason": notice.reason,
        "at": _moment(notice.at),
        "events": [_event(entry) for entry in notice.events],
    }


def _event(entry: Entry) -> dict[str, Any]:
    return {
        "kind": str(entry.kind),
        "message": entry.message,
        "step": entry.step,
        "at": _moment(entry.at),
    }


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
