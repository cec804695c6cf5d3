"""From what a client sent to what is stored: defaults, server-set metadata, the status apart.

Pure functions on documents; what is allowed is decided in `checks`.
"""

from sandbox.kube import metadata
from sandbox.kube.documents import Document, is_equal, now, section
from sandbox.kube.kinds import prepared
from sandbox.kube.schemas import completed, without_nulls
from sandbox.kube.targets import Propagation, Target

FINALIZER_OF = {
    Propagation.FOREGROUND: "foregroundDeletion",
    Propagation.ORPHAN: "orphan",
}


def newborn(target: Target, body: Document) -> Document:
    """Return a new object as it will be stored, but for its owners and its revision."""
    resource = target.resource
    document = without_nulls(body, resource.schema)
    if resource.has_status:
        document.pop("status", None)
    document["metadata"] = metadata.born(
        section(document, "metadata"),
        name=target.name,
        namespace=target.namespace,
        has_generation=resource.has_generation,
    )
    return _drawn(target, document, is_new=True)


def redrawn(target: Target, before: Document, written: Document) -> Document:
    """Return the next state of a live object: only what this endpoint may change is taken."""
    document = without_nulls(written, target.resource.schema)
    if target.subresource == "status":
        document = _with_status_of(document, before)
    else:
        if target.resource.has_status:
            document = _with_status_of(before, document)
        document["metadata"] = metadata.carried_over(
            section(before, "metadata"), section(document, "metadata")
        )
    return _drawn(target, document, is_new=False)


def _with_status_of(source: Document, rest: Document) -> Document:
    others = {name: value for name, value in rest.items() if name != "status"}
    return {**others, "status": source["status"]} if "status" in source else others


def _drawn(target: Target, document: Document, *, is_new: bool) -> Document:
    resource = target.resource
    filled = prepared(resource, completed(document, resource.schema), is_new=is_new)
    # The stored bytes begin with the version, where `views` looks for it.
    first = {"apiVersion": resource.api_version, "kind": resource.kind}
    first["metadata"] = filled["metadata"]
    return {**first, **filled, **first}


def owned_as(source: Document, document: Document) -> Document:
    """Return the document with the owners that are recorded in another."""
    owners = section(source, "metadata").get("managedFields")
    others = {key: one for key, one in document["metadata"].items() if key != "managedFields"}
    recorded = {**others, "managedFields": owners} if owners else others
    return {**document, "metadata": recorded}


def with_generation(target: Target, before: Document, document: Document) -> Document:
    """Return the document with its generation, which counts the changes of what is wanted."""
    resource = target.resource
    left_out = {"metadata", "status"} if resource.has_status else {"metadata"}
    wanted = {name: value for name, value in document.items() if name not in left_out}
    wanted_before = {name: value for name, value in before.items() if name not in left_out}
    if not resource.has_generation or is_equal(wanted, wanted_before):
        return document
    generation = before["metadata"].get("generation", 0) + 1
    return {**document, "metadata": {**document["metadata"], "generation": generation}}


def ending(target: Target, before: Document, propagation: Propagation) -> Document:
    """Return the object as one that is being deleted; unchanged where it is so already."""
    given = before["metadata"]
    finalizer = FINALIZER_OF.get(propagation)
    finalizers = list(given.get("finalizers") or ())
    if finalizer is not None and finalizer not in finalizers:
        finalizers.append(finalizer)
    marked: Document = {"finalizers": finalizers} if finalizers else {}
    if "deletionTimestamp" not in given:
        marked |= {"deletionTimestamp": now(), "deletionGracePeriodSeconds": 0}
        if target.resource.has_generation:
            marked["generation"] = given.get("generation", 0) + 1
    document = {**before, "metadata": {**given, **marked}}
    if target.resource.kind == "Namespace" and not target.resource.group:
        document["status"] = {**section(before, "status"), "phase": "Terminating"}
    return document


def may_go(document: Document) -> bool:
    """Whether nothing holds an object that is being deleted any more."""
    is_ending = "deletionTimestamp" in document["metadata"]
    held = document["metadata"].get("finalizers")
    return is_ending and not held and not _is_held_namespace(document)


def _is_held_namespace(document: Document) -> bool:
    is_namespace = (document["apiVersion"], document["kind"]) == ("v1", "Namespace")
    return is_namespace and bool(section(document, "spec").get("finalizers"))


def is_same(before: Document, document: Document) -> bool:
    """Whether writing would change nothing but the times in managedFields."""
    return is_equal(_without_times(before), _without_times(document))


def _without_times(document: Document) -> Document:
    entries = section(document, "metadata").get("managedFields") or []
    timeless = [{key: one for key, one in entry.items() if key != "time"} for entry in entries]
    return {**document, "metadata": {**document["metadata"], "managedFields": timeless}}
