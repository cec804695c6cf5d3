"""What Envoy Gateway makes of HTTPRoutes: clusters and a route table. Pure; all names are its.

One cluster a rule with a locality a backendRef, or, where a BackendTrafficPolicy or an invalid
reference forces the split, one cluster a backendRef; positions count in both.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field

from sandbox.controllers.cluster import Key, Object
from sandbox.controllers.endpoints import Addresses, Endpoint
from sandbox.controllers.envoy_resources import (
    Json,
    Locality,
    WeightedCluster,
    cluster,
    direct,
    header_match,
    merged_cluster,
    path_match,
    route,
    route_table,
    to_cluster,
    to_clusters,
    virtual_host,
)
from sandbox.controllers.http_routes import NOT_FOUND_RULE
from sandbox.controllers.resources import HTTP_ROUTES

_ANY_HOST = "*"
_DEFAULT_TIMEOUT = "60s"
_NO_MODEL = "No matching route found. The model of the request is not configured in the gateway."

Overrides = Mapping[tuple[int, int], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything that Envoy is to know."""

    clusters: Mapping[str, Json]
    table: Json
    unresolved: frozenset[Key]
    """HTTPRoutes with a reference to a Backend that is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ref:
    position: int
    weight: int
    endpoints: tuple[Endpoint, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Placed:
    """A route with what decides which of several matching routes is tried first."""

    rank: tuple[int, int, str, Key, int, int]
    routes: tuple[Json, ...]


@dataclass(slots=True, kw_only=True)
class _Part:
    """What one HTTPRoute contributes, valid as long as its `basis` is the same."""

    basis: Hashable
    clusters: dict[str, Json] = field(default_factory=dict)
    placed: list[tuple[str, _Placed]] = field(default_factory=list)
    """With the domain of each."""
    is_resolved: bool = True


class Translator:
    """`overrides` finds the model names that an AIGatewayRoute gives its backends.

    A route is translated anew only when something about it has changed, or some endpoint.
    """

    def __init__(
        self, table_name: str, addresses: Addresses, overrides: Callable[[Key], Overrides]
    ) -> None:
        self._table_name = table_name
        self._addresses = addresses
        self._overrides = overrides
        self._parts: dict[Key, _Part] = {}

    def translate(self, http_routes: Iterable[Object], policies: Iterable[Object]) -> Snapshot:
        split = {key for policy in policies for key in _split_by(policy)}
        self._parts = {
            Key.of(http_route): self._part(http_route, is_split=Key.of(http_route) in split)
            for http_route in http_routes
        }
        parts = self._parts.items()
        return Snapshot(
            clusters={name: one for _, part in parts for name, one in part.clusters.items()},
            table=route_table(self._table_name, _hosts(self._parts.values())),
            unresolved=frozenset(key for key, part in parts if not part.is_resolved),
        )

    def _part(self, http_route: Object, *, is_split: bool) -> _Part:
        key, metadata = Key.of(http_route), http_route["metadata"]
        overrides = self._overrides(key)
        basis = (
            metadata.get("uid"),
            metadata.get("generation"),
            is_split,
            frozenset(overrides.items()),
            self._addresses.edition,
        )
        known = self._parts.get(key)
        if known is not None and known.basis == basis:
            return known
        part = _Part(basis=basis)
        for i, rule in enumerate(http_route["spec"].get("rules", [])):
            self._add(part, http_route, i, rule, is_split=is_split)
        return part

    def _add(
        self, part: _Part, http_route: Object, i: int, rule: Object, *, is_split: bool
    ) -> None:
        key = Key.of(http_route)
        created = http_route["metadata"].get("creationTimestamp", "")
        answer = self._rule(part, key, i, rule, is_split=is_split)
        for k, match in enumerate(rule.get("matches") or [{}]):
            headers = match.get("headers") or []
            exact = sum(header.get("type", "Exact") == "Exact" for header in headers)
            name = f"httproute/{key}/rule/{i}/match/{k}"
            placed = _Placed(
                rank=(-len(headers), -exact, created, key, i, k),
                routes=tuple(
                    route(name, _match(match), action, share=share) for action, share in answer
                ),
            )
            for domain in http_route["spec"].get("hostnames") or [_ANY_HOST]:
                part.placed.append((domain, placed))

    def _rule(
        self, part: _Part, key: Key, i: int, rule: Object, *, is_split: bool
    ) -> list[tuple[Json, float]]:
        """The actions of a rule with the share each takes of what those before it left."""
        refs = [
            _Ref(
                position=j,
                weight=ref.get("weight", 1),
                endpoints=self._addresses.of(ref, key.namespace),
            )
            for j, ref in enumerate(rule.get("backendRefs") or [])
        ]
        if any(ref.endpoints is None for ref in refs):
            part.is_resolved = False
        total = sum(ref.weight for ref in refs)
        if total == 0:
            unmatched = rule.get("name") == NOT_FOUND_RULE
            return [(direct(404, _NO_MODEL) if unmatched else direct(500), 1.0)]
        invalid = sum(ref.weight for ref in refs if ref.endpoints is None and ref.weight)
        place = self._split if is_split or invalid else self._merged
        timeout = (rule.get("timeouts") or {}).get("request") or _DEFAULT_TIMEOUT
        answers = [(direct(500), invalid / total)] if invalid else []
        if invalid < total:
            answers.append((place(part, key, i, refs, timeout), 1.0))
        return answers

    def _split(self, part: _Part, key: Key, i: int, refs: list[_Ref], timeout: str) -> Json:
        overrides = self._overrides(key)
        chosen = []
        for ref in refs:
            if ref.endpoints is None:
                continue
            name = f"httproute/{key}/rule/{i}/backend/{ref.position}"
            # At weight 0 too: the way to 1 % then needs no new cluster.
            part.clusters[name] = cluster(name, ref.endpoints)
            if ref.weight:
                override = overrides.get((i, ref.position), "")
                weighted = WeightedCluster(name=name, weight=ref.weight, model_override=override)
                chosen.append(weighted)
        return to_clusters(chosen, timeout)

    def _merged(self, part: _Part, key: Key, i: int, refs: list[_Ref], timeout: str) -> Json:
        name = f"httproute/{key}/rule/{i}"
        localities = [
            Locality(
                region=f"{name}/backend/{ref.position}",
                weight=ref.weight,
                endpoints=ref.endpoints or (),
            )
            for ref in refs
            if ref.weight
        ]
        part.clusters[name] = merged_cluster(name, localities)
        return to_cluster(name, timeout)


def _hosts(parts: Iterable[_Part]) -> list[Json]:
    placed: dict[str, list[_Placed]] = {_ANY_HOST: []}
    for part in parts:
        for domain, one in part.placed:
            placed.setdefault(domain, []).append(one)
    hosts = []
    for domain, listed in sorted(placed.items()):
        in_order = sorted(listed, key=lambda one: one.rank)
        hosts.append(virtual_host(domain, [each for one in in_order for each in one.routes]))
    return hosts


def _match(match: Object) -> Json:
    headers = [header_match(header) for header in match.get("headers") or []]
    return {**path_match(match.get("path") or {}), **({"headers": headers} if headers else {})}


def _split_by(policy: Object) -> Iterable[Key]:
    """The HTTPRoutes whose clusters a BackendTrafficPolicy forces apart."""
    spec = policy["spec"]
    zones = (spec.get("loadBalancer") or {}).get("zoneAware") or {}
    if not (zones.get("preferLocal") or zones.get("weightedZones")):
        return
    targets = [*(spec.get("targetRefs") or []), *filter(None, [spec.get("targetRef")])]
    for target in targets:
        if target["kind"] == HTTP_ROUTES.kind:
            yield Key(policy["metadata"]["namespace"], target["name"])
