"""How the requests divide among the slots of a route, read from the counters look by look."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from activities.heartbeats import say
from domain.errors import NO_ANSWER
from domain.evidence_port import CounterSource
from domain.gates import Source
from domain.progress import Acted, ActState
from domain.settling import Agreement, Pair, Share, StartedTally, agreement, pairs
from domain.traffic import NO_EXTRAS, Extras, Place, Route, Slots

# So many fresh readings without a request make a route quiet, which is enough where the new weight
# leaves nothing to divide.
QUIET_LOOKS = 2
# The first disagreement may rest on requests that are older than the weights; a second one may not.
DOUBTS = 2
WINDOW_AT_LEAST = timedelta(seconds=10)


class Asked(Protocol):
    """What a look needs of an order."""

    @property
    def route(self) -> Route: ...
    @property
    def source(self) -> Source: ...
    @property
    def probe_interval(self) -> timedelta: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SharesOrder:
    """See the traffic obey `slots`, where `before` was in force.

    Until `see_until` the requests are to show it; after that the gateway's word is enough, unless
    they show something else.
    """

    route: Route
    slots: Slots
    before: Slots
    source: Source
    probe_interval: timedelta
    see_until: datetime
    deadline: datetime
    extras: Extras = NO_EXTRAS


async def read_share(
    counters: CounterSource, order: Asked, pair: tuple[Place, Place], tally: StartedTally
) -> tuple[Share, str]:
    """What the two places got since the tally began, and why nothing new is known of it."""
    candidate, stable = pair
    try:
        reading = await counters.read(
            order.route,
            order.source,
            candidate=candidate,
            stable=stable,
            window=max(order.probe_interval * 4, WINDOW_AT_LEAST),
        )
    except NO_ANSWER as error:
        return tally.share, str(error)
    return tally.take(reading), ""


class ShareWatch:
    """The shares of a route as the requests show them, pair by pair, look by look."""

    def __init__(self, order: SharesOrder, counters: CounterSource) -> None:
        self._order, self._counters = order, counters
        self._tallies = {pair: StartedTally() for pair in pairs(order.before, order.slots)}
        self._looks = 0

    async def look(self) -> Acted | None:
        """What has come of it; None while more looks may tell more."""
        verdicts: set[Agreement] = set()
        told, trouble, advanced = [], "", False
        for pair, tally in self._tallies.items():
            places = (Place(position=pair.slot), Place(position=pair.reference))
            share, missing = await read_share(self._counters, self._order, places, tally)
            verdicts.add(_doubted(pair, share, tally))
            trouble, advanced = trouble or missing, advanced or (tally.advanced and not missing)
            told.append(_between(pair, share, self._order.slots))
        said = trouble or "; ".join(told)
        say(said)
        self._looks = 0 if Agreement.DISAGREES in verdicts else self._looks + advanced
        return self._judged(verdicts, said)

    def _judged(self, verdicts: set[Agreement], said: str) -> Acted | None:
        now = datetime.now(UTC)
        if not verdicts or verdicts == {Agreement.AGREES}:
            return seen(ActState.DONE, said or "the gateway confirms the route")
        if Agreement.DISAGREES in verdicts:
            return seen(ActState.DISOBEYED, said) if now >= self._order.deadline else None
        if verdicts == {Agreement.SILENT} and self._looks > QUIET_LOOKS:
            return seen(ActState.DONE, "no request came by; the gateway confirms the route")
        if now < self._order.see_until:
            return None
        return seen(ActState.DONE, f"the gateway confirms the route; {said}")


def _doubted(pair: Pair, share: Share, tally: StartedTally) -> Agreement:
    """Whether a pair agrees; twice seen not to, it does only once its requests show it."""
    verdict = agreement(share, weight=pair.weight, previous=pair.previous)
    if verdict is Agreement.DISAGREES:
        tally.disagree()
    elif verdict is not Agreement.AGREES and tally.disagreements >= DOUBTS:
        return Agreement.DISAGREES
    return verdict


def _between(pair: Pair, share: Share, slots: Slots) -> str:
    """Three shares or more are told two by two, as they are compared."""
    one = slots[pair.slot].workload if pair.slot < len(slots) else "what has left"
    other = slots[pair.reference].workload
    if share.percent is None:
        return f"no request was seen for {one} or {other}"
    return (
        f"of {share.total:,} requests for {one} or {other} {share.percent:.1f} % went to {one}, "
        f"{pair.weight:.3g} % by weight"
    )


def seen(state: ActState, detail: str) -> Acted:
    return Acted(state=state, at=datetime.now(UTC), detail=detail)
