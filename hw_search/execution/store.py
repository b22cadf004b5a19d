"""The store: all training results of a run folder, in SQLite.

The store is the cache, the provenance, and the way to resume: a restarted search replays the same seeded strategy and finds
its earlier results here. The key of a row covers all inputs of its result, except the other networks in its stack, which
occasionally change a rounding. A changed configuration therefore leaves all rows valid; the search ignores those it does
not need.
"""

import json
import sqlite3
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from zerocross.hw_search.errors import UserError
from zerocross.hw_search.files import holding

if TYPE_CHECKING:
    from zerocross.hw_search.execution.tasks import Result

LAYOUT = 2
"""Version of the tables below and of their keys. Increase it whenever the meaning of either changes."""

_TABLES = """
CREATE TABLE evaluations (key TEXT PRIMARY KEY, result TEXT NOT NULL, made REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE sittings (started REAL NOT NULL, seconds REAL NOT NULL);
"""


class Store:
    """The results of one run folder, locked against other processes while open.

    Args:
        folder: Folder of the run. It is created if it does not exist.

    Raises:
        UserError: If the folder cannot be written, another process holds it, or the file is damaged or has another layout.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "store.sqlite"
        self._held = ExitStack()
        self._held.enter_context(holding(folder, "choose another folder or name (`output:`, `name:`)"))
        try:
            self._base = sqlite3.connect(self.path)
            self._open()
        except sqlite3.DatabaseError as error:
            self._held.close()
            raise self._explain(error) from None
        except UserError:
            self._held.close()
            raise

    def _open(self) -> None:
        self._base.execute("PRAGMA synchronous = FULL")
        version = self._base.execute("PRAGMA user_version").fetchone()[0]
        names = {row[0] for row in self._base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if version == 0 and not names:
            with self._base:
                # One transaction for all statements: otherwise a kill could leave only some of the tables.
                self._base.execute("BEGIN IMMEDIATE")
                for statement in _TABLES.strip().split(";\n"):
                    self._base.execute(statement)
                self._base.execute(f"PRAGMA user_version = {LAYOUT}")
            return
        if version != LAYOUT:
            made = "an earlier" if version < LAYOUT else "a later"
            raise UserError(
                f"{self.path} was made by {made} version of zerocross (layout {version}, this one reads {LAYOUT}): use that "
                "version to resume, or move the file away to start again"
            )
        check = self._base.execute("PRAGMA quick_check(1)").fetchone()[0]
        if check != "ok" or not {"evaluations", "sittings"} <= names:
            raise sqlite3.DatabaseError(check)

    def get(self, key: str) -> "Result | None":
        """Return the result of a key, or None."""
        try:
            row = self._base.execute("SELECT result FROM evaluations WHERE key = ?", (key,)).fetchone()
        except sqlite3.DatabaseError as error:
            raise self._explain(error) from None
        found: Result | None = None if row is None else json.loads(row[0])
        return found

    def put(self, key: str, result: "Result", replace: bool = False) -> None:
        """Save a result to disk. An existing key keeps its first result unless `replace` is set."""
        try:
            with self._base:
                self._base.execute(
                    f"INSERT OR {'REPLACE' if replace else 'IGNORE'} INTO evaluations VALUES (?, ?, ?)",
                    (key, json.dumps(result), time.time()),
                )
        except sqlite3.DatabaseError as error:
            raise self._explain(error) from None

    def __len__(self) -> int:
        return int(self._base.execute("SELECT COUNT(*) FROM evaluations").fetchone()[0])

    def add_sitting(self, started: float, seconds: float) -> None:
        """Record the start (seconds since the epoch) and the duration (seconds) of one search or resumption."""
        try:
            with self._base:
                self._base.execute("INSERT INTO sittings VALUES (?, ?)", (started, seconds))
        except sqlite3.DatabaseError as error:
            raise self._explain(error) from None

    def seconds(self) -> float:
        """Return the total of the recorded durations, in seconds."""
        return float(self._base.execute("SELECT COALESCE(SUM(seconds), 0) FROM sittings").fetchone()[0])

    def close(self) -> None:
        """Close and unlock."""
        self._base.close()
        self._held.close()

    def _explain(self, error: sqlite3.DatabaseError) -> UserError:
        text = str(error)
        if "full" in text or "disk I/O" in text:
            return UserError(
                f"{self.path} cannot be written because the disk is full or failing ({text}): free some space and run the "
                "same command to resume"
            )
        if "readonly" in text or "unable to open" in text:
            return UserError(f"{self.path} cannot be opened for writing ({text}): check its permissions")
        return UserError(
            f"{self.path} is damaged ({text}): move it away to start the search again, or restore it from a copy"
        )

    def __enter__(self) -> "Store":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
