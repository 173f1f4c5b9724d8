"""Low-rank adaptation: small matrices beside frozen linear layers learn instead of the layers.

    y = W x + b + (alpha / rank) B A x,   A (rank, D_in) random, B (D_out, rank) zero at the start

through `peft`, in place: the model keeps its class, its blocks and its class head, which learns
too. A checkpoint holds A and B beside W, so that the run can be resumed; whatever else reads one
(`evaluate.py`, `init_from`, `videoclf features`) adds them to W and needs no `peft`.

Source: Hu et al. 2022, "LoRA: Low-Rank Adaptation of Large Language Models", equation 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from pytorch_lightning.callbacks import Callback
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from videoclf.errors import ConfigError
from videoclf.freezing import StayInEvaluation
from videoclf.models.blocks.class_head import class_head
from videoclf.models.probes import LinearProbe

#: Names that peft gives: of the layer beside which it puts A and B, and of these.
LAYER, A, B = ".base_layer", ".lora_A.default.weight", ".lora_B.default.weight"


class LowRankAdaptation:
    """Puts A and B beside some linear layers of a model and freezes the rest.

    Args:
        rank: of B A; None leaves the model as it is.
        alpha: what B A adds is scaled by alpha / rank.
        dropout: of what A reads.
        targets: the linear layers, by the last part or parts of their names.

    Raises:
        ValueError: a value out of range.
    """

    def __init__(
        self, *, rank: int | None, alpha: int, dropout: float, targets: Sequence[str]
    ) -> None:
        if rank is not None and rank < 1:
            raise ValueError(f"lora.rank={rank} must be at least 1; null is off")
        if alpha <= 0:
            raise ValueError(f"lora.alpha={alpha} must be above 0")
        if not 0 <= dropout < 1:
            raise ValueError(f"lora.dropout={dropout} must be in [0, 1)")
        if not targets:
            raise ValueError("lora.targets=[] names no layer; give some, such as [qkv,proj]")
        self.rank = rank
        self.alpha = alpha
        self.dropout = dropout
        self.targets = list(targets)

    def apply(self, model: nn.Module) -> list[Callback]:
        """Change a model; return the callbacks that keep its batch norms frozen.

        Raises:
            ConfigError: `peft` is not installed, there is no class head, or a target is no linear
                layer below it.
        """
        if self.rank is None:
            return []
        try:
            from peft import LoraConfig, inject_adapter_in_model
        except ImportError as error:
            raise ConfigError(
                f"lora.rank={self.rank} needs peft: pip install -e '.[lora]', or set lora.rank=null"
            ) from error
        if isinstance(model, LinearProbe):
            raise ConfigError(
                f"lora.rank={self.rank} changes a backbone that a probe keeps as it is; set "
                "head=null, or lora.rank=null"
            )
        try:
            head = class_head(model)
        except ValueError as error:
            raise ConfigError(f"lora.rank={self.rank}: {error}") from error
        self._check_targets(model)
        settings = LoraConfig(
            r=self.rank,
            lora_alpha=self.alpha,
            lora_dropout=self.dropout,
            target_modules=self.targets,
        )
        inject_adapter_in_model(settings, model)  # freezes all but A and B
        head.requires_grad_(True)
        norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
        return [StayInEvaluation(norms)] if norms else []

    def _check_targets(self, model: nn.Module) -> None:
        named = dict(model.named_modules())
        linear = {name for name, module in named.items() if isinstance(module, nn.Linear)}
        linear.discard("classifier")
        ends = sorted({name.rpartition(".")[2] for name in linear})
        for target in self.targets:
            found = {name for name in named if f".{name}".endswith(f".{target}")}
            if not found or not found <= linear:
                there = f"its linear layers are {', '.join(ends)}" if ends else "it has none"
                raise ConfigError(
                    f"lora.targets={self.targets}: {type(model).__name__} has no linear layers "
                    f"{target!r} below its class head; {there}"
                )


def has_adapters(weights: Mapping[str, torch.Tensor]) -> bool:
    """Whether weights hold A and B of some layers."""
    return any(name.endswith(A) for name in weights)


def merge_adapters(weights: Mapping[str, torch.Tensor], *, alpha: int) -> dict[str, torch.Tensor]:
    """Add (alpha / rank) B A to the layers beside which they stand; return a plain model's weights.

    Args:
        weights: of a model with A and B, by name.
        alpha: with which they were trained.
    """
    merged: dict[str, torch.Tensor] = {}
    for name, value in weights.items():
        layer = name.removesuffix(f"{LAYER}.weight")
        if name.endswith((A, B)):
            continue
        if layer != name:
            down, up = weights[f"{layer}{A}"], weights[f"{layer}{B}"]  # (rank, in), (out, rank)
            value = value + alpha / len(down) * (up @ down)
        merged[name.replace(f"{LAYER}.", ".")] = value
    return merged
