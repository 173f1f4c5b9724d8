"""Which checkpoints a run keeps, and how they are written and read: whole, hashed, safe."""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.plugins.io import CheckpointIO

from videoclf import checkpoint_file
from videoclf.errors import CheckpointError


class SealedCheckpointIO(CheckpointIO):
    """Lightning's reads and writes, through `checkpoint_file`.

    Args:
        description: plain data that travels with every checkpoint.
    """

    def __init__(self, description: Mapping[str, Any]) -> None:
        self.description = description

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | Path,
        storage_options: Any | None = None,  # noqa: ARG002
    ) -> None:
        """Write a checkpoint beside its target, synced, then rename it."""
        archive = io.BytesIO()
        torch.save(checkpoint, archive)
        checkpoint_file.write(archive, Path(path), self.description)

    def load_checkpoint(
        self,
        path: str | Path,
        map_location: Any | None = None,
        weights_only: bool | None = None,  # noqa: ARG002
    ) -> dict[str, Any]:
        """Verify and read a checkpoint; tensors and plain values only, whatever is asked."""
        return load(Path(path), map_location=map_location)

    def remove_checkpoint(self, path: str | Path) -> None:
        """Delete a checkpoint that is no longer kept."""
        Path(path).unlink(missing_ok=True)


def load(path: Path, map_location: Any | None = "cpu") -> dict[str, Any]:
    """Verify a checkpoint and read it, never executing anything that it holds.

    Raises:
        CheckpointError: it is missing, damaged, or holds more than tensors and plain values.
    """
    checkpoint_file.verify(path)
    try:
        content: dict[str, Any] = torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} holds objects other than tensors and plain values, which could run code; "
            "it is not loaded"
        ) from error
    except (RuntimeError, ValueError, KeyError, OSError) as error:
        raise CheckpointError(f"cannot load {path}: {error}") from error
    return content


def load_model(path: Path, model: torch.nn.Module) -> None:
    """Load the weights of a run's model; every key has to fit.

    Raises:
        CheckpointError: keys or shapes differ; the text names the first of them.
    """
    prefix = "model."
    state = load(path)["state_dict"]
    own = {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}
    expected = model.state_dict()
    missing, extra = sorted(expected.keys() - own.keys()), sorted(own.keys() - expected.keys())
    other = [k for k in expected if k in own and own[k].shape != expected[k].shape]
    if missing or extra or other:
        shapes = [f"{k} {tuple(own[k].shape)} for {tuple(expected[k].shape)}" for k in other[:3]]
        raise CheckpointError(
            f"{path} does not fit the model: missing {missing[:3]}, unexpected {extra[:3]}, "
            f"other shapes {shapes}; evaluate it with the model that it was trained with"
        )
    model.load_state_dict(own)


class CheckpointPolicy:
    """Keep `best.ckpt` by a metric and `last.ckpt`.

    Args:
        monitor: metric that chooses the best.
        mode: `max` or `min`.
        every_n_steps: also write `last.ckpt` every so many steps; null writes it every epoch.

    Raises:
        ValueError: a value out of range.
    """

    def __init__(
        self, *, monitor: str, mode: Literal["max", "min"], every_n_steps: int | None
    ) -> None:
        if mode not in ("max", "min"):
            raise ValueError(f"checkpoint.mode={mode!r} must be 'max' or 'min'")
        if every_n_steps is not None and every_n_steps < 1:
            raise ValueError(f"checkpoint.every_n_steps={every_n_steps} must be at least 1")
        self.monitor = monitor
        self.mode = mode
        self.every_n_steps = every_n_steps

    def callbacks(self, folder: Path) -> list[ModelCheckpoint]:
        """Return the callbacks that write to a run's folder of checkpoints."""
        best = ModelCheckpoint(
            dirpath=folder,
            filename="best",
            monitor=self.monitor,
            mode=self.mode,
            save_top_k=1,
            enable_version_counter=False,
        )
        last = ModelCheckpoint(
            dirpath=folder,
            filename="last",
            save_top_k=1,
            every_n_train_steps=self.every_n_steps,
            save_on_train_epoch_end=None if self.every_n_steps else True,
            enable_version_counter=False,
        )
        return [best, last]
