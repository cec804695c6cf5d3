"""The steps of a plan: few kinds, each of which says in full what is to be.

Strategies compile to these. A step that changes traffic states all of it, so that any step can be
carried out without knowing the ones before.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Literal

from domain.comparison import Comparison
from domain.spans import spoken
from domain.traffic import HeaderMatch


class Reaction(StrEnum):
    """What a policy does about a cause. `advance` must be asked for; nothing defaults to it."""

    HOLD = "hold"
    PAUSE = "pause"
    ROLL_BACK = "rollback"
    ADVANCE = "advance"


class Until(StrEnum):
    """What a soak waits for.

    PROVEN: every gate passes. ELAPSED: its time is over, and nothing speaks against the candidate.
    PROMOTED: a person says so. APPROVED: a person with one of its roles does. CONFIRMED: its hook
    says yes. DECIDED: the trial between the challengers and stable is.
    """

    PROVEN = "proven"
    ELAPSED = "elapsed"
    PROMOTED = "promoted"
    APPROVED = "approved"
    CONFIRMED = "confirmed"
    DECIDED = "decided"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deploy:
    """Bring all challengers up beside stable: ready, known to the gateway, at weight 0."""

    kind: Literal["deploy"] = "deploy"

    def __str__(self) -> str:
        return "deploy the candidate at weight 0"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetScale:
    """Have at least `replicas` of the candidate, all ready; stable keeps all that it has."""

    replicas: int
    kind: Literal["set_scale"] = "set_scale"

    def __str__(self) -> str:
        return f"scale the candidate to {self.replicas}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmShares:
    """The traffic of a trial: the percent of each challenger by name; stable gets the rest.

    `left` are those who have left it for good. `buckets` has a digit for each bucket of users who
    stick, the place of its owner in the order of the trial's arms; empty where nobody sticks.
    """

    weights: Mapping[str, int]
    left: tuple[str, ...] = ()
    buckets: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetWeights:
    """Give the candidate `candidate` percent of the traffic and wait until the gateway obeys.

    Beside it, copies of `mirror` percent of all requests go to the candidate, whose answers nobody
    sees, and requests with the headers of `preview` are answered by it. In a trial `candidate` is
    what all challengers get together, and `arms` says what each of them gets.
    """

    candidate: int
    mirror: int = 0
    preview: tuple[HeaderMatch, ...] = ()
    arms: ArmShares | None = None
    kind: Literal["set_weights"] = "set_weights"

    @property
    def left(self) -> tuple[str, ...]:
        """Who has left a trial for good."""
        return () if self.arms is None else self.arms.left

    def __str__(self) -> str:
        if self.arms is not None:
            shares = ", ".join(f"{name} {weight} %" for name, weight in self.arms.weights.items())
            return f"divide the traffic: {shares}, the rest for stable"
        if self.mirror:
            beside = f", {self.candidate} % of the traffic beside" if self.candidate else ""
            return f"mirror {self.mirror} % to the candidate{beside}"
        if self.preview:
            headers = ", ".join(f"{header.name}: {header.value}" for header in self.preview)
            return f"show the candidate to requests with {headers}"
        return f"send {self.candidate} % to the candidate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Soak:
    """Wait for `until` while the gates watch: never less than `at_least`.

    When `at_most` is over it counts as undecided, and `at_the_end` says what happens, else the
    policy on_undecided does. Equal bounds make a timed soak; `at_least` of zero makes one that is
    paced by its evidence. Where it is not `gated` the gates are not asked yet. Beside the gates, a
    `comparison` of answers has to pass. With a `margin` the ratio to stable over the whole rollout
    must be proven below it, in place of a PASS of this step's own.
    """

    weight: int
    at_least: timedelta
    at_most: timedelta
    until: Until = Until.PROVEN
    gated: bool = True
    at_the_end: Reaction | None = None
    roles: tuple[str, ...] = ()
    hook: str = ""
    comparison: Comparison | None = None
    margin: float | None = None
    kind: Literal["soak"] = "soak"

    def __str__(self) -> str:
        compared = f", comparing {len(self.comparison.sample)} answers" if self.comparison else ""
        return f"{self._wait}{compared}"

    @property
    def _wait(self) -> str:
        at, within = f"at {self.weight} %", f"{spoken(self.at_most)} at most"
        match self.until:
            case Until.PROVEN if self.at_least == self.at_most:
                return f"soak {at} for {spoken(self.at_most)}"
            case Until.PROVEN:
                proven = "proven" if self.margin is None else f"below {self.margin:g} times stable"
                return f"soak {at} until {proven}, {within}"
            case Until.ELAPSED:
                return f"stay {at} for {spoken(self.at_most)}"
            case Until.PROMOTED:
                return f"stay {at} until {self.awaited}"
            case Until.DECIDED:
                return f"compare the arms until one has won, {within}"
            case Until.APPROVED | Until.CONFIRMED:
                return f"stay {at} until {self.awaited}, {within}"

    @property
    def awaited(self) -> str:
        """Whose word ends it, and which."""
        match self.until:
            case Until.APPROVED:
                return f"{' or '.join(self.roles) or 'somebody'} approves"
            case Until.CONFIRMED:
                return f"the hook {self.hook} confirms"
            case _:
                return "somebody promotes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Promote:
    """Make the candidate, which carries all traffic by now, the stable variant."""

    kind: Literal["promote"] = "promote"

    def __str__(self) -> str:
        return "make the candidate stable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retire:
    """Keep the former stable for `delay`, then drain and remove it."""

    delay: timedelta
    kind: Literal["retire"] = "retire"

    def __str__(self) -> str:
        when = f" after {spoken(self.delay)}" if self.delay else ""
        return f"retire the former stable{when}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclude:
    """End without a promotion: all challengers are removed, and stable keeps the traffic.

    Behind a way to a promotion it is the other end of the plan, for want of a winner.
    """

    kind: Literal["conclude"] = "conclude"

    def __str__(self) -> str:
        return "remove the candidate; stable keeps the traffic"


Step = Deploy | SetScale | SetWeights | Soak | Promote | Retire | Conclude
