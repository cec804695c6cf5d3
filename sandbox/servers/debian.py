"""Unpacks one Debian package into a folder of ours: nothing is installed, no root is needed.

apt checks the package against the distribution's signed lists. Where the system's lists do not
know the package, they are fetched into folders of our own; the system's stay as they are.
"""

import os
import shutil
import subprocess
from pathlib import Path

_APT_SECONDS = 600
# As root, apt would otherwise warn that its own user cannot write into our folder.
_QUIET = ("-qq", "-o", "APT::Sandbox::User=root")


class FetchFailed(Exception):
    """A package could not be had; the message carries what apt or dpkg said."""


def is_here() -> bool:
    """Whether this system has apt and dpkg."""
    return shutil.which("apt-get") is not None and shutil.which("dpkg-deb") is not None


def unpack(package: str, into: Path) -> None:
    """Makes `into` hold the files of `package`, whole or not at all."""
    work = into.parent / f"{into.name}.partial"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        archive = _download(package, work)
        _run(["dpkg-deb", "--extract", str(archive), str(work / "files")], work)
        shutil.rmtree(into, ignore_errors=True)
        (work / "files").rename(into)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _download(package: str, work: Path) -> Path:
    try:
        _run(["apt-get", *_QUIET, "download", package], work)
    except FetchFailed:
        _download_with_own_lists(package, work)
    found = sorted(work.glob("*.deb"))
    if len(found) != 1:
        raise FetchFailed(f"apt-get download {package} brought {len(found)} archives, not one")
    return found[0]


def _download_with_own_lists(package: str, work: Path) -> None:
    lists = _private_lists(work / "apt")
    problem: FetchFailed | None = None
    try:
        _run(["apt-get", *_QUIET, *lists, "update"], work)
    except FetchFailed as error:  # one broken source of several need not hinder us
        problem = error
    try:
        _run(["apt-get", *_QUIET, *lists, "download", package], work)
    except FetchFailed as error:
        raise error from problem


def _private_lists(folder: Path) -> list[str]:
    """Options that make apt keep its lists and caches in `folder`; sources and keys are shared."""
    (folder / "lists" / "partial").mkdir(parents=True)
    (folder / "cache" / "archives" / "partial").mkdir(parents=True)
    settings = {"Dir::State::lists": folder / "lists", "Dir::Cache": folder / "cache"}
    return [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_APT_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()
        raise FetchFailed(f"`{' '.join(command)}` failed:\n{said}")
