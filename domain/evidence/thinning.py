"""Which places of a long history a chart shows: all that matter, and of the others an even part."""

from collections.abc import Hashable, Iterable, Sequence


def even(count: int, most: int) -> frozenset[int]:
    """`most` of so many places, evenly, the last one among them; all where there are no more."""
    if count <= most:
        return frozenset(range(count))
    return frozenset((part + 1) * count // most - 1 for part in range(most))


def ends(values: Iterable[Hashable]) -> frozenset[int]:
    """The last place of each run of equal values."""
    found: list[int] = []
    before: Hashable = None
    for place, value in enumerate(values):
        if found and value == before:
            found[-1] = place
        else:
            found.append(place)
        before = value
    return frozenset(found)


def thinned(required: Sequence[bool], most: int) -> list[int]:
    """The places that stay, in order: all that are required, and others up to `most` in all."""
    others = [place for place, must in enumerate(required) if not must]
    room = max(most - (len(required) - len(others)), 0)
    stay = {others[chosen] for chosen in even(len(others), room)}
    return [place for place, must in enumerate(required) if must or place in stay]
