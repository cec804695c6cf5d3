"""Ways to wait at a weight, as steps of a plan."""

from dataclasses import dataclass
from datetime import timedelta

from domain.steps import Reaction, Soak, Until

# Long enough for any wait that only a person ends; the rollout's own deadline comes first.
UNLIMITED = timedelta(days=365)


def proof(
    weight: int,
    *,
    at_least: timedelta,
    at_most: timedelta,
    on_undecided: Reaction | None = None,
    gated: bool = True,
    margin: float | None = None,
) -> Soak:
    """Until every gate passes, by the margin of this step if it has one."""
    return Soak(
        weight=weight,
        at_least=at_least,
        at_most=at_most,
        at_the_end=on_undecided,
        gated=gated,
        margin=margin,
    )


def stay(weight: int, time: timedelta, *, gated: bool = True) -> Soak:
    """For a time."""
    return Soak(weight=weight, at_least=time, at_most=time, until=Until.ELAPSED, gated=gated)


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What somebody is waited for to say: for how long, and what happens then."""

    until: Until
    timeout: timedelta = UNLIMITED
    on_timeout: Reaction = Reaction.HOLD
    roles: tuple[str, ...] = ()
    hook: str = ""


def until_said(weight: int, word: Word, *, gated: bool = True) -> Soak:
    """Until somebody has said it."""
    return Soak(
        weight=weight,
        at_least=timedelta(0),
        at_most=word.timeout,
        until=word.until,
        gated=gated,
        at_the_end=word.on_timeout,
        roles=word.roles,
        hook=word.hook,
    )
