"""What the settling of a step looks at: the candidate's share of the split, and its copies."""

from activities.shares import Asked, read_share
from domain.evidence_port import CounterSource
from domain.settling import Agreement, Comparison, Share, StartedTally, agreement
from domain.traffic import FULL, PlaceKind


class View:
    """One comparison, look by look. `said` is what the last look found, for people."""

    def __init__(self, compared: Comparison) -> None:
        self._compared, self._tally = compared, StartedTally()
        self._verdict = Agreement.SILENT
        self.said = ""
        self.has_news = False

    async def look(self, order: Asked, counters: CounterSource) -> Agreement:
        compared = self._compared
        places = (compared.place, compared.reference)
        share, trouble = await read_share(counters, order, places, self._tally)
        self._verdict = agreement(share, weight=compared.weight, previous=compared.previous)
        if self._verdict is Agreement.DISAGREES:
            self._tally.disagree()
        self.said = trouble or _described(share, compared)
        self.has_news = self._tally.advanced and not trouble
        return self._verdict

    @property
    def is_quiet_enough(self) -> bool:
        """Whether silence is enough: nothing is to be divided, so that none of it can go astray."""
        return self._verdict is Agreement.SILENT and self._compared.weight in (0, FULL)

    @property
    def is_disobeyed(self) -> bool:
        """Whether requests that are no older than the route have shown something else."""
        return self._verdict is not Agreement.AGREES and self._tally.disagreements > 1


def _described(share: Share, compared: Comparison) -> str:
    written, is_copied = compared.due, compared.place.kind is PlaceKind.MIRROR
    if share.percent is None:
        what = "mirror" if is_copied else "weight"
        return f"no request has come by since the {what} was set to {written} %"
    if is_copied:
        requests = round(share.stable * FULL / compared.beside)
        return f"{share.candidate:,} copies of {requests:,} requests observed, {written} % written"
    return (
        f"{share.percent:.1f} % of {share.total:,} requests observed at the candidate, "
        f"{written} % written"
    )
