"""Where the flow of a data set comes from: stored files, held against the manifest, or an estimate.

Free of torch, so that the composing process can check it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from videoclf.data.manifest import Manifest
from videoclf.data.presence import first_names, list_folders
from videoclf.errors import ConfigError, DataError, UnreadableVideoError
from videoclf.flow.stored import StoredFlow, read_header


@dataclass(frozen=True, kw_only=True)
class FlowSource:
    """Where the flow of a data set comes from.

    Args:
        folder: of stored flow, files named as the videos; None estimates it while loading.
        method: of the estimate, a name of `videoclf.flow.METHODS`.
        bound_pixels: displacements beyond it are clipped; stored flow must have the same.
    """

    folder: str | None
    method: str
    bound_pixels: float

    def path_of(self, path: str) -> str:
        """Return the file of stored flow of a record's path, as `videoclf flow` names it."""
        assert self.folder is not None
        whole = Path(self.folder, f"{path}.mp4")
        return str(whole if whole.is_file() else Path(self.folder, path).with_suffix(".mp4"))

    def check_files(self, manifest: Manifest) -> None:
        """Refuse stored flow that does not fit the records.

        The codes of a folder have one bound, so that its first file speaks for all.

        Raises:
            ConfigError: the flow was stored with another bound.
            DataError: videos have no stored flow, or the first one's cannot be read.
        """
        if self.folder is None:
            return
        paths = pc.unique(manifest.table["path"])
        whole = pc.binary_join_element_wise(paths, ".mp4", "")
        plain = pc.replace_substring_regex(paths, r"\.[^./]*$", ".mp4")
        listed, _ = list_folders(Path(self.folder), pa.concat_arrays([whole, plain]))
        names = pa.array(listed, pa.string())
        missing = paths.filter(pc.invert(pc.or_(pc.is_in(whole, names), pc.is_in(plain, names))))
        if len(missing):
            raise DataError(
                f"{len(missing)} of {len(paths)} videos have no stored flow below {self.folder}: "
                f"{first_names(missing)}; write it with videoclf flow SOURCE {self.folder}, or "
                "estimate it while loading with data.flow_folder=null"
            )
        first = self.path_of(paths[0].as_py())
        try:
            found = read_header(first).bound_pixels
        except UnreadableVideoError as error:
            raise DataError(str(error)) from error
        if found != self.bound_pixels:
            raise ConfigError(
                f"data.flow_bound_pixels={self.bound_pixels:g}, but {first} was stored with "
                f"{found:g}; set data.flow_bound_pixels={found:g}, or store the flow anew"
            )

    def open_stored(self, path: str) -> StoredFlow:
        """Open the stored flow of a record.

        Raises:
            UnreadableVideoError: it is missing or damaged, or its codes have another bound.
        """
        stored = StoredFlow(self.path_of(path))
        found = stored.header.bound_pixels
        if found != self.bound_pixels:
            stored.close()
            raise UnreadableVideoError(
                path,
                f"has flow stored with a bound of {found:g} pixels ({stored.path}), not "
                f"data.flow_bound_pixels={self.bound_pixels:g}",
            )
        return stored
