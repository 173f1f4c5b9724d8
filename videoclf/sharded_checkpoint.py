"""What each rank of `trainer=fsdp` writes of a checkpoint and reads: its rows, nothing gathered.

FSDP2 deals out the rows of a tensor (its first dimension) to the ranks in order, in equal shares
but for the last. So the whole is the ranks' pieces one after another, and any other number of ranks
finds its own rows among them. Tensors that are not sharded, such as running averages, are rank 0's.

`torch.distributed.checkpoint` does the same, with a metadata file that is a pickle, which may run
code when it is read. Here files are safetensors, and the index is JSON and `weights_only`.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
import torch.distributed as dist
from safetensors import SafetensorError, safe_open
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Shard
from torch.optim import Optimizer

from videoclf import checkpoint_file
from videoclf.checkpoint_folder import INDEX, hidden_name, put_in_place, remove, shard_name
from videoclf.errors import CheckpointError, StorageError
from videoclf.safe_reading import DAMAGE, cannot_load, read_file

_WEIGHTS = "state_dict"
_OPTIMIZERS = "optimizer_states"


class Share:
    """What one rank writes of a checkpoint; copied, so that the training may go on.

    Args:
        checkpoint: Lightning's, with sharded tensors.
        rank: of this process.
    """

    def __init__(self, checkpoint: Mapping[str, Any], *, rank: int) -> None:
        rest, tensors = _split(checkpoint)
        self.shapes = {name: list(value.shape) for name, value in tensors.items()}
        own: dict[str, torch.Tensor] = {}
        for name, value in tensors.items():
            if isinstance(value, DTensor):
                if list(value.placements) != [Shard(0)]:
                    raise AssertionError(f"{name} is sharded as {value.placements}")
                value = value.to_local()
            elif rank:
                continue
            if value.numel():
                own[name] = value.detach().cpu().contiguous()
        self.content = safetensors.torch.save(own)
        self.rest = io.BytesIO()
        if rank == 0:
            torch.save(rest, self.rest)


def write_shares(
    share: Share, path: Path, description: Mapping[str, Any], group: dist.ProcessGroup
) -> None:
    """Write a checkpoint with all ranks; each calls it, in the same order.

    Args:
        share: of this rank.
        path: of the checkpoint, on a file system that all ranks see.
        description: plain data that travels with it, rank 0's.
        group: of all ranks, for these calls only: they may come from a thread.

    Raises:
        StorageError: some rank found no room; what was at `path` is still there.
    """
    rank = dist.get_rank(group)
    hidden = [str(hidden_name(path))]
    dist.broadcast_object_list(hidden, src=0, group=group)  # rank 0's
    made = Path(hidden[0])
    entries = _exchange(_write_own(share.content, made, rank), path, made, group)
    if rank == 0:
        index = {**description, "shards": entries, "shapes": share.shapes}
        said = _put_index(share.rest, made, path, index)
    else:
        said = {}
    _exchange(said, path, made, group)


def _write_own(content: bytes, made: Path, rank: int) -> dict[str, Any]:
    """Write a rank's file, synced; return its entry in the index, or what went wrong."""
    try:
        made.mkdir(parents=True, exist_ok=True)
        with (made / shard_name(rank)).open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return {"error": f"{len(content) / 1e6:.1f} MB of rank {rank}: {error.strerror or error}"}
    digest = hashlib.sha256(content).hexdigest()
    return {"name": shard_name(rank), "bytes": len(content), "sha256": digest}


def _put_index(
    rest: io.BytesIO, made: Path, path: Path, index: Mapping[str, Any]
) -> dict[str, Any]:
    try:
        checkpoint_file.write(rest, made / INDEX, index)
        put_in_place(made, path)
    except StorageError as error:
        return {"error": str(error.__cause__ or error)}
    except OSError as error:
        return {"error": error.strerror or str(error)}
    return {}


