"""The kubeconfig that clients find the server with."""

import os
import tempfile
from pathlib import Path

import yaml

NAME = "tidegate-sandbox"


def write_kubeconfig(path: Path, server: str) -> None:
    """Put the file in place in one step, readable by its owner only."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": NAME, "cluster": {"server": server}}],
        "users": [{"name": NAME, "user": {}}],
        "contexts": [
            {"name": NAME, "context": {"cluster": NAME, "user": NAME, "namespace": "default"}}
        ],
        "current-context": NAME,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    # mkstemp creates with mode 0600, and the rename keeps it.
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            yaml.safe_dump(content, file, sort_keys=False)
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink()
        raise
