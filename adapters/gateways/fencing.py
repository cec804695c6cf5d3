"""Who wrote a route last, kept in its annotations; an older writer is turned away.

A run of a workflow that was terminated may leave an activity behind that still writes. The
resource version alone would let it: it reads, then swaps.
"""

from collections.abc import Mapping
from typing import Any

from adapters.kubernetes.documents import DOMAIN, mapping, moment, text
from domain.errors import FencedOut
from domain.traffic import Ownership

HOLDER = f"{DOMAIN}/holder"
ORDERED_AT = f"{DOMAIN}/ordered-at"
RUN_ID = f"{DOMAIN}/run-id"
SEQUENCE = f"{DOMAIN}/sequence"


def annotations(owner: Ownership) -> dict[str, str]:
    return {
        HOLDER: owner.holder,
        ORDERED_AT: owner.ordered_at.isoformat(),
        RUN_ID: owner.run_id,
        SEQUENCE: str(owner.sequence),
    }


def owner_of(found: Mapping[str, Any]) -> Ownership | None:
    """Who wrote the object last; None when nobody did, or the annotations were tampered with."""
    carried = mapping(found, "metadata", "annotations")
    ordered_at = moment(text(carried, ORDERED_AT))
    sequence = text(carried, SEQUENCE)
    if ordered_at is None or not (sequence.isascii() and sequence.isdigit()):
        return None
    return Ownership(
        holder=text(carried, HOLDER),
        ordered_at=ordered_at,
        run_id=text(carried, RUN_ID),
        sequence=int(sequence),
    )


def require_newest(held: Ownership | None, owner: Ownership) -> None:
    """Raise FencedOut when a newer run, or a later write of this run, has written already.

    Two runs that ordered at the same moment have none between them: the first to write keeps it.
    """
    if held is None:
        return
    unordered = owner.token == held.token and owner.run_id != held.run_id
    if owner.token < held.token or unordered:
        raise FencedOut(
            f"{owner.holder} run {owner.run_id} may not make write {owner.sequence}: "
            f"{held.holder} run {held.run_id}, ordered at {held.ordered_at.isoformat()}, "
            f"has made write {held.sequence}"
        )
