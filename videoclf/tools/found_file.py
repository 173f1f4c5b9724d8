"""The JSON that a tool leaves of all files, and that a later check is held against.

Both sides stream: a file entry is written and read at a time, however many there are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from videoclf.cache import atomic_write
from videoclf.data.formats.annotation_table import read_table
from videoclf.errors import ConfigError, StorageError

_FILES = ' "files": ['


def write_json(
    path: Path,
    head: Mapping[str, Any],
    *,
    problems: Iterable[tuple[str, str, str]],
    files: Iterable[Mapping[str, Any]],
) -> None:
    """Write what a tool found.

    Args:
        path: the file.
        head: first members, of few entries.
        problems: path, problem and detail.
        files: facts of each file, with its path and sha256.

    Raises:
        StorageError: the file cannot be written.
    """
    names = ("path", "problem", "detail")
    named = (dict(zip(names, row, strict=True)) for row in problems)
    try:
        with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8") as file:
            file.write(json.dumps(head, indent=1, ensure_ascii=False).removesuffix("\n}"))
            _write_list(file, "problems", named)
            _write_list(file, "files", files)
            file.write("\n}\n")
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}; make room") from error


def _write_list(file: IO[str], name: str, entries: Iterable[Mapping[str, Any]]) -> None:
    """Write one list as the next member of an open object, an entry a line."""
    file.write(f',\n "{name}": [')
    separator = "\n  "
    for entry in entries:
        file.write(separator + json.dumps(entry, ensure_ascii=False))
        separator = ",\n  "
    file.write("\n ]")


def earlier_hashes(path: Path) -> Iterator[tuple[str, str]]:
    """Yield path and sha256 from the JSON of an earlier run, or from a table with these columns.

    Raises:
        ConfigError: the file is neither.
    """
    if path.suffix in (".csv", ".tsv", ".parquet"):
        table = read_table(path)
        table.require(["path", "sha256"], "path,sha256")
        columns = pa.table({name: table.columns[name] for name in ("path", "sha256")})
        for batch in columns.to_batches(max_chunksize=10_000):
            rows = zip(*(column.to_pylist() for column in batch.columns), strict=True)
            yield from ((path, sha256) for path, sha256 in rows if sha256)
        return
    try:
        with path.open(encoding="utf-8") as file:
            for entry in _entries(file):
                if entry["sha256"]:
                    yield entry["path"], entry["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{path} is not the JSON of an earlier run ({error}); write one with --json"
        ) from error


def _entries(file: IO[str]) -> Iterator[Any]:
    """Yield the entries of the list "files", which is the last member, an entry a line.

    Raises:
        ValueError: there is no such list, it ends early, or lines were joined or split.
    """
    lines = iter(file)
    if not any(line.startswith(_FILES) for line in lines):
        raise ValueError(f"no line is {_FILES.strip()}")
    for line in lines:
        if line.strip() == "]":
            return
        yield json.loads(line.strip().removesuffix(","))
    raise ValueError("its list of files has no end")
