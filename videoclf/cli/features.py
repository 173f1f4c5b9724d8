"""`videoclf features`: what a trained network sees in each clip, for probes and transfer."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from videoclf.cli.composing import build_data, compose_evaluate, compose_train
from videoclf.cli.sources import Root, find_source
from videoclf.errors import ConfigError

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from videoclf.data.manifest import Manifest

PRECISIONS = ("float32", "float16")


def run(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[SOURCE] SETTINGS",
            help="Settings as evaluate.py takes them with [bold]checkpoint=[/bold], or else as "
            "train.py does. SOURCE: a folder, table or manifest instead of [bold]data=[/bold].",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The Parquet file to write.", show_default=False)
    ],
    root: Root = None,
    subset: Annotated[str, typer.Option(help="train, val, test or all.")] = "all",
    precision: Annotated[str, typer.Option(help="float32 or float16.")] = "float32",
    device: Annotated[
        str | None, typer.Option(help="cpu or cuda.", show_default="cuda where there is one")
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Do not go on with an earlier run.")
    ] = False,
) -> None:
    """Write the features of clips: what a model's class head sees of them.

    One row a view: path, start, end, subset, label, clip, crop, features.
    The number of clips is views.num_clips. Classes need not be those of the
    checkpoint. The same command goes on where a stopped one was.

    [dim]$[/dim] videoclf features checkpoint=best.ckpt -o features.parquet
    [dim]$[/dim] videoclf features /my/videos checkpoint=best.ckpt views.num_clips=10 -o f.parquet
    [dim]$[/dim] videoclf features model=r3d_18 model.pretrained=true data=ucf101 -o f.parquet
    """
    from videoclf.cli.progress import shown_progress
    from videoclf.cli.stopping import stoppable
    from videoclf.config import plain
    from videoclf.data.from_config import build_datamodule
    from videoclf.predicting.network import build_network
    from videoclf.tools.features import SCHEMA, Extraction
    from videoclf.tools.journal import Journal

    if precision not in PRECISIONS:
        raise ConfigError(f"--precision={precision} is none of {', '.join(PRECISIONS)}")
    began = time.monotonic()
    config, manifest, folder = _compose(words, root)
    rows = _rows(manifest, subset)
    settings = plain(config)
    model = build_network(settings, device)
    datamodule = build_datamodule(settings, manifest=manifest, folder=folder)
    about = _about(settings, manifest, precision)
    place = output.with_name(f"{output.name}.journal")
    if fresh:
        place.unlink(missing_ok=True)
    with (
        stoppable("the same command goes on from here"),
        Journal(place, schema=SCHEMA, settings={**about, "subset": subset}) as notes,
    ):
        extraction = Extraction(
            model=model, datamodule=datamodule, rows=rows, journal=notes, precision=precision
        )
        if not notes.is_new:
            sys.stderr.write(f"going on with the run of {notes.began}\n")
        with shown_progress("features") as report:
            extraction.run(report)
        _check_unreadable(extraction.unreadable(), settings["data"]["max_unreadable"])
        num_rows = extraction.write(output, about)
        notes.remove()
    seconds = time.monotonic() - began
    sys.stdout.write(f"{output}: {num_rows} rows of {len(rows)} videos in {seconds:.1f} s\n")


def _compose(words: list[str], root: Path | None) -> tuple[DictConfig, Manifest, Path]:
    """Return the config, the manifest and the folder of its videos."""
    from omegaconf import OmegaConf

    overrides = [word for word in words if "=" in word and not Path(word).exists()]
    places = [word for word in words if word not in overrides]
    with_checkpoint = any(word.startswith("checkpoint=") for word in overrides)
    config = (compose_evaluate if with_checkpoint else compose_train)(overrides)
    if places:
        source = find_source(places, root, classes_needed=True)
        assert source.manifest is not None
        manifest, folder = source.manifest, source.root
    else:
        data = build_data(config)
        manifest, folder = data.manifest(), data.folder()
    manifest.save()  # the loader's processes read it from there
    OmegaConf.update(config, "data.num_classes", len(manifest.class_names))
    return config, manifest, folder


def _rows(manifest: Manifest, subset: str) -> Any:
    import numpy as np

    from videoclf.types import SUBSETS

    if subset == "all":
        return np.arange(len(manifest))
    if subset not in SUBSETS:
        raise ConfigError(f"--subset={subset} is none of {', '.join((*SUBSETS, 'all'))}")
    return np.sort(manifest.rows(subset).to_numpy(zero_copy_only=False))


def _about(settings: dict[str, Any], manifest: Manifest, precision: str) -> dict[str, Any]:
    """What the numbers depend on: the file's metadata, and what a run to go on with must share."""
    from videoclf.checkpoint_file import verify
    from videoclf.weights.hashes import sha256_of

    sha256 = None
    if "checkpoint_file" in settings:
        file = Path(settings["checkpoint_file"])
        sha256 = verify(file) if file.is_dir() else sha256_of(file)
    protocol = {name: settings[name] for name in ("views", "sampler", "transform")}
    return {
        "class_names": list(manifest.class_names),
        "model": settings["model"],
        "checkpoint": settings.get("checkpoint_file", ""),
        "checkpoint_sha256": sha256 or "",
        "seed": settings["seed"],
        "protocol": protocol,
        "manifest_sha256": manifest.sha256,
        "precision": precision,
    }


def _check_unreadable(reasons: list[str], allowed: int) -> None:
    from videoclf.errors import DataError

    if len(reasons) > allowed:
        more = f"; and {len(reasons) - 5} more" if len(reasons) > 5 else ""
        raise DataError(
            f"{len(reasons)} unreadable video(s), {allowed} allowed: {'; '.join(reasons[:5])}{more}"
            "; mend them and say the same again, or leave them out with data.max_unreadable=N"
        )
