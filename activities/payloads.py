"""How much an activity may hand to its workflow at once."""

from collections.abc import Iterable
from typing import TypeVar

from temporalio import activity

T = TypeVar("T")

# Temporal warns of larger payloads, and takes none above 2 MB: an activity that returned one would
# be tried again for ever.
MOST_BYTES = 512 * 1024


def that_fit(found: Iterable[T]) -> tuple[T, ...]:
    """The first of what was found, as many as one payload carries; the first one always."""
    convert, room = activity.payload_converter().to_payloads, MOST_BYTES
    fit: list[T] = []
    for one in found:
        (payload,) = convert([one])
        room -= payload.ByteSize()
        if fit and room < 0:
            break
        fit.append(one)
    return tuple(fit)
