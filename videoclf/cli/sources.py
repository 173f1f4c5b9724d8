"""What a user names on the command line of `check` and `prepare` to the videos that are meant."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from videoclf.cli.composing import build_data, compose_train
from videoclf.errors import ConfigError, DataError

if TYPE_CHECKING:
    from videoclf.tools.source import VideoSource

HELP = (
    "A folder of videos, a table ([bold].csv .tsv .parquet[/bold]), a saved manifest "
    "([bold].arrow[/bold], with --root), or settings as train.py takes them: "
    "[bold]data=ucf101 data.root=/videos[/bold]."
)
Root = Annotated[
    Path | None,
    typer.Option("--root", help="Folder of the videos, where a table or manifest lies elsewhere."),
]
_TABLES = (".csv", ".tsv", ".parquet")
#: Missing files are found one by one, so the manifest is built all the same.
_ANY_NUMBER = 1 << 62


def find_source(words: Sequence[str], root: Path | None, *, classes_needed: bool) -> VideoSource:
    """Find the videos that a command line names.

    Args:
        words: a folder, a table, a manifest, or overrides.
        root: of the videos, for a table or manifest.
        classes_needed: read a folder as `data=folder` does, not as a heap of videos.

    Raises:
        ConfigError: the words make no sense, or an annotation is wrong.
        DataError: a folder is missing.
    """
    from videoclf.tools.source import VideoSource

    places = [word for word in words if "=" not in word or Path(word).exists()]
    if places and len(words) > 1:
        raise ConfigError(
            f"{' '.join(words)!r} names {len(words)} things; name one folder or file, or settings "
            "such as data=ucf101 data.root=/videos"
        )
    if not places:
        return _configured(words)
    place = Path(places[0])
    if place.is_dir():
        if root is not None:
            raise ConfigError(f"--root={root} is for tables and manifests; {place} is a folder")
        if classes_needed:
            return _configured(["data=folder"], data__root=str(place))
        return VideoSource(place)
    if place.suffix not in (*_TABLES, ".arrow"):
        raise _no_source(place)
    if not place.is_file():
        raise ConfigError(f"{place} does not exist; name a folder, a table or a manifest")
    if place.suffix == ".arrow":
        return _saved_manifest(place, root)
    given = {} if root is None else {"data__root": str(root)}
    return _configured(["data=csv"], data__annotations=str(place), **given)


def _configured(overrides: Sequence[str], **settings: str) -> VideoSource:
    from videoclf.tools.source import VideoSource

    config = compose_train(overrides, data__max_unreadable=_ANY_NUMBER, **settings)
    data = build_data(config)
    return VideoSource(data.folder(), data.reader, data.manifest())


def _saved_manifest(place: Path, root: Path | None) -> VideoSource:
    from videoclf.data.manifest import Manifest
    from videoclf.data.presence import check_files
    from videoclf.tools.source import VideoSource

    if root is None or not root.is_dir():
        raise DataError(f"the manifest {place} does not say where its videos lie; give --root=...")
    manifest = Manifest.open(place)
    check_files(manifest, root, allowed=_ANY_NUMBER)
    return VideoSource(root, manifest=manifest)


def _no_source(place: Path) -> ConfigError:
    what = "is one file" if place.is_file() else "does not exist"
    return ConfigError(
        f"{place} {what}; name a folder of videos, a table ({', '.join(_TABLES)}), a manifest "
        "(.arrow), or settings such as data=ucf101 data.root=/videos"
    )
