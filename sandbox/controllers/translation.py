"""What Envoy Gateway makes of HTTPRoutes: clusters and a route table. Pure; all names are its.

One cluster a rule with a locality a backendRef, or, where a BackendTrafficPolicy or an invalid
reference forces the split, one cluster a backendRef; positions count in both.
"""

import json
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import asdict, dataclass, field

from sandbox.controllers import disobedience
from sandbox.controllers.cluster import Key, Object
from sandbox.controllers.endpoints import Addresses, Endpoint
from sandbox.controllers.envoy_resources import (
    Json,
    Locality,
    Mirrored,
    WeightedCluster,
    cluster,
    direct,
    header_match,
    merged_cluster,
    mirrored,
    path_match,
    route,
    route_table,
    to_cluster,
    to_clusters,
    virtual_host,
)
from sandbox.controllers.http_routes import NOT_FOUND_RULE, Extra
from sandbox.controllers.policies import NO_POLICY, RoutePolicy, by_route
from sandbox.controllers.precedence import Precedence, precedence

_ANY_HOST = "*"
# Envoy's own, which applies where a route says nothing. Those of AIGatewayRoutes always say it.
_DEFAULT_TIMEOUT = "15s"
_NO_MODEL = "No matching route found. The model of the request is not configured in the gateway."

Extras = Mapping[tuple[int, int], Extra]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything that Envoy is to know."""

    clusters: Mapping[str, Json]
    table: Json
    unresolved: frozenset[Key]
    """HTTPRoutes with a reference to a Backend or a Service that is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ref:
    position: int
    weight: int
    endpoints: tuple[Endpoint, ...] | None
    extra: Extra


