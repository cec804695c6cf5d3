"""What an A/B test asks for beside gates and policies."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Self
from uuid import UUID

from pydantic import Field, model_validator

from api.schemas.fields import Fraction, Incoming, Label, Name, Outgoing, Seconds
from api.schemas.steps import Percent
from api.schemas.strategies import MOST_HEADERS, HeaderMatchBody, HeaderName, HeaderValue
from domain.buckets import cookie_match
from domain.errors import InvalidSpec, Violation
from domain.gates import Source
from domain.steps import Reaction
from domain.strategies.ab_test import AbTestSpec, OnWinner
from domain.strategies.rules import Terms
from domain.traffic import HeaderMatch
from domain.trial import (
    MOST_ARMS,
    Direction,
    Reward,
    RewardCounters,
    RewardMetric,
    ThompsonRules,
    Trial,
    TrialRules,
)

_THOMPSON = ThompsonRules()


class CookieIn(Incoming):
    name: HeaderName
    value: HeaderValue


class MatchIn(Incoming):
    """What a request must carry to reach an arm: these headers, or this cookie."""

    headers: list[HeaderMatchBody] | None = Field(
        default=None, min_length=1, max_length=MOST_HEADERS, description="All of them."
    )
    cookie: CookieIn | None = None

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if (self.headers is None) == (self.cookie is None):
            raise ValueError("a match is by headers or by a cookie: give one of them")
        return self

    def to_domain(self, at: str) -> tuple[HeaderMatch, ...]:
        """Raises InvalidSpec for what no cookie can be."""
        if self.cookie is None:
            return tuple(header.to_domain() for header in self.headers or ())
        try:
            return cookie_match(self.cookie.name, self.cookie.value)
        except InvalidSpec as error:
            named = (Violation(f"{at}.{one.field}", one.rule) for one in error.violations)
            raise InvalidSpec(*named) from error


class ArmIn(Incoming):
    """A version that challenges stable, under a name of its own."""

    name: Label
    version_id: UUID
    weight: Percent | None = Field(
        default=None, description="Percent of the split; left out of all arms: equal parts."
    )
    match: MatchIn | None = Field(
        default=None, description="Requests that carry this reach the arm, whatever its weight."
    )


class RewardCountersBody(Incoming):
    """Counters of whoever uses the answers: of tries, and of those that came off."""

    tries: Name = Field(description="A counter in Prometheus, such as `shop_offers_total`.")
    won: Name = Field(description="Another one, such as `shop_orders_total`.")
    label: Name = Field(
        description="The label that names the InferenceService whose answer was used."
    )

    def to_domain(self) -> RewardCounters:
        return RewardCounters(tries=self.tries, won=self.won, label=self.label)

    @classmethod
    def from_domain(cls, counters: RewardCounters) -> Self:
        return cls(tries=counters.tries, won=counters.won, label=counters.label)


class RewardBody(Incoming):
    """The one fraction that arms are compared by."""

    metric: RewardMetric = Field(
        default=RewardMetric.SUCCESS_RATE,
        description="`success_rate`: answers without an error; `fast_rate`: answers within "
        "`slow_over_ms`; `conversion`: what came off, of what was tried.",
    )
    direction: Direction = Field(default=Direction.HIGHER, description="Which way is better.")
    source: Source = Source.ENVOY
    slow_over_ms: Fraction | None = Field(
        default=None, description="For fast_rate: a bound that the source counts at."
    )
    counters: RewardCountersBody | None = Field(
        default=None, description="For conversion, which needs them."
    )

    def to_domain(self) -> Reward:
        return Reward(
            metric=self.metric,
            direction=self.direction,
            source=self.source,
            slow_over_ms=self.slow_over_ms,
            counters=None if self.counters is None else self.counters.to_domain(),
        )

    @classmethod
    def from_domain(cls, reward: Reward) -> Self:
        counters = reward.counters
        return cls(
            metric=reward.metric,
            direction=reward.direction,
            source=reward.source,
            slow_over_ms=reward.slow_over_ms,
            counters=None if counters is None else RewardCountersBody.from_domain(counters),
        )


class ThompsonBody(Incoming):
    """Weights follow the chance of being best, slowly and with a floor."""

    floor: Percent = Field(default=_THOMPSON.floor, description="What each arm keeps.")
    step_limit: Percent = Field(
        default=_THOMPSON.step_limit, description="The most points that a weight moves at once."
    )
    warm_up_seconds: Seconds = Field(
        default=_THOMPSON.warm_up.total_seconds(), description="How long all weights stay equal."
    )
    update_every_seconds: Seconds = Field(
        default=_THOMPSON.update_every.total_seconds(),
        description="When weights move: at the soonest after a quarter of the test so far.",
    )
    update_rewards: int = Field(
        default=_THOMPSON.update_rewards,
        ge=1,
        le=10**9,
        description="So many requests of each arm make it due sooner.",
    )

    def to_domain(self) -> ThompsonRules:
        every = timedelta(seconds=self.update_every_seconds)
        return ThompsonRules(
            floor=self.floor,
            step_limit=self.step_limit,
            warm_up=timedelta(seconds=self.warm_up_seconds),
            update_every=every,
            update_rewards=self.update_rewards,
            period=every,
        )

    @classmethod
    def from_domain(cls, rules: ThompsonRules) -> Self:
        return cls(
            floor=rules.floor,
            step_limit=rules.step_limit,
            warm_up_seconds=rules.warm_up.total_seconds(),
            update_every_seconds=rules.update_every.total_seconds(),
            update_rewards=rules.update_rewards,
        )


class AbTestIn(Incoming):
    """Versions beside stable, compared until one has won, all are alike, or the time is over."""

    arms: list[ArmIn] = Field(
        min_length=1, max_length=MOST_ARMS - 1, description="All that challenge stable."
    )
    reward: RewardBody = Field(default_factory=RewardBody)
    sticky_header: HeaderName | None = Field(
        default=None,
        description="A header with a hash of the user, in hex digits: users stay with their arm.",
    )
    alpha: Fraction = Field(
        default=0.05, description="Bound on the chance of a wrong winner, over all arms and looks."
    )
    equivalence_margin: Fraction | None = Field(
        default=None,
        description="Arms whose rewards differ by less than this fraction are equivalent.",
    )
    overdispersion: float | None = Field(
        default=None,
        allow_inf_nan=False,
        le=1000,
        description="How much more outcomes scatter than independent ones; left out: 1, or 3 "
        "where users stay with an arm.",
    )
    allocation: ThompsonBody | None = Field(
        default=None, description="Weights follow the reward; left out: they stay."
    )
    on_winner: OnWinner = Field(
        default=OnWinner.ASK,
        description="`promote` the winner, `keep` stable, or `ask`: wait for a person.",
    )
    at_most_seconds: Seconds = Field(description="The time limit.")
    at_least_seconds: Seconds = Field(default=0.0, description="The shortest, even if decided.")
    on_undecided: Reaction = Field(
        default=Reaction.ADVANCE,
        description="What happens at the time limit; `advance` concludes: stable keeps it all.",
    )

    def to_domain(self, terms: Terms) -> AbTestSpec:
        return AbTestSpec(
            reward=self.reward.to_domain(),
            rules=TrialRules(alpha=self.alpha, equivalence_margin=self.equivalence_margin),
            allocation=None if self.allocation is None else self.allocation.to_domain(),
            weights={arm.name: arm.weight for arm in self.arms if arm.weight is not None},
            sticky_header=self.sticky_header or "",
            matched=_matched(self.arms),
            overdispersion=self.overdispersion,
            on_winner=self.on_winner,
            at_most=timedelta(seconds=self.at_most_seconds),
            at_least=timedelta(seconds=self.at_least_seconds),
            on_undecided=self.on_undecided,
            **terms.shared(),
        )


def _matched(arms: Sequence[ArmIn]) -> dict[str, tuple[HeaderMatch, ...]]:
    return {
        arm.name: arm.match.to_domain(f"ab_test.arms.{i}.match")
        for i, arm in enumerate(arms)
        if arm.match is not None
    }


class TrialPlanOut(Outgoing):
    """How the arms of a plan are compared. Users stay with their arm where `sticky_header` says."""

    arms: list[str] = Field(description="All of them, stable first.")
    reward: RewardBody
    alpha: float
    equivalence_margin: float | None
    overdispersion: float
    sticky_header: str | None
    matched: list[str] = Field(description="The arms that are reached by what clients bring.")
    allocation: ThompsonBody | None

    @classmethod
    def from_domain(cls, trial: Trial) -> Self:
        allocation = trial.allocation
        return cls(
            arms=list(trial.arms),
            reward=RewardBody.from_domain(trial.reward),
            alpha=trial.rules.alpha,
            equivalence_margin=trial.rules.equivalence_margin,
            overdispersion=trial.phi,
            sticky_header=trial.sticky_header or None,
            matched=list(trial.matches),
            allocation=None if allocation is None else ThompsonBody.from_domain(allocation),
        )
