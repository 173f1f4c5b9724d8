"""`trainer=fsdp`: each rank keeps a share of the weights, the gradients, the optimiser's state.

A block's weights are gathered from all ranks just before it runs and dropped after it, so a rank
needs the memory of one block beside its share. Losses are those of `trainer=ddp`. Checkpoints are
one file with whole tensors, as without sharding, or with `checkpoint.sharded=true` a folder to
which each rank writes its share: any run, evaluation or tool reads both.

Evaluation gathers the weights once and keeps them until it ends. Its ranks have unequal numbers of
batches, and one that has none left must not wait for the others' blocks.

Source: Zhao et al. 2023, "PyTorch FSDP"; this is its second form, `torch.distributed.fsdp.
fully_shard`, through Lightning's `ModelParallelStrategy`.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pytorch_lightning as pl
import torch
import torch.distributed
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.strategies import ModelParallelStrategy, Strategy
from torch import nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor

from videoclf import checkpoint_file
from videoclf.errors import ConfigError
from videoclf.models.blocks.layers import model_layers
from videoclf.sharded_checkpoint import load_shares


@runtime_checkable
class SavesShares(Protocol):
    """What writes a sharded checkpoint, where that is wanted."""

    sharded: bool

    def save_shares(self, checkpoint: dict[str, Any], path: Path) -> None:
        """Write this rank's share; all ranks call it."""


class FullySharded(ModelParallelStrategy):
    """Shards over all ranks; checkpoints of whole tensors, or of a share each."""

    def __init__(self) -> None:
        super().__init__(tensor_parallel_size=1, save_distributed_checkpoint=False)

    def setup_environment(self) -> None:
        """Let all ranks share the data; see how checkpoints are to be written."""
        writer = self.checkpoint_io
        self._save_distributed_checkpoint = isinstance(writer, SavesShares) and writer.sharded
        self._data_parallel_size = self.num_nodes * self.num_processes
        super().setup_environment()

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        filepath: str | Path,
        storage_options: Any | None = None,
    ) -> None:
        """Write a checkpoint, file or folder; all ranks call it."""
        writer = self.checkpoint_io
        if self._save_distributed_checkpoint and isinstance(writer, SavesShares):
            writer.save_shares(checkpoint, Path(filepath))
        else:
            super().save_checkpoint(checkpoint, filepath, storage_options)

    def load_checkpoint(
        self,
        checkpoint_path: str | Path,
        weights_only: bool | None = None,  # noqa: ARG002
    ) -> dict[str, Any]:
        """Verify a checkpoint and load it; tensors and plain values only, whatever is asked.

        Raises:
            CheckpointError: it is missing, damaged, or holds more than tensors and plain values.
        """
        path = Path(checkpoint_path)
        checkpoint_file.verify(path, share=(self.global_rank, self.world_size))
        if path.is_dir():
            assert self.model is not None
            return load_shares(path, self.model, self.optimizers)
        try:
            return super().load_checkpoint(path, weights_only=True)
        except pickle.UnpicklingError as error:
            raise checkpoint_file.unsafe(path) from error


def shard(model: nn.Module, strategy: Strategy) -> None:
    """Shard a model by its blocks where the strategy is `FullySharded`; once.

    Called in `configure_model` of a task. Parameters become `DTensor`s of the same names.

    Raises:
        ConfigError: the model does not list its blocks.
    """
    if not isinstance(strategy, FullySharded) or isinstance(model, FSDPModule):
        return
    try:
        blocks = model_layers(model)
    except ValueError as error:
        raise ConfigError(f"trainer=fsdp: {error}, or use trainer=ddp") from error
    for parameter in model.parameters():
        parameter.data = parameter.data.contiguous()  # filters lie channels last: not to be shared
    mesh = strategy.device_mesh["data_parallel"]
    for block in blocks:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)


def sharding_callbacks(config: Mapping[str, Any], *, training: bool) -> list[Callback]:
    """Return what a sharded run needs beside its strategy; refuse what it cannot do.

    Args:
        config: of the run.
        training: whether it trains, or only evaluates.

    Raises:
        ConfigError: a training with `ema_decay`, or that may leave out unreadable videos; or
            `checkpoint.sharded` where nothing is.
    """
    strategy = config["trainer"]["strategy"]
    if not isinstance(strategy, Mapping) or strategy.get("_target_") != _NAME:
        if config.get("checkpoint", {}).get("sharded"):
            raise ConfigError(
                "checkpoint.sharded=true writes the shares of trainer=fsdp, and this trainer "
                "shards nothing; leave it out, or use trainer=fsdp"
            )
        return []
    if not training:
        return [WholeInEvaluation()]
    if config["ema_decay"] is not None:
        raise ConfigError(
            f"ema_decay={config['ema_decay']} averages whole weights, and trainer=fsdp shards "
            "them; set ema_decay=null, or use trainer=ddp"
        )
    if config["data"]["max_unreadable"]:
        raise ConfigError(
            f"data.max_unreadable={config['data']['max_unreadable']} lets a rank skip a step, and "
            "with trainer=fsdp the others would wait for it; list the unreadable videos by "
            "`videoclf check`, leave them out of the annotations, and set data.max_unreadable=0"
        )
    return [WholeInEvaluation()]


class WholeInEvaluation(Callback):
    """Gathers the weights before an evaluation and drops them after it."""

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Gather."""
        gather_weights(pl_module)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Drop."""
        drop_weights(pl_module)

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Gather."""
        gather_weights(pl_module)

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Drop."""
        drop_weights(pl_module)


def gather_weights(model: nn.Module) -> None:
    """Make all weights whole on every rank until `drop_weights`; all ranks call it."""
    for module in _sharded(model):
        module.set_reshard_after_forward(False, recurse=False)
        module.unshard()


def drop_weights(model: nn.Module) -> None:
    """Keep only this rank's share again; blocks are dropped after each use, as before."""
    sharded = _sharded(model)
    for module in sharded:
        module.reshard()
        # the outermost module's weights stay between forward and backward: they come next
        module.set_reshard_after_forward(module is not sharded[0], recurse=False)


def load_whole_weights(model: nn.Module, weights: Mapping[str, torch.Tensor]) -> None:
    """Load whole tensors into a model, sharded or not; every name has to fit."""
    if _sharded(model):
        set_model_state_dict(
            model, dict(weights), options=StateDictOptions(full_state_dict=True, strict=True)
        )
    else:
        model.load_state_dict(weights)


def are_finite(gradients: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return whether each gradient is finite, bool (N,); all ranks' shares of one count."""
    shares = [each.to_local() if isinstance(each, DTensor) else each for each in gradients]
    finite = torch.stack(torch._foreach_norm(shares)).isfinite()
    if any(isinstance(each, DTensor) for each in gradients):
        counted = finite.int()
        torch.distributed.all_reduce(counted, torch.distributed.ReduceOp.MIN)
        finite = counted.bool()
    return finite


def _sharded(model: nn.Module) -> list[FSDPModule]:
    """Return the modules whose weights are sharded, the outermost first."""
    return [module for module in model.modules() if isinstance(module, FSDPModule)]


_NAME = f"{FullySharded.__module__}.{FullySharded.__qualname__}"
