"""Check all videos of a source: what `videoclf check` does.

source -> **journal**, a row a file -> pool of inspectors -> journal -> problems. All that grows
with the number of files is in the journal, on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import astuple, fields
from typing import Any

from videoclf.tools.inspection import Inspection, Inspector, file_state
from videoclf.tools.journal import Journal
from videoclf.tools.pool import Finished, Lost, Pool
from videoclf.tools.source import VideoSource

FACTS = tuple(field.name for field in fields(Inspection) if field.name != "path")
SCHEMA = f"""
CREATE TABLE IF NOT EXISTS files (
    path TEXT PRIMARY KEY, subset TEXT, listed INTEGER, done INTEGER, {", ".join(FACTS)}
);
CREATE TABLE IF NOT EXISTS expected (path TEXT, sha256 TEXT, earlier INTEGER);
CREATE TABLE IF NOT EXISTS problems (
    number INTEGER PRIMARY KEY, path TEXT, problem TEXT, detail TEXT
);
"""

#: Called now and then with (files done, files in all, problems so far).
Report = Callable[[int, int, int], None]


class Check:
    """A check that can be gone on with: list, inspect, then compare.

    Args:
        source: the videos.
        journal: opened with `SCHEMA`.
        quick: as `Inspector` takes it.
    """

    def __init__(self, source: VideoSource, journal: Journal, *, quick: bool) -> None:
        self.source = source
        self.journal = journal
        self.quick = quick

    def list_files(self, earlier: Iterable[tuple[str, str]] = ()) -> int:
        """Enter the files of the source; return how many of them an earlier run has checked.

        Args:
            earlier: path and sha256 of an earlier check, to compare with.
        """
        journal = self.journal
        journal.execute("DELETE FROM expected")
        add = "INSERT INTO expected VALUES (?, ?, ?)"
        journal.execute_many(add, ((*pair, 0) for pair in self.source.expected_hashes()))
        journal.execute_many(add, ((*pair, 1) for pair in earlier))
        journal.execute("UPDATE files SET listed = 0")
        journal.execute_many(
            "INSERT INTO files (path, subset, listed, done, problem, detail) "
            "VALUES (?, ?, 1, ?, ?, ?) ON CONFLICT (path) DO UPDATE SET listed = 1",
            map(_new_row, self.source.paths()),
        )
        journal.execute("DELETE FROM files WHERE NOT listed")
        for path, size, modified in journal.rows("files", "path, bytes, modified", "path", "done"):
            if file_state(self.source.root / path) != (size, modified):
                journal.execute("UPDATE files SET done = 0 WHERE path = ?", [path])
        journal.save()
        return journal.count("files", "done")

    def inspect(self, *, num_processes: int, seconds_per_file: float, report: Report) -> None:
        """Inspect every file that is not done.

        Raises:
            WorkerError: the processes do not start.
        """
        inspector = Inspector(
            str(self.source.root), quick=self.quick, folders=self.source.reader == "frames"
        )
        pool: Pool[str, Inspection] = Pool(
            inspector, num_processes=num_processes, seconds_per_task=seconds_per_file
        )
        total = self.journal.count("files")
        done = self.journal.count("files", "done")
        problems = self.journal.count("files", "done AND problem IS NOT NULL")
        report(done, total, problems)
        waiting = self.journal.rows("files", "path", "path", "NOT done")
        with closing(pool.run(path for (path,) in waiting)) as ended:
            for each in ended:
                found = self._enter(each)
                done += 1
                problems += found.problem is not None
                report(done, total, problems)
        self.journal.save()

    def _enter(self, ended: Finished[str, Inspection] | Lost[str]) -> Inspection:
        if isinstance(ended, Finished):
            found = ended.result
        else:
            kind = "too slow" if ended.exit_code is None else "crash"
            found = Inspection(ended.task, problem=kind, detail=ended.reason)
        columns = ", ".join(f"{name} = ?" for name in FACTS)
        path, *facts = astuple(found)
        # what a process was killed for is no fact of the file: the next run tries it again
        done = isinstance(ended, Finished)
        self.journal.execute(
            f"UPDATE files SET done = {int(done)}, {columns} WHERE path = ?", [*facts, path]
        )
        self.journal.save_now_and_then()
        return found

    def compare(self) -> int:
        """Gather the problems of single files, then those that only show between files.

        Returns:
            The number of problems.
        """
        journal = self.journal
        journal.execute("DELETE FROM problems")
        add = "INSERT INTO problems (path, problem, detail)"
        journal.execute(
            f"{add} SELECT path, problem, detail FROM files WHERE problem IS NOT NULL ORDER BY path"
        )
        journal.execute(
            f"{add} SELECT DISTINCT path, 'changed', 'its content is not what it was: sha256 ' || "
            "substr(files.sha256, 1, 12) || ', not ' || substr(expected.sha256, 1, 12) "
            "FROM files JOIN expected USING (path) "
            "WHERE files.sha256 IS NOT NULL AND files.sha256 != expected.sha256 ORDER BY path"
        )
        journal.execute(
            f"{add} SELECT path, 'gone', 'is in the earlier check, and not here now' FROM expected "
            "WHERE earlier AND path NOT IN (SELECT path FROM files) ORDER BY path"
        )
        journal.execute_many(f"{add} VALUES (?, 'duplicate', ?)", self._duplicates())
        journal.execute_many(f"{add} VALUES (?, 'record', ?)", self._empty_stretches())
        journal.save()
        return journal.count("problems")

    def problems(self) -> Iterator[tuple[str, str, str]]:
        """Yield path, problem and detail."""
        return self.journal.rows("problems", "path, problem, detail", "number")

    def facts(self) -> Iterator[dict[str, Any]]:
        """Yield what is known of each file."""
        names = ["path", *(n for n in FACTS if n not in ("modified", "problem", "detail"))]
        for row in self.journal.rows("files", ", ".join(names), "path"):
            yield dict(zip(names, row, strict=True))

    def counts(self) -> dict[str, int]:
        """Return how many problems of each kind there are."""
        statement = "SELECT problem, count(*) FROM problems GROUP BY problem ORDER BY min(number)"
        return dict(self.journal.execute(statement).fetchall())

    def num_sound(self) -> int:
        """Return how many files have no problem."""
        return self.journal.count("files", "path NOT IN (SELECT path FROM problems)")

    def _duplicates(self) -> Iterator[tuple[str, str]]:
        """Yield sound files whose content stood in an earlier one; (path, detail)."""
        journal = self.journal
        journal.execute("CREATE INDEX IF NOT EXISTS by_content ON files (sha256)")
        repeated = journal.execute(
            "SELECT sha256, min(path) FROM files WHERE problem IS NULL AND sha256 IS NOT NULL "
            "GROUP BY sha256 HAVING count(*) > 1 ORDER BY min(path)"
        )
        for sha256, first in repeated:
            subset = self._subset(first)
            same = journal.execute(
                "SELECT path, subset FROM files WHERE sha256 = ? AND path != ? "
                "AND problem IS NULL ORDER BY path",
                [sha256, first],
            )
            for path, other in same:
                detail = f"same content as {first}"
                if subset != other:
                    detail += f", which is in {subset}; this one is in {other}"
                yield path, detail

    def _subset(self, path: str) -> str | None:
        row = self.journal.execute("SELECT subset FROM files WHERE path = ?", [path]).fetchone()
        return None if row is None else row[0]

    def _empty_stretches(self) -> Iterator[tuple[str, str]]:
        """Yield records that begin behind the last frame of their video; (path, detail)."""
        for path, start, _ in self.source.records():
            if start is None:
                continue
            row = self.journal.execute(
                "SELECT last_seconds FROM files WHERE path = ?", [path]
            ).fetchone()
            last = None if row is None else row[0]
            if last is not None and start > last + 1e-6:
                yield path, f"a record starts at {start:g} s, and the last frame is at {last:g} s"


def _new_row(listed: tuple[str, str | None]) -> tuple[str, str | None, int, str | None, str | None]:
    """Return path, subset, done, problem and detail; a name that is no text is a problem."""
    path, subset = listed
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        shown = path.encode("utf-8", "backslashreplace").decode()
        return shown, subset, 1, "unreadable", "its name is not UTF-8"
    return path, subset, 0, None, None
