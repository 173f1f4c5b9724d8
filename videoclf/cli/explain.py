"""`videoclf explain`: where and when a trained network looked, as filmstrips."""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from videoclf.errors import ConfigError, StorageError

if TYPE_CHECKING:
    from torch import nn

    from videoclf.data.datamodule import VideoDataModule
    from videoclf.explaining.clips import Clips
    from videoclf.explaining.explanation import Explanation

METHODS = ("auto", "rollout", "grad-cam")


def run(
    checkpoint: Annotated[Path, typer.Argument(help="A run's best.ckpt.", show_default=False)],
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="VIDEO... [SETTINGS]",
            help="Files, and settings as evaluate.py takes them: [bold]sampler.stride=4[/bold].",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write to.")] = Path(
        "explanations"
    ),
    class_name: Annotated[
        str | None,
        typer.Option("--class", help="The class to explain.", show_default="the likeliest"),
    ] = None,
    clips: Annotated[int, typer.Option(min=1, help="Clips of each video.")] = 1,
    method: Annotated[
        str, typer.Option(help="rollout, grad-cam, or auto: rollout where it is defined.")
    ] = "auto",
    layer: Annotated[
        str | None,
        typer.Option(help="Of Grad-CAM, by its name.", show_default="the last with places"),
    ] = None,
) -> None:
    """Show where and when a trained network looked.

    Attention rollout of transformers, Grad-CAM of all others. For each video a
    PNG (frames, heat over them, the share of each frame) and a JSON with the
    numbers. Clips are cut as the checkpoint's evaluation does, the middle crop.

    [dim]$[/dim] videoclf explain best.ckpt a.mp4 b.mp4
    [dim]$[/dim] videoclf explain best.ckpt a.mp4 --class archery --clips 3 -o out
    """
    if method not in METHODS:
        raise ConfigError(f"--method={method} is none of {', '.join(METHODS)}")
    if layer is not None and method == "rollout":
        raise ConfigError(f"--layer={layer} is for Grad-CAM; leave it out, or --method=rollout")
    _check_installed()
    paths = [Path(word) for word in words if "=" not in word or Path(word).exists()]
    overrides = [word for word in words if "=" in word and not Path(word).exists()]
    if not paths:
        raise ConfigError("no video is named; give one or more files after the checkpoint")
    model, datamodule, settings = _load(checkpoint, overrides)
    names: list[str] = settings["data"]["class_names"]
    _check_class(class_name, names)

    from videoclf.explaining.clips import read_clips
    from videoclf.explaining.explanation import explain

    for path, stem in zip(paths, stems(paths), strict=True):
        found_clips = read_clips(path, datamodule, clips)
        try:
            found = explain(
                model,
                found_clips,
                class_names=names,
                class_name=class_name,
                method=method,
                layer=layer,
                average=settings["views"]["average"],
            )
        except ValueError as error:
            raise ConfigError(f"{checkpoint}: {error}") from error
        said = _write(found, found_clips, path, checkpoint, output / stem)
        sys.stdout.write(f"{output / stem}.png: {said}\n")


def stems(paths: Sequence[Path]) -> list[str]:
    """Name the files of each video, by more of its path where two have the same name."""
    plain = [path.stem for path in paths]
    return [
        stem if plain.count(stem) == 1 else "_".join([*path.parent.parts[-1:], path.name, str(n)])
        for n, (path, stem) in enumerate(zip(paths, plain, strict=True))
    ]


def _check_installed() -> None:
    import importlib.util

    missing = [name for name in ("captum", "matplotlib") if not importlib.util.find_spec(name)]
    if missing:
        raise ConfigError(
            f"videoclf explain needs {' and '.join(missing)}; pip install -e '.[explain]'"
        )


def _check_class(class_name: str | None, names: Sequence[str]) -> None:
    if class_name is not None and class_name not in names:
        close = difflib.get_close_matches(class_name, names, n=3) or list(names[:5])
        raise ConfigError(
            f"--class={class_name} is none of the checkpoint's {len(names)} classes; some are: "
            f"{', '.join(close)}"
        )


def _load(
    checkpoint: Path, overrides: Sequence[str]
) -> tuple[nn.Module, VideoDataModule, dict[str, Any]]:
    """Build the model with its weights, and what reads clips as its evaluation does."""
    from omegaconf import OmegaConf

    from videoclf.assembly import check_modalities
    from videoclf.build import build
    from videoclf.checkpoints import load_model
    from videoclf.cli.trained import compose_checkpoint
    from videoclf.config import plain
    from videoclf.data.from_config import build_datamodule
    from videoclf.data.manifest import Manifest
    from videoclf.models.blocks.class_head import class_head

    config = compose_checkpoint(checkpoint, overrides)
    OmegaConf.update(config, "data.num_workers", 0)
    settings = plain(config)
    trusted = settings["trusted_packages"]
    model: nn.Module = build(settings["model"], name="model", trusted_packages=trusted)
    check_modalities(model, settings["data"]["modalities"])
    try:
        class_head(model)
    except ValueError as error:
        raise ConfigError(f"{checkpoint} does not classify: {error}") from error
    if settings.get("head"):
        model = _without_probe(checkpoint, model, settings)
    else:
        load_model(checkpoint, model, head_of=settings["head_of"])
    names = settings["data"]["class_names"]
    nothing = Manifest.from_columns(class_names=names, paths=[], labels=[], subsets=[])
    return model, build_datamodule(settings, manifest=nothing, folder=Path()), settings


def _without_probe(checkpoint: Path, backbone: nn.Module, settings: dict[str, Any]) -> nn.Module:
    """Load a linear probe and its backbone, and give the backbone the probe as its class head.

    A probe's backbone builds no graph, and answers from its store of features where it can.

    Raises:
        ConfigError: another probe, which is no linear layer.
    """
    from videoclf.build import build
    from videoclf.checkpoints import load_model
    from videoclf.models.probes import LinearProbe

    node = {**settings["head"], "feature_cache": None}
    probe = build(
        node, name="head", trusted_packages=settings["trusted_packages"], backbone=backbone
    )
    if type(probe) is not LinearProbe:
        raise ConfigError(
            f"{checkpoint} holds an {type(probe).__name__}, which is not explained; of the probes "
            "only head=linear is"
        )
    load_model(checkpoint, probe)
    backbone.classifier = probe.classifier
    return backbone


def _write(found: Explanation, clips: Clips, video: Path, checkpoint: Path, place: Path) -> str:
    """Write picture and numbers of a video beside each other; return what was found in words."""
    from videoclf.explaining.filmstrip import draw

    how = found.method if found.layer is None else f"{found.method}, {found.layer}"
    said = f"{found.class_name} {found.probabilities[found.class_name]:.1%} ({how})"
    with _written(place.with_name(f"{place.name}.png")) as file:
        draw(found, clips, f"{video.name}: {said}", file)
    numbers = {"video": str(video), "checkpoint": str(checkpoint)}
    numbers |= found.as_json(clips.seconds)
    with _written(place.with_name(f"{place.name}.json")) as file:
        file.write_text(json.dumps(numbers, ensure_ascii=False), encoding="utf-8")
    seen = any(heat.any() for heat in found.heat)
    return said if seen else f"{said}; nothing at this layer speaks for the class"


@contextmanager
def _written(path: Path) -> Iterator[Path]:
    """Yield a temporary file that becomes `path` when it is whole."""
    from videoclf.cache import atomic_write

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary:
            yield temporary
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror}; make room, or name another --output"
        ) from error
