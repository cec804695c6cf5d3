"""Counters of a workload by a label that carries its name: what those sources have in common.

A source says what its families count and how its labels name a workload. Here its queries are
written, with every name quoted, and the series that come back are given their meaning.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from adapters.prometheus.answers import RawSeries
from adapters.prometheus.promql import any_of, duration
from domain.evidence.counters import Series, SeriesRole
from domain.traffic import Route

SECONDS, MILLISECONDS, TOKENS = 1000.0, 1.0, 1.0
_TARGET = ("job", "instance", "namespace", "pod")
_DECIMALS = 6  # of a bound: 0.3 s times 1000 is 300 ms
_SERVER_ERROR = re.compile(r"5..")


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One metric. `unit` turns its bounds into those of intervals.

    A series of requests whose `error_label` matches `errors` counts failures as well. One that
    `lacks_workload` is that of the workload which the other series of its target name.
    """

    name: str
    role: SeriesRole
    unit: float = MILLISECONDS
    error_label: str = ""
    errors: re.Pattern[str] = _SERVER_ERROR
    lacks_workload: bool = False


Generation = tuple[Family, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledCounters:
    """One source. A workload is who `label` names, with one of the `suffixes` behind its name.

    `counts` has what each meter is read from: generations of families, newest first, of which each
    target of the store is read by the first that it shows. `matchers` are further labels with the
    values that each may have; an empty value lets a series pass that has no such label.
    """

    label: str
    counts: Mapping[str, tuple[Generation, ...]]
    suffixes: tuple[str, ...] = ("",)
    matchers: Callable[[Route], Mapping[str, Sequence[str]]] = lambda _: {}

    def query(self, counts: str, route: Route, workloads: Iterable[str], window: timedelta) -> str:
        """Ask for all series that carry the name of a workload."""
        names = [family.name for family in self._families(counts) if not family.lacks_workload]
        values = [workload + suffix for workload in workloads for suffix in self.suffixes]
        return _range({"__name__": names, self.label: values, **self.matchers(route)}, window)

    def query_of_targets(
        self, counts: str, route: Route, found: Iterable[RawSeries], window: timedelta
    ) -> str | None:
        """Ask for the series without a workload's name; None where there are none to ask for."""
        names = [family.name for family in self._families(counts) if family.lacks_workload]
        targets = {_target(raw) for raw in found}
        if not names or not targets:
            return None
        columns = zip(_TARGET, zip(*sorted(targets), strict=True), strict=True)
        of_targets = {name: set(values) for name, values in columns}
        return _range({**self.matchers(route), "__name__": names, **of_targets}, window)

    def series(
        self, counts: str, found: Sequence[RawSeries], workloads: Sequence[str]
    ) -> Iterator[tuple[str, Series]]:
        """The counters by workload. Raises ValueError when labels make no sense."""
        named = {workload + suffix: workload for workload in workloads for suffix in self.suffixes}
        owners = self._owners(found, named)
        shown = _names_by_target(found)
        for raw in found:
            family = self._family_of(counts, raw, shown[_target(raw)])
            if family is None or not raw.samples:
                continue
            if family.lacks_workload:
                of = owners.get(_target(raw), set())
                workload = next(iter(of)) if len(of) == 1 else None
            else:
                workload = named.get(raw.labels.get(self.label, ""))
            if workload is not None:
                yield from ((workload, one) for one in _read(raw, family))

    def _families(self, counts: str) -> Iterator[Family]:
        return (family for generation in self.counts[counts] for family in generation)

    def _owners(
        self, found: Iterable[RawSeries], named: Mapping[str, str]
    ) -> Mapping[tuple[str, ...], set[str]]:
        """Which workloads the series of a target name: one, unless the target serves several."""
        owners: dict[tuple[str, ...], set[str]] = {}
        for raw in found:
            if (workload := named.get(raw.labels.get(self.label, ""))) is not None:
                owners.setdefault(_target(raw), set()).add(workload)
        return owners

    def _family_of(self, counts: str, raw: RawSeries, shown: set[str]) -> Family | None:
        """The family of a series, if its target is read by the generation that it belongs to."""
        for generation in self.counts[counts]:
            if any(family.name in shown for family in generation):
                name = raw.labels.get("__name__", "")
                return next((family for family in generation if family.name == name), None)
        return None


def _names_by_target(found: Iterable[RawSeries]) -> Mapping[tuple[str, ...], set[str]]:
    shown: dict[tuple[str, ...], set[str]] = {}
    for raw in found:
        shown.setdefault(_target(raw), set()).add(raw.labels.get("__name__", ""))
    return shown


def _target(raw: RawSeries) -> tuple[str, ...]:
    return tuple(raw.labels.get(name, "") for name in _TARGET)


def _range(matchers: Mapping[str, Iterable[str]], window: timedelta) -> str:
    written = (f"{label}=~{any_of(sorted(values))}" for label, values in matchers.items())
    return f"{{{','.join(written)}}}[{duration(window)}]"


def _read(raw: RawSeries, family: Family) -> Iterator[Series]:
    if family.role is SeriesRole.BUCKET:
        bound = _bound(raw.labels.get("le", "nothing"), family)
        yield raw.counting(family.role, bound_ms=bound)
        return
    yield raw.counting(family.role)
    if family.error_label and family.errors.fullmatch(raw.labels.get(family.error_label, "")):
        yield raw.counting(SeriesRole.ERRORS, mark="!")


def _bound(le: str, family: Family) -> float:
    bound = float(le) * family.unit
    if not bound > 0:
        raise ValueError(f"{le!r} is no bound of {family.name}")
    return round(bound, _DECIMALS)
