"""One rollout as a story: its events become lines, and a scene that can be looked at any time.

Words only; `stage.py` puts them on a terminal.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from sandbox.caller import Document, Event
from sandbox.demo.judgement import Servers

_FULL = 100


class Tone(StrEnum):
    PLAIN = "plain"
    STRONG = "strong"
    GOOD = "good"
    BAD = "bad"
    FAINT = "faint"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """`label` says in a word or two what the sentence is about; `seconds` count from the start."""

    seconds: float | None = None
    label: str
    text: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True, kw_only=True)
class GateView:
    """A gate's last verdict in the present step."""

    status: str = "undecided"
    reason: str = "no verdict yet"

    @property
    def tone(self) -> Tone:
        return {"pass": Tone.GOOD, "fail": Tone.BAD}.get(self.status, Tone.FAINT)


_Told = tuple[str, str, Tone]


@dataclass(slots=True, kw_only=True)
class Scene:
    """Where a rollout is, as its events have told so far."""

    stable: str
    candidate: str
    variant: str
    """The candidate's name among the plan's weights."""
    servers: Servers
    started_at: datetime
    link: str
    steps: tuple[Mapping[str, Any], ...]
    gates: dict[str, GateView]
    step: int = 0
    candidate_weight: int = 0
    failed_gates: list[str] = field(default_factory=list)
    is_rolling_back: bool = False
    is_over: bool = False
    """Nothing changes any more; the answers after the end are being counted."""

    @classmethod
    def of(cls, rollout: Document) -> Self:
        """The scene of a rollout that the API has just started."""
        plan = rollout["plan"]
        stable, candidate = plan["stable"], plan["candidate"]
        return cls(
            stable=stable["version_name"],
            candidate=candidate["version_name"],
            variant=candidate["name"],
            servers=Servers(stable=stable["workload"], candidate=candidate["workload"]),
            started_at=datetime.fromisoformat(rollout["created_at"]),
            link=rollout["links"]["temporal_ui"],
            steps=tuple(plan["steps"]),
            gates={gate["name"]: GateView() for gate in plan["gates"]},
        )

    @property
    def split(self) -> str:
        """The weights as last written."""
        stable = _FULL - self.candidate_weight
        return f"{self.stable} {stable} %, {self.candidate} {self.candidate_weight} %"

    @property
    def now(self) -> str:
        if self.is_over:
            return "it has ended; counting who answers now"
        if self.is_rolling_back:
            return f"rolling back to {self.stable}"
        return f"step {self.step + 1} of {len(self.steps)}: {self.steps[self.step]['sentence']}"

    def hear(self, event: Event) -> list[Line]:
        """Takes an event down; the lines that tell it, none where another one tells the same."""
        seconds = max((event.at - self.started_at).total_seconds(), 0.0)
        return [
            Line(seconds=seconds, label=label, text=text, tone=tone)
            for label, text, tone in self._told(event)
        ]

    def _told(self, event: Event) -> Iterator[_Told]:
        match event.kind:
            case "requested" | "started" | "decided" | "completed":
                return  # the steps and verdicts around them say the same
            case "step_started":
                yield self._step_started(event)
            case "settled":
                yield "observed", event.message, Tone.PLAIN
            case "verdict":
                yield from self._verdict(event)
            case "rollback_started":
                yield self._rollback_started(event)
            case "weights_set":
                self.candidate_weight = 0 if self.is_rolling_back else self.candidate_weight
                yield "written", event.message, Tone.PLAIN
            case "promoted":
                yield "promoted", event.message, Tone.GOOD
            case "rolled_back":
                yield "rolled back", f"{self.candidate} is gone", Tone.PLAIN
            case "failed" | "drifted" | "metrics_lost":
                yield event.kind.replace("_", " "), event.message, Tone.BAD
            case _:
                yield event.kind.replace("_", " "), event.message, Tone.PLAIN

    def _step_started(self, event: Event) -> _Told:
        self.step = event.step or 0
        here = self.steps[self.step]
        text = here["sentence"]
        if here["kind"] == "set_weights":
            self.candidate_weight = here["weights"][self.variant]
            text = f"{text} ({self.split})"
        if here["kind"] == "soak":
            # A verdict belongs to the weight that it was earned at.
            self.gates = dict.fromkeys(self.gates, GateView())
        return f"step {self.step + 1} of {len(self.steps)}", text, Tone.STRONG

    def _verdict(self, event: Event) -> Iterator[_Told]:
        verdict = event.data["verdict"]
        gate, status = verdict["gate"], verdict["status"]
        # Verdicts are told when they change. What the first one says, that nothing was counted
        # yet, is no longer true a second later.
        is_first = status == "undecided" and verdict["samples"] is None
        reason = "gathering evidence" if is_first else verdict["reason"]
        view = self.gates[gate] = GateView(status=status, reason=reason)
        if status == "fail":
            self.failed_gates.append(gate)
        if not is_first:
            yield f"gate {gate}", f"{status.upper()}  {reason}", view.tone

    def _rollback_started(self, event: Event) -> _Told:
        self.is_rolling_back = True
        failed = self.failed_gates
        why = f"the {failed[0]} gate failed" if failed else event.message
        return "roll back", f"all traffic back to {self.stable}: {why}", Tone.BAD
