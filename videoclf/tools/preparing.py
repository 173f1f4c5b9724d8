"""Write a file for each video of a source: what `videoclf prepare` and `videoclf flow` do.

records -> **journal** beside the written files, a row a file -> pool of encoders -> journal ->
`manifest.csv`. A file has its name only when it is whole and verified.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from videoclf.data.manifest import Manifest
from videoclf.errors import ConfigError
from videoclf.tools.journal import Journal
from videoclf.tools.pool import Finished, Lost, Pool
from videoclf.tools.reencoding import Job, Prepared
from videoclf.tools.source import VideoSource

JOURNAL = ".prepare.sqlite"
SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    target TEXT PRIMARY KEY, path TEXT, start_seconds REAL, end_seconds REAL,
    listed INTEGER, done INTEGER, source_status TEXT, target_status TEXT, sha256 TEXT,
    num_frames INTEGER, source_bytes INTEGER, bytes INTEGER, problem TEXT, detail TEXT
)
"""

#: Called now and then with (files done, files in all, problems so far).
Report = Callable[[int, int, int], None]


class TargetNames:
    """The names of prepared files, relative to the destination: those of the videos, as `.mp4`.

    Where two videos differ in their ending alone, both keep it: `a.avi.mp4`, `a.mov.mp4`.

    Args:
        manifest: the records.
        cut: each record has a file of its own, named after its times as well.
    """

    def __init__(self, manifest: Manifest, *, cut: bool) -> None:
        self._cut = cut
        names = _without_ending(pc.unique(manifest.table["path"]))
        counts = pc.value_counts(names)
        twice = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
        self._twice = frozenset(twice.to_pylist())

    def __call__(self, path: str, start: float | None, end: float | None) -> str:
        """Return the name for one record."""
        name, dot, ending = path.rpartition(".")
        if not dot or "/" in ending or name in self._twice:
            name = path
        if self._cut and (start is not None or end is not None):
            name += f"_{_clock(start, '0')}_{_clock(end, 'end')}"
        return f"{name}.mp4"