def _exchange(
    own: dict[str, Any], path: Path, made: Path, group: dist.ProcessGroup
) -> list[dict[str, Any]]:
    """Tell all ranks what this one has done; where one of them failed, all do."""
    heard: list[Any] = [None] * dist.get_world_size(group)
    dist.all_gather_object(heard, own, group=group)
    errors = [each["error"] for each in heard if "error" in each]
    if errors:
        if dist.get_rank(group) == 0:
            remove(made)
        kept = "; the one before it is kept" if path.exists() else ""
        raise StorageError(f"cannot write {path} ({errors[0]}){kept}; make room")
    return heard


class Shares:
    """The tensors of a sharded checkpoint, read piece by piece; nothing in it is executed.

    Args:
        path: of the folder, verified.

    Raises:
        CheckpointError: its parts do not belong together, or hold more than they should.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rest = read_file(path / INDEX)
        try:
            described = checkpoint_file.read_description(path)
            self.shapes: dict[str, list[int]] = dict(described["shapes"])
            self._pieces: dict[str, list[Any]] = {name: [] for name in self.shapes}
            for shard in described["shards"]:
                file: Any = safe_open(path / shard["name"], "pt")
                for name in file.keys():  # noqa: SIM118  (it is no mapping)
                    self._pieces[name].append(file.get_slice(name))
            for name, shape in self.shapes.items():
                self._check(name, shape)
        except (SafetensorError, *DAMAGE) as error:
            raise cannot_load(path, error) from error

    def _check(self, name: str, shape: list[int]) -> None:
        """Hold the pieces of a tensor against its shape; no more is made than the files hold."""
        pieces = [list(piece.get_shape()) for piece in self._pieces[name]]
        rows = sum(piece[0] if piece else 1 for piece in pieces)
        others = [piece for piece in pieces if piece[1:] != shape[1:] or len(piece) != len(shape)]
        if others or (rows != (shape[0] if shape else 1) and 0 not in shape):
            raise ValueError(f"its files hold {pieces} of {name}, which is {shape}")

    def names(self, section: str) -> list[str]:
        """Return the names of the tensors of a section."""
        return [name for name in self.shapes if name.startswith(f"{section}/")]

    def whole(self, name: str) -> torch.Tensor:
        """Return a tensor, of its whole shape."""
        shape = self.shapes[name]
        if not shape:
            scalar: torch.Tensor = self._pieces[name][0][...]
            return scalar
        return self.rows(name, 0, shape[0])

    def rows(self, name: str, begin: int, end: int) -> torch.Tensor:
        """Return the rows [begin, end) of a tensor; only what overlaps them is read."""
        found, first = [], 0
        for piece in self._pieces[name]:
            rows = piece.get_shape()[0]
            low, high = max(begin, first), min(end, first + rows)
            if low < high:
                found.append(piece[low - first : high - first])
            first += rows
        if found:
            return found[0] if len(found) == 1 else torch.cat(found)
        if self._pieces[name]:
            none: torch.Tensor = self._pieces[name][0][0:0]
            return none
        return torch.empty(0, *self.shapes[name][1:])

    def like(self, name: str, own: torch.Tensor) -> torch.Tensor:
        """Return a tensor as this process keeps it: this rank's rows, or the whole.

        Raises:
            CheckpointError: there is none of that name and shape.
        """
        if self.shapes.get(name) != list(own.shape):
            raise CheckpointError(
                f"{self.path} does not fit the model: {name.partition('/')[2]} is "
                f"{self.shapes.get(name)}, not {list(own.shape)}"
            )
        if not isinstance(own, DTensor):
            return self.whole(name).to(own.device)
        return self.sharded(name, own.device_mesh)

    def sharded(self, name: str, mesh: DeviceMesh) -> DTensor:
        """Return a tensor of which this rank holds its rows."""
        shape = torch.Size(self.shapes[name])
        each = -(-shape[0] // mesh.size())  # rows a rank, but for the last
        begin = min(shape[0], each * mesh.get_local_rank())
        rows = self.rows(name, begin, min(shape[0], begin + each)).to(mesh.device_type)
        stride = torch.empty(shape, device="meta").stride()
        return DTensor.from_local(rows, mesh, [Shard(0)], shape=shape, stride=stride)

    def joined(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, Any]:
        """Return the checkpoint with tensors in their places.

        Raises:
            CheckpointError: it has no such places.
        """
        try:
            for name, value in tensors.items():
                section, _, place = name.partition("/")
                if section == _WEIGHTS:
                    self.rest[section][place] = value
                else:
                    number, _, place = place.partition("/")
                    of, _, key = place.rpartition("/")
                    self.rest[section][int(number)]["state"][of][key] = value
        except DAMAGE as error:
            raise cannot_load(self.path, error) from error
        whole: dict[str, Any] = self.rest
        return whole


def read_whole(path: Path, *, optimizer: bool = True) -> dict[str, Any]:
    """Read a sharded checkpoint in one process, every tensor whole.

    Args:
        path: of the folder, verified.
        optimizer: with the optimiser's state, which is larger than the weights.

    Raises:
        CheckpointError: as `Shares`.
    """
    shares = Shares(path)
    names = shares.names(_WEIGHTS) + (shares.names(_OPTIMIZERS) if optimizer else [])
    return shares.joined({name: shares.whole(name) for name in names})


def load_shares(path: Path, model: nn.Module, optimizers: Sequence[Optimizer]) -> dict[str, Any]:
    """Load a sharded checkpoint into a sharded model and its optimisers, each rank its own rows.

    Args:
        path: of the folder, verified; of any number of ranks.
        model: sharded by FSDP2.
        optimizers: of its training.

    Returns:
        What is left of the checkpoint: all that is no weight and no optimiser's state.

    Raises:
        CheckpointError: it does not fit, or as `Shares`.
    """
    shares = Shares(path)
    own: dict[str, Any] = get_model_state_dict(model)
    weights: dict[str, Any] = {
        name: shares.like(f"{_WEIGHTS}/{name}", value) for name, value in own.items()
    }
    set_model_state_dict(model, weights, options=StateDictOptions(strict=True))
    tensors: dict[str, torch.Tensor] = {}
    for name in shares.names(_OPTIMIZERS):
        of = name.split("/", 2)[2].rpartition("/")[0]
        parameter = own.get(of)
        if isinstance(parameter, DTensor) and shares.shapes[name]:
            tensors[name] = shares.sharded(name, parameter.device_mesh)
        else:
            tensors[name] = shares.whole(name)
    content = shares.joined(tensors)
    for optimizer, state in zip(optimizers, content.pop(_OPTIMIZERS), strict=True):
        set_optimizer_state_dict(model, optimizer, optim_state_dict=state)
    del content[_WEIGHTS]
    return content


def _split(checkpoint: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Take the tensors of weights and optimisers out of a checkpoint; name them by their place."""
    tensors: dict[str, torch.Tensor] = {}

    def without_tensors(values: Mapping[str, Any], place: str) -> dict[str, Any]:
        left = {}
        for name, value in values.items():
            if isinstance(value, torch.Tensor):
                tensors[f"{place}/{name}"] = value
            else:
                left[name] = value
        return left

    rest = dict(checkpoint)
    rest[_WEIGHTS] = without_tensors(checkpoint[_WEIGHTS], _WEIGHTS)
    rest[_OPTIMIZERS] = [
        {
            **optimizer,
            "state": {
                of: without_tensors(values, f"{_OPTIMIZERS}/{number}/{of}")
                for of, values in optimizer["state"].items()
            },
        }
        for number, optimizer in enumerate(checkpoint.get(_OPTIMIZERS, []))
    ]
    return rest, tensors
