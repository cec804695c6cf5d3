"""Which of several routes that match a request Envoy Gateway tries first. Pure."""

from sandbox.controllers.cluster import Object

Precedence = tuple[int, int, int, int]

_PATH_KINDS = ("Exact", "RegularExpression", "PathPrefix")
_EVERY_PATH = {"type": "PathPrefix", "value": "/"}


def precedence(match: Object) -> Precedence:
    """Sorts before that of a match that gives way to this one.

    The kind of path decides, then how long it is, then how many headers there are, then how many
    of these are exact.
    """
    path = {**_EVERY_PATH, **(match.get("path") or {})}
    headers = match.get("headers") or []
    exact = sum(header.get("type", "Exact") == "Exact" for header in headers)
    return (_PATH_KINDS.index(path["type"]), -len(path["value"]), -len(headers), -exact)
