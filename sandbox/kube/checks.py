"""What a write must satisfy: identity, preconditions and validity. Each check raises its answer."""

from collections.abc import Iterator

from sandbox.kube import status
from sandbox.kube.documents import Document, section
from sandbox.kube.kinds import kind_causes
from sandbox.kube.metadata import metadata_causes, name_causes, new_finalizers_cause
from sandbox.kube.status import Cause, CauseReason
from sandbox.kube.targets import DeleteOptions, Draft, Target
from sandbox.kube.validation import causes_against


def check_kind(target: Target, body: Document) -> None:
    """Refuse a body of another kind; typed clients may leave both fields out."""
    resource = target.resource
    for name, wanted in (("apiVersion", resource.api_version), ("kind", resource.kind)):
        if body.get(name, wanted) != wanted:
            raise status.bad_request(
                f"{name} in the data ({body[name]}) does not match the expected {name} ({wanted})"
            )
    if not isinstance(body.get("metadata", {}), dict):
        raise status.bad_request("metadata must be an object")


def check_namespace(target: Target, body: Document) -> None:
    given = section(body, "metadata").get("namespace")
    if given and given != target.namespace:
        raise status.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )


def check_name(target: Target, body: Document) -> None:
    given = section(body, "metadata").get("name")
    if given != target.name:
        raise status.bad_request(
            f"the name of the object ({given}) does not match the name on the URL ({target.name})"
        )


def check_config(target: Target, config: Document) -> None:
    """Refuse what cannot be applied."""
    for name in ("apiVersion", "kind"):
        if name not in config:
            raise status.bad_request(f"{name} must be set in an applied configuration")
    check_kind(target, config)
    check_namespace(target, config)
    given = section(config, "metadata")
    if given.get("name", target.name) != target.name:
        check_name(target, config)
    if given.get("managedFields"):
        raise status.bad_request("metadata.managedFields must be nil")
    causes = [
        cause
        for cause in causes_against(config, target.resource.schema)
        if cause.reason in {CauseReason.DUPLICATE, CauseReason.TYPE_INVALID}
    ]
    if causes:
        raise invalid(target, causes)


def check_unmoved(target: Target, before: Document, written: Document) -> None:
    """Compare and swap: refuse a write that was made from another revision or another object."""
    live, given = section(before, "metadata"), section(written, "metadata")
    uid = given.get("uid")
    if uid and uid != live["uid"]:
        raise status.conflict(
            **target.named,
            why=f"Precondition failed: UID in precondition: {uid}, UID in object meta: "
            f"{live['uid']}",
        )
    name = given.get("name", live["name"])
    if name != live["name"]:
        message = f'Invalid value: "{name}": field is immutable'
        cause = Cause(reason=CauseReason.INVALID, message=message, field="metadata.name")
        raise invalid(target, [cause])
    revision = given.get("resourceVersion")
    if revision and revision != live["resourceVersion"]:
        raise status.conflict(**target.named)


def check_revision_given(target: Target, body: Document) -> None:
    if section(body, "metadata").get("resourceVersion"):
        return
    cause = Cause(
        reason=CauseReason.INVALID,
        message="Invalid value: 0x0: must be specified for an update",
        field="metadata.resourceVersion",
    )
    raise invalid(target, [cause])


def check_preconditions(target: Target, before: Document, options: DeleteOptions) -> None:
    live = before["metadata"]
    wanted = (("UID", "uid", options.uid), ("ResourceVersion", "resourceVersion", options.revision))
    for label, name, value in wanted:
        if value is not None and value != live[name]:
            raise status.conflict(
                **target.named,
                why=f"Precondition failed: {label} in precondition: {value}, {label} in object "
                f"meta: {live[name]}",
            )


def check_valid(draft: Draft) -> None:
    causes = list(_causes(draft))
    if causes:
        raise invalid(draft.target, causes)


def invalid(target: Target, causes: list[Cause]) -> status.ApiError:
    resource = target.resource
    return status.invalid(group=resource.group, kind=resource.kind, name=target.name, causes=causes)


def _causes(draft: Draft) -> Iterator[Cause]:
    resource, document = draft.target.resource, draft.document
    if not draft.before:
        yield from name_causes(draft.target.name, resource.name_rule)
    misfits = list(causes_against(document, resource.schema))
    yield from misfits
    if misfits:
        return
    yield from metadata_causes(document["metadata"])
    yield from new_finalizers_cause(section(draft.before, "metadata"), document["metadata"])
    yield from kind_causes(resource, document)
