"""Lists, whole or in pages.

A page goes on from the name where the last one ended, in the present state, but names the revision
of the first page: whoever watches from there misses nothing that changed in between.
"""

import base64
import json
from typing import NamedTuple

from sandbox.kube import requests, status
from sandbox.kube.documents import Document
from sandbox.kube.requests import Query
from sandbox.kube.store import Store, Stored
from sandbox.kube.tables import Form
from sandbox.kube.targets import Target


class Page(NamedTuple):
    revision: int
    after: tuple[str, str]
    """Namespace and name of the last object of the page before."""


def listed(store: Store, of: Target, query: Query, form: Form) -> bytes:
    _check_revision(store, query)
    selection = requests.selection(of, query)
    page = _page(query.get("continue", ""), store)
    found = [one for one in store.all(of.resource.key, selection.namespace) if _is_after(one, page)]
    accepted = [one for one in found if selection.accepts(one)]
    limit = _limit(query) or len(accepted)
    shown, rest = accepted[:limit], accepted[limit:]
    metadata: Document = {"resourceVersion": str(page.revision)}
    if rest:
        metadata["continue"] = _token(page.revision, shown[-1])
        if selection.is_everything:
            metadata["remainingItemCount"] = len(rest)
    return form.many(shown, of.resource, metadata)


def _check_revision(store: Store, query: Query) -> None:
    """A revision may be asked for that is no newer than the present; only the present is kept."""
    wanted = requests.revision(query)
    if wanted > store.revision:
        raise status.revision_too_large(wanted, store.revision)
    if query.get("resourceVersionMatch") == "Exact" and wanted != store.revision:
        raise status.expired(wanted, store.revision)


def _limit(query: Query) -> int:
    text = query.get("limit") or "0"
    if not text.isdecimal():
        raise status.bad_request(f"invalid limit: {text}")
    return int(text)


def _is_after(stored: Stored, page: Page) -> bool:
    return (stored.namespace, stored.name) > page.after


def _token(revision: int, last: Stored) -> str:
    content = json.dumps([revision, last.namespace, last.name]).encode()
    return base64.urlsafe_b64encode(content).decode()


def _page(token: str, store: Store) -> Page:
    if not token:
        return Page(store.revision, ("", ""))
    try:
        revision, namespace, name = json.loads(base64.urlsafe_b64decode(token))
        return Page(int(revision), (str(namespace), str(name)))
    except (ValueError, TypeError) as failure:
        raise status.bad_request(f"continue key is not valid: {failure}") from failure
