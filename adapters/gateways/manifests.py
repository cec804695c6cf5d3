"""The Gateway, its objects and its rules, as every router writes them and reads them back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from adapters.kubernetes.documents import (
    Manifest,
    mapping,
    mappings,
    route_labels,
    text,
    whole,
)
from adapters.kubernetes.resources import BACKEND_TRAFFIC_POLICY, HTTP_ROUTE, Resource
from domain.traffic import (
    FULL,
    Extras,
    HeaderMatch,
    HeaderRoute,
    MatchKind,
    Mirror,
    Route,
    Slot,
    Slots,
)

MAIN_RULE = "main"
_DEFAULT_WEIGHT = 1
_TYPE_OF = {MatchKind.EXACT: "Exact", MatchKind.PATTERN: "RegularExpression"}
_KIND_OF = {kind: name for name, kind in _TYPE_OF.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """The Gateway that routes attach to. A request may take `request_timeout`, streams included.

    Without one Envoy AI Gateway allows 60 seconds.
    """

    name: str
    namespace: str
    request_timeout: timedelta | None = None

    @property
    def parent(self) -> Manifest:
        """The Gateway, as routes refer to it."""
        return {
            "group": HTTP_ROUTE.group,
            "kind": "Gateway",
            "name": self.name,
            "namespace": self.namespace,
        }

    @property
    def timeouts(self) -> Manifest:
        """What a rule says of times."""
        if self.request_timeout is None:
            return {}
        return {"timeouts": {"request": f"{self.request_timeout.total_seconds():.0f}s"}}


_SERVICE_SUFFIX = "-predictor"


def service_of(workload: str) -> str:
    """The Service that KServe makes for a workload in Standard mode."""
    return f"{workload}{_SERVICE_SUFFIX}"


def workload_of(service: str) -> str:
    """The workload that a Service of KServe belongs to."""
    return service.removesuffix(_SERVICE_SUFFIX)


def policy_name(route: Route) -> str:
    return f"split-{route.name}"


def port_of(service: Mapping[str, Any]) -> int | None:
    """The Service's own port, by which references name it. None when it has no usable one yet."""
    return whole(next(iter(mappings(service, "spec", "ports")), {}), "port")


def dialled_port_of(service: Mapping[str, Any]) -> int | None:
    """The port behind the Service's DNS name: the container's where DNS gives the pods.

    None when the Service has no usable port yet.
    """
    if text(service, "spec", "clusterIP") == "None":
        first = next(iter(mappings(service, "spec", "ports")), {})
        return whole(first, "targetPort") or port_of(service)
    return port_of(service)


def split_policy(route: Route) -> Manifest:
    """Have Envoy keep a cluster per variant, and with it statistics, retries and pools."""
    spec = {"targetRefs": [target_of(route.name)], **split()}
    identity = route_labels(route)
    return object_of(
        BACKEND_TRAFFIC_POLICY, route.namespace, policy_name(route), identity, spec=spec
    )


def target_of(route: str) -> Manifest:
    """The route, as a policy refers to it."""
    return {"group": HTTP_ROUTE.group, "kind": HTTP_ROUTE.kind, "name": route}


def split() -> Manifest:
    """What keeps a cluster per reference of the route.

    The zone does not exist: that weighted zones are asked for at all is what splits the cluster.
    """
    zones = {"weightedZones": [{"zone": "none", "weight": 1}]}
    return {"loadBalancer": {"type": "LeastRequest", "zoneAware": zones}}


def header_match(header: HeaderMatch) -> Manifest:
    return {"type": _TYPE_OF[header.kind], "name": header.name, "value": header.value}


@dataclass(frozen=True, slots=True)
class Reading:
    """How a router's routes are read back.

    `workload_of` tells the workload by the name that a reference has; `own_headers` are those that
    the router itself puts into a match.
    """

    workload_of: Callable[[str], str]
    own_headers: frozenset[str] = frozenset()

    def slots(self, found: Mapping[str, Any]) -> Slots:
        """The backends of the first rule, by position."""
        return tuple(
            Slot(workload=self.workload_of(text(ref, "name")), weight=_weight(ref))
            for ref in mappings(self._split(found), "backendRefs")
        )

    def extras(self, found: Mapping[str, Any]) -> Extras:
        """The rules behind the first that lead to a backend, and the mirrors of the first."""
        beside = mappings(found, "spec", "rules")[1:]
        return Extras(
            header_routes=tuple(
                self._header_route(rule) for rule in beside if mappings(rule, "backendRefs")
            ),
            mirrors=tuple(
                Mirror(
                    workload=self.workload_of(text(mirror, "backendRef", "name")),
                    percent=FULL if (percent := whole(mirror, "percent")) is None else percent,
                )
                for mirror in _mirrors(self._split(found))
            ),
        )

    @staticmethod
    def _split(found: Mapping[str, Any]) -> Mapping[str, Any]:
        return next(iter(mappings(found, "spec", "rules")), {})

    def _header_route(self, rule: Mapping[str, Any]) -> HeaderRoute:
        match = next(iter(mappings(rule, "matches")), {})
        backend = next(iter(mappings(rule, "backendRefs")), {})
        return HeaderRoute(
            name=text(rule, "name"),
            headers=tuple(
                HeaderMatch(
                    name=text(header, "name"),
                    value=text(header, "value"),
                    kind=_KIND_OF.get(text(header, "type"), MatchKind.EXACT),
                )
                for header in mappings(match, "headers")
                if text(header, "name") not in self.own_headers
            ),
            workload=self.workload_of(text(backend, "name")),
        )


def names_in(found: Mapping[str, Any] | None) -> frozenset[str]:
    """Every backend that any rule of a route names, be it only as a mirror."""
    rules = mappings(found, "spec", "rules")
    mirrors = [mirror for rule in rules for mirror in _mirrors(rule)]
    refs = [ref for rule in rules for ref in mappings(rule, "backendRefs")]
    refs += [mapping(mirror, "backendRef") for mirror in mirrors]
    return frozenset(text(ref, "name") for ref in refs)


def _mirrors(rule: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    filters = [mapping(one, "requestMirror") for one in mappings(rule, "filters")]
    return [mirror for mirror in filters if mirror]


def _weight(ref: Mapping[str, Any]) -> int:
    weight = whole(ref, "weight")
    return _DEFAULT_WEIGHT if weight is None else weight


def object_of(
    resource: Resource,
    namespace: str,
    name: str,
    identity: Mapping[str, str],
    *,
    spec: Mapping[str, Any],
    annotations: Mapping[str, str] | None = None,
) -> Manifest:
    """An object of ours, with the labels that say whose it is."""
    manifest: Manifest = {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": name, "namespace": namespace, "labels": dict(identity)},
        "spec": dict(spec),
    }
    if annotations is not None:
        manifest["metadata"]["annotations"] = dict(annotations)
    return manifest


def rules_of(manifest: Mapping[str, Any]) -> list[Any]:
    """The rules of a route, as they stand."""
    rules = mapping(manifest, "spec").get("rules")
    return rules if isinstance(rules, list) else []
