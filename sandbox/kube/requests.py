"""Requests read: which resource a path means, and what its query and body ask for."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple

import yaml

from sandbox.kube import status
from sandbox.kube.documents import Document, decode, encode, section
from sandbox.kube.resources import Registry
from sandbox.kube.selectors import parse_fields, parse_labels
from sandbox.kube.status import Cause, CauseReason, PathUnknown
from sandbox.kube.tables import Form
from sandbox.kube.targets import DeleteOptions, Propagation, Target, WriteOptions
from sandbox.kube.views import Selection, selectable_fields
from sandbox.kube.watches import WatchRequest

Query = Mapping[str, str]

JSON = "application/json"
YAML = "application/yaml"
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"

_MANAGER_LIMIT = 128
_DEFAULT_WATCH = timedelta(minutes=30)
_SUBRESOURCES = frozenset({"status"})


class Place(NamedTuple):
    group: str
    version: str
    rest: tuple[str, ...]


def place(path: str) -> Place | None:
    """Return the API version that a path lies under and the parts after it."""
    match [part for part in path.split("/") if part]:
        case ["api", version, *rest]:
            return Place("", version, tuple(rest))
        case ["apis", group, version, *rest]:
            return Place(group, version, tuple(rest))
        case _:
            return None


def target(path: str, registry: Registry) -> Target:
    """Return what a path means. Raises PathUnknown when no resource is served there."""
    where = place(path)
    namespace, rest = _scoped(where.rest) if where else ("", ())
    match rest:
        case (plural,):
            name, subresource = "", ""
        case (plural, name):
            subresource = ""
        case (plural, name, subresource):
            pass
        case _:
            raise PathUnknown(path)
    resource = registry.find(where.group, where.version, plural) if where else None
    if resource is None or (namespace and not resource.namespaced):
        raise PathUnknown(path)
    if subresource and not (subresource in _SUBRESOURCES and resource.has_status):
        raise PathUnknown(path)
    return Target(resource=resource, namespace=namespace, name=name, subresource=subresource)


def _scoped(rest: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    match rest:
        case ("namespaces", namespace, plural, *more) if plural not in _SUBRESOURCES:
            return namespace, (plural, *more)
        case _:
            return "", rest


class _Loader(yaml.SafeLoader):
    """Reads YAML as what JSON can say: a date is the text that it was written as."""

    yaml_implicit_resolvers = {  # noqa: RUF012  # this is how yaml wants it
        first: [(tag, form) for tag, form in forms if tag != "tag:yaml.org,2002:timestamp"]
        for first, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def body_document(body: bytes, content_type: str) -> Document:
    """Parse a body that must be one object. Raises a 400 or a 415."""
    if content_type not in {JSON, YAML, ""}:
        raise status.unsupported_media_type(content_type, (JSON, YAML))
    parsed = parsed_body(body, is_yaml=content_type == YAML)
    if not isinstance(parsed, dict):
        raise status.bad_request("the body of the request must be an object")
    return parsed


def parsed_body(body: bytes, *, is_yaml: bool) -> Any:
    try:
        return decode(body)
    except (ValueError, RecursionError) as failure:
        if not is_yaml:
            raise status.bad_request(f"the body of the request is not JSON: {failure}") from failure
    try:
        return decode(encode(yaml.load(body, Loader=_Loader)))  # noqa: S506  # it is a safe one
    except (yaml.YAMLError, TypeError, ValueError, RecursionError) as failure:
        raise status.bad_request(f"the body of the request is not YAML: {failure}") from failure


def write_options(query: Query, user_agent: str, content_type: str = "") -> WriteOptions:
    """Read who writes and how. An apply must name its manager, any other write may not force."""
    manager, force = query.get("fieldManager", ""), query.get("force")
    causes = []
    if content_type == APPLY and not manager:
        causes.append(_cause(CauseReason.REQUIRED, "is required for apply patch", "fieldManager"))
    if content_type not in {APPLY, ""} and force is not None:
        causes.append(
            _cause(CauseReason.FORBIDDEN, "may not be specified for non-apply patch", "force")
        )
    if len(manager) > _MANAGER_LIMIT:
        message = f"Too long: may not be more than {_MANAGER_LIMIT} bytes"
        causes.append(Cause(reason=CauseReason.TOO_LONG, message=message, field="fieldManager"))
    is_dry_run = _is_dry_run(query.get("dryRun"), causes)
    if causes:
        raise status.invalid(group="meta.k8s.io", kind="PatchOptions", name="", causes=causes)
    return WriteOptions(
        manager=manager or user_agent.partition("/")[0] or "unknown",
        is_dry_run=is_dry_run,
        force=_flag(force),
    )


def delete_options(query: Query, body: Document) -> DeleteOptions:
    """Read the options of a delete, which come in the body or in the query."""
    causes: list[Cause] = []
    wanted = body.get("propagationPolicy") or query.get("propagationPolicy")
    orphans = body.get("orphanDependents", query.get("orphanDependents"))
    if wanted is None and orphans is not None:
        wanted = Propagation.ORPHAN if _flag(str(orphans)) else Propagation.BACKGROUND
    if wanted is not None and wanted not in list(Propagation):
        listed = ", ".join(f'"{one}"' for one in Propagation)
        text = f'Unsupported value: "{wanted}": supported values: {listed}'
        causes.append(
            Cause(reason=CauseReason.NOT_SUPPORTED, message=text, field="propagationPolicy")
        )
    dry_run = body.get("dryRun") or query.get("dryRun")
    is_dry_run = _is_dry_run(dry_run[0] if isinstance(dry_run, list) else dry_run, causes)
    if causes:
        raise status.invalid(group="meta.k8s.io", kind="DeleteOptions", name="", causes=causes)
    preconditions = section(body, "preconditions")
    return DeleteOptions(
        propagation=Propagation(wanted or Propagation.BACKGROUND),
        is_dry_run=is_dry_run,
        uid=preconditions.get("uid"),
        revision=preconditions.get("resourceVersion"),
    )


def selection(of: Target, query: Query) -> Selection:
    """Read the selectors; a name in the path of a watch selects that object."""
    fields = parse_fields(query.get("fieldSelector", ""), selectable_fields(of.resource))
    if of.name:
        fields = parse_fields(f"metadata.name={of.name}", ("metadata.name",))
    return Selection(
        resource=of.resource,
        namespace=of.namespace or None,
        labels=parse_labels(query.get("labelSelector", "")),
        fields=fields,
    )


def is_watch(query: Query) -> bool:
    return "watch" in query and _flag(query["watch"])


def watch_request(of: Target, query: Query, form: Form) -> WatchRequest:
    since = revision(query)
    wants_state = "sendInitialEvents" in query and _flag(query["sendInitialEvents"])
    duration = query.get("timeoutSeconds")
    try:
        lasts = timedelta(seconds=int(duration)) if duration else _DEFAULT_WATCH
    except ValueError as failure:
        raise status.bad_request(f"invalid timeoutSeconds: {duration}") from failure
    return WatchRequest(
        selection=selection(of, query),
        since=since,
        wants_state=wants_state or ("sendInitialEvents" not in query and since == 0),
        ends_state_with_bookmark=wants_state,
        allows_bookmarks=_flag(query.get("allowWatchBookmarks")),
        form=form,
        duration=lasts,
    )


def revision(query: Query) -> int:
    text = query.get("resourceVersion") or "0"
    if not text.isdecimal():
        raise status.bad_request(f'Invalid value: "{text}": resourceVersion must be a number')
    return int(text)


def _flag(text: str | None) -> bool:
    """Read a boolean as API servers do: whatever is not false is true, also nothing after `=`."""
    return text is not None and text.lower() not in {"false", "0"}


def _is_dry_run(given: Any, causes: list[Cause]) -> bool:
    if given not in {None, "", "All"}:
        text = f'Unsupported value: "{given}": supported values: "All"'
        causes.append(Cause(reason=CauseReason.NOT_SUPPORTED, message=text, field="dryRun"))
    return bool(given == "All")


def _cause(reason: CauseReason, why: str, field: str) -> Cause:
    words = {CauseReason.REQUIRED: "Required value", CauseReason.FORBIDDEN: "Forbidden"}
    return Cause(reason=reason, message=f"{words[reason]}: {why}", field=field)