class Preparation:
    """A preparation that can be gone on with: list the files, encode them.

    Args:
        source: the videos, with a manifest.
        destination: folder of the prepared files.
        journal: opened with `SCHEMA`, and a column more for each further fact of an encoder.
        encoder: writes and verifies one file; importable by its name.
        cut: to the records' start and end.
    """

    def __init__(
        self,
        source: VideoSource,
        destination: Path,
        journal: Journal,
        *,
        encoder: Callable[[Job], Prepared],
        cut: bool,
    ) -> None:
        assert source.manifest is not None
        self.source = source
        self.destination = destination
        self.journal = journal
        self.encoder = encoder
        self.cut = cut
        self.manifest = source.manifest
        self.names = TargetNames(source.manifest, cut=cut)

    def list_files(self) -> int:
        """Enter the files to write; return how many of them are there already.

        Raises:
            ConfigError: two records lead to one file.
        """
        journal = self.journal
        self._sweep()
        journal.execute("UPDATE files SET listed = 0")
        journal.execute_many(
            "INSERT INTO files (target, path, start_seconds, end_seconds, listed, done) "
            "VALUES (?, ?, ?, ?, 1, 0) ON CONFLICT (target) DO UPDATE "
            "SET listed = 1, done = done AND path = excluded.path, path = excluded.path",
            self._listed(),
        )
        self._check_names()
        columns = "target, path, source_status, target_status"
        for target, path, source, written in journal.rows("files", columns, "target", "done"):
            now = _status(self.source.root / path), _status(self.destination / target)
            if now != (source, written):
                journal.execute("UPDATE files SET done = 0 WHERE target = ?", [target])
        journal.save()
        return journal.count("files", "listed AND done")

    def _listed(self) -> Iterator[tuple[str, str, float | None, float | None]]:
        for path, start, end in self.source.records():
            target = self.names(path, start, end)
            yield (target, path, start, end) if self.cut else (target, path, None, None)

    def _check_names(self) -> None:
        """Refuse sources that would overwrite each other's file."""
        wanted = len(pc.unique(self.manifest.table["path"]))
        paths = "SELECT count(DISTINCT path) FROM files WHERE listed"
        found = self.journal.execute(paths).fetchone()[0]
        if found != wanted:
            raise ConfigError(
                f"{wanted} videos lead to the names of {found}; rename those that end in .mp4.mp4"
            )

    def _sweep(self) -> None:
        """Remove what a killed run left half written; nothing else writes into this folder."""
        if not self.journal.is_new:
            for path in self.destination.rglob(".*.part"):
                path.unlink(missing_ok=True)

    def encode(self, *, num_processes: int, seconds_per_file: float, report: Report) -> None:
        """Write every file that is not there.

        Raises:
            StorageError: the disk is full.
            WorkerError: the processes do not start.
        """
        pool: Pool[Job, Prepared] = Pool(
            self.encoder, num_processes=num_processes, seconds_per_task=seconds_per_file
        )
        total = self.journal.count("files", "listed")
        done = self.journal.count("files", "listed AND done")
        problems = 0
        report(done, total, problems)
        with closing(pool.run(self._jobs())) as ended:
            for each in ended:
                prepared = self._enter(each)
                done += 1
                problems += prepared.problem is not None
                report(done, total, problems)
        self.journal.save()

    def _jobs(self) -> Iterator[Job]:
        columns = "path, target, start_seconds, end_seconds"
        for path, target, start, end in self.journal.rows(
            "files", columns, "target", "listed AND NOT done"
        ):
            source, written = self.source.root / path, self.destination / target
            yield Job(str(source), str(written), start, end)

    def _enter(self, ended: Finished[Job, Prepared] | Lost[Job]) -> Prepared:
        if isinstance(ended, Finished):
            prepared = ended.result
        else:
            kind = "too slow" if ended.exit_code is None else "crash"
            prepared = Prepared(ended.task, problem=kind, detail=ended.reason)
            target = Path(ended.task.target)
            for left in target.parent.glob(f".{_literal(target.name)}.*.part"):
                left.unlink(missing_ok=True)
        job, facts = prepared.job, asdict(prepared)
        del facts["job"]
        # what failed is tried again by the next run; its reason stays until then
        facts["done"] = prepared.problem is None
        facts["source_status"] = _status(Path(job.source))
        facts["target_status"] = _status(Path(job.target))
        columns = ", ".join(f"{name} = ?" for name in facts)
        target_name = Path(job.target).relative_to(self.destination).as_posix()
        self.journal.execute(
            f"UPDATE files SET {columns} WHERE target = ?", [*facts.values(), target_name]
        )
        self.journal.save()  # a file costs far more than this
        return prepared

    def problems(self) -> Iterator[tuple[str, str, str]]:
        """Yield path (with times where it is cut), problem and detail of what failed."""
        columns = "path, start_seconds, end_seconds, problem, detail"
        failed = self.journal.rows("files", columns, "target", "listed AND NOT done")
        for path, start, end, problem, detail in failed:
            if start is not None or end is not None:
                path = f"{path} from {_clock(start, '0')} to {_clock(end, 'end')}"
            yield path, problem, detail

    def totals(self) -> dict[str, int]:
        """Return files, failed, frames, and bytes before and after."""
        row = self.journal.execute(
            "SELECT count(*), sum(NOT done), sum(num_frames * done), sum(source_bytes * done), "
            "sum(bytes * done) FROM files WHERE listed"
        ).fetchone()
        names = ("files", "failed", "frames", "source_bytes", "bytes")
        return {name: int(value or 0) for name, value in zip(names, row, strict=True)}

    def facts(self) -> Iterator[dict[str, Any]]:
        """Yield what is known of each prepared file."""
        columns = "target, path, sha256, num_frames, source_bytes, bytes"
        names = ("path", "source", "sha256", "num_frames", "source_bytes", "bytes")
        for row in self.journal.rows("files", columns, "target", "listed AND done"):
            yield dict(zip(names, row, strict=True))

    def hash_of(self, target: str) -> str | None:
        """Return the sha256 of a prepared file; None where it failed."""
        row = self.journal.execute(
            "SELECT sha256 FROM files WHERE target = ? AND done", [target]
        ).fetchone()
        return None if row is None else row[0]


def _without_ending(paths: pa.Array) -> pa.Array:
    return pc.replace_substring_regex(paths, r"\.[^./]*$", "")


def _clock(seconds: float | None, otherwise: str) -> str:
    """Write seconds as short as they are exact: 12.5, 10."""
    return otherwise if seconds is None else repr(float(seconds)).removesuffix(".0")


def _literal(name: str) -> str:
    """Quote a name for a glob pattern."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _status(path: Path) -> str | None:
    """Return size and time of change of a file; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return f"{status.st_size} {status.st_mtime_ns}"
