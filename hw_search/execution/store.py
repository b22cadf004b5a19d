"""The store: all training results of a run folder, in SQLite.

The store is the cache, the provenance, and the way to resume: a restarted search replays the same seeded strategy and finds
its earlier results here. The key of a row covers all inputs of its result, except the other networks in its stack, which
occasionally change a rounding. A changed configuration therefore leaves all rows valid; the search ignores those it does
not need.

Every row has a digest of its content. A row that does not match it is dropped when the store is opened, so its network
trains again.
"""

import hashlib
import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from zerocross.hw_search.errors import UserError
from zerocross.hw_search.files import holding

if TYPE_CHECKING:
    from zerocross.hw_search.execution.tasks import Result

LAYOUT = 3
"""Version of the tables below and of their keys. Increase it whenever the meaning of either changes."""

_EVALUATIONS = """CREATE TABLE evaluations (
    key TEXT PRIMARY KEY, result TEXT NOT NULL, made REAL NOT NULL, digest TEXT NOT NULL
) WITHOUT ROWID"""
_SITTINGS = "CREATE TABLE sittings (started REAL NOT NULL, seconds REAL NOT NULL, digest TEXT NOT NULL)"
_TABLES = {"evaluations": _EVALUATIONS, "sittings": _SITTINGS}
"""Tables by name. The last column of each is the digest of the others."""

_SHOWN = 100


class Store:
    """The results of one run folder, locked against other processes while open.

    Args:
        folder: Folder of the run. It is created if it does not exist.

    Attributes:
        path: The file.
        damaged: Number of results that did not match their digest when the file was opened, and were dropped.

    Raises:
        UserError: If the folder cannot be written, another process holds it, or the file is damaged or has another layout.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "store.sqlite"
        self.damaged = 0
        self._held = ExitStack()
        self._held.enter_context(holding(folder, "choose another folder or name (`output:`, `name:`)"))
        try:
            with self._explained():
                self._base = sqlite3.connect(self.path)
                self._held.callback(self._base.close)
                self._base.text_factory = lambda text: text.decode(errors="replace")  # of a damaged row, too
                self._open()
        except BaseException:
            self._held.close()
            raise

    def _open(self) -> None:
        self._base.execute("PRAGMA synchronous = FULL")
        version = self._base.execute("PRAGMA user_version").fetchone()[0]
        tables = dict(self._base.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'"))
        if version == 0 and not tables:
            with self._base:
                # One transaction for all statements: otherwise a kill could leave only some of the tables.
                self._base.execute("BEGIN IMMEDIATE")
                for statement in _TABLES.values():
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
        if check != "ok":
            raise sqlite3.DatabaseError(check.splitlines()[-1])
        if tables != _TABLES:
            raise sqlite3.DatabaseError("its tables are not those of a store")
        self.damaged = self._drop_damaged("evaluations")
        self._drop_damaged("sittings")

    def _drop_damaged(self, table: str) -> int:
        """Drop the rows of a table that do not match their digest, and return their number."""
        damaged = 0
        disordered, last = False, ""
        for *content, digest in self._rows(table):
            if digest != _digest(*content):
                damaged += 1
            elif table == "evaluations":  # SQLite finds keys by their order
                disordered |= not last < content[0]
                last = content[0]
        if damaged or disordered:
            sound = [row for row in self._rows(table) if row[-1] == _digest(*row[:-1])]
            with self._base:
                self._base.execute("BEGIN IMMEDIATE")
                self._base.execute(f"DROP TABLE {table}")
                self._base.execute(_TABLES[table])
                for row in sound:
                    marks = ", ".join("?" * len(row))
                    self._base.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", row)
        return damaged

    def _rows(self, table: str) -> Iterator[tuple[Any, ...]]:
        return iter(self._base.execute(f"SELECT * FROM {table}"))

    def get(self, key: str) -> "Result | None":
        """Return the result of a key, or None."""
        with self._explained():
            row = self._base.execute("SELECT result FROM evaluations WHERE key = ?", (key,)).fetchone()
        found: Result | None = None if row is None else json.loads(row[0])
        return found

    def put(self, key: str, result: "Result", replace: bool = False) -> None:
        """Save a result to disk. An existing key keeps its first result unless `replace` is set."""
        self._add("evaluations", (key, json.dumps(result), time.time()), "REPLACE" if replace else "IGNORE")

    def __len__(self) -> int:
        with self._explained():
            return int(self._base.execute("SELECT COUNT(*) FROM evaluations").fetchone()[0])

    def add_sitting(self, started: float, seconds: float) -> None:
        """Record the start (seconds since the epoch) and the duration (seconds) of one search or resumption."""
        self._add("sittings", (float(started), float(seconds)), "ABORT")

    def seconds(self) -> float:
        """Return the total of the recorded durations, in seconds."""
        with self._explained():
            return float(self._base.execute("SELECT COALESCE(SUM(seconds), 0) FROM sittings").fetchone()[0])

    def _add(self, table: str, content: tuple[str | float, ...], conflict: str) -> None:
        row = (*content, _digest(*content))
        marks = ", ".join("?" * len(row))
        with self._explained(), self._base:
            self._base.execute(f"INSERT OR {conflict} INTO {table} VALUES ({marks})", row)

    def close(self) -> None:
        """Close and unlock."""
        self._held.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise self._explain(error) from None

    def _explain(self, error: sqlite3.Error | UnicodeDecodeError) -> UserError:
        # SQLite's message quotes what it finds in a damaged file, which need not be text.
        text = "".join(letter if letter.isprintable() else "?" for letter in str(error))[:_SHOWN]
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


def _digest(*content: str | float) -> str:
    return hashlib.blake2b(repr(content).encode(errors="replace"), digest_size=16).hexdigest()