@dataclass(frozen=True, slots=True, kw_only=True)
class _Placed:
    """A route with what decides which of several matching routes is tried first."""

    rank: tuple[Precedence, str, Key, int, int]
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
    """`extras` finds what an AIGatewayRoute says of its backends beyond its HTTPRoute.

    A route is translated anew only when something about it has changed, or some endpoint.
    """

    def __init__(
        self, table_name: str, addresses: Addresses, extras: Callable[[Key], Extras]
    ) -> None:
        self._table_name = table_name
        self._addresses = addresses
        self._extras = extras
        self._parts: dict[Key, _Part] = {}

    def translate(self, http_routes: Iterable[Object], policies: Iterable[Object]) -> Snapshot:
        by_key = by_route(policies)
        self._parts = {
            Key.of(http_route): self._part(http_route, by_key.get(Key.of(http_route), NO_POLICY))
            for http_route in http_routes
        }
        parts = self._parts.items()
        return Snapshot(
            clusters={name: one for _, part in parts for name, one in part.clusters.items()},
            table=route_table(self._table_name, _hosts(self._parts.values())),
            unresolved=frozenset(key for key, part in parts if not part.is_resolved),
        )

    def _part(self, http_route: Object, policy: RoutePolicy) -> _Part:
        key, metadata = Key.of(http_route), http_route["metadata"]
        extras = self._extras(key)
        basis = (
            metadata.get("uid"),
            metadata.get("generation"),
            disobedience.told(http_route),
            json.dumps(asdict(policy)),
            frozenset(extras.items()),
            self._addresses.edition,
        )
        known = self._parts.get(key)
        if known is not None and known.basis == basis:
            return known
        part = _Part(basis=basis)
        for i, rule in enumerate(http_route["spec"].get("rules", [])):
            self._add(part, http_route, i, rule, policy)
        return part

    def _add(
        self, part: _Part, http_route: Object, i: int, rule: Object, policy: RoutePolicy
    ) -> None:
        key = Key.of(http_route)
        created = http_route["metadata"].get("creationTimestamp", "")
        instead = disobedience.weights(http_route) if i == 0 else {}
        answer = self._rule(part, key, i, _reweighed(rule, instead), policy)
        for k, match in enumerate(rule.get("matches") or [{}]):
            name = f"httproute/{key}/rule/{i}/match/{k}"
            placed = _Placed(
                rank=(precedence(match), created, key, i, k),
                routes=tuple(
                    route(name, _match(match), action, share=share) for action, share in answer
                ),
            )
            for domain in http_route["spec"].get("hostnames") or [_ANY_HOST]:
                part.placed.append((domain, placed))

    def _rule(
        self, part: _Part, key: Key, i: int, rule: Object, policy: RoutePolicy
    ) -> list[tuple[Json, float]]:
        """The actions of a rule with the share each takes of what those before it left."""
        refs = self._refs(key, i, rule)
        if any(ref.endpoints is None for ref in refs):
            part.is_resolved = False
        total = sum(ref.weight for ref in refs)
        if total == 0:
            unmatched = rule.get("name") == NOT_FOUND_RULE
            return [(direct(404, _NO_MODEL) if unmatched else direct(500), 1.0)]
        invalid = sum(ref.weight for ref in refs if ref.endpoints is None and ref.weight)
        name = f"httproute/{key}/rule/{i}"
        timeout = (rule.get("timeouts") or {}).get("request") or _DEFAULT_TIMEOUT
        answers = [(direct(500), invalid / total)] if invalid else []
        if invalid < total:
            place = _split if policy.is_split or invalid else _merged
            answers.append((place(part, name, refs, timeout, policy.retry), 1.0))
        mirrors = self._mirrors(part, key, name, rule)
        if mirrors is None:
            part.is_resolved = False
            return [(direct(500), 1.0)]
        return [(mirrored(action, mirrors), share) for action, share in answers]

    def _mirrors(
        self, part: _Part, key: Key, rule_name: str, rule: Object
    ) -> list[Mirrored] | None:
        """A cluster each, named by its position among the rule's filters.

        None where one leads nowhere: Envoy Gateway then fails all requests of the rule.
        """
        listed = []
        for k, one in enumerate(rule.get("filters") or []):
            if one["type"] != "RequestMirror":
                continue
            mirror = one["requestMirror"]
            endpoints = self._addresses.of(mirror["backendRef"], key.namespace)
            if endpoints is None:
                return None
            name = f"{rule_name}-mirror-{k}"
            part.clusters[name] = cluster(name, endpoints)
            listed.append(Mirrored(name=name, percent=mirror.get("percent", 100)))
        return listed

    def _refs(self, key: Key, i: int, rule: Object) -> list[_Ref]:
        extras = self._extras(key)
        return [
            _Ref(
                position=j,
                weight=ref.get("weight", 1),
                endpoints=self._addresses.of(ref, key.namespace),
                extra=extras.get((i, j), Extra()),
            )
            for j, ref in enumerate(rule.get("backendRefs") or [])
        ]


def _reweighed(rule: Object, instead: Mapping[int, int]) -> Object:
    """The rule with other weights at these positions; itself where there are none."""
    if not instead:
        return rule
    refs = [
        {**ref, "weight": instead.get(j, ref.get("weight", 1))}
        for j, ref in enumerate(rule.get("backendRefs") or [])
    ]
    return {**rule, "backendRefs": refs}


def _split(part: _Part, rule: str, refs: list[_Ref], timeout: str, retry: Json | None) -> Json:
    chosen = []
    for ref in refs:
        if ref.endpoints is None:
            continue
        name = f"{rule}/backend/{ref.position}"
        # At weight 0 too: the way to 1 % then needs no new cluster.
        part.clusters[name] = cluster(name, ref.endpoints, ref.extra.model_override)
        if ref.weight:
            chosen.append(WeightedCluster(name=name, weight=ref.weight))
    return to_clusters(chosen, timeout, retry)


def _merged(part: _Part, rule: str, refs: list[_Ref], timeout: str, retry: Json | None) -> Json:
    localities = [
        Locality(
            region=f"{rule}/backend/{ref.position}",
            weight=ref.weight,
            endpoints=ref.endpoints or (),
            priority=ref.extra.priority,
            model_override=ref.extra.model_override,
        )
        for ref in refs
        if ref.weight
    ]
    part.clusters[rule] = merged_cluster(rule, localities)
    return to_cluster(rule, timeout, retry)


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
