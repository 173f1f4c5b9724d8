"""The hash of Arrow columns by value: chunks, offsets, and what lies under a null do not count."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def one_chunk(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array, without a copy where it is one already."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def hash_values(column: pa.Array, digest: Any) -> None:
    """Feed a column's values to a hash: which are null, then lengths, then contents."""
    valid = column.is_valid().to_numpy(zero_copy_only=False)
    digest.update(np.packbits(valid, bitorder="little").tobytes())
    if pa.types.is_list(column.type):
        lengths = pc.fill_null(pc.list_value_length(column), 0)
        digest.update(lengths.to_numpy().astype("<i4").tobytes())
        # Flattening leaves out what lies under a null.
        digest.update(column.flatten().to_numpy(zero_copy_only=False).astype("<i4").tobytes())
    elif pa.types.is_string(column.type):
        column = pc.fill_null(column, "")
        digest.update(pc.binary_length(column).to_numpy().astype("<i4").tobytes())
        _, offsets, data = column.buffers()
        ends = np.frombuffer(offsets, np.int32) if offsets is not None else np.zeros(1, np.int32)
        first, last = ends[column.offset], ends[column.offset + len(column)]
        digest.update(memoryview(data)[first:last] if data is not None else b"")
    elif pa.types.is_fixed_size_binary(column.type):
        column = column.drop_null()
        width, data = column.type.byte_width, column.buffers()[1]
        first, last = width * column.offset, width * (column.offset + len(column))
        digest.update(memoryview(data)[first:last] if len(column) else b"")
    else:
        # Adding zero makes of -0.0 the 0.0 that it equals.
        values = pc.fill_null(column, 0.0).to_numpy(zero_copy_only=False) + 0.0
        digest.update(values.astype("<f8").tobytes())
