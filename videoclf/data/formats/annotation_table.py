"""Read annotation tables (.csv, .tsv, .parquet) as columns, a million rows in a second.

Arrow parses; only where it finds a fault does Python read the file once more, to say which line.
"""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from videoclf.data.formats.annotation_lines import decode, unknown_class
from videoclf.errors import ConfigError

DELIMITERS = {".csv": ",", ".tsv": "\t"}


@dataclass(frozen=True)
class AnnotationTable:
    """The columns of one file as strings, and where each row stands.

    Args:
        path: the file.
        columns: by name; empty and missing values are "".
        delimiter: between the values of a line; "" in a Parquet file.
        has_header: whether the first line names the columns.
    """

    path: Path
    columns: dict[str, pa.Array]
    delimiter: str
    has_header: bool

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def where(self, row: int) -> str:
        """Return `file:line` of a row; a Parquet file has no lines, so `file: row N` from 0."""
        if not self.delimiter:
            return f"{self.path}: row {row}"
        for index, (line, _) in enumerate(_rows(self.path, self.delimiter)):
            if index == row + self.has_header:
                return f"{self.path}:{line}"
        return str(self.path)

    def header(self) -> str:
        """Return where the header stands."""
        return f"{self.path}:1" if self.delimiter else str(self.path)

    def require(self, names: Sequence[str], form: str) -> None:
        """Refuse a table that lacks a column.

        Args:
            names: the columns.
            form: a header that would be right, for the message.

        Raises:
            ConfigError: a column is missing.
        """
        for name in names:
            if name not in self.columns:
                near = difflib.get_close_matches(name, list(self.columns), n=1)
                hint = f"; rename {near[0]!r}" if near else ""
                raise ConfigError(
                    f"{self.header()}: no column {name!r} among {', '.join(self.columns)}{hint}; "
                    f"the first line is {form}"
                )

    def floats(self, name: str) -> pa.Array | None:
        """Return a column as float64, empty values null; None where there is no such column.

        Raises:
            ConfigError: a value is no finite number.
        """
        if name not in self.columns:
            return None
        text = pc.utf8_trim_whitespace(self.columns[name])
        text = pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)
        number = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
        right = pc.match_substring_regex(text, number)
        numbers = pc.if_else(right, pc.replace_substring_regex(text, r"^\+", ""), "0")
        numbers = numbers.cast(pa.float64())
        right = pc.and_(right, pc.is_finite(numbers))  # 1e400 is none either
        wrong = pc.indices_nonzero(pc.fill_null(pc.invert(right), False))
        if len(wrong):
            row = wrong[0].as_py()
            raise ConfigError(
                f"{self.where(row)}: {name} {text[row].as_py()!r} is no number; write seconds "
                "such as 12.5, or leave it empty"
            )
        return numbers

    def ids(self, name: str, num_classes: int) -> pa.Array:
        """Return a column of class ids, int32.

        Raises:
            ConfigError: a value is no whole number from 0 to num_classes - 1.
        """
        text = pc.utf8_trim_whitespace(self.columns[name])
        ids = pc.index_in(text, pa.array([str(i) for i in range(num_classes)], pa.string()))
        if ids.null_count:
            row = pc.indices_nonzero(pc.is_null(ids))[0].as_py()
            raise ConfigError(
                f"{self.where(row)}: {name} {text[row].as_py()!r} is no class id; the "
                f"{num_classes} classes have ids 0 to {num_classes - 1}, mend the line or the "
                "class list"
            )
        return ids.cast(pa.int32())

    def names(self, name: str, class_names: Sequence[str]) -> pa.Array:
        """Return the class ids of a column of class names, int32.

        Raises:
            ConfigError: a value is no class name.
        """
        text = pc.utf8_trim_whitespace(self.columns[name])
        ids = class_ids(text, class_names)
        if ids.null_count:
            row = pc.indices_nonzero(pc.is_null(ids))[0].as_py()
            raise unknown_class(self.where(row), text[row].as_py(), class_names)
        return ids

    def hashes(self, name: str) -> pa.Array | None:
        """Return a column of sha256 as 32 bytes each, empty values null; None where it is absent.

        Raises:
            ConfigError: a value is not 64 hexadecimal digits.
        """
        if name not in self.columns:
            return None
        text = pc.ascii_lower(pc.ascii_trim_whitespace(self.columns[name]))
        empty = pc.equal(text, "")
        right = pc.or_(empty, pc.match_substring_regex(text, r"^[0-9a-f]{64}$"))
        wrong = pc.indices_nonzero(pc.invert(right))
        if len(wrong):
            row = wrong[0].as_py()
            raise ConfigError(
                f"{self.where(row)}: {name} {text[row].as_py()!r} is no hash of a file; write its "
                "64 hexadecimal digits, or leave it empty"
            )
        digits = pc.if_else(empty, "0" * 64, text)
        return pc.if_else(empty, pa.scalar(None, pa.binary(32)), _bytes_of(digits))

    def texts(self, name: str) -> pa.Array | None:
        """Return a column with empty values null; None where there is no such column."""
        if name not in self.columns:
            return None
        text = self.columns[name]
        return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)


