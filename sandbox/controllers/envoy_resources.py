"""The JSON of Envoy's clusters and routes. Which ones there are is decided in `translation.py`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.controllers.endpoints import Endpoint

Json = dict[str, Any]

_TYPES = "type.googleapis.com/envoy"
_MILLION = 1_000_000
_UNLIMITED = 1_000_000
_DURATION = re.compile(r"(\d+)(ms|h|m|s)")
_UNIT_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_OVERRIDE_HEADER = "x-model-name-override"
_METADATA = "tidegate.backend"


@dataclass(frozen=True, slots=True, kw_only=True)
class Locality:
    """One backendRef inside a merged cluster. Weights act among those of the same priority."""

    region: str
    weight: int
    endpoints: Sequence[Endpoint]
    priority: int = 0
    model_override: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightedCluster:
    name: str
    weight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirrored:
    """A cluster that gets copies of `percent` of the requests."""

    name: str
    percent: int


def cluster(name: str, endpoints: Sequence[Endpoint], model_override: str = "") -> Json:
    """A cluster of one backend; without endpoints it answers 503."""
    listed = [_lb_endpoints(endpoints, model_override)]
    return {**_cluster(name), "load_assignment": _assignment(name, listed)}


def merged_cluster(name: str, localities: Sequence[Locality]) -> Json:
    """A cluster of several backends, chosen among by weight within the highest priority.

    A lower priority is for retries, and for when too few hosts above it are healthy.
    """
    listed = [
        {
            "locality": {"region": locality.region},
            "load_balancing_weight": locality.weight,
            "priority": locality.priority,
            **_lb_endpoints(locality.endpoints, locality.model_override),
        }
        for locality in localities
    ]
    return {
        **_cluster(name),
        "common_lb_config": {"locality_weighted_lb_config": {}},
        "load_assignment": _assignment(name, listed),
    }


def to_cluster(name: str, timeout: str, retry: Json | None = None) -> Json:
    return {"route": {"cluster": name, **_limits(timeout, retry)}}


def to_clusters(
    clusters: Sequence[WeightedCluster], timeout: str, retry: Json | None = None
) -> Json:
    """A random choice by weight for each request; at least one weight must be above 0."""
    listed = [{"name": one.name, "weight": one.weight} for one in clusters]
    return {"route": {"weighted_clusters": {"clusters": listed}, **_limits(timeout, retry)}}


def mirrored(action: Json, mirrors: Sequence[Mirrored]) -> Json:
    """The same action with copies. A copy carries the host that the client asked for."""
    policies = [
        {
            "cluster": mirror.name,
            "runtime_fraction": {
                "default_value": {"numerator": mirror.percent, "denominator": "HUNDRED"}
            },
            "disable_shadow_host_suffix_append": True,
        }
        for mirror in mirrors
    ]
    if not policies or "route" not in action:
        return action
    return {"route": {**action["route"], "request_mirror_policies": policies}}


def direct(status: int, body: str = "") -> Json:
    return {
        "direct_response": {"status": status, **({"body": {"inline_string": body}} if body else {})}
    }


def route(name: str, match: Json, action: Json, *, share: float = 1.0) -> Json:
    """A route that takes a random `share` of the requests it matches; the rest falls through."""
    if share < 1.0:
        fraction = {"numerator": round(share * _MILLION), "denominator": "MILLION"}
        match = {**match, "runtime_fraction": {"default_value": fraction}}
    return {"name": name, "match": match, **action}


def path_match(path: Mapping[str, str]) -> Json:
    kind, value = path.get("type", "PathPrefix"), path.get("value", "/")
    if kind == "Exact":
        return {"path": value}
    if kind == "RegularExpression":
        return {"safe_regex": {"regex": value}}
    return {"prefix": "/"} if value == "/" else {"path_separated_prefix": value.rstrip("/")}


def header_match(header: Mapping[str, str]) -> Json:
    exact = header.get("type", "Exact") == "Exact"
    how = {"exact": header["value"]} if exact else {"safe_regex": {"regex": header["value"]}}
    return {"name": header["name"].lower(), "string_match": how}


def virtual_host(domain: str, routes: Sequence[Json]) -> Json:
    name = "any" if domain == "*" else domain
    return {"name": name, "domains": [domain], "routes": list(routes)}


def route_table(name: str, hosts: Sequence[Json]) -> Json:
    return {
        "@type": f"{_TYPES}.config.route.v3.RouteConfiguration",
        "name": name,
        # A table that names an unknown cluster is refused, and the one in force stays.
        "validate_clusters": True,
        "virtual_hosts": list(hosts),
    }


def envoy_duration(text: str) -> str:
    """A Gateway API duration ("1m30s") as Envoy writes it ("90s")."""
    seconds = sum(int(number) * _UNIT_SECONDS[unit] for number, unit in _DURATION.findall(text))
    return f"{seconds:g}s"


def _limits(timeout: str, retry: Json | None) -> Json:
    return {"timeout": envoy_duration(timeout), **({"retry_policy": retry} if retry else {})}


def _cluster(name: str) -> Json:
    generous = {
        "max_connections": _UNLIMITED,
        "max_pending_requests": _UNLIMITED,
        "max_requests": _UNLIMITED,
        "max_retries": _UNLIMITED,
    }
    return {
        "@type": f"{_TYPES}.config.cluster.v3.Cluster",
        "name": name,
        "type": "STATIC",
        "connect_timeout": "2s",
        "lb_policy": "LEAST_REQUEST",
        "track_cluster_stats": {"per_endpoint_stats": True},
        "circuit_breakers": {"thresholds": [generous]},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": f"{_TYPES}.extensions.upstreams.http.v3.HttpProtocolOptions",
                # Sooner than the server's own limit, or a request may meet a closing connection.
                "common_http_protocol_options": {"idle_timeout": "600s"},
                "explicit_http_config": {"http_protocol_options": {}},
                "http_filters": _upstream_filters(),
            }
        },
    }


def _upstream_filters() -> list[Json]:
    """Tell each attempt the model name of the host that it goes to, as the real ext_proc does.

    A retry may go to a backend of another name: what the attempt before was told is taken away.
    """
    header = {"key": _OVERRIDE_HEADER, "value": f"%UPSTREAM_METADATA({_METADATA}:model)%"}
    told = {"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
    mutations = {"request_mutations": [{"remove": _OVERRIDE_HEADER}, {"append": told}]}
    kinds = f"{_TYPES}.extensions.filters.http"
    return [
        {
            "name": "envoy.filters.http.header_mutation",
            "typed_config": {
                "@type": f"{kinds}.header_mutation.v3.HeaderMutation",
                "mutations": mutations,
            },
        },
        {
            "name": "envoy.filters.http.upstream_codec",
            "typed_config": {"@type": f"{kinds}.upstream_codec.v3.UpstreamCodec"},
        },
    ]


def _assignment(name: str, endpoints: list[Json]) -> Json:
    return {"cluster_name": name, "endpoints": endpoints}


def _lb_endpoints(endpoints: Sequence[Endpoint], model_override: str) -> Json:
    return {"lb_endpoints": [_lb_endpoint(one, model_override) for one in endpoints]}


def _lb_endpoint(endpoint: Endpoint, model_override: str) -> Json:
    socket = {"address": endpoint.address, "port_value": endpoint.port}
    entry: Json = {"endpoint": {"address": {"socket_address": socket}}}
    if model_override:
        entry["metadata"] = {"filter_metadata": {_METADATA: {"model": model_override}}}
    return entry
