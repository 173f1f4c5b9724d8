"""Tensors out of the files that weights come in, without executing anything that they hold.

safetensors holds tensors and nothing else. Files of `torch.save` (.pth, .pyth, .pt, .bin) are read
by `torch.load(weights_only=True)`; one that holds other objects is refused, for to unpickle it
would be to run whatever its author put there. An index (.safetensors.index.json) is read with all
the files that it names.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from videoclf.errors import CheckpointError
from videoclf.weights.shards import is_index, missing_shards, read_index

#: Where training scripts put the weights beside optimiser and epoch: torchvision, timm and
#: pytorchvideo, PySlowFast, MMAction2 and Lightning; the first that is there.
WEIGHTS_BELOW = ("model_state", "state_dict", "model_state_dict", "model")
#: In front of every name where the model was wrapped.
WRAPPED = "module."


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Read the weights of a file by the names they have there.

    Raises:
        CheckpointError: it is missing or damaged, or holds more than tensors and plain values.
    """
    if not path.is_file():
        raise CheckpointError(f"no weights at {path}; give the path of a file")
    if is_index(path):
        return _read_shards(path)
    if path.suffix == ".pkl":
        raise CheckpointError(
            f"{path} is a pickle, such as the Caffe2 files of PySlowFast's model zoo; to read it "
            "would be to run what it holds; take PyTorchVideo's file of the same network, or let "
            "PySlowFast load it where nothing is at stake (TRAIN.CHECKPOINT_TYPE caffe2) and save "
            "it as .pyth"
        )
    try:
        content: Any = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} holds objects other than tensors and plain values, which could run code; it "
            "is not loaded; on a machine where nothing is at stake write its tensors alone, by "
            "safetensors.torch.save_file(torch.load(file, weights_only=False)['state_dict'], new)"
        ) from error
    except (SafetensorError, RuntimeError, ValueError, KeyError, EOFError, OSError) as error:
        raise CheckpointError(f"cannot read {path}: {error}") from error
    return _named_tensors(content, path)


def _read_shards(index: Path) -> dict[str, torch.Tensor]:
    """Read the files of an index, each of which has to hold what it says, and no more."""
    missing = missing_shards(index)
    if missing:
        raise CheckpointError(
            f"{index.parent} lacks {', '.join(missing)}, which {index.name} names; put every file "
            "of it there"
        )
    whole: dict[str, torch.Tensor] = {}
    for file, names in read_index(index).items():
        found = read_tensors(index.parent / file)
        odd = sorted(set(names) ^ set(found))
        if odd:
            what = "lacks" if odd[0] in names else "holds, beside what the index says,"
            raise CheckpointError(
                f"{index.parent / file} {what} {odd[0]}; it is not of the same network as "
                f"{index.name}: fetch them again"
            )
        whole |= found
    return whole


def _named_tensors(content: Any, path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of what was read, from where training scripts put them."""
    for key in WEIGHTS_BELOW:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path} holds a {type(content).__name__}, no tensors by name")
    other = [name for name, value in content.items() if not isinstance(value, torch.Tensor)]
    if other or not content:
        held = f"{other[0]!r} beside its tensors" if other else "nothing"
        raise CheckpointError(
            f"{path} holds {held}; weights are tensors by name, at the top or below one of "
            f"{', '.join(WEIGHTS_BELOW)}"
        )
    wrapped = all(str(name).startswith(WRAPPED) for name in content)
    return {str(k).removeprefix(WRAPPED if wrapped else ""): v for k, v in content.items()}
