"""Which checkpoints a run keeps, and how they are written and read: whole, hashed, safe."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from pytorch_lightning.plugins.io import CheckpointIO

from videoclf import checkpoint_file, checkpoint_folder
from videoclf.checkpoint_writer import CheckpointWriter
from videoclf.errors import CheckpointError
from videoclf.lora import has_adapters, merge_adapters
from videoclf.models.blocks.source_head import SOURCE_HEAD, add_source_head, speak_as_source
from videoclf.safe_reading import read_file
from videoclf.save_points import SavePoints, progress_of
from videoclf.sharded_checkpoint import Share, read_whole, write_shares
from videoclf.sharding import load_whole_weights
from videoclf.stop_signals import StopSignals


class SealedCheckpointIO(CheckpointIO):
    """Lightning's reads and writes, through `checkpoint_file`.

    Args:
        description: plain data that travels with every checkpoint.
        asynchronous: write while the training goes on (`videoclf.checkpoint_writer`).
        sharded: each rank of a sharded run writes its own share (`videoclf.checkpoint_folder`).
    """

    def __init__(
        self,
        description: Mapping[str, Any],
        *,
        asynchronous: bool = False,
        sharded: bool = False,
    ) -> None:
        self.description = description
        self.sharded = sharded
        self._group: Any = None
        self._writer = CheckpointWriter(asynchronous=asynchronous)

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | Path,
        storage_options: Any | None = None,  # noqa: ARG002
    ) -> None:
        """Write a checkpoint beside its target, synced, then rename it."""
        archive = io.BytesIO()
        torch.save(checkpoint, archive)
        description = {**self.description, "progress": progress_of(checkpoint)}
        self._writer.do(partial(checkpoint_file.write, archive, Path(path), description))

    def save_shares(self, checkpoint: dict[str, Any], path: Path) -> None:
        """Write a checkpoint of sharded tensors as a folder; all ranks call it."""
        if self._group is None:  # of its own: a thread's messages must not mix with a training's
            self._group = torch.distributed.new_group(backend="gloo")
        share = Share(checkpoint, rank=torch.distributed.get_rank(self._group))
        description = {**self.description, "progress": progress_of(checkpoint)}
        self._writer.do(partial(write_shares, share, path, description, self._group))

    def load_checkpoint(
        self,
        path: str | Path,
        map_location: Any | None = None,
        weights_only: bool | None = None,  # noqa: ARG002
    ) -> dict[str, Any]:
        """Verify and read a checkpoint; tensors and plain values only, whatever is asked."""
        return load(Path(path), map_location=map_location)

    def remove_checkpoint(self, path: str | Path) -> None:
        """Delete a checkpoint that is no longer kept, once those asked for before are written."""
        self._writer.do(partial(checkpoint_folder.remove, Path(path)))

    def finish(self) -> None:
        """Wait until all is on the disk."""
        self._writer.finish()

    def teardown(self) -> None:
        """Lightning's word for the same."""
        self.finish()


def load(path: Path, map_location: Any | None = "cpu", *, optimizer: bool = True) -> dict[str, Any]:
    """Verify a checkpoint and read it, never executing anything that it holds.

    Args:
        path: of a file, or of the folder of a sharded one, whose tensors are made whole.
        map_location: where a file's tensors go.
        optimizer: also read the optimiser's state of a folder.

    Raises:
        CheckpointError: it is missing, damaged, or holds more than tensors and plain values.
    """
    if path.is_dir():
        checkpoint_file.verify(path)
        content: Any = read_whole(path, optimizer=optimizer)
    else:
        content = read_sealed(path, map_location)
    if not isinstance(content, dict) or not isinstance(content.get("state_dict"), Mapping):
        raise CheckpointError(f"{path} holds no weights; give a checkpoint of a training run")
    return content


def read_sealed(path: Path, map_location: Any | None = "cpu") -> Any:
    """Verify a file that `checkpoint_file` wrote and read its tensors and plain values.

    Raises:
        CheckpointError: as `load`.
    """
    checkpoint_file.verify(path)
    return read_file(path, map_location)


def model_weights(path: Path, *, with_adapters: bool = False) -> dict[str, torch.Tensor]:
    """Return the weights of a run's model by name.

    Args:
        path: of a checkpoint.
        with_adapters: leave what low-rank adaptation has learnt apart (`videoclf.lora`) instead of
            adding it to the layers.

    Raises:
        CheckpointError: as `load`.
    """
    prefix = "model."
    state = load(path, optimizer=False)["state_dict"]
    own = {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}
    if with_adapters or not has_adapters(own):
        return own
    trained = checkpoint_file.describe(path)["config"]
    return merge_adapters(own, alpha=trained["lora"]["alpha"])


