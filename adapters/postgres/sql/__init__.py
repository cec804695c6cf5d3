"""The queries, in plain SQL: one file a subject, each query under its `-- name:` line."""

import re
from collections.abc import Mapping
from importlib.resources import files

_HEADING = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def load(subject: str) -> Mapping[str, str]:
    """The queries of `<subject>.sql` by name."""
    text = files(__name__).joinpath(f"{subject}.sql").read_text(encoding="utf-8")
    _, *parts = _HEADING.split(text)
    return dict(zip(parts[::2], map(str.strip, parts[1::2]), strict=True))
