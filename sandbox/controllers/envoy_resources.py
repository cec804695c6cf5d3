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


@dataclass(frozen=True, slots=True, kw_only=True)
class Locality:
    """One backendRef inside a merged cluster."""

    region: str
    weight: int
    endpoints: Sequence[Endpoint]


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightedCluster:
    name: str
    weight: int
    model_override: str = ""


def cluster(name: str, endpoints: Sequence[Endpoint]) -> Json:
    """A cluster of one backend; without endpoints it answers 503."""
    return {**_cluster(name), "load_assignment": _assignment(name, [_lb_endpoints(endpoints)])}


def merged_cluster(name: str, localities: Sequence[Locality]) -> Json:
    """A cluster of several backends, chosen among by weight."""
    listed = [
        {
            "locality": {"region": locality.region},
            "load_balancing_weight": locality.weight,
            **_lb_endpoints(locality.endpoints),
        }
        for locality in localities
    ]
    return {
        **_cluster(name),
        "common_lb_config": {"locality_weighted_lb_config": {}},
        "load_assignment": _assignment(name, listed),
    }


def to_cluster(name: str, timeout: str) -> Json:
    return {"route": {"cluster": name, "timeout": envoy_duration(timeout)}}


def to_clusters(clusters: Sequence[WeightedCluster], timeout: str) -> Json:
    """A random choice by weight for each request; at least one weight must be above 0."""
    return {
        "route": {
            "weighted_clusters": {"clusters": [_weighted(one) for one in clusters]},
            "timeout": envoy_duration(timeout),
        }
    }


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
        "circuit_breakers": {"thresholds": [generous]},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": f"{_TYPES}.extensions.upstreams.http.v3.HttpProtocolOptions",
                # Sooner than the server's own limit, or a request may meet a closing connection.
                "common_http_protocol_options": {"idle_timeout": "600s"},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
    }


def _assignment(name: str, endpoints: list[Json]) -> Json:
    return {"cluster_name": name, "endpoints": endpoints}


def _lb_endpoints(endpoints: Sequence[Endpoint]) -> Json:
    return {"lb_endpoints": [_lb_endpoint(one) for one in endpoints]}


def _lb_endpoint(endpoint: Endpoint) -> Json:
    socket = {"address": endpoint.address, "port_value": endpoint.port}
    return {"endpoint": {"address": {"socket_address": socket}}}


def _weighted(chosen: WeightedCluster) -> Json:
    entry: Json = {"name": chosen.name, "weight": chosen.weight}
    if chosen.model_override:
        header = {"key": _OVERRIDE_HEADER, "value": chosen.model_override}
        entry["request_headers_to_add"] = [
            {"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
        ]
    return entry
