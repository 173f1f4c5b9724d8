"""What a long run has done so far, in an SQLite file, so that a killed one can be gone on with.

A row is a file, and a row stays on disk: memory does not grow with the number of files. What was
noted in the last moment before a kill is done again. One process at a time may hold a journal.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from videoclf.errors import ConfigError, StorageError

if TYPE_CHECKING:
    from typing_extensions import Self

_SAVE_SECONDS = 0.3
_PAGE_ROWS = 500


class Journal:
    """An SQLite file with a table of settings and the tables of its user.

    Args:
        path: the file; made where it is missing.
        schema: SQL that makes the user's tables.
        settings: of the run; an earlier run with others cannot be gone on with.
        otherwise: what a user does who wants the other settings; a clause.

    Raises:
        ConfigError: another run holds the file, or it was begun with other settings.
        StorageError: it cannot be written, or is damaged.
    """

    def __init__(
        self,
        path: Path,
        *,
        schema: str,
        settings: Mapping[str, Any],
        otherwise: str = "begin anew with --fresh",
    ) -> None:
        self.path = path
        self._otherwise = otherwise
        self._saved = time.monotonic()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"cannot make {path.parent}: {error.strerror}") from error
        self._database = self._connect()
        self._is_open = True
        try:
            self._lock()
            self.execute("CREATE TABLE IF NOT EXISTS settings (began REAL, settings TEXT)")
            earlier = self.execute("SELECT began, settings FROM settings").fetchone()
            self.is_new = earlier is None
            if earlier is None:
                for statement in schema.split(";"):
                    self.execute(statement)
                row = (time.time(), json.dumps(settings, sort_keys=True))
                self.execute("INSERT INTO settings VALUES (?, ?)", row)
                self.save()
            else:
                self._compare(json.loads(earlier[1]), settings)
            self._began = row[0] if earlier is None else earlier[0]
        except BaseException:
            self._database.close()
            raise

    @property
    def began(self) -> str:
        """When the run began that this journal is of, as a person writes it."""
        return datetime.fromtimestamp(self._began).astimezone().strftime("%Y-%m-%d %H:%M")

    def execute(self, statement: str, values: Iterable[Any] = ()) -> sqlite3.Cursor:
        """Run one SQL statement.

        Raises:
            StorageError: the disk is full or the file is damaged.
        """
        try:
            return self._database.execute(statement, tuple(values))
        except sqlite3.Error as error:
            raise self._storage_error(error) from error

    def execute_many(self, statement: str, rows: Iterable[Iterable[Any]]) -> None:
        """Run one SQL statement for each row.

        Raises:
            StorageError: the disk is full or the file is damaged.
        """
        try:
            self._database.executemany(statement, (tuple(row) for row in rows))
        except sqlite3.Error as error:
            raise self._storage_error(error) from error

    def rows(self, table: str, columns: str, key: str, where: str = "1") -> Iterator[Any]:
        """Yield rows in the order of `key`, a column of unique values, page by page.

        The table may be written to meanwhile, and rows that were passed are not seen again.
        """
        order = f"ORDER BY {key} LIMIT {_PAGE_ROWS}"
        page = self.execute(f"SELECT {key}, {columns} FROM {table} WHERE {where} {order}")
        while rows := page.fetchall():
            for row in rows:
                yield row[1:]
            page = self.execute(
                f"SELECT {key}, {columns} FROM {table} WHERE ({where}) AND {key} > ? {order}",
                (rows[-1][0],),
            )

    def count(self, table: str, where: str = "1") -> int:
        """Return the number of rows."""
        return int(self.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()[0])

    def save(self) -> None:
        """Write to disk what was changed.

        Raises:
            StorageError: the disk is full.
        """
        try:
            self._database.commit()
        except sqlite3.Error as error:
            raise self._storage_error(error) from error
        self._saved = time.monotonic()

    def save_now_and_then(self) -> None:
        """Write to disk, at most a few times a second."""
        if time.monotonic() - self._saved > _SAVE_SECONDS:
            self.save()

    def remove(self) -> None:
        """Delete the file: the run is complete."""
        self._database.close()
        self._is_open = False
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._is_open and not isinstance(error, StorageError):
            self.save()
        self._database.close()

    def _connect(self) -> sqlite3.Connection:
        try:
            return sqlite3.connect(self.path, timeout=0.5)
        except sqlite3.Error as error:
            raise self._storage_error(error) from error

    def _lock(self) -> None:
        try:
            self._database.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._database.execute("BEGIN EXCLUSIVE")
            self._database.commit()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise self._storage_error(error) from error
            raise ConfigError(
                f"the journal {self.path} is in use by another run; wait until that one ends"
            ) from error
        except sqlite3.DatabaseError as error:
            raise self._storage_error(error) from error

    def _compare(self, earlier: Mapping[str, Any], now: Mapping[str, Any]) -> None:
        for key in sorted({*earlier, *now}):
            if earlier.get(key) != now.get(key):
                raise ConfigError(
                    f"the journal {self.path} is of a run with {key}={earlier.get(key)}, and now "
                    f"it is {now.get(key)}; say the same again, or {self._otherwise}"
                )

    def _storage_error(self, error: sqlite3.Error) -> StorageError:
        return StorageError(
            f"cannot use the journal {self.path}: {error}; make room, or delete it if it is damaged"
        )
