"""What was heard and where, kept on disk for hours: compact events in SQLite, never sound.

Nothing is kept unless asked for. An event is three numbers of place, a name and a time of day; it counts as kept
(acknowledged) when the call that adds it has returned. Age and size are bounded. The file is `memory_file.py`'s.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from typing_extensions import Self

from earshot.runtime.scene.episodes import Episode, EventKind, Place, Session
from earshot.runtime.scene.memory_file import MemoryFile, MemoryUnusable, default_memory_path

__all__ = ["MemoryLimits", "MemoryUnusable", "SceneMemory", "default_memory_path"]

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
        self._file = MemoryFile(path)
        self._limits = limits or MemoryLimits()
        self._clock = clock
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
        self._file.open(create=create)

    def close_if_gone(self) -> bool:
        """Close a file that has been deleted or replaced since it was opened; says whether it has."""
        return self._file.close_if_gone()

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._file.close()

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
        with self._file.writing() as connection:
            self._prune(connection, now_s)
            sql = "INSERT INTO sessions (started_s, heard_until_s) VALUES (?, ?)"
            return int(connection.execute(sql, (now_s, now_s)).lastrowid or 0)

    def heard(self, session: int) -> None:
        """Note that the session has listened up to now.

        Raises
        ------
        MemoryUnusable
        """
        with self._file.writing() as connection:
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
        with self._file.writing() as connection:
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
            if kind == "appeared":
                sql = "UPDATE sessions SET started_s = MIN(started_s, ?) WHERE id = ?"  # one that was forgotten began too late
                connection.execute(sql, (time_s, session))
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
        rows = self._file.read(sql, (*labels, *bounds))
        ends = {session.id: session.heard_until_s for session in self.sessions()}
        found = [_episode(list(group)) for _, group in groupby(rows, key=lambda row: int(row["episode"]))]
        found.sort(key=lambda episode: (episode.started_s, episode.id))
        # Without an end a sound lasted as long as was listened at most.
        return [e for e in found if e.ended_s is not None or ends.get(e.session, e.started_s) >= bounds[1]]

    def sessions(self) -> list[Session]:
        """When was listened, in order."""
        rows = self._file.read("SELECT id, started_s, heard_until_s FROM sessions ORDER BY id")
        return [Session(int(row["id"]), float(row["started_s"]), float(row["heard_until_s"])) for row in rows]

    def count(self) -> int:
        """Number of events kept."""
        return int(self._file.read("SELECT COUNT(*) AS n FROM events")[0]["n"])

    def used_bytes(self) -> int:
        """Size of what is kept, without free pages."""
        return self._file.used_bytes()

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
        with self._file.writing() as connection:
            old = "SELECT episode FROM events GROUP BY episode HAVING MIN(time_s) < ?"
            gone = connection.execute(f"DELETE FROM events WHERE episode IN ({old})", (limit_s,)).rowcount
            connection.execute("DELETE FROM sessions WHERE heard_until_s < ? OR ?", (limit_s, before_s is None))
        self._file.shrink()
        return gone

    def prune(self) -> None:
        """Forget what is too old or too much; done by itself every few hundred events."""
        with self._file.writing() as connection:
            self._prune(connection, self._clock())

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
        while self._file.used_bytes() > self._limits.max_bytes and (kept := self._some(connection)):
            oldest = "SELECT DISTINCT episode FROM events ORDER BY episode LIMIT ?"
            connection.execute(f"DELETE FROM events WHERE episode IN ({oldest})", (max(1, kept // 10),))
        connection.execute("PRAGMA incremental_vacuum")

    def _some(self, connection: sqlite3.Connection) -> int:
        return int(connection.execute("SELECT COUNT(DISTINCT episode) FROM events").fetchone()[0])


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
