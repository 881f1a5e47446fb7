"""The SQLite file behind the memory: opening and checking it, whole transactions, and failures as one line.

What a transaction wrote is on disk when it has ended, and then survives `kill -9` and loss of power: SQLite's write-ahead
log with `synchronous = FULL` (https://www.sqlite.org/wal.html, section 8). What is deleted is overwritten
(`secure_delete`), not only unlinked.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from earshot.runtime.errors import InputError
from earshot.runtime.places import user_folder

SCHEMA_VERSION = 1
_APPLICATION_ID = 0x45415253  # "EARS": a database of somebody else is never written to
_SCHEMA = """
CREATE TABLE sessions (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  started_s REAL NOT NULL,
  heard_until_s REAL NOT NULL
);
CREATE TABLE events (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  episode INTEGER NOT NULL,
  session INTEGER NOT NULL,
  kind TEXT NOT NULL,
  time_s REAL NOT NULL,
  label TEXT NOT NULL,
  confidence REAL NOT NULL,
  azimuth_deg REAL NOT NULL,
  elevation_deg REAL NOT NULL,
  distance_m REAL NOT NULL,
  ambiguous INTEGER NOT NULL
);
CREATE INDEX events_by_episode ON events (episode);
CREATE INDEX events_by_time ON events (time_s);
"""
_BUSY_S = 5.0


class MemoryUnusable(InputError):
    """The memory cannot be opened, read or written: full or read-only disk, or a file that is something else."""


class MemoryFile:
    """One database file. Safe to use from several threads, and from several processes at once.

    Parameters
    ----------
    path : Path
        Made when `open` is called for writing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None

    def open(self, *, create: bool = True) -> None:
        """Open the file, and make it when there is none; one that is open stays open.

        Parameters
        ----------
        create : bool
            False to read or forget what is there only; a read-only disk will do for reading.

        Raises
        ------
        MemoryUnusable
            When it cannot be opened or is no memory of Earshot, or is of a later version.
        """
        with self._lock, self._explained():
            if self._connection is not None:
                return
            if create:
                self._make()
            elif not self.path.is_file():
                raise MemoryUnusable(f"{self.path}: nothing is remembered there; 'earshot listen --remember' does")
            try:
                self._connection = self._connected(str(self.path))
            except sqlite3.OperationalError:
                if create:
                    raise
                self._connection = self._connected(self._as_it_lies(), uri=True)
            self._identity = self._found()

    def close_if_gone(self) -> bool:
        """Close a file that is no longer at its place: deleted, or another in its stead. SQLite would go on writing where nobody looks."""
        with self._lock:
            gone = self._connection is not None and self._found() != self._identity
            if gone:
                self.close()
        return gone

    def close(self) -> None:
        """Close the file; may be called twice."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def read(self, sql: str, values: tuple[object, ...] = ()) -> list[sqlite3.Row]:
        """Rows of a query.

        Raises
        ------
        MemoryUnusable
        """
        with self._lock, self._explained():
            return self._opened().execute(sql, values).fetchall()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is kept or nothing.

        Raises
        ------
        MemoryUnusable
            Nothing was kept.
        """
        with self._lock, self._explained():
            connection = self._opened()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def shrink(self) -> None:
        """Give free pages back and empty the log, so that nothing deleted is left in either.

        Raises
        ------
        MemoryUnusable
            Also when another program still reads the log.
        """
        with self._lock, self._explained():
            self._opened().execute("VACUUM")
            busy, *_ = self._opened().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise MemoryUnusable(f"{self.path}: forgotten, but another program still reads its log; try again")

    def used_bytes(self) -> int:
        """Size of what is kept, without free pages.

        Raises
        ------
        MemoryUnusable
        """
        pages, free, size = (
            int(self.read(f"PRAGMA {name}")[0][0]) for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * size

    def _found(self) -> tuple[int, int] | None:
        """Which file is at the place now."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _make(self) -> None:
        """An empty file that only its owner may read, as it tells who was at home and when."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))

    def _connected(self, place: str, *, uri: bool = False) -> sqlite3.Connection:
        """A connection to a path or URI that was checked to be a memory of ours."""
        connection = sqlite3.connect(place, timeout=_BUSY_S, isolation_level=None, check_same_thread=False, uri=uri)
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _as_it_lies(self) -> str:
        """The file for reading alone: without a log, which SQLite would want to make, unless one was left behind."""
        log = Path(f"{self.path}-wal")
        left_behind = log.is_file() and log.stat().st_size > 0
        return f"{self.path.resolve().as_uri()}?{'mode=ro' if left_behind else 'immutable=1'}"

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA secure_delete = ON")
        application = int(connection.execute("PRAGMA application_id").fetchone()[0])
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if application == _APPLICATION_ID and version > SCHEMA_VERSION:
            raise MemoryUnusable(f"{self.path}: of a later version of Earshot; update Earshot or name another file")
        if application != _APPLICATION_ID:
            if connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]:
                raise MemoryUnusable(f"{self.path}: a database of another program; name another file")
            self._create(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA journal_size_limit = 1000000")

    def _create(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")
        if not connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]:  # nobody was quicker
            for statement in _SCHEMA.split(";\n"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            raise MemoryUnusable(f"{self.path}: not open; call open() first or use it in a 'with' block")
        return self._connection

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Failures of disk and database as one line."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise MemoryUnusable(f"{self.path}: {_reason(error)}") from error
        except OSError as error:
            raise MemoryUnusable(f"{self.path}: cannot be made ({error.strerror}); name another file") from error


def default_memory_path() -> Path:
    """Where a memory is kept: the XDG state directory (LOCALAPPDATA on Windows), folder `earshot`; errors as `user_folder`."""
    variable, fallback = (
        ("LOCALAPPDATA", "AppData/Local") if sys.platform == "win32" else ("XDG_STATE_HOME", ".local/state")
    )
    return user_folder(variable, fallback) / "earshot" / "memory.sqlite"


def _reason(error: sqlite3.DatabaseError) -> str:
    text = str(error)
    if "full" in text or "I/O" in text:
        return f"cannot be written ({text}); make room on the disk or name another file"
    if "readonly" in text or "unable to open" in text:
        return f"cannot be written ({text}); name a file in a folder of yours"
    if "not a database" in text or "malformed" in text:
        return f"no memory of Earshot ({text}); name another file, or delete it"
    if "locked" in text:
        return "another program has held it for too long; try again"
    return text
