"""Finds the executables that our locked Python packages bring along."""

import importlib.util
import sysconfig
from pathlib import Path


class BinaryMissing(Exception):
    """An executable that setting up should have brought is not there."""


def script(name: str) -> Path:
    """An executable in the environment's own bin directory."""
    path = Path(sysconfig.get_path("scripts")) / name
    if not path.exists():
        raise BinaryMissing(f"{path} is missing; `make setup` installs it")
    return path


def packaged(package: str, *inside: str) -> Path:
    """A file or folder that `package` carries inside its own folder; nothing is imported."""
    found = importlib.util.find_spec(package)
    for location in (found.submodule_search_locations if found else None) or ():
        path = Path(location, *inside)
        if path.exists():
            return path
    raise BinaryMissing(f"{Path(package, *inside)} is missing; `make setup` installs it")
