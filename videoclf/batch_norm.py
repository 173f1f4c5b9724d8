"""What a run does about batch norm, whatever its model: a setting of the run, not of the network.

    train    each rank normalises by its own batch; the usual way
    sync     by the batch of all ranks together, for few clips a rank (Peng et al. 2018); on GPUs
    frozen   by the statistics it started with, scales and shifts fixed: for fine-tuning
    partial  frozen, but for the first: it adapts to another kind of input (Wang et al. 2016)

`precise_batches` replaces the running averages by the statistics of all values in N training
batches, under the weights of that moment. This happens before each validation, because what is
measured there is what `best.ckpt` keeps and is chosen by: running averages lag behind the weights,
behind an exponential moving average of weights above all, and after few steps or with few clips a
batch they are rough.

Sources: Peng et al. 2018, "MegDet", section 4; Wang et al. 2016, "Temporal Segment Networks",
section 3.2 (partial BN); Wu & Johnson 2021, "Rethinking 'Batch' in BatchNorm", section 3.
"""

from __future__ import annotations

from pytorch_lightning.callbacks import Callback
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from videoclf.errors import ConfigError
from videoclf.freezing import StayInEvaluation
from videoclf.models.blocks.timm_norms import loaded_timm_norms
from videoclf.precise_statistics import PreciseStatistics

MODES = ("train", "sync", "frozen", "partial")
#: What is known how to synchronise, beside timm's; another class may do more than normalise.
SYNCHRONISED = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class BatchNorm:
    """The setting `batch_norm` of a run.

    Args:
        mode: train, sync, frozen or partial.
        precise_batches: training batches a rank whose statistics are taken before each
            validation; 0 keeps the running averages.

    Raises:
        ValueError: an unknown mode, a negative number, or precise statistics of frozen norms.
    """

    def __init__(self, *, mode: str, precise_batches: int) -> None:
        if mode not in MODES:
            raise ValueError(f"batch_norm.mode={mode!r} is none of {', '.join(MODES)}")
        if precise_batches < 0:
            raise ValueError(f"batch_norm.precise_batches={precise_batches} must be at least 0")
        if mode == "frozen" and precise_batches:
            raise ValueError(
                f"batch_norm.mode=frozen keeps its statistics, and batch_norm.precise_batches="
                f"{precise_batches} would replace them; set one of the two"
            )
        self.mode = mode
        self.precise_batches = precise_batches

    def apply(self, model: nn.Module, *, on_gpu: bool) -> list[Callback]:
        """Change a model's batch norms in place; return the callbacks that this needs.

        They stand behind a callback that averages weights: it is these that get statistics.

        Args:
            model: whose weights and their names stay.
            on_gpu: whether it will train on GPUs.

        Raises:
            ConfigError: a model without batch norm, or norms that cannot be synchronised.
        """
        norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
        if not norms and (self.mode != "train" or self.precise_batches):
            raise ConfigError(
                f"batch_norm.mode={self.mode} batch_norm.precise_batches={self.precise_batches}: "
                f"{type(model).__name__} has no batch norm; set train and 0, or choose another "
                "model"
            )
        callbacks: list[Callback] = []
        if self.mode == "sync":
            check_synchronisable(norms, on_gpu=on_gpu)
            from timm.layers import convert_sync_batchnorm  # keeps activations inside timm's norms

            convert_sync_batchnorm(model)
        elif self.mode in ("frozen", "partial"):
            fixed = norms if self.mode == "frozen" else norms[1:]
            for norm in fixed:
                norm.requires_grad_(False)
            callbacks.append(StayInEvaluation(fixed))
        if self.precise_batches:
            callbacks.append(PreciseStatistics(self.precise_batches))
        return callbacks


def check_synchronisable(norms: list[_BatchNorm], *, on_gpu: bool) -> None:
    """Refuse what `sync` cannot do.

    Raises:
        ConfigError: no GPUs, or a batch norm that does more than normalise.
    """
    if not on_gpu:
        raise ConfigError(
            "batch_norm.mode=sync needs GPUs, for PyTorch synchronises no batch norm on CPUs; "
            "set trainer=ddp on a machine with GPUs, or batch_norm.mode=train"
        )
    known = (*SYNCHRONISED, *loaded_timm_norms())
    odd = sorted({type(norm).__name__ for norm in norms if type(norm) not in known})
    if odd:
        raise ConfigError(
            f"batch_norm.mode=sync cannot synchronise {', '.join(odd)}; set batch_norm.mode=train, "
            "or choose another backbone"
        )