def load_model(path: Path, model: torch.nn.Module, *, head_of: str = "new") -> None:
    """Load the weights of a run's model; every key has to fit.

    A network that has kept the head of its source gets that one, too.

    Args:
        path: of a checkpoint.
        model: as it was trained.
        head_of: `source` makes it speak in the classes of its source.

    Raises:
        CheckpointError: keys or shapes differ; the text names the first of them. Or there is no
            head of a source.
    """
    expected = model.state_dict()
    own = model_weights(path, with_adapters=has_adapters(expected))
    if SOURCE_HEAD[0] in own and SOURCE_HEAD[0] not in expected and "classifier.weight" in expected:
        add_source_head(model, num_classes=len(own[SOURCE_HEAD[0]]))
        expected = model.state_dict()
    missing, extra = sorted(expected.keys() - own.keys()), sorted(own.keys() - expected.keys())
    other = [k for k in expected if k in own and own[k].shape != expected[k].shape]
    if missing or extra or other:
        shapes = [f"{k} {tuple(own[k].shape)} for {tuple(expected[k].shape)}" for k in other[:3]]
        raise CheckpointError(
            f"{path} does not fit the model: missing {missing[:3]}, unexpected {extra[:3]}, "
            f"other shapes {shapes}; evaluate it with the model that it was trained with"
        )
    load_whole_weights(model, own)
    if head_of == "source":
        try:
            speak_as_source(model)
        except ValueError as error:
            raise CheckpointError(f"head_of=source, and in {path} {error}") from error


class CheckpointPolicy:
    """Keep `best.ckpt` by a metric, and `last.ckpt` to go on from.

    Args:
        monitor: validation metric that chooses the best.
        mode: `max` or `min`.
        every_n_steps: write `last.ckpt` every so many steps too; null writes it before each
            validation and after each epoch only.
        every_n_minutes: likewise, every so many minutes.
        keep_best: also keep the best so many, as `top_<step>.ckpt`; 1 keeps `best.ckpt` alone.
        keep_every_n_steps: keep `step_<step>.ckpt` every so many steps; null keeps none.
        asynchronous: write in a thread while the training goes on.
        sharded: a folder to which each rank of `trainer=fsdp` writes its own share, instead of one
            file for which rank 0 gathers everything.

    Raises:
        ValueError: a value out of range.
    """

    def __init__(
        self,
        *,
        monitor: str,
        mode: Literal["max", "min"],
        every_n_steps: int | None,
        every_n_minutes: float | None,
        keep_best: int = 1,
        keep_every_n_steps: int | None = None,
        asynchronous: bool = False,
        sharded: bool = False,
    ) -> None:
        if mode not in ("max", "min"):
            raise ValueError(f"checkpoint.mode={mode!r} must be 'max' or 'min'")
        better = _better(monitor)
        if better not in (mode, None):
            raise ValueError(
                f"checkpoint.mode={mode} would keep the worst by checkpoint.monitor={monitor}; set "
                f"checkpoint.mode={better}"
            )
        if every_n_steps is not None and every_n_steps < 1:
            raise ValueError(f"checkpoint.every_n_steps={every_n_steps} must be at least 1")
        if every_n_minutes is not None and every_n_minutes <= 0:
            raise ValueError(f"checkpoint.every_n_minutes={every_n_minutes} must be above 0")
        if keep_best < 1:
            raise ValueError(f"checkpoint.keep_best={keep_best} must be at least 1")
        if keep_every_n_steps is not None and keep_every_n_steps < 1:
            raise ValueError(
                f"checkpoint.keep_every_n_steps={keep_every_n_steps} must be at least 1"
            )
        self.monitor = monitor
        self.mode = mode
        self.every_n_steps = every_n_steps
        self.every_n_minutes = every_n_minutes
        self.keep_best = keep_best
        self.keep_every_n_steps = keep_every_n_steps
        self.asynchronous = asynchronous
        self.sharded = sharded

    def save_points(
        self, folder: Path, *, seed: int, stop: StopSignals, began: float
    ) -> SavePoints:
        """Return the callback that writes to a run's folder of checkpoints."""
        return SavePoints(
            folder=folder,
            monitor=self.monitor,
            mode=self.mode,
            every_n_steps=self.every_n_steps,
            every_n_minutes=self.every_n_minutes,
            keep_best=self.keep_best,
            keep_every_n_steps=self.keep_every_n_steps,
            seed=seed,
            stop=stop,
            began=began,
        )


def _better(monitor: str) -> Literal["max", "min"] | None:
    """Return which values of a metric are better, where its name says so."""
    if re.search(r"loss|ece", monitor):
        return "min"
    return "max" if re.search(r"top\d|_map|mean_class|accuracy", monitor) else None
