"""Every evaluation ever made in a run folder: SQLite.

It is the cache, the provenance and the resume at once: a search that is started again replays the same seeded
evolution and finds its past here. A row is keyed by what decides its result (but for what trained beside it, which turns
a rounding now and then), so nothing in it is wrong for a changed configuration; it is merely not asked for.
"""

import json
import sqlite3
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from zerocross.hw_search.errors import UserError
from zerocross.hw_search.execution.tasks import Result
from zerocross.hw_search.files import holding

LAYOUT = 2
"""Version of the tables below and of the keys in them; to be raised whenever either changes its meaning."""

_TABLES = """
CREATE TABLE evaluations (key TEXT PRIMARY KEY, result TEXT NOT NULL, made REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE sittings (started REAL NOT NULL, seconds REAL NOT NULL);
"""


class Store:
    """The evaluations of one run folder, locked against other processes while open.

    Args:
        folder: the run's folder; made if it is not there.

    Raises:
        UserError: if the folder cannot be written, another process has it, or the file is damaged or of another
            layout.
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
                # Without it every statement would be a transaction of its own, and a kill could leave half of them.
                self._base.execute("BEGIN IMMEDIATE")
                for statement in _TABLES.strip().split(";\n"):
                    self._base.execute(statement)
                self._base.execute(f"PRAGMA user_version = {LAYOUT}")
            return
        if version != LAYOUT:
            made = "an earlier" if version < LAYOUT else "a later"
            raise UserError(
                f"{self.path} was made by {made} version of zerocross (layout {version}, this one reads {LAYOUT}): use that "
                "version to go on with it, or move the file away to start anew"
            )
        check = self._base.execute("PRAGMA quick_check(1)").fetchone()[0]
        if check != "ok" or not {"evaluations", "sittings"} <= names:
            raise sqlite3.DatabaseError(check)

    def get(self, key: str) -> Result | None:
        """Return the result of a key, or None."""
        try:
            row = self._base.execute("SELECT result FROM evaluations WHERE key = ?", (key,)).fetchone()
        except sqlite3.DatabaseError as error:
            raise self._explain(error) from None
        found: Result | None = None if row is None else json.loads(row[0])
        return found

    def put(self, key: str, result: Result, replace: bool = False) -> None:
        """Keep a result; on disk when this returns. A key that is there already keeps its first result, unless `replace`."""
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
        """Note how long one sitting took."""
        try:
            with self._base:
                self._base.execute("INSERT INTO sittings VALUES (?, ?)", (started, seconds))
        except sqlite3.DatabaseError as error:
            raise self._explain(error) from None

    def seconds(self) -> float:
        """Return the time of all sittings together."""
        return float(self._base.execute("SELECT COALESCE(SUM(seconds), 0) FROM sittings").fetchone()[0])

    def close(self) -> None:
        """Close and unlock."""
        self._base.close()
        self._held.close()

    def _explain(self, error: sqlite3.DatabaseError) -> UserError:
        text = str(error)
        if "full" in text or "disk I/O" in text:
            return UserError(
                f"{self.path} cannot be written, the disk is full or failing ({text}): free some room and run the same "
                "command again, it goes on where it stopped"
            )
        if "readonly" in text or "unable to open" in text:
            return UserError(f"{self.path} cannot be opened for writing ({text}): check its permissions")
        return UserError(
            f"{self.path} is damaged ({text}): move it away to start the search anew, or restore it from a copy"
        )

    def __enter__(self) -> "Store":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
