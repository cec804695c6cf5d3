"""How a rule stands that must be proven at a step: by the step itself, or by its margin."""

from domain.evidence import rate_ratio, reasons
from domain.evidence.tallies import Tally
from domain.gates import AgainstStable


def said(claim: AgainstStable | float, here: Tally, e: float, beta: float) -> str:
    """That `e` proves the claim with an error of `beta` at most, or how much is missing.

    With a margin the upper limit is told of the confidence sequence that the proof belongs to: at
    1 - beta/2, as the floor is another chance.
    """
    is_proven = e >= 1 / beta
    if here.rung is None or not isinstance(claim, AgainstStable):
        say = reasons.proven if is_proven else reasons.not_yet_proven
        return say(claim, e, 1 / beta)
    _, upper = rate_ratio.confidence_sequence(here.rung.total.ell, 1 - beta / 2)
    if is_proven:
        return reasons.rung_reached(here.rung, upper, claim)
    return reasons.rung_not_reached(here.rung, upper)
