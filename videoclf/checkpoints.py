"""Which checkpoints a run keeps, and how they are written and read: whole, hashed, safe."""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from pytorch_lightning.plugins.io import CheckpointIO

from videoclf import checkpoint_file
from videoclf.checkpoint_writer import CheckpointWriter
from videoclf.errors import CheckpointError
from videoclf.lora import has_adapters, merge_adapters
from videoclf.models.blocks.source_head import SOURCE_HEAD, add_source_head, speak_as_source
from videoclf.save_points import SavePoints, progress_of
from videoclf.sharding import load_whole_weights
from videoclf.stop_signals import StopSignals

#: What torch's reader raises of a file that was made to mislead it.
_DAMAGE = (
    RuntimeError,
    ValueError,
    LookupError,
    OSError,
    EOFError,
    TypeError,
    AttributeError,
    AssertionError,
    MemoryError,
)


class SealedCheckpointIO(CheckpointIO):
    """Lightning's reads and writes, through `checkpoint_file`.

    Args:
        description: plain data that travels with every checkpoint.
        asynchronous: write while the training goes on (`videoclf.checkpoint_writer`).
    """

    def __init__(self, description: Mapping[str, Any], *, asynchronous: bool = False) -> None:
        self.description = description
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
        self._writer.do(partial(Path(path).unlink, missing_ok=True))

    def finish(self) -> None:
        """Wait until all is on the disk."""
        self._writer.finish()

    def teardown(self) -> None:
        """Lightning's word for the same."""
        self.finish()


def load(path: Path, map_location: Any | None = "cpu") -> dict[str, Any]:
    """Verify a checkpoint and read it, never executing anything that it holds.

    Raises:
        CheckpointError: it is missing, damaged, or holds more than tensors and plain values.
    """
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
    try:
        return torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        raise checkpoint_file.unsafe(path) from error
    except _DAMAGE as error:
        why = (str(error) or type(error).__name__).splitlines()[0]
        raise CheckpointError(f"cannot load {path}: {why}") from error


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
    state = load(path)["state_dict"]
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
    ) -> None:
        if mode not in ("max", "min"):
            raise ValueError(f"checkpoint.mode={mode!r} must be 'max' or 'min'")
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
