"""Probes: what a frozen backbone knows, asked by a small head that learns on top of it.

    head=linear     logits = W features(clip) + b
    head=attentive  logits = W pool(tokens(clip)) + b,   pool as V-JEPA's attentive pooling

Any model of rgb clips can be the backbone of a linear probe; an attentive one asks for its
`tokens(rgb)`, (B, N, D). The backbone is in evaluation mode and builds no graph. With
`feature_cache` it sees each clip once: every epoch has the same clips of a video, crops and
augmentation included, and their features are read from the file from the second epoch on.

Sources: Alain & Bengio 2017, "Understanding Intermediate Layers Using Linear Classifier Probes";
Bardes et al. 2024 (V-JEPA), section 4.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import ClassVar

import torch
from torch import nn

from videoclf.models.blocks.attentive_pool import AttentivePool
from videoclf.models.blocks.class_head import class_head
from videoclf.models.blocks.feature_store import FeatureStore, hash_weights


class LinearProbe(nn.Module):
    """A linear layer on the features of a frozen backbone.

    Args:
        backbone: a model of rgb clips; it loses its class head.
        num_classes: K.
        feature_cache: file that keeps the features of each clip; None keeps none.

    Raises:
        ValueError: a backbone of other modalities, or a file that cannot be used.
    """

    RUNTIME_ARGUMENTS: ClassVar[frozenset[str]] = frozenset({"backbone"})
    #: The backbone's method that the head reads.
    reads = "features"

    def __init__(self, *, backbone: nn.Module, num_classes: int, feature_cache: str | None) -> None:
        super().__init__()
        name = type(backbone).__name__
        wanted = list(inspect.signature(backbone.forward).parameters)
        if wanted != ["rgb"]:
            raise ValueError(
                f"a probe reads rgb clips, and {name}.forward takes {', '.join(wanted)}; use "
                "head=null freeze=backbone, or choose another model"
            )
        if not hasattr(backbone, self.reads):
            raise ValueError(
                f"{name} has no method `{self.reads}`, which gives its tokens (B, N, D); use "
                "head=linear, or choose another model"
            )
        width = class_head(backbone).in_features
        backbone.classifier = nn.Identity()  # no part of what is frozen, hashed and saved
        self.backbone = backbone.requires_grad_(False).eval()
        self.store = (
            None
            if feature_cache is None
            else FeatureStore(Path(feature_cache), key="head.feature_cache")
        )
        self._network: str | None = None  # hash of the backbone, once it is needed
        self.register_load_state_dict_post_hook(LinearProbe._forget_network)  # type: ignore[no-untyped-call]
        self.classifier = nn.Linear(width, num_classes)

    def train(self, mode: bool = True) -> LinearProbe:
        """Switch the head to training; the backbone stays in evaluation."""
        super().train(mode)
        self.backbone.eval()
        return self

    def encode(self, rgb: torch.Tensor) -> torch.Tensor:
        """Return what the head reads of clips (B, 3, T, H, W), without a graph."""
        compute = getattr(self.backbone, self.reads)
        with torch.no_grad():
            if self.store is None:
                encoded: torch.Tensor = compute(rgb)
                return encoded
            self._network = self._network or f"{self.reads} {hash_weights(self.backbone)}"
            return self.store.features(rgb, self._network, compute)

    def features(self, rgb: torch.Tensor) -> torch.Tensor:
        """Encode clips (B, 3, T, H, W) -> (B, D)."""
        return self.encode(rgb)

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        """Classify clips (B, 3, T, H, W) -> logits (B, K)."""
        logits: torch.Tensor = self.classifier(self.features(rgb))  # (B, K)
        return logits

    def _forget_network(self, _: object) -> None:
        self._network = None


class AttentiveProbe(LinearProbe):
    """A learnt query attends to the tokens of a frozen backbone, a linear layer reads the answer.

    Args:
        backbone: a model of rgb clips with `tokens`; it loses its class head.
        num_classes: K.
        num_heads: of the query's attention.
        mlp_ratio: width inside the MLP behind it, in D.
        feature_cache: file that keeps the tokens of each clip; None keeps none.

    Raises:
        ValueError: a backbone without tokens, a width that the heads cannot share, or as
            `LinearProbe`.
    """

    reads = "tokens"

    def __init__(
        self,
        *,
        backbone: nn.Module,
        num_classes: int,
        num_heads: int,
        mlp_ratio: float,
        feature_cache: str | None,
    ) -> None:
        super().__init__(backbone=backbone, num_classes=num_classes, feature_cache=feature_cache)
        self.pool = AttentivePool(self.classifier.in_features, num_heads, mlp_ratio)

    def features(self, rgb: torch.Tensor) -> torch.Tensor:
        """Encode clips (B, 3, T, H, W) -> what the query found (B, D)."""
        pooled: torch.Tensor = self.pool(self.encode(rgb))
        return pooled
