"""How a virtual model stands in its route, and how a route goes from one layout to the next."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from domain.virtual_models import Backends, VirtualModelBackend, written_weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Ref:
    """One position in the route's list of backends. Priorities count from 0 without gaps."""

    name: str
    namespace: str
    model_name_override: str | None
    weight: int
    priority: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What the gateway is to do: the references, and how many priorities a request may try.

    With one level a failure is final and each reference has statistics of its own; with more, the
    gateway tries the next priority.
    """

    refs: tuple[Ref, ...]
    levels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualRouteState:
    """A route as the cluster holds it. `obeyed` is what the gateway says it has put in force."""

    layout: Layout
    model: str
    obeyed: bool
    obeyed_detail: str = ""


def layout_of(backends: Backends) -> Layout:
    """How these backends stand in the route, each in its position.

    The gateway leaves a reference of weight 0 out, a fallback too. So a priority whose weights are
    all 0 is written with 1 each: weights count among the backends of one priority only. A position
    that nobody holds any more repeats the first backend at weight 0: were those behind it to move
    up, the gateway would not know them by their new position for some seconds.
    """
    if not backends:
        return Layout(refs=(), levels=1)
    rank = {priority: i for i, priority in enumerate(sorted({b.priority for b in backends}))}
    weights = written_weights(backends)
    by_position = {
        one.position: _ref(one, weight=weights[one.id], priority=rank[one.priority])
        for one in backends
    }
    idle = replace(by_position[min(by_position)], weight=0, priority=0)
    refs = tuple(by_position.get(i, idle) for i in range(max(by_position) + 1))
    return Layout(refs=refs, levels=len(rank))


def stages(before: Backends, after: Backends) -> tuple[Layout, ...]:
    """The layouts to pass through, each to be obeyed before the next is written.

    Who joins is made known at weight 0, who leaves stays at weight 0 until the others carry its
    traffic. While any priority is in use the gateway tries them all: a reference of a lower
    priority would otherwise get a share of the first attempts. With no backends after there is
    no layout: the route goes.
    """
    if not after:
        return ()
    first, last = layout_of(before), layout_of(after)
    levels = max(first.levels, last.levels)
    kept, staying = {b.id for b in before}, {b.id for b in after}
    joining = [b for b in after if b.id not in kept]
    leaving = [b for b in before if b.id not in staying]
    path = (
        Layout(refs=_beside(first.refs, joining), levels=levels),
        Layout(refs=_beside(last.refs, leaving), levels=levels),
        last,
    )
    start = first if before else Layout(refs=(), levels=0)
    passed = (start, *path)
    return tuple(stage for i, stage in enumerate(path) if stage != passed[i])


def way_back(before: Backends, after: Backends) -> tuple[Layout, ...]:
    """The layouts that undo a change that was begun, wherever it stands; none: the route goes."""
    if not before:
        return ()
    kept = {backend.id for backend in before}
    joining = [backend for backend in after if backend.id not in kept]
    last = layout_of(before)
    levels = max(last.levels, layout_of(after).levels)
    path = (Layout(refs=_beside(last.refs, joining), levels=levels), last)
    return path if path[0] != last else (last,)


def _ref(backend: VirtualModelBackend, *, weight: int, priority: int) -> Ref:
    return Ref(
        name=backend.name,
        namespace=backend.namespace,
        model_name_override=backend.model_name_override,
        weight=weight,
        priority=priority,
    )


def _beside(refs: tuple[Ref, ...], others: Iterable[VirtualModelBackend]) -> tuple[Ref, ...]:
    """The references with the others in their positions, at weight 0."""
    listed = dict(enumerate(refs))
    listed |= {other.position: _ref(other, weight=0, priority=0) for other in others}
    if not listed:
        return ()
    idle = replace(listed[min(listed)], weight=0, priority=0)
    return tuple(listed.get(i, idle) for i in range(max(listed) + 1))