def _bytes_of(digits: pa.Array) -> pa.Array:
    """Return hexadecimal digits, 64 a value, as binary of 32 bytes; no value may be null."""
    codes = np.frombuffer(digits.buffers()[2], np.uint8)[: 64 * len(digits)]
    halves = (codes & 15) + 9 * (codes >> 6)  # "0" is 0x30, "a" is 0x61
    pairs = halves.reshape(-1, 2)
    values = (pairs[:, 0] << 4 | pairs[:, 1]).astype(np.uint8)  # (32 N,)
    return pa.Array.from_buffers(pa.binary(32), len(digits), [None, pa.py_buffer(values)])


def read_table(
    path: Path, *, delimiter: str | None = None, names: Sequence[str] | None = None
) -> AnnotationTable:
    """Read a .csv, .tsv or .parquet file.

    Args:
        path: the file.
        delimiter: between values; None goes by the file's ending.
        names: of the columns where the file has no header; None reads them from the first line.

    Raises:
        ConfigError: another kind of file, not UTF-8, no rows, or a row with too few or too many
            columns.
    """
    kinds = (*DELIMITERS, ".parquet")
    if delimiter is None and path.suffix not in kinds:
        raise ConfigError(f"annotation file {path} must end with one of {', '.join(kinds)}")
    if delimiter is None:
        delimiter = DELIMITERS.get(path.suffix, "")
    table = _read_text(path, delimiter, names) if delimiter else _read_parquet(path)
    if not table.num_rows:
        raise ConfigError(f"{path} has no rows{'' if names else ' below its header'}; add some")
    try:
        columns = {
            name: pc.fill_null(_one_chunk(column.cast(pa.string())), "")
            for name, column in zip(table.column_names, table.columns, strict=True)
        }
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ConfigError(f"{path}: a column is no text: {error}; write it as strings") from error
    return AnnotationTable(path, columns, delimiter, names is None)


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _read_parquet(path: Path) -> pa.Table:
    try:
        table = pyarrow.parquet.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise ConfigError(f"{path} is no readable Parquet file: {error}; write it anew") from error
    for name, column in zip(table.column_names, table.columns, strict=True):
        is_list = pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
        if is_list and not pa.types.is_nested(column.type.value_type):
            joined = pc.binary_join(column.cast(pa.list_(pa.string())), "|")
            table = table.set_column(table.column_names.index(name), name, joined)
    # What is no plain value now (boxes, points) cannot be an annotation of ours.
    plain = [field.name for field in table.schema if not pa.types.is_nested(field.type)]
    return table.select(plain)


def _read_text(path: Path, delimiter: str, names: Sequence[str] | None) -> pa.Table:
    first = next((values for _, values in _rows(path, delimiter)), None)
    if first is None:
        raise ConfigError(f"{path} is empty; it must hold {'rows' if names else 'a header'}")
    columns = first if names is None else names
    for name in columns:
        if columns.count(name) > 1:
            raise ConfigError(f"{path}:1: column {name!r} stands twice; each must stand once")
    try:
        return pyarrow.csv.read_csv(
            path,
            read_options=pyarrow.csv.ReadOptions(column_names=names),
            parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(columns, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as error:
        decode(path)
        _check_widths(path, delimiter, columns)
        raise ConfigError(f"{path}: {error}; mend the file") from error


def _rows(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (line where it begins, values) of each row, header included, blank lines left out."""
    with path.open("rb") as opened:
        # Decoding is the check of `_read_text`; here a wrong byte must not hide the line before it.
        text = io.TextIOWrapper(opened, "utf-8-sig", errors="backslashreplace", newline="")
        reader = csv.reader(text, delimiter=delimiter)
        begin = 1
        for values in reader:
            if values:
                yield begin, values
            begin = reader.line_num + 1


def _check_widths(path: Path, delimiter: str, names: Sequence[str]) -> None:
    for line, values in _rows(path, delimiter):
        if len(values) != len(names):
            raise ConfigError(
                f"{path}:{line}: {len(values)} columns instead of {len(names)} "
                f"({', '.join(names)}): {delimiter.join(values)[:80]!r}; "
                "mend the line, quote values that hold the separator"
            )


def class_ids(names: pa.Array, class_names: Sequence[str]) -> pa.Array:
    """Return the id of each name, int32, null where it is no class."""
    return pc.index_in(names, pa.array(class_names, pa.string())).cast(pa.int32())


def in_order(names: pa.Array) -> tuple[str, ...]:
    """Return the different names, sorted; whole numbers by value."""
    different = pc.unique(names).to_pylist()
    if all(name.isdecimal() for name in different):
        return tuple(sorted(different, key=lambda name: (int(name), name)))
    return tuple(sorted(different))


def one_label_each(ids: pa.Array) -> pa.ListArray:
    """Return lists of one class id each."""
    return pa.ListArray.from_arrays(np.arange(len(ids) + 1, dtype=np.int32), ids)
