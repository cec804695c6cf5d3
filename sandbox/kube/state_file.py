"""The SQLite file that objects are written through to, so that a killed server loses nothing."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_LAYOUT = 1
_SCHEMA = """
CREATE TABLE objects (
    resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (resource, namespace, name)
) WITHOUT ROWID;
CREATE TABLE revision (latest INTEGER NOT NULL);
INSERT INTO revision VALUES (0);
"""


class Row(NamedTuple):
    resource: str
    namespace: str
    name: str
    body: bytes


class StateFileUnusable(Exception):
    """The state file is another server's, another release's, or none at all."""


class StateFile:
    """Each write is one transaction: the object and the revision that it was written at.

    The file is in WAL mode without a sync per commit: what is committed survives the death of
    this process, and a power cut may lose the last writes but never their order.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)  # secrets are in it; SQLite gives its other files the same mode
        self._database = sqlite3.connect(path, isolation_level=None, timeout=1)
        try:
            self._prepare()
        except sqlite3.DatabaseError as failure:
            self._database.close()
            hint = "; is another server using it?" if "locked" in str(failure) else ""
            raise StateFileUnusable(f"{path}: {failure}{hint}") from failure
        except BaseException:
            self._database.close()
            raise

    def _prepare(self) -> None:
        execute = self._database.execute
        execute("PRAGMA locking_mode = EXCLUSIVE")
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = NORMAL")
        (layout,) = execute("PRAGMA user_version").fetchone()
        if layout == 0:
            self._database.executescript(
                f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {_LAYOUT}; COMMIT;"
            )
        elif layout != _LAYOUT:
            raise StateFileUnusable(f"state layout {layout} is not {_LAYOUT}; delete the file")

    def revision(self) -> int:
        (latest,) = self._database.execute("SELECT latest FROM revision").fetchone()
        return int(latest)

    def rows(self) -> Iterator[Row]:
        found = self._database.execute("SELECT resource, namespace, name, body FROM objects")
        return map(Row._make, found)

    def save(self, row: Row, revision: int) -> None:
        self._commit("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?)", row, revision)

    def drop(self, row: Row, revision: int) -> None:
        self._commit(
            "DELETE FROM objects WHERE resource = ? AND namespace = ? AND name = ?",
            row[:3],
            revision,
        )

    def close(self) -> None:
        self._database.close()

    def _commit(self, statement: str, values: tuple[str | bytes, ...], revision: int) -> None:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            self._database.execute(statement, values)
            self._database.execute("UPDATE revision SET latest = ?", (revision,))
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")
