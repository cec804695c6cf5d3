"""What Envoy Gateway makes of BackendTrafficPolicies on HTTPRoutes: split clusters and retries.

Of several policies for one route the oldest counts. Of a retry, budgets are left out.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sandbox.controllers.cluster import Key, Object
from sandbox.controllers.envoy_resources import Json, envoy_duration
from sandbox.controllers.resources import HTTP_ROUTES

_DEFAULT_RETRIES = 2
_DEFAULT_RETRY_ON = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
_DEFAULT_STATUS_CODES = (503,)
_HOST_SELECTIONS = 5
_TYPES = "type.googleapis.com/envoy.extensions.retry"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutePolicy:
    """`retry` is Envoy's retry policy as JSON, None where a failure is final."""

    is_split: bool = False
    retry: Json | None = None


NO_POLICY = RoutePolicy()


def by_route(policies: Iterable[Object]) -> dict[Key, RoutePolicy]:
    """The policy of each HTTPRoute that has one."""
    found: dict[Key, RoutePolicy] = {}
    for policy in sorted(policies, key=_age):
        for key in targets(policy):
            found.setdefault(key, _translated(policy["spec"]))
    return found


def targets(policy: Object) -> Iterator[Key]:
    """The HTTPRoutes that a policy is for."""
    spec = policy["spec"]
    for target in [*(spec.get("targetRefs") or []), *filter(None, [spec.get("targetRef")])]:
        if target["kind"] == HTTP_ROUTES.kind:
            yield Key(policy["metadata"]["namespace"], target["name"])


def _age(policy: Object) -> tuple[str, Key]:
    return (policy["metadata"].get("creationTimestamp", ""), Key.of(policy))


def _translated(spec: Object) -> RoutePolicy:
    zones = (spec.get("loadBalancer") or {}).get("zoneAware") or {}
    retry = spec.get("retry")
    return RoutePolicy(
        is_split=bool(zones.get("preferLocal") or zones.get("weightedZones")),
        retry=None if retry is None else _retry(retry),
    )


def _retry(retry: Object) -> Json:
    previous_hosts = {"@type": f"{_TYPES}.host.previous_hosts.v3.PreviousHostsPredicate"}
    policy: Json = {
        "retry_on": _DEFAULT_RETRY_ON,
        "retriable_status_codes": list(_DEFAULT_STATUS_CODES),
        "num_retries": retry.get("numRetries", _DEFAULT_RETRIES),
        "retry_host_predicate": [
            {"name": "envoy.retry_host_predicates.previous_hosts", "typed_config": previous_hosts}
        ],
        "host_selection_retry_max_attempts": _HOST_SELECTIONS,
    }
    if attempts := retry.get("numAttemptsPerPriority"):
        policy["retry_priority"] = _retry_priority(attempts)
    if retry_on := retry.get("retryOn"):
        policy["retriable_status_codes"] = retry_on.get("httpStatusCodes") or []
        if retry_on.get("triggers"):
            policy["retry_on"] = ",".join(retry_on["triggers"])
    return {**policy, **_per_try(retry.get("perRetry") or {})}


def _retry_priority(attempts: int) -> Json:
    kind = f"{_TYPES}.priority.previous_priorities.v3.PreviousPrioritiesConfig"
    return {
        "name": "envoy.retry_priorities.previous_priorities",
        "typed_config": {"@type": kind, "update_frequency": attempts},
    }


def _per_try(per_retry: Object) -> Json:
    policy: Json = {}
    if per_retry.get("timeout"):
        policy["per_try_timeout"] = envoy_duration(per_retry["timeout"])
    back_off = per_retry.get("backOff") or {}
    if back_off.get("baseInterval"):
        policy["retry_back_off"] = {"base_interval": envoy_duration(back_off["baseInterval"])}
        if back_off.get("maxInterval"):
            policy["retry_back_off"]["max_interval"] = envoy_duration(back_off["maxInterval"])
    return policy
