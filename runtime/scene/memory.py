"""What was heard and where, kept on disk for hours: compact events in SQLite, never sound.

Nothing is kept unless asked for. An event is three numbers of place, a name and a time of day; it counts as kept
(acknowledged) when the call that adds it has returned, and then survives `kill -9` and loss of power: SQLite's
write-ahead log with `synchronous = FULL` (https://www.sqlite.org/wal.html, section 8). What is forgotten is
overwritten (`secure_delete`), not only unlinked. Age and size are bounded.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from typing_extensions import Self

from earshot.runtime.errors import InputError
from earshot.runtime.scene.episodes import Episode, EventKind, Place, Session

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
_PRUNE_EVERY = 256
_MOST_EPISODES = 10_000


@dataclass(frozen=True)
class MemoryLimits:
    """How much is kept.

    Attributes
    ----------
    max_age_s : float
        What ended longer ago than this is forgotten, seconds.
    max_bytes : int
        Beyond this size the oldest is forgotten; the file may be larger by the write-ahead log, 1 MB.
    """

    max_age_s: float = 7 * 86_400.0
    max_bytes: int = 20_000_000

    def __post_init__(self) -> None:
        if self.max_age_s <= 0 or self.max_bytes < 65_536:
            raise ValueError("max_age_s must be positive and max_bytes at least 65536")


class MemoryUnusable(InputError):
    """The memory cannot be opened, read or written: full or read-only disk, or a file that is something else."""


class SceneMemory:
    """Events on disk. Safe to use from several threads, and from several processes at once.

    Parameters
    ----------
    path : Path
        Of the database; made when `open` is called for writing.
    limits : MemoryLimits, optional
    clock : callable, optional
        Wall clock, seconds since 1970.
    """

    def __init__(self, path: Path, limits: MemoryLimits | None = None, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self._limits = limits or MemoryLimits()
        self._clock = clock
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._added = 0

    def open(self, *, create: bool = True) -> None:
        """Open the file, and make it when there is none.

        Parameters
        ----------
        create : bool
            False to read or forget what is there only.

        Raises
        ------
        MemoryUnusable
            When it cannot be opened or is no memory of Earshot, or is of a later version.
        """
        with self._lock, self._explained():
            if self._connection is not None:
                return
            if create:
                self._make_file()
            elif not self.path.is_file():
                raise MemoryUnusable(f"{self.path}: nothing is remembered there; 'earshot listen --remember' does")
            self._connection = sqlite3.connect(
                self.path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
            )
            try:
                self._prepare(self._connection)
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """Close the file; may be called twice."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def begin(self) -> int:
        """Note that listening begins now; returns the number of the session.

        Raises
        ------
        MemoryUnusable
        """
        now_s = self._clock()
        with self._writing() as connection:
            self._prune(connection, now_s)
            sql = "INSERT INTO sessions (started_s, heard_until_s) VALUES (?, ?)"
            return int(connection.execute(sql, (now_s, now_s)).lastrowid or 0)

    def heard(self, session: int) -> None:
        """Note that the session has listened up to now.

        Raises
        ------
        MemoryUnusable
        """
        with self._writing() as connection:
            self._touch(connection, session)

    def add(
        self,
        session: int,
        kind: EventKind,
        time_s: float,
        label: str,
        place: Place,
        confidence: float,
        episode: int = 0,
    ) -> int:
        """Keep one event; it is on disk when this returns.

        Parameters
        ----------
        session : int
        kind : {"appeared", "moved", "ended"}
        time_s : float
            Wall clock, seconds since 1970.
        label : str
            Key of the class.
        place : Place
        confidence : float
        episode : int
            What `add` returned for "appeared"; without meaning there. An episode that has been forgotten meanwhile
            is not begun again.

        Returns
        -------
        int
            The episode.

        Raises
        ------
        MemoryUnusable
            Nothing was kept.
        """
        values = (session, kind, time_s, label, confidence, *_columns(place))
        with self._writing() as connection:
            if kind == "appeared":
                episode = self._next_id(connection)
                connection.execute(
                    "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (episode, episode, *values)
                )
            else:
                sql = """INSERT INTO events (episode, session, kind, time_s, label, confidence,
                         azimuth_deg, elevation_deg, distance_m, ambiguous)
                         SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ? WHERE EXISTS (SELECT 1 FROM events WHERE id = ?)"""
                connection.execute(sql, (episode, *values, episode))
            self._touch(connection, session)
            self._added += 1
            if self._added % _PRUNE_EVERY == 0:
                self._prune(connection, self._clock())
        return episode

    def episodes(
        self, since_s: float | None = None, until_s: float | None = None, labels: tuple[str, ...] = ()
    ) -> list[Episode]:
        """What sounded in a time, in order of its beginning; the latest 10,000 at most.

        Parameters
        ----------
        since_s, until_s : float or None
            Wall clock; None for without end.
        labels : tuple of str
            Keys; empty for all.
        """
        wanted = f"AND label IN ({', '.join('?' * len(labels))})" if labels else ""
        sql = f"""
          SELECT * FROM events WHERE episode IN (
            SELECT episode FROM events WHERE 1 {wanted} GROUP BY episode
            HAVING MIN(time_s) <= ? AND (MAX(time_s) >= ? OR SUM(kind = 'ended') = 0)
            ORDER BY episode DESC LIMIT {_MOST_EPISODES})
          ORDER BY episode, id"""
        bounds = (float("inf") if until_s is None else until_s, float("-inf") if since_s is None else since_s)
        rows = self._read(sql, (*labels, *bounds))
        ends = {session.id: session.heard_until_s for session in self.sessions()}
        found = [_episode(list(group)) for _, group in groupby(rows, key=lambda row: int(row["episode"]))]
        found.sort(key=lambda episode: (episode.started_s, episode.id))
        # Without an end a sound lasted as long as was listened at most.
        return [e for e in found if e.ended_s is not None or ends.get(e.session, e.started_s) >= bounds[1]]

    def sessions(self) -> list[Session]:
        """When was listened, in order."""
        rows = self._read("SELECT id, started_s, heard_until_s FROM sessions ORDER BY id", ())
        return [Session(int(row["id"]), float(row["started_s"]), float(row["heard_until_s"])) for row in rows]

    def count(self) -> int:
        """Number of events kept."""
        return int(self._read("SELECT COUNT(*) AS n FROM events", ())[0]["n"])

    def used_bytes(self) -> int:
        """Size of what is kept, without free pages."""
        with self._lock, self._explained():
            return self._used_bytes(self._opened())

    def forget(self, before_s: float | None = None) -> int:
        """Forget everything, or what began before a time; the bytes are overwritten, the log is emptied.

        Returns
        -------
        int
            Number of events forgotten.

        Raises
        ------
        MemoryUnusable
        """
        limit_s = float("inf") if before_s is None else before_s
        with self._writing() as connection:
            old = "SELECT episode FROM events GROUP BY episode HAVING MIN(time_s) < ?"
            gone = connection.execute(f"DELETE FROM events WHERE episode IN ({old})", (limit_s,)).rowcount
            connection.execute("DELETE FROM sessions WHERE heard_until_s < ? OR ?", (limit_s, before_s is None))
        with self._lock, self._explained():
            self._opened().execute("VACUUM")
            busy, *_ = self._opened().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise MemoryUnusable(f"{self.path}: forgotten, but another program still reads its log; try again")
        return gone

    def prune(self) -> None:
        """Forget what is too old or too much; done by itself every few hundred events."""
        with self._writing() as connection:
            self._prune(connection, self._clock())

    def _make_file(self) -> None:
        """An empty file that only its owner may read, as it tells who was at home and when."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))

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

    def _next_id(self, connection: sqlite3.Connection) -> int:
        """Never one that was given before, also after forgetting."""
        row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
        return 1 + (int(row[0]) if row else 0)

    def _touch(self, connection: sqlite3.Connection, session: int) -> None:
        """The session has lasted till now; one that was forgotten begins now."""
        now_s = self._clock()
        sql = """INSERT INTO sessions VALUES (?, ?, ?)
                 ON CONFLICT (id) DO UPDATE SET heard_until_s = MAX(heard_until_s, excluded.heard_until_s)"""
        connection.execute(sql, (session, now_s, now_s))

    def _prune(self, connection: sqlite3.Connection, now_s: float) -> None:
        limit_s = now_s - self._limits.max_age_s
        old = "SELECT episode FROM events GROUP BY episode HAVING MAX(time_s) < ?"
        connection.execute(f"DELETE FROM events WHERE episode IN ({old})", (limit_s,))
        connection.execute("DELETE FROM sessions WHERE heard_until_s < ?", (limit_s,))
        while self._used_bytes(connection) > self._limits.max_bytes and (kept := self._some(connection)):
            oldest = "SELECT DISTINCT episode FROM events ORDER BY episode LIMIT ?"
            connection.execute(f"DELETE FROM events WHERE episode IN ({oldest})", (max(1, kept // 10),))
        connection.execute("PRAGMA incremental_vacuum")

    def _some(self, connection: sqlite3.Connection) -> int:
        return int(connection.execute("SELECT COUNT(DISTINCT episode) FROM events").fetchone()[0])

    def _used_bytes(self, connection: sqlite3.Connection) -> int:
        pages, free, size = (
            int(connection.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * size

    def _read(self, sql: str, values: tuple[object, ...]) -> list[sqlite3.Row]:
        with self._lock, self._explained():
            return self._opened().execute(sql, values).fetchall()

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            raise MemoryUnusable(f"{self.path}: not open; call open() first or use it in a 'with' block")
        return self._connection

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is kept or nothing."""
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
    """Where a memory is kept: the XDG state directory (LOCALAPPDATA on Windows), folder `earshot`."""
    variable, fallback = (
        ("LOCALAPPDATA", "AppData/Local") if sys.platform == "win32" else ("XDG_STATE_HOME", ".local/state")
    )
    base = os.environ.get(variable, "")
    folder = Path(base) if Path(base).is_absolute() else Path.home() / fallback
    return folder / "earshot" / "memory.sqlite"


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


def _columns(place: Place) -> tuple[float, float, float, int]:
    """Whole degrees and centimetres are all that an ear can tell, and more than it can."""
    return (
        round(place.azimuth_deg, 1),
        round(place.elevation_deg, 1),
        round(place.distance_m, 2),
        int(place.ambiguous),
    )


def _episode(rows: list[sqlite3.Row]) -> Episode:
    """An episode of its events, in the order in which they were added."""
    first = rows[0]
    ended = [float(row["time_s"]) for row in rows if row["kind"] == "ended"]
    places = tuple(
        Place(row["azimuth_deg"], row["elevation_deg"], row["distance_m"], bool(row["ambiguous"])) for row in rows
    )
    return Episode(
        id=int(first["episode"]),
        session=int(first["session"]),
        label=str(first["label"]),
        confidence=max(float(row["confidence"]) for row in rows),
        started_s=float(first["time_s"]),
        ended_s=max(ended[-1], float(first["time_s"])) if ended else None,
        places=places,
    )
