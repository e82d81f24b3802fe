"""What has been done with each image, in an SQLite file that survives the end of the process at any moment."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Literal

from ggcam.dicomweb.archive import RemoteImage
from ggcam.errors import ConfigError, StateFileError
from ggcam.utils.locks import locked_target

State = Literal["seen", "fetched", "predicted", "stored", "failed"]
"""How far an image has come. An image that is tried again is "seen"."""

_APPLICATION_ID = 0x67676361
"""Marks the file as one of ggcam, in its header."""

_VERSION = 1

_SCHEMA = """
CREATE TABLE images (
    sop_instance_uid TEXT NOT NULL,
    model TEXT NOT NULL,
    study_instance_uid TEXT NOT NULL,
    series_instance_uid TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('seen', 'fetched', 'predicted', 'stored', 'failed')),
    attempts INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT '',
    next_attempt REAL NOT NULL,
    updated REAL NOT NULL,
    PRIMARY KEY (sop_instance_uid, model)
);
CREATE INDEX pending ON images (model, next_attempt) WHERE state NOT IN ('stored', 'failed');
"""
"""Times are seconds since 1970."""

_THIS_IMAGE = "sop_instance_uid = ? AND model = ?"


@dataclass(frozen=True)
class ImageState:
    """What is known about an image.

    Attributes:
        state: how far it has come.
        attempts: number of times it was begun.
        reason: why it failed, or is tried again.
    """

    state: State
    attempts: int
    reason: str


class StateFile:
    """What has been done with each image by one model; opened by :func:`open_state_file`.

    Args:
        connection: to the file.
        path: the file.
        model: identity of the model.
        clock: returns the time, in seconds since 1970.

    All methods raise StateFileError if the file cannot be read or written, for example because the disk is full.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, model: str, clock: Callable[[], float] = time.time):
        self._connection, self._path, self._model, self._clock = connection, path, model, clock
        self._lock = Lock()  # the connection is shared by threads

    def add(self, images: Iterable[RemoteImage]) -> int:
        """Add the images that are not there yet.

        Args:
            images: images as they were found.

        Returns:
            Number of images that were added.
        """
        now = self._clock()
        rows = [(each.sop_uid, self._model, each.study_uid, each.series_uid, "seen", now, now) for each in images]
        with self._transaction() as connection:
            before = connection.total_changes
            connection.executemany(
                "INSERT OR IGNORE INTO images (sop_instance_uid, model, study_instance_uid, series_instance_uid, "
                "state, next_attempt, updated) VALUES (?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
            return connection.total_changes - before

    def next_due(self) -> RemoteImage | None:
        """Return the image that has been due for the longest time; None if none is due."""
        with self._transaction() as connection:
            row = connection.execute(
                "SELECT study_instance_uid, series_instance_uid, sop_instance_uid FROM images "
                "WHERE model = ? AND state NOT IN ('stored', 'failed') AND next_attempt <= ? "
                "ORDER BY next_attempt, rowid LIMIT 1",
                (self._model, self._clock()),
            ).fetchone()
        return None if row is None else RemoteImage(*row)

    def get(self, sop_uid: str) -> ImageState | None:
        """Return what is known about an image; None if it was never added.

        Args:
            sop_uid: its SOP Instance UID.
        """
        with self._transaction() as connection:
            row = connection.execute(
                f"SELECT state, attempts, reason FROM images WHERE {_THIS_IMAGE}", (sop_uid, self._model)
            ).fetchone()
        return None if row is None else ImageState(*row)

    def counts(self) -> dict[str, int]:
        """Return the number of images in each state that occurs."""
        query = "SELECT state, COUNT(*) FROM images WHERE model = ? GROUP BY state"
        with self._transaction() as connection:
            return dict(connection.execute(query, (self._model,)).fetchall())

    def begin(self, image: RemoteImage) -> int:
        """Count an attempt before it is made, so that an image which ends the process is not tried for ever.

        Args:
            image: an image that was added.

        Returns:
            Number of attempts, this one included.
        """
        self._update(image, "attempts = attempts + 1")
        known = self.get(image.sop_uid)
        return 0 if known is None else known.attempts

    def release(self, image: RemoteImage) -> None:
        """Undo :meth:`begin`: the attempt ended for a reason that is not the image's.

        Args:
            image: the image.
        """
        self._update(image, "attempts = attempts - 1, state = 'seen'")

    def restart(self, image: RemoteImage) -> None:
        """Forget earlier attempts and failures.

        Args:
            image: an image that was added.
        """
        self._update(image, "attempts = 0, state = 'seen', reason = ''")

    def mark(self, image: RemoteImage, state: State, reason: str = "") -> None:
        """Set the state of an image.

        Args:
            image: the image.
            state: its new state.
            reason: why.
        """
        self._update(image, "state = ?, reason = ?", state, reason)

    def retry(self, image: RemoteImage, reason: str, delay_s: float) -> None:
        """Plan another attempt.

        Args:
            image: the image.
            reason: why this one failed.
            delay_s: seconds until it is due.
        """
        self._update(image, "state = 'seen', reason = ?, next_attempt = ?", reason, self._clock() + delay_s)

    def _update(self, image: RemoteImage, assignments: str, *values: object) -> None:
        with self._transaction() as connection:
            connection.execute(
                f"UPDATE images SET {assignments}, updated = ? WHERE {_THIS_IMAGE}",
                (*values, self._clock(), image.sop_uid, self._model),
            )

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._lock, self._connection:
                yield self._connection
        except sqlite3.Error as error:
            raise _cannot_use(self._path, error) from None


@contextmanager
def open_state_file(path: Path, model: str) -> Iterator[StateFile]:
    """Open a state file, for one process at a time.

    Args:
        path: the file; created if missing, readable by its user alone.
        model: what its answers depend on, such as the SHA-256 of its weights.

    Yields:
        The state file; it is closed when the block ends.

    Raises:
        ConfigError: the path is a folder, or a file of another program or version.
        BusyError: another process uses it.
        StateFileError: it cannot be read or written.
    """
    if path.is_dir():
        raise ConfigError("the state file is a folder", where=f"--state {path}", hint="choose another file")
    with locked_target(path):
        path.touch(mode=0o600)
        connection = sqlite3.connect(path, check_same_thread=False)
        try:
            _prepare(connection, path)
            # A power failure may take the last changes, not damage the file; the server is asked what it has anyway.
            connection.execute("PRAGMA synchronous = NORMAL")
            yield StateFile(connection, path, model)
        finally:
            connection.close()


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Check whose file it is, and create the table in an empty one."""
    try:
        if connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone() == (0,):
            connection.executescript(
                f"PRAGMA journal_mode = WAL; BEGIN; {_SCHEMA} PRAGMA application_id = {_APPLICATION_ID}; "
                f"PRAGMA user_version = {_VERSION}; COMMIT;"
            )
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.OperationalError as error:
        raise _cannot_use(path, error) from None
    except sqlite3.DatabaseError:  # not an SQLite file
        application, version = None, None
    if (application, version) != (_APPLICATION_ID, _VERSION):
        raise ConfigError(
            "not a state file of this version of ggcam, or a damaged one",
            where=f"--state {path}",
            hint="choose another file: the server is asked what it has, so nothing is stored twice",
        )


def _cannot_use(path: Path, error: sqlite3.Error) -> StateFileError:
    return StateFileError(
        "the state file cannot be read or written",
        where=path,
        got=error,
        hint="check that the disk is local and has room",
    )
