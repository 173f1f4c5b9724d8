"""Tensors and plain values out of a file of `torch.save`; nothing in it is ever executed."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from videoclf.checkpoint_file import unsafe
from videoclf.errors import CheckpointError

#: What torch's reader raises of a file that was made to mislead it.
DAMAGE = (
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


def read_file(path: Path, map_location: Any | None = "cpu") -> Any:
    """Read a file whose hash has been looked at.

    Raises:
        CheckpointError: it is damaged, or holds more than tensors and plain values.
    """
    try:
        return torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        raise unsafe(path) from error
    except DAMAGE as error:
        raise cannot_load(path, error) from error


def cannot_load(path: Path, error: BaseException) -> CheckpointError:
    """Return the error of a file that is damaged in a way that its hash does not tell."""
    why = (str(error) or type(error).__name__).splitlines()[0]
    return CheckpointError(f"cannot load {path}: {why}")
